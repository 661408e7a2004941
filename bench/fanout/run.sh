#!/bin/sh
# How Overhaul fans out: a ten-step job over many addresses that one sshd answers.
#
#   bench/fanout/run.sh [HOSTS [REPEATS]]      as root; 100 hosts and 3 repeats by default
#   bench/fanout/run.sh HOSTS REPEATS facts    facts only, also with one host in ten dead
#
# A network namespace routes a whole prefix to itself, so that every address is a host without any
# container. The account is a plain one with /bin/sh, an empty home and the password `*`: a slow shell
# profile would falsify every figure. Each address has its own state folder and its own job folder.
# Prints the median seconds of: `overhaul facts` (warm) with its peak memory, Overhaul cold (the helper is uploaded), Overhaul warm, `xargs -P 50 ssh
# ADDRESS true`, and the floor (a bare native connection and one `true`), and each as a ratio to the floor.
set -eu

hosts=${1:-100}
repeats=${2:-3}
only=${3:-all}
at_once=$hosts
floor_at_once=50
port=22
account=ovhfan$$
space=ovhfan$$

here=$(CDPATH= cd "$(dirname "$0")" && pwd)
root=$(CDPATH= cd "$here/../.." && pwd)
bin=${OVERHAUL_BIN:-$root/target/release}
overhaul=$bin/overhaul
helper=${OVERHAUL_HELPER:-$bin/overhaul-helper}
floor=${FANOUT_FLOOR:-$root/target/release/examples/fanout_floor}

fail() {
    echo "bench/fanout: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root, for a network namespace and an account"
for tool in ip sshd ssh ssh-keygen useradd userdel xargs time perl mount; do
    command -v "$tool" >/dev/null 2>&1 || [ -x "/usr/sbin/$tool" ] || fail "$tool is lacking"
done
for program in "$overhaul" "$helper" "$floor"; do
    [ -x "$program" ] || fail "$program is lacking: scripts/build; cargo build --release -p overhaul-reach --example fanout_floor"
done
[ "$hosts" -ge 1 ] && [ "$hosts" -le 10000 ] || fail "1 to 10000 hosts"

work=$(mktemp -d /tmp/overhaul-fanout.XXXXXX)
sshd_pid=
clean() {
    trap - EXIT INT TERM
    [ -z "$sshd_pid" ] || kill "$sshd_pid" 2>/dev/null || :
    # What is left in our namespace is ours: sessions and helpers.
    for pid in $(ip netns pids "$space" 2>/dev/null); do
        kill -KILL "$pid" 2>/dev/null || :
    done
    ip netns del "$space" 2>/dev/null || :
    userdel -f "$account" >/dev/null 2>&1 || :
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# --- the account ---
chmod 755 "$work"
mkdir -m 755 "$work/hosts" "$work/home"
useradd --no-create-home --home-dir "$work/home" --shell /bin/sh --password '*' "$account"
chown "$account" "$work/home" "$work/hosts"

# --- the hosts ---
ip netns add "$space"
ip -n "$space" link set lo up
ip -n "$space" route add local 10.78.0.0/16 dev lo
inside() { ip netns exec "$space" "$@"; }

ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/key"
cp "$work/key.pub" "$work/authorized_keys"
chmod 644 "$work/authorized_keys"
echo "10.78.* $(cut -d' ' -f1,2 "$work/host_key.pub")" >"$work/known_hosts"
cat >"$work/sshd_config" <<CONFIG
Port $port
ListenAddress 0.0.0.0
HostKey $work/host_key
PidFile none
UsePAM no
StrictModes no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile $work/authorized_keys
MaxStartups 10000
MaxSessions 100
LogLevel ERROR
CONFIG
mkdir -p /run/sshd
# The hosts have no databases, whatever this machine has: one Perl for each of them is no part of the price.
inside sh -c "[ ! -d /etc/postgresql ] || mount -t tmpfs none /etc/postgresql; exec /usr/sbin/sshd -D -f '$work/sshd_config' -E '$work/sshd.log'" &
sshd_pid=$!
# Port 2222 takes connections and never says a word. The queue of port 2223 is full, so that the kernel drops
# what comes there, as a firewall does.
inside perl -MIO::Socket::INET -e '
    my $silent = IO::Socket::INET->new(LocalPort => 2222, Listen => 4096, ReuseAddr => 1) or die;
    my $full = IO::Socket::INET->new(LocalPort => 2223, Listen => 1, ReuseAddr => 1) or die;
    my @queue = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => 2223, Blocking => 0) } 1 .. 4;
    sleep' &

n=0
: >"$work/addresses"
while [ "$n" -lt "$hosts" ]; do
    n=$((n + 1))
    echo "10.78.$((n / 250)).$((n % 250 + 1))" >>"$work/addresses"
done
{
    echo '[all:vars]'
    echo "overhaul_fleet=fanout"
    echo "ansible_user=$account"
    echo "ansible_port=$port"
    echo "ansible_ssh_private_key_file=$work/key"
    echo "overhaul_known_hosts=$work/known_hosts"
    echo '[fan]'
    while read -r address; do
        echo "$address overhaul_state_dir=$work/hosts/$address/state job_dir=$work/hosts/$address/job"
    done <"$work/addresses"
} >"$work/fleet.ini"
# The same with one dead host for every nine: half of them answer nothing, half accept and keep silent.
{
    cat "$work/fleet.ini"
    awk 'NR % 9 == 0 {
        port = NR % 18 ? 2223 : 2222
        print $1 "-dead ansible_host=" $1 " ansible_port=" port " overhaul_state_dir=/nowhere job_dir=/nowhere"
    }' "$work/addresses"
} >"$work/ill.ini"

. /etc/os-release
for file in job.yaml kinds/nothing.yaml; do
    mkdir -p "$work/$(dirname "$file")"
    sed "s/@FROM@/$VERSION_ID/; s/@TO@/$((VERSION_ID + 1))/; s/@AT_ONCE@/$at_once/" "$here/$file" >"$work/$file"
done

# All addresses are one machine, which the checker sees.
{
    echo 'waivers:'
    LC_ALL=C sort "$work/addresses" | sed 1d | while read -r address; do
        echo "  - {rule: machine-id-shared, subject: \"host:$address\", person: bench, reason: one machine plays all hosts, expires: $(date -d tomorrow +%F)}"
    done
} >"$work/waivers.yaml"
[ "$hosts" -eq 1 ] || cat "$work/waivers.yaml" >>"$work/job.yaml"

ssh_one="ssh -p $port -l $account -i $work/key -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none \
    -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=$work/known_hosts -F none"
tries=0
until inside $ssh_one "$(head -n 1 "$work/addresses")" true 2>"$work/ssh.log"; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || fail "sshd does not answer: $(cat "$work/ssh.log" "$work/sshd.log")"
    sleep 0.1
done

# --- the measures ---
new_folders() {
    rm -rf "$work/hosts"
    mkdir -m 755 "$work/hosts"
    xargs -I ADDRESS mkdir -p "$work/hosts/ADDRESS/job" <"$work/addresses"
    chown -R "$account" "$work/hosts"
}

now() { date +%s.%N; }
since() { echo "$(now) $1" | awk '{printf "%.3f", $1 - $2}'; }

# The exit code of a run that waits for a person; see docs/cli.md.
needs_person=${NEEDS_PERSON_EXIT:-4}
overhaul_job() {
    state=$(mktemp -d "$work/state.XXXXXX")
    began=$(now)
    code=0
    inside "$overhaul" --state "$state" run "$work/job.yaml" --fleet "$work/fleet.ini" --kinds "$work/kinds" \
        --helper "$helper" --yes >"$work/out" 2>&1 </dev/null || code=$?
    took=$(since "$began")
    [ "$code" = "$needs_person" ] || fail "the run ended with $code: $(grep -v "^warning\|help:" "$work/out" | tail -n 30)"
    made=$(find "$work/hosts" -path '*/job/noted' | wc -l)
    [ "$made" = "$hosts" ] || fail "the job was done on $made of $hosts hosts"
    inside "$overhaul" --state "$state" abort --reason "the bench is over" >"$work/out" 2>&1 </dev/null ||
        fail "abort: $(tail -n 5 "$work/out")"
    # The order to end is carried out, and the hosts are freed, by whoever leads the run.
    inside "$overhaul" --state "$state" resume --helper "$helper" --fleet "$work/fleet.ini" >"$work/out" 2>&1 </dev/null ||
        [ $? = 9 ] || fail "resume: $(tail -n 5 "$work/out")"
    rm -rf "$state"
    echo "$took"
}

cold() {
    new_folders
    overhaul_job
}
warm() {
    find "$work/hosts" -path '*/job/*' -delete
    overhaul_job
}
by_xargs() {
    began=$(now)
    # shellcheck disable=SC2086
    inside xargs -P 50 -I ADDRESS $ssh_one ADDRESS true <"$work/addresses"
    since "$began"
}
# Why hosts could not be worked with, and how many said so.
troubles() {
    inside "$overhaul" --json --state "$work/facts" facts --offline --fleet "$work/fleet.ini" 2>/dev/null |
        grep -o '"why": *"[^"]*"' | sed 's/10\.78\.[0-9.]*/HOST/g' | sort | uniq -c | sort -rn
}
# Seconds and peak memory in KiB of the facts of a fleet, with an expected exit code.
facts() {
    code=0
    inside time -o "$work/time" -f '%e %M' "$overhaul" --state "$work/facts" facts --fleet "$work/$1" \
        --helper "$helper" >"$work/out" 2>&1 </dev/null || code=$?
    tail -n 1 "$work/time" | tee -a "$work/facts.log" >"$work/last"
    tail -n 1 "$work/out" >"$work/facts.totals"
    [ "$code" = "$2" ] || fail "facts ended with $code after $(cat "$work/last") (seconds, KiB): $(cat "$work/facts.totals")
$(troubles | head -n 10)"
    cut -d' ' -f1 "$work/last"
}
bare() { inside "$floor" "$account" "$work/key" "$work/known_hosts" "$port" "$floor_at_once" <"$work/addresses"; }

median() { sort -n "$1" | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
new_folders
facts fleet.ini 0 >/dev/null
: >"$work/facts.log"
i=0
while [ "$i" -lt "$repeats" ]; do
    i=$((i + 1))
    bare >>"$work/floor.s"
    facts fleet.ini 0 >>"$work/facts.s"
    if [ "$only" = facts ]; then
        facts ill.ini 6 >>"$work/ill.s"
        continue
    fi
    by_xargs >>"$work/xargs.s"
    cold >>"$work/cold.s"
    warm >>"$work/warm.s"
done
base=$(median "$work/floor.s")
echo "$hosts hosts, $(nproc) processors, median of $repeats:"
for what in floor facts ill xargs cold warm; do
    [ -s "$work/$what.s" ] || continue
    seconds=$(median "$work/$what.s")
    echo "$what $seconds $base" | awk '{printf "%-6s %8.3f s   %6.2f x floor\n", $1, $2, $2 / $3}'
done
awk '$2 > most {most = $2} END {printf "facts: peak memory %.0f MB\n", most / 1024}' "$work/facts.log"
[ "$only" != facts ] || cat "$work/facts.totals"
