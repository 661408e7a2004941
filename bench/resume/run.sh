#!/bin/sh
# How long `overhaul resume` takes from its start until a host hears of it: a run of many hosts with a long journal, which
# the shipped state machine and journal wrote (crates/cli/examples/large_run.rs).
#
#     bench/resume/run.sh [HOSTS [EVENTS [REPEATS [ORDER]]]]    # 10000 hosts, 300000 events, 3 repeats by default; as root also cold
#
# ORDER is at-once by default: all hosts are under way at the same time; in-turn is the order of bench/plan.
#
# All addresses of the fleet are this machine's (127.0.0.0/8), and one socket listens for all of them: the clock stops when
# it has the first byte of the first connection, which is the greeting of our SSH client. Then the program is ended. It needs
# overhaul and overhaul-helper as users are given them: scripts/build dist.
set -eu
cd "$(dirname "$0")/../.."
hosts=${1:-10000}
events=${2:-300000}
repeats=${3:-3}
order=${4:-at-once}

fail() {
    echo "bench/resume: $*" >&2
    exit 1
}

# Two sockets for each host and some files: what overhaul itself asks for.
needed=$((hosts * 2 + 128))
limit=$(ulimit -Hn)
[ "$limit" = unlimited ] || [ "$limit" -ge "$needed" ] || fail "$hosts hosts need $needed open files, and this shell may have $limit: fewer hosts, or a higher limit"
for program in target/dist/overhaul target/dist/overhaul-helper; do
    [ -x "$program" ] || fail "$program is lacking: scripts/build dist"
done
cargo build --quiet --release -p overhaul-cli --example large_fleet --example large_run
overhaul=$PWD/target/dist/overhaul
work=$(mktemp -d "${BENCH_DIR:-/tmp}/overhaul-resume.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
target/release/examples/large_fleet "$work" "$hosts" "$port" "$order" >"$work/planted"
"$overhaul" --state "$work/state" plan "$work/upgrade.yaml" --fleet "$work/fleet.yaml" --facts "$work/facts.json" -o "$work/plan.json" >"$work/out" 2>&1 || fail "no plan: $(cat "$work/out")"
wrote=$(target/release/examples/large_run "$work/state" "$work/plan.json" bench "$events")
run=$work/state/runs/bench
echo "$wrote"
echo "$hosts hosts; plan $(($(stat -c %s "$run/plan.json") / 1000000)) MB, journal $(($(stat -c %s "$run/journal.sqlite") / 1000000)) MB"

python3 - "$overhaul" "$work" "$port" "$repeats" <<'END'
import os, resource, socket, subprocess, sys, time

overhaul, work, port, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("", port))
listener.listen(1024)
listener.settimeout(120)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
# Nothing of the one who measures: neither keys nor a configuration of ssh.
home = os.path.join(work, "home")
os.makedirs(home, exist_ok=True)
environment = {"PATH": os.environ["PATH"], "HOME": home, "USER": "bench"}


def once(cold):
    if cold:
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as drop:
            drop.write("3")
    errors = open(os.path.join(work, "errors"), "w")
    began = time.monotonic()
    program = subprocess.Popen([overhaul, "--state", work + "/state", "resume", "bench"], env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
    try:
        connection, _ = listener.accept()
        connection.settimeout(60)
        greeting = connection.recv(64)
        seconds = time.monotonic() - began
        with open(f"/proc/{program.pid}/status") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        with open(f"/proc/{program.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        processors = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (TimeoutError, socket.timeout):
        sys.exit("bench/resume: no host heard of it: " + open(errors.name).read())
    finally:
        program.kill()
        program.wait()
    if not greeting.startswith(b"SSH-2.0"):
        sys.exit(f"bench/resume: the first bytes were {greeting!r}")
    connection.close()
    # What else had been begun by then.
    listener.settimeout(0.2)
    try:
        while True:
            listener.accept()[0].close()
    except (TimeoutError, socket.timeout):
        listener.settimeout(120)
    return seconds, processors, peak / 1024


def row(name, cold):
    all = sorted(once(cold) for _ in range(repeats))
    seconds, processors, peak = all[len(all) // 2]
    print(f"{name:<24} {seconds:8.2f} s {processors:8.2f} s of processors {peak:8.0f} MiB")


row("first byte, warm", False)
if os.access("/proc/sys/vm/drop_caches", os.W_OK):
    row("first byte, cold", True)
END
