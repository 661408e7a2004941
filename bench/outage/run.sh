#!/bin/sh
# Pairs of the demo's upgrade by Overhaul and by hand (by-hand.sh), each on a fresh fleet of six, in alternating order: whole run and window of the database.
# Needs root, `scripts/build` and `cargo build --release --workspace --bin xtask`. PAIRS=5 MB=200 bench/outage/run.sh
set -eu
cd "$(dirname "$0")/../.."
pairs=${PAIRS:-5} mb=${MB:-200} id=${OVERHAUL_LAB_ID:-outage}
xtask="target/release/xtask lab --id $id"
results=$(mktemp)
trap '$xtask down || true; rm -f "$results"' EXIT
trap 'exit 130' INT TERM HUP

fresh() {
    $xtask down
    $xtask up six >/dev/null
    $xtask load-postgres db1 --mb "$mb" >/dev/null
    dir=$($xtask dir)
    definition=$($xtask definition workflows/debian-major/upgrade.yaml)
    $xtask remember "$dir/before.json" >/dev/null
}
overhaul() { target/release/overhaul --state "$dir/state" "$@"; }
# The same two points in both: the stop of the database begins, its health is proven.
by_overhaul() {
    began=$(date +%s.%N)
    overhaul run "$definition" --fleet "$dir/inventory" --yes >"$dir/run.log"
    whole=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
    window=$(sqlite3 -readonly "$dir"/state/runs/*/journal.sqlite 'select record from journal' | jq -rs '
        def at(part; kind): [.[] | select((.event | keys[0]) == kind and (.event[kind].position // "" | contains(part))) | .at];
        [at("hold-database"; "started")[0], at("healthy-database"; "ended")[-1]]
        | map(capture("^(?<whole>[^.]+)[.](?<part>[0-9]+)Z$") | (.whole + "Z" | fromdate) + ("0." + .part | tonumber)) | .[1] - .[0]')
}
by_hand() {
    # The plan of the same fleet; making it is no part of the upgrade.
    overhaul plan "$definition" --fleet "$dir/inventory" -o "$dir/plan.json" >/dev/null
    bench/outage/by-hand.sh "$dir/plan.json" "$dir" "$xtask" >"$dir/by-hand"
    whole=$(awk '$1 == "whole" { print $2 }' "$dir/by-hand") window=$(awk '$1 == "window" { print $2 }' "$dir/by-hand")
}
pair=1
while [ "$pair" -le "$pairs" ]; do
    order="by_overhaul by_hand"
    [ $((pair % 2)) = 1 ] || order="by_hand by_overhaul"
    for way in $order; do
        fresh
        $way
        $xtask prove "$dir/before.json" >/dev/null
        echo "$pair $way whole $whole window $window" | tee -a "$results"
    done
    pair=$((pair + 1))
done
awk '{ whole[$1, $2] = $4; window[$1, $2] = $6; if ($1 > n) n = $1 }
    function told(name, value, pairs,    i, j, x, r) {
        for (i = 1; i <= pairs; i++) r[i] = value[i, "by_overhaul"] / value[i, "by_hand"]
        for (i = 1; i <= pairs; i++) for (j = i + 1; j <= pairs; j++) if (r[j] < r[i]) { x = r[i]; r[i] = r[j]; r[j] = x }
        x = pairs % 2 ? r[(pairs + 1) / 2] : (r[pairs / 2] + r[pairs / 2 + 1]) / 2
        printf "%s: %.3f times by hand (median of %d pairs, %.3f to %.3f)\n", name, x, pairs, r[1], r[pairs]
    }
    END { told("whole run", whole, n); told("window of the database", window, n) }' "$results"
