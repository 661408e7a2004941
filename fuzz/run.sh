#!/bin/sh
# Fuzzes every target for so many seconds: fuzz/run.sh [SECONDS [TARGET...]]. 10 seconds and all targets by default.
#
# The stable toolchain is enough: coverage comes from LLVM's own pass, and libFuzzer is built from source with the C++ compiler.
# What is found lands in target/fuzz/found/TARGET; the committed corpus is only read.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-10}
[ $# -eq 0 ] || shift
targets=${*:-$(cd fuzz/targets && ls ./*.rs | sed 's|^\./||; s|\.rs$||' | grep -vx mod)}
command -v c++ >/dev/null || { echo "fuzz: no C++ compiler: scripts/setup installs g++." >&2; exit 1; }

host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --target "$host"
# Files that targets write; in memory where that can be.
TMPDIR=$(mktemp -d -p /dev/shm fuzz.XXXXXX 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 1' HUP INT TERM
failed=""
for target in $targets; do
    found="target/fuzz/found/$target"
    work="target/fuzz/corpus/$target"
    mkdir -p "$found" "$work" "fuzz/corpus/$target"
    log="target/fuzz/$target.log"
    # A single input may take 5 s and 2 GB: far more than any bound in the readers lets it.
    if FUZZ_TARGET=$target "target/fuzz/$host/release/fuzz" "$work" "fuzz/corpus/$target" -artifact_prefix="$found/" -max_total_time="$seconds" \
        -timeout=5 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
        # Inputs that reach nothing which others do not reach are let go.
        rm -rf "$work.small" && mkdir "$work.small"
        FUZZ_TARGET=$target "target/fuzz/$host/release/fuzz" -merge=1 "$work.small" "$work" >>"$log" 2>&1 && rm -rf "$work" && mv "$work.small" "$work"
        echo "fuzz: $target: $runs inputs, $edges edges, $(ls "$work" | wc -l) kept, nothing found"
    else
        failed="$failed $target"
        echo "fuzz: $target: FAILED, see $log" >&2
        tail -n 15 "$log" >&2
    fi
done
[ -z "$failed" ] || { echo "fuzz: failed:$failed" >&2; exit 1; }
