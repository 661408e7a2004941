#!/usr/bin/env python3
"""Writes `facts.json` of the workflows that are drafts, beside their definitions.

    workflows/facts.py [DATE]        DATE is when they count as gathered; the one below if left out

What a bare host of Debian 12 says was recorded in the lab (`lab/recorded/twelve`, host `empty1`); each host gets that, an identity
of its own, and what the table below says: the units of its document, the versions of its packages, its release. The README of each
workflow says which of these are stand-ins.
"""

import copy
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
GATHERED = "2026-01-01T00:00:00Z"
JAMMY = {"os": "ubuntu", "version": "22.04", "codename": "jammy", "pretty": "Ubuntu 22.04.5 LTS"}

# workflow -> host -> what differs: units, packages, release, cluster of PostgreSQL.
HOSTS = {
    "copr-aws": {
        "copr-fe-dev": {"mounts": ["/srv"], "units": ["httpd", "postgresql", "crond"], "postgresql": {"coprdb": 400 << 20}},
        "copr-be-dev": {"mounts": ["/srv"], "units": ["copr-backend.target", "lighttpd", "crond"]},
        "copr-keygen-dev": {"mounts": ["/srv"], "units": ["httpd", "signd", "crond"]},
        "copr-dist-git-dev": {"mounts": ["/srv"], "units": ["httpd", "copr-dist-git", "crond"]},
    },
    "synnefo": {
        "astakos1": {"units": ["gunicorn", "postgresql"], "postgresql": {"snf_apps": 600 << 20}, "packages": {"snf-common": "0.15.2", "snf-webproject": "0.15.2"}},
        "cyclades1": {"units": ["gunicorn", "snf-dispatcher", "vncauthproxy"], "packages": {"snf-common": "0.15.2", "snf-webproject": "0.15.2"}},
        "pithos1": {"units": ["gunicorn", "archipelago"], "packages": {"snf-common": "0.15.2", "snf-webproject": "0.15.2", "archipelago": "0.3.5"}},
        "node1": {"units": ["snf-ganeti-eventd", "ganeti"], "packages": {"snf-common": "0.15.2", "archipelago": "0.3.5", "qemu-kvm": "2.1+dfsg-2~bpo70+2"}},
        "node2": {"units": ["snf-ganeti-eventd", "ganeti"], "packages": {"snf-common": "0.15.2", "archipelago": "0.3.5", "qemu-kvm": "2.1+dfsg-2~bpo70+2"}},
    },
    "tripleo-os": {
        "undercloud-0": {"units": ["tripleo-undercloud"]},
        **{f"controller-openstack-{n}": {"units": ["tripleo-openstack", "ceph-mon@controller", "pacemaker", "corosync"]} for n in range(3)},
        **{f"database-{n}": {"units": ["mariadb"]} for n in range(3)},
        **{f"messaging-{n}": {"units": ["rabbitmq-server"]} for n in range(3)},
        "networker-0": {"units": ["neutron-l3-agent"]},
        **{f"novacompute-{n}": {"units": ["nova-compute"]} for n in range(2)},
        **{f"ceph-storage-{n}": {"units": ["ceph-osd"]} for n in range(3)},
    },
    "chef-server-ha": {
        "be1": {"units": ["private-chef-runsvdir", "keepalived"], "packages": {"private-chef": "1.4.6"}},
        "be2": {"units": ["private-chef-runsvdir", "keepalived"], "packages": {"private-chef": "1.4.6"}},
        "fe1": {"units": ["private-chef-runsvdir"], "packages": {"private-chef": "1.4.6"}},
        "fe2": {"units": ["private-chef-runsvdir"], "packages": {"private-chef": "1.4.6"}},
    },
    "lxd-homelab": {
        **{f"{name}.{zone}": {"units": units, "release": JAMMY, "data": {"/var/lib/prometheus": 300 << 20} if name == "prometheus" else {}}
           for zone in ("low", "main")
           for name, units in {"dns": ["unbound"], "etcd": ["etcd"], "prometheus": ["prometheus"], "hv": ["lxd"]}.items()},
        "smi.main": {"units": ["smi"], "release": JAMMY},
    },
}


def number(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def facts(template, workflow, host, told, gathered):
    out = copy.deepcopy(template)
    own = f"{workflow}/{host}"

    def measured(value):
        return {"measured": {"at": gathered, "value": value}}

    out["machine_id"] = measured(number("machine " + own))
    out["install_id"] = measured(number("install " + own))
    boot = number("boot " + own)
    boot = "-".join([boot[:8], boot[8:12], boot[12:16], boot[16:20], boot[20:]])
    out["boot"] = measured({"boot_id": boot, "init_started_ticks": 1})
    names = [unit if "." in unit else unit + ".service" for unit in told.get("units", [])]
    units = out["units"]["measured"]["value"]
    units += [{"active": "active", "load": "loaded", "name": name, "sub": "running"} for name in names]
    units.sort(key=lambda unit: unit["name"])
    packages = {entry["name"]: entry for entry in out["packages"]["installed"]["measured"]["value"]}
    if "release" in told:
        # Nothing but the release is known of it: no version of another distribution is said to be one of this.
        out["release"] = measured(told["release"])
        packages = {}
        reason = {"unknown": {"reason": "not recorded"}}
        out["kernel"]["running"] = reason
    for name, version in told.get("packages", {}).items():
        packages[name] = {"name": name, "version": version}
    out["packages"]["installed"] = measured([packages[name] for name in sorted(packages)])
    mounts = out["mounts"]["measured"]["value"]
    root = next(mount for mount in mounts if mount["path"] == "/")
    mounts += [{**root, "path": path} for path in told.get("mounts", [])]
    folders = told.get("data", {})
    out["storage"]["data"] = measured([{"complete": True, "entries": 200, "path": path, "size_bytes": folders[path]} for path in sorted(folders)])
    for name, size in told.get("postgresql", {}).items():
        extensions = measured([{"name": "plpgsql", "version": "1.0"}])
        replication = measured({"in_recovery": False, "replay_age_ms": None, "slots": [], "standbys": [], "upstream": None})
        cluster = {"version": "15", "name": "main", "port": 5432, "online": True, "data_dir": "/var/lib/postgresql/15/main",
                   "databases": [{"name": name, "size_bytes": size, "extensions": extensions}], "replication": replication}
        out["postgresql"] = measured([cluster])
    return restamp(out, gathered)


def restamp(value, gathered):
    if isinstance(value, dict):
        return {key: gathered if key in ("at", "gathered_at") else restamp(entry, gathered) for key, entry in value.items()}
    if isinstance(value, list):
        return [restamp(entry, gathered) for entry in value]
    return value


def main():
    gathered = sys.argv[1] if len(sys.argv) > 1 else GATHERED
    recorded = json.loads((HERE / "../lab/recorded/twelve/facts.json").read_text())
    template = recorded["hosts"]["empty1"]
    for workflow, hosts in HOSTS.items():
        told = {host: facts(template, workflow, host, what, gathered) for host, what in sorted(hosts.items())}
        lines = ",\n".join(f"{json.dumps(host)}: {json.dumps(value, sort_keys=True, separators=(',', ':'))}" for host, value in told.items())
        text = f'{{"format": {recorded["format"]}, "hosts": {{\n{lines}\n}}}}\n'
        (HERE / workflow / "facts.json").write_text(text)


if __name__ == "__main__":
    main()
