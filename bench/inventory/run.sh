#!/bin/sh
# Loads an inventory of 10,000 hosts, 200 groups, group_vars and some host_vars, and has ansible-inventory list the same.
#
#     bench/inventory/run.sh [HOSTS [REPEATS]]       # 10000 hosts and 5 repeats by default; as root also with a cold page cache
set -eu
cd "$(dirname "$0")/../.."
hosts=${1:-10000}
repeats=${2:-5}
[ -x /usr/bin/time ] || { echo "bench: /usr/bin/time is lacking: apt-get install time" >&2; exit 1; }
crates/source/tests/ansible/setup
cargo build --quiet --release -p overhaul-source --example load_inventory
load=$PWD/target/release/examples/load_inventory
ansible=$PWD/target/ansible-core/bin/ansible-inventory
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

python3 - "$work" "$hosts" <<'END'
import os, sys
work, hosts = sys.argv[1], int(sys.argv[2])
os.makedirs(work + "/group_vars")
os.makedirs(work + "/host_vars")
# 180 groups of machines, 20 groups of groups; every host in one of the first, every tenth in a second one.
leaves, tops = 180, 20
with open(work + "/hosts", "w") as out:
    for leaf in range(leaves):
        out.write(f"[role_{leaf:03}]\n")
        for host in range(leaf, hosts, leaves):
            out.write(f"h{host:05}.example.com ansible_host=10.{host >> 16}.{host >> 8 & 255}.{host & 255} rack=r{host % 40} weight={host % 7}\n")
        for host in range(leaf * 10, hosts, leaves * 10):
            out.write(f"h{host:05}.example.com\n")
    for top in range(tops):
        out.write(f"[site_{top:02}:children]\n" + "".join(f"role_{leaf:03}\n" for leaf in range(top, leaves, tops)))
    out.write("[all:vars]\nansible_user=admin\nansible_become=yes\n")
for name in ["all"] + [f"role_{n:03}" for n in range(leaves)] + [f"site_{n:02}" for n in range(tops)]:
    with open(f"{work}/group_vars/{name}.yml", "w") as out:
        for key in range(10):
            out.write(f"{name}_{key}: value {key} of {name}\n")
        out.write(f"shared: {name}\nports: [80, 443]\nlimits: {{soft: 1024, hard: 4096}}\n")
for host in range(0, hosts, 20):
    with open(f"{work}/host_vars/h{host:05}.example.com.yml", "w") as out:
        out.write(f"serial_number: {host}\nnote: a host with its own file\n")
END

# Seconds and MiB of one command.
measured() { /usr/bin/time -f '%e %M' -o "$work/time" "$@" >"$work/out" 2>"$work/err" && cat "$work/time"; }
median() { sort -n | awk '{a[NR] = $1} END {print a[int((NR + 1) / 2)]}'; }
row() {
    name=$1
    shift
    : >"$work/seconds" && : >"$work/kib"
    for _ in $(seq "$repeats"); do
        [ "$cold" = no ] || { sync; echo 3 >/proc/sys/vm/drop_caches; }
        measured "$@" | while read -r seconds kib; do
            echo "$seconds" >>"$work/seconds"
            echo "$kib" >>"$work/kib"
        done
    done
    echo "$name $(median <"$work/seconds") $(median <"$work/kib")" | awk '{printf "%-28s %8.2f s %8.0f MiB\n", $1, $2, $3 / 1024}'
}

"$load" "$work/hosts"
cold=no
row overhaul,warm "$load" "$work/hosts"
row ansible-inventory,warm "$ansible" -i "$work/hosts" --list
if [ -w /proc/sys/vm/drop_caches ]; then
    cold=yes
    row overhaul,cold "$load" "$work/hosts"
    row ansible-inventory,cold "$ansible" -i "$work/hosts" --list
else
    echo "(no cold figures: the page cache can be dropped by root alone)"
fi
