#!/bin/sh
# How Overhaul fans out: a ten-step job over many addresses that one sshd answers, against its peers.
#
#   bench/fanout/run.sh [-d real|memory] [-m 'MEASURES'] [-o FOLDER] [HOSTS [REPEATS]]
#
#   as root; 100 hosts and 3 repeats by default
#   -d   where journal, receipts and files of the job lie: on the real disk (default), or in memory
#   -m   any of: floor facts ill xargs cold warm ansible pyinfra (default: all but ill), and old-cold old-warm with -o
#   -o   the programs of an older build, to be measured in turn with this one
#
# A network namespace routes a whole prefix to itself, so that every address is a host without any
# container. The account is a plain one with /bin/sh, an empty home and the password `*`: a slow shell
# profile would falsify every figure. Each address has its own state folder and its own job folder.
# Everything is measured in turn, REPEATS times; told are the medians, and ratios to the floor (a bare native
# connection and one `true` for each address) and to `xargs -P 50 ssh ADDRESS true`. What each of them is, and what
# the figures were, stands in bench/README.md.
set -eu

disk=real
measures='floor facts xargs cold warm ansible pyinfra'
old=
while getopts d:m:o: option; do
    case $option in
        d) disk=$OPTARG ;;
        m) measures=$OPTARG ;;
        o) old=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
hosts=${1:-100}
repeats=${2:-3}
at_once=$hosts
peers_at_once=50
port=22
account=ovhfan$$
space=ovhfan$$

here=$(CDPATH= cd "$(dirname "$0")" && pwd)
root=$(CDPATH= cd "$here/../.." && pwd)
bin=${OVERHAUL_BIN:-$root/target/dist}
floor=${FANOUT_FLOOR:-$root/target/release/examples/fanout_floor}
peers=$root/target/fanout-peers/bin

fail() {
    echo "bench/fanout: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root, for a network namespace and an account"
for tool in ip sshd ssh ssh-keygen useradd userdel xargs perl python3 mount; do
    command -v "$tool" >/dev/null 2>&1 || [ -x "/usr/sbin/$tool" ] || fail "$tool is lacking"
done
for program in "$bin/overhaul" "$bin/overhaul-helper" "$floor" ${old:+"$old/overhaul" "$old/overhaul-helper"}; do
    [ -x "$program" ] || fail "$program is lacking: scripts/build dist; cargo build --release -p overhaul-reach --example fanout_floor"
done
[ "$hosts" -ge 1 ] && [ "$hosts" -le 10000 ] || fail "1 to 10000 hosts"
for measure in $measures; do
    case $measure in
        floor | facts | ill | xargs | cold | warm) ;;
        ansible | pyinfra) "$here/setup" ;;
        old-cold | old-warm) [ -n "$old" ] || fail "$measure needs -o" ;;
        *) fail "there is no measure $measure" ;;
    esac
done

work=$(mktemp -d /tmp/overhaul-fanout.XXXXXX)
clean() {
    trap - EXIT INT TERM
    # What is left in our namespace is ours: sessions and helpers.
    for pid in $(ip netns pids "$space" 2>/dev/null); do
        kill -KILL "$pid" 2>/dev/null || :
    done
    ip netns del "$space" 2>/dev/null || :
    userdel -f "$account" >/dev/null 2>&1 || :
    [ "$disk" = real ] || umount -l "$work/disk" 2>/dev/null || :
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# --- the account ---
chmod 755 "$work"
mkdir -m 755 "$work/disk" "$work/home"
case $disk in
    real) ;;
    memory) mount -t tmpfs -o mode=755 overhaul-fanout "$work/disk" ;;
    *) fail "-d real or -d memory" ;;
esac
useradd --no-create-home --home-dir "$work/home" --shell /bin/sh --password '*' "$account"
chown "$account" "$work/home"

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
Subsystem sftp internal-sftp
CONFIG
mkdir -p /run/sshd
# The hosts have no databases, whatever this machine has: one Perl for each of them is no part of the price.
inside sh -c "[ ! -d /etc/postgresql ] || mount -t tmpfs none /etc/postgresql
    exec python3 '$here/tree.py' hold /usr/sbin/sshd -D -f '$work/sshd_config' -E '$work/sshd.log'" &
hosts_pid=$!
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
    # More hosts than this machine can play in 20 s: who waits for a processor here is no host that does not answer.
    [ "$hosts" -le 200 ] || echo "ansible_ssh_common_args='-o ConnectTimeout=300'"
    echo '[fan]'
    while read -r address; do
        echo "$address overhaul_state_dir=$work/disk/hosts/$address/state job_dir=$work/disk/hosts/$address/job address=$address"
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

# --- the peers ---
cp "$here/playbook.yaml" "$here/deploy.py" "$here/settings.j2" "$work/"
key_of_all=$(cut -d' ' -f1,2 "$work/host_key.pub")
while read -r address; do echo "$address $key_of_all"; done <"$work/addresses" >"$work/known_hosts.plain"
cat >"$work/ansible.cfg" <<CONFIG
[defaults]
inventory = $work/fleet.ini
forks = $peers_at_once
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = True
control_path_dir = $work/masters
ssh_args = -F none -o ControlMaster=auto -o ControlPersist=60s -o IdentitiesOnly=yes -o IdentityAgent=none -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=$work/known_hosts
CONFIG
{
    echo 'fan = ['
    while read -r address; do
        echo "    ('$address', {'job_dir': '$work/disk/hosts/$address/job', 'address': '$address'}),"
    done <"$work/addresses"
    echo ']'
} >"$work/inventory.py"
mkdir "$work/group_data"
cat >"$work/group_data/all.py" <<DATA
ssh_user = '$account'
ssh_port = $port
ssh_key = '$work/key'
ssh_known_hosts_file = '$work/known_hosts.plain'
ssh_strict_host_key_checking = 'yes'
ssh_allow_agent = False
ssh_look_for_keys = False
DATA

# --- the measures ---
new_folders() {
    rm -rf "$work/disk/hosts"
    mkdir -m 755 "$work/disk/hosts"
    xargs -I ADDRESS mkdir -p "$work/disk/hosts/ADDRESS/job" <"$work/addresses"
    chown -R "$account" "$work/disk/hosts"
}
no_trace() { find "$work/disk/hosts" -path '*/job/*' -delete; }
all_done() {
    made=$(find "$work/disk/hosts" -path '*/job/noted' | wc -l)
    [ "$made" = "$hosts" ] || fail "$1: the job was done on $made of $hosts hosts"
}

# Carries a command out as the controller. Keeps wall seconds, its processor seconds, those of the hosts, and its peak memory.
code=0
measured() {
    name=$1
    shift
    before=$("$here/tree.py" used "$hosts_pid")
    code=0
    inside "$here/tree.py" run "$work/took" "$@" >"$work/out" 2>&1 || code=$?
    after=$("$here/tree.py" used "$hosts_pid")
    echo "$(cat "$work/took") $after $before" | awk '{print $1, $2, $4 - $5, $3 / 1024}' >>"$work/$name.log"
}

# The exit code of a run that waits for a person; see docs/cli.md.
needs_person=${NEEDS_PERSON_EXIT:-4}
# The job by a build; the run is ended and the hosts are freed outside of the clock.
overhaul_job() {
    program=$2/overhaul
    state=$(mktemp -d "$work/disk/state.XXXXXX")
    measured "$1" "$program" --state "$state" run "$work/job.yaml" --fleet "$work/fleet.ini" --kinds "$work/kinds" \
        --helper "$2/overhaul-helper" --yes </dev/null
    [ "$code" = "$needs_person" ] || fail "the run ended with $code: $(grep -v "^warning\|help:" "$work/out" | tail -n 30)"
    all_done "$1"
    [ -z "${KEEP_JOURNAL:-}" ] || cp -r "$state" "$KEEP_JOURNAL"
    inside "$program" --state "$state" abort --reason "the bench is over" >"$work/out" 2>&1 </dev/null ||
        fail "abort: $(tail -n 5 "$work/out")"
    # The order to end is carried out, and the hosts are freed, by whoever leads the run.
    inside "$program" --state "$state" resume --helper "$2/overhaul-helper" --fleet "$work/fleet.ini" >"$work/out" 2>&1 </dev/null ||
        [ $? = 9 ] || fail "resume: $(tail -n 5 "$work/out")"
    rm -rf "$state"
}
# One run outside of all figures puts the helper in place.
put_in_place() {
    [ ! -e "$work/in-place" ] || [ "$(cat "$work/in-place")" != "$1" ] || return 0
    overhaul_job unused "$1"
    echo "$1" >"$work/in-place"
}
# Why hosts could not be worked with, and how many said so.
troubles() {
    inside "$bin/overhaul" --json --state "$work/disk/facts" facts --offline --fleet "$work/fleet.ini" 2>/dev/null |
        grep -o '"why": *"[^"]*"' | sed 's/10\.78\.[0-9.]*/HOST/g' | sort | uniq -c | sort -rn
}
# The facts of a fleet, with an expected exit code.
facts_of() {
    measured "$1" "$bin/overhaul" --state "$work/disk/facts" facts --fleet "$work/$2" --helper "$bin/overhaul-helper" </dev/null
    [ "$code" = "$3" ] || fail "facts ended with $code after $(tail -n 1 "$work/$1.log"): $(tail -n 1 "$work/out")
$(troubles | head -n 10)"
    tail -n 1 "$work/out" >"$work/$1.totals"
}
peer() {
    no_trace
    name=$1
    shift
    (
        cd "$work"
        measured "$name" env HOME="$work" ANSIBLE_CONFIG="$work/ansible.cfg" "$@" </dev/null
        [ "$code" = 0 ] || fail "$name ended with $code: $(tail -n 30 "$work/out")"
    )
    all_done "$name"
}
take() {
    case $1 in
        floor)
            measured floor "$floor" "$account" "$work/key" "$work/known_hosts" "$port" "$peers_at_once" <"$work/addresses"
            [ "$code" = 0 ] || fail "floor: $(cat "$work/out")"
            ;;
        facts) put_in_place "$bin" && facts_of facts fleet.ini 0 ;;
        ill) put_in_place "$bin" && facts_of ill ill.ini 6 ;;
        xargs)
            # shellcheck disable=SC2086
            measured xargs xargs -P "$peers_at_once" -I ADDRESS $ssh_one ADDRESS true <"$work/addresses"
            [ "$code" = 0 ] || fail "xargs: $(cat "$work/out")"
            ;;
        cold | old-cold)
            new_folders
            rm -f "$work/in-place"
            case $1 in cold) overhaul_job cold "$bin" ;; *) overhaul_job old-cold "$old" ;; esac
            ;;
        warm)
            put_in_place "$bin"
            no_trace
            overhaul_job warm "$bin"
            ;;
        old-warm)
            put_in_place "$old"
            no_trace
            overhaul_job old-warm "$old"
            ;;
        ansible) peer ansible "$peers/ansible-playbook" playbook.yaml ;;
        pyinfra) peer pyinfra "$peers/pyinfra" -y --parallel "$peers_at_once" inventory.py deploy.py ;;
    esac
}

# The median of a column of a measure's figures.
median() { sort -n -k "$2,$2" "$work/$1.log" | awk -v column="$2" '{v[NR] = $column} END {print v[int((NR + 1) / 2)]}'; }
new_folders
i=0
while [ "$i" -lt "$repeats" ]; do
    i=$((i + 1))
    for measure in $measures; do
        take "$measure"
        echo "$measure: $(tail -n 1 "$work/$measure.log")" >&2
    done
done

echo "$hosts hosts, $(nproc) processors, state on the $disk disk, median of $repeats, load $(cut -d' ' -f1 /proc/loadavg) at the end:"
for measure in $measures; do
    echo "$measure $(median "$measure" 1) $(median "$measure" 2) $(median "$measure" 3) $(median "$measure" 4)"
done >"$work/medians"
awk '
    { name[NR] = $1; wall[$1] = $2; cpu[$1] = $3; far[$1] = $4; peak[$1] = $5 }
    function ratio(a, b) { return a > 0 && b > 0 ? sprintf("%.2f", a / b) : "-" }
    END {
        printf "%-9s %9s %8s %8s %11s %12s %10s %12s %12s %12s\n", "measure", "seconds", "x floor", "x xargs", "controller", "hosts, CPU s", "peak, MB",
            "ansible / it", "pyinfra / it", "its CPU"
        for (i = 1; i <= NR; i++) {
            it = name[i]
            printf "%-9s %9.2f %8s %8s %11.2f %12.2f %10.0f %12s %12s %12s\n", it, wall[it], ratio(wall[it], wall["floor"]), ratio(wall[it], wall["xargs"]),
                cpu[it], far[it], peak[it], ratio(wall["ansible"], wall[it]), ratio(wall["pyinfra"], wall[it]), ratio(cpu["ansible"], cpu[it])
        }
    }' "$work/medians"
[ ! -e "$work/ill.totals" ] || cat "$work/ill.totals"
