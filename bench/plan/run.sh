#!/bin/sh
# From files to findings: `overhaul check` of a large fleet, 200 roles, 20 zones, some 30 steps for each host, every
# host with facts of its own, and one thing to be found on every hundredth.
#
#     bench/plan/run.sh [HOSTS [REPEATS]]      # 10000 hosts and 3 repeats by default; as root with a cold page cache
#
# It measures the command as users are given it: scripts/build dist.
# Prints seconds, processor seconds and peak memory, and fails when the findings are not those that were planted.
# Beside it: jq, reading the same facts and doing nothing with them, which is the price of the JSON alone.
set -eu
cd "$(dirname "$0")/../.."
hosts=${1:-10000}
repeats=${2:-3}

fail() {
    echo "bench/plan: $*" >&2
    exit 1
}

for tool in /usr/bin/time jq; do
    command -v "$tool" >/dev/null || fail "$tool is lacking: scripts/setup installs it"
done
[ -x target/dist/overhaul ] || fail "target/dist/overhaul is lacking: scripts/build dist"
cargo build --quiet --release -p overhaul-cli --example large_fleet
overhaul=$PWD/target/dist/overhaul
work=$(mktemp -d "${BENCH_DIR:-/tmp}/overhaul-plan.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

planted=$(target/release/examples/large_fleet "$work" "$hosts")
echo "$hosts hosts, $planted findings planted; $(($(stat -c %s "$work/facts.json") / 1000000)) MB of facts, $(($(stat -c %s "$work/fleet.yaml") / 1000)) kB of fleet"

# Runs a command some times; prints the median of seconds with its processor seconds and MiB.
row() {
    name=$1
    shift
    : >"$work/times"
    for _ in $(seq "$repeats"); do
        [ "$cold" = no ] || { sync; echo 3 >/proc/sys/vm/drop_caches; }
        /usr/bin/time -q -a -o "$work/times" -f '%e %U %S %M' "$@" >"$work/out" 2>"$work/err" || [ "$expected" -ne 0 ] || fail "$name: $(cat "$work/err")"
        found=$(grep -cE '^(error|warning|note|waived)\[' "$work/out") || :
        [ "$expected" = 0 ] || [ "$found" = "$planted" ] || fail "$name: $found findings, not $planted: $(cat "$work/err")"
    done
    sort -n "$work/times" | awk -v name="$name" '{seconds[NR] = $1; cpu[NR] = $2 + $3; kib[NR] = $4}
        END {n = int((NR + 1) / 2); printf "%-24s %8.2f s %8.2f s of processors %8.0f MiB\n", name, seconds[n], cpu[n], kib[n] / 1024}'
}

both() {
    expected=$planted
    row "overhaul check, $1" "$overhaul" --state "$work/state" check "$work/upgrade.yaml" --fleet "$work/fleet.yaml" --facts "$work/facts.json"
    expected=0
    row "jq, $1" jq empty "$work/facts.json"
}

cold=no
both warm
if [ -w /proc/sys/vm/drop_caches ]; then
    cold=yes
    both cold
else
    echo "(no cold figures: the page cache can be dropped by root alone)"
fi
