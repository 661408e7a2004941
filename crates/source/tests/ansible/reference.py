"""Says what ansible-core makes of inventories: one JSON request on each line of standard input, one JSON answer on each line of output.

A request names sources, the folder of a playbook, vault passwords, patterns and limits. An answer holds hosts, groups, the variables of
every host, and what each pattern means, with many more patterns that are made from the names; or the error with which the inventory is
refused.

Ansible walks the tree of groups through sets of objects, so that the order of hosts in groups nested more than one deep differs from run to
run. Here those sets keep the order in which groups were put into them, which is one of the orders that may come out.
"""

import datetime
import json
import os
import sys
import tempfile

# Nothing of this machine's own settings counts.
for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
    del os.environ[name]
NO_SETTINGS = tempfile.NamedTemporaryFile(suffix=".cfg")
os.environ.update(
    ANSIBLE_CONFIG=NO_SETTINGS.name,
    ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true",
    ANSIBLE_DEPRECATION_WARNINGS="false",
    ANSIBLE_LOCALHOST_WARNING="false",
    ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
    ANSIBLE_NOCOLOR="true",
)

from itertools import chain

from ansible import constants as C
from ansible.inventory.group import Group
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString, VaultSecret, VaultSecretsContext
from ansible.vars.manager import VariableManager

# Variables that Ansible makes, which stand in no inventory.
MADE = set(C.INTERNAL_STATIC_VARS) | {"inventory_hostname", "inventory_hostname_short", "groups", "group_names", "omit", "playbook_dir"}


def walk(self, relation, include_self=False, preserve_ordering=False):
    seen = {}
    level = dict.fromkeys(getattr(self, relation))
    if include_self:
        level[self] = None
    ordered = ([self] if include_self else []) + list(getattr(self, relation))
    while level:
        seen.update(level)
        below = list(chain.from_iterable(getattr(group, relation) for group in level))
        ordered.extend(group for group in below if group not in seen)
        level = {group: None for group in below if group not in seen}
    return ordered if preserve_ordering else set(seen)


Group._walk_relationship = walk


def plain(value):
    """A value as JSON: what JSON does not know is marked."""
    if isinstance(value, EncryptedString):
        try:
            return {"__secret": str(value)}
        except Exception:
            return {"__encrypted": True}
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else {"__float": str(value)}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return {"__date": value.isoformat()}
    if isinstance(value, bytes):
        return {"__bytes": value.decode("latin-1")}
    if isinstance(value, dict):
        return {key if isinstance(key, str) else "__key:" + repr(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, set):
        return {"__set": sorted(plain(item) for item in value)}
    return {"__other": type(value).__name__}


ALWAYS = ["all", "*", "*[0]", "*[-1]", "*[1:3]", "ungrouped", "nothing", "~", "~.", "?*", "[!a]*", "localhost", "all:!localhost", "all[0:1]"]


def derived(inventory):
    """Patterns of all kinds, made from the names that there are."""
    groups = [group for group in inventory.groups if group not in ("all", "ungrouped")]
    hosts = list(inventory.hosts)
    out = list(ALWAYS)
    for group in groups[:12]:
        start = group[:2]
        out += [group, "!" + group, "&" + group, group + "[0]", group + "[-1]", group + "[1:]", group + "[0:1]", group + "[2:0]"]
        out += [start + "*", start + "*[1]", "~" + start, "~.*" + group[-1] + "$", "!" + start + "*"]
    for one in groups[:5]:
        for other in groups[:5]:
            out += [f"{one}:&{other}", f"{one}:!{other}", f"{one},{other}", f"{one[0]}*:{other}[0]", f"{one}:{other}:!{other}[0]"]
    for host in hosts[:6] + hosts[-3:]:
        out += [host, "!" + host, "all:!" + host, host[:-1] + "*", host[:-1] + "?", f"[{host[0]}]*", "~.*" + host[-1] + "$", host + "[0]"]
        out += [f"{host},{hosts[0]}", f"~(?!{host[0]})", host + ":80"]
    return list(dict.fromkeys(out))


def first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def selected(inventory, pattern, limit):
    inventory.clear_caches()
    # A name of the local machine that an earlier pattern made is not carried over.
    data = inventory._inventory
    if data.localhost is not None and data.localhost.implicit:
        data.localhost = None
    try:
        if limit:
            inventory.subset(pattern)
            return {"hosts": [host.name for host in inventory.get_hosts("all")]}
        return {"hosts": [host.name for host in inventory.get_hosts(pattern)]}
    except Exception as error:
        return {"error": first_line(error)}
    finally:
        inventory.subset(None)


def answer(request):
    loader = DataLoader()
    secrets = []
    for label, password in request.get("vault", []):
        secrets.append((label, VaultSecret(password.encode())))
    loader.set_vault_secrets(secrets)
    VaultSecretsContext._current = None
    VaultSecretsContext.initialize(VaultSecretsContext(secrets))
    loader.set_basedir(request.get("playbook") or os.path.join(request["folder"], "no-playbook"))
    try:
        inventory = InventoryManager(loader=loader, sources=request["sources"])
        manager = VariableManager(loader=loader, inventory=inventory)
        variables = {}
        for host in inventory.hosts.values():
            merged = manager.get_vars(host=host, include_hostvars=False, stage="all")
            variables[host.name] = {key: plain(value) for key, value in merged.items() if key not in MADE}
    except Exception as error:
        return {"error": first_line(error)}
    made = derived(inventory)
    return {
        "hosts": list(inventory.hosts),
        "groups": [
            {
                "name": group.name,
                "hosts": [host.name for host in group.hosts],
                "members": [host.name for host in group.get_hosts()],
                "children": [child.name for child in group.child_groups],
                "depth": group.depth,
                "priority": group.priority,
            }
            for group in inventory.groups.values()
        ],
        "variables": variables,
        "patterns": [
            {"pattern": pattern, "limit": limit, "said": selected(inventory, pattern, limit)}
            for limit, patterns in ((False, request["patterns"] + made), (True, request["limits"] + made[::7]))
            for pattern in patterns
        ],
    }


def main():
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(request)), flush=True)


if __name__ == "__main__":
    main()
