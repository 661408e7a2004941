#!/bin/sh
# Durable events per second: 50 lanes that share commits through the shipped journal, against a bare loop over SQLite
# that commits each row with the same settings. On this disk, and on a memory disk for the processor time of an event.
#
#     bench/journal/run.sh [LANES [SECONDS [REPEATS]]]      # 50 lanes, 5 seconds, 3 repeats by default
#
# The two take turns in one process; the median of the repeats is told. BENCH_DIR names a folder on the disk to use. Ends with
# 1 when the lanes write less than 3 times the events of the loop on the disk, which is the goal.
set -eu
cd "$(dirname "$0")/../.."
lanes=${1:-50}
seconds=${2:-5}
repeats=${3:-3}
cargo build --quiet --release -p overhaul-store --example lanes
program=$PWD/target/release/examples/lanes

missed=0

# on NAME FOLDER [GOAL]: the goal is how many times the events of the loop there must be.
on() {
    name=$1
    folder=$2
    goal=${3:-0}
    [ -d "$folder" ] && [ -w "$folder" ] || { echo "bench/journal: $folder cannot be written to" >&2; exit 1; }
    work=$(mktemp -d "$folder/overhaul-journal.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    for repeat in $(seq "$repeats"); do
        mkdir "$work/$repeat"
        "$program" "$work/$repeat" "$lanes" "$seconds" >>"$work/told"
    done
    awk -v disk="$name" -v goal="$goal" -v middle="$(((repeats + 1) / 2))" '
        function median(list, n,    i, j, t) {
            for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
            return list[middle]
        }
        $1 == "lanes" { l++; rate[l] = $2; cpu[l] = $4; size[l] = $11 }
        $1 == "each" { e++; erate[e] = $2; ecpu[e] = $4 }
        $1 == "ratio" { r++; ratio[r] = $2 }
        END {
            printf "%-12s %-22s %9.0f events/s %8.1f us of processor each, %.0f in a commit\n", disk, "lanes, shared commits", median(rate, l), median(cpu, l), median(size, l)
            printf "%-12s %-22s %9.0f events/s %8.1f us of processor each\n", disk, "a commit for each row", median(erate, e), median(ecpu, e)
            printf "%-12s %-22s %9.2f times the events", disk, "ratio", median(ratio, r)
            if (goal) printf ", goal %s: %s", goal, (median(ratio, r) >= goal ? "reached" : "missed")
            printf "; %.2f of the processor time of an event\n", median(cpu, l) / median(ecpu, e)
            exit (goal && median(ratio, r) < goal) ? 1 : 0
        }' "$work/told" || missed=1
    rm -rf "$work"
}

trap 'exit 130' INT TERM HUP
on disk "${BENCH_DIR:-/tmp}" 3
on memory /dev/shm
exit "$missed"
