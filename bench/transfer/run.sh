#!/bin/sh
# How fast a tree goes from one host to another: a transfer against rsync over ssh and tar | zstd | ssh.
#
#   bench/transfer/run.sh [LARGE_MB [SMALL_MB [SMALL_FILES [PAIRS]]]]    as root; 4096 1024 100000 5
#
# LARGE_MB in eight files, SMALL_MB in SMALL_FILES files; half of the bytes are random, half are text.
# Two hosts on this machine: each has a network namespace with an address, a mount namespace in which the same path is
# another folder, and an sshd; a bridge of two veth pairs lies between them.
# The tools take turns; each goes from the old host to the new one directly. Before each the page cache is dropped. Inside
# the clock for each of them: what is written is synced, and a digest of each file is taken at the destination (a transfer
# does both by itself). Prints seconds and ratios, and the bytes alone: over the link without encryption, and to the disk.
set -eu

large=${1:-4096}
small=${2:-1024}
files=${3:-100000}
pairs=${4:-5}

here=$(CDPATH= cd "$(dirname "$0")" && pwd)
root=$(CDPATH= cd "$here/../.." && pwd)
transfer=${TRANSFER:-$root/target/release/examples/transfer}
helper=${HELPER:-$root/target/helper/overhaul-helper}

fail() {
    echo "bench/transfer: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root, for namespaces and to drop the page cache"
for tool in sshd ssh ssh-keygen ip unshare tar zstd rsync sha256sum perl; do
    command -v "$tool" >/dev/null 2>&1 || [ -x "/usr/sbin/$tool" ] || fail "$tool is lacking"
done
[ -x "$transfer" ] || fail "$transfer is lacking: cargo build --release -p overhaul-reach --example transfer"
[ -x "$helper" ] || fail "$helper is lacking: scripts/build, or HELPER=FILE"

work=$(mktemp -d "${BENCH_DIR:-/tmp}/overhaul-transfer.XXXXXX")
tag=ov$$
pids=
clean() {
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || :; done
    for name in old new; do ip netns del "$tag$name" 2>/dev/null || :; done
    ip link del "${tag}br" 2>/dev/null || :
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# --- two hosts ---
ssh-keygen -q -t ed25519 -N '' -f "$work/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
cp "$work/key.pub" "$work/authorized"
mkdir -p /run/sshd "$work/trees" "$work/disk-old" "$work/disk-new"
ip link add "${tag}br" type bridge
ip addr add 198.18.77.1/24 dev "${tag}br"
ip link set "${tag}br" up
number=10
for name in old new; do
    ip netns add "$tag$name"
    ip link add "$tag$number" type veth peer name eth0 netns "$tag$name"
    ip link set "$tag$number" master "${tag}br" up
    ip -n "$tag$name" addr add "198.18.77.$number/24" dev eth0
    ip -n "$tag$name" link set eth0 up
    ip -n "$tag$name" link set lo up
    # Each sees its own disk at the path of the trees.
    ip netns exec "$tag$name" unshare --mount --propagation private sh -c \
        "mount --bind '$work/disk-$name' '$work/trees' && exec /usr/sbin/sshd -D -f /dev/null -p 22 \
        -o ListenAddress=198.18.77.$number -o HostKey='$work/host' -o AuthorizedKeysFile='$work/authorized' \
        -o PidFile=none -o StrictModes=no -o PermitRootLogin=prohibit-password -o UsePAM=no" 2>"$work/sshd.$name" &
    pids="$pids $!"
    printf '198.18.77.%s %s\n' "$number" "$(cut -d' ' -f1,2 "$work/host.pub")" >>"$work/known"
    number=$((number + 1))
done
old=198.18.77.10
new=198.18.77.11
cat >"$work/ssh" <<END
#!/bin/sh
exec ssh -F /dev/null -i $work/key -o BatchMode=yes -o Compression=no -o LogLevel=ERROR \\
    -o StrictHostKeyChecking=yes -o UserKnownHostsFile=$work/known "\$@"
END
chmod 700 "$work/ssh"
ssh=$work/ssh
for host in $old $new; do
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        "$ssh" "root@$host" true 2>/dev/null && break
        sleep 0.3
    done
    "$ssh" "root@$host" true || fail "$host does not answer: $(cat "$work"/sshd.*)"
done

# --- the trees ---
make_tree() { # FOLDER MEGABYTES FILES
    perl - "$1" "$2" "$3" <<'END'
use strict; use warnings;
my ($folder, $mb, $files) = @ARGV;
my @words = map { join "", map { chr(97 + int rand 26) } 1 .. 2 + int rand 8 } 1 .. 4000;
open my $random, "<:raw", "/dev/urandom" or die $!;
my $size = int($mb * 1048576 / $files);
my $store = ""; $store .= $words[rand @words] . (rand() < 0.1 ? "\n" : " ") while length $store < 128 * 1048576;
mkdir $folder or die $!;
for my $n (0 .. $files - 1) {
    my $dir = sprintf "%s/%03d", $folder, $n / 1000;
    mkdir $dir unless -d $dir;
    open my $out, ">:raw", "$dir/$n" or die $!;
    for (my $left = $size; $left > 0; ) {
        my $want = $left < 1048576 ? $left : 1048576;
        my $piece;
        if ($n % 2) { read $random, $piece, $want or die $! }
        else { $piece = substr $store, int(rand(length($store) - $want)), $want }
        print $out $piece or die $!;
        $left -= $want;
    }
    close $out or die $!;
}
END
}

digest_tree() { # FOLDER, as one digest over each file's
    (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -P "$(nproc)" -n 500 sha256sum | sort -k2 | sha256sum)
}

fresh() {
    rm -rf "$work/disk-new/tree" "$work"/state-*
    sync
    # ext4 passes over what was freed in the last 5 s, name by name, whenever it looks for a free inode.
    sleep 6
    echo 3 >/proc/sys/vm/drop_caches
}

# --- the tools, each started on the old host but the first, whose controller is here ---
tree=$work/trees/tree
by_transfer() {
    "$transfer" "$helper" "$work/state" root "$work/key" "$work/known" "$old:22" "$new:22" "$tree" >"$work/said"
    grep -q "directly from" "$work/said" || fail "not directly: $(cat "$work/said")"
}
by_rsync() {
    "$ssh" "root@$old" "rsync -aHAXS --numeric-ids -e '$ssh' --mkpath '$tree/' 'root@$new:$tree/'"
    settle
}
by_tar() {
    "$ssh" "root@$old" "tar --xattrs --acls -cf - -C '$work/trees' tree | zstd -q -T0 -1 |
        '$ssh' 'root@$new' 'zstd -q -d | tar --xattrs --acls -xf - -C $work/trees'"
    settle
}
settle() {
    sync -f "$work/disk-new"
    digest_tree "$work/disk-new/tree" >"$work/sum.there"
}

now() { date +%s.%N; }
took() { echo "$(now) $1" | awk '{ printf "%.2f\n", $1 - $2 }'; }
median() { sort -n | awk '{ v[NR] = $1 } END { printf "%.2f", v[int((NR + 1) / 2)] }'; }

measure() { # NAME
    digest_tree "$work/disk-old/tree" >"$work/sum.tree"
    for pair in $(seq "$pairs"); do
        order="transfer rsync tar"
        [ $((pair % 2)) = 1 ] || order="tar rsync transfer"
        for tool in $order; do
            fresh
            from=$(now)
            "by_$tool"
            took "$from" >>"$work/$1.$tool"
            [ "$tool" != transfer ] || digest_tree "$work/disk-new/tree" >"$work/sum.there"
            cmp -s "$work/sum.tree" "$work/sum.there" || fail "$tool brought another tree"
        done
    done
    raw "$1"
    ours=$(median <"$work/$1.transfer")
    for tool in transfer rsync tar; do
        theirs=$(median <"$work/$1.$tool")
        ratio=$(echo "$theirs $ours" | awk '{ printf "%.2f", $1 / $2 }')
        echo "$1 $tool: median $theirs s, $ratio of the transfer's (each: $(tr '\n' ' ' <"$work/$1.$tool"))"
    done
}

# The raw limits: the tree's bytes from disk to disk, and over the link without encryption.
raw() { # NAME
    fresh
    from=$(now)
    find "$work/disk-old/tree" -type f -print0 | xargs -0 cat >"$work/disk-new/tree"
    sync -f "$work/disk-new"
    echo "$1 disk: $(took "$from") s for the bytes alone: read, written and synced"
    rm -f "$work/disk-new/tree"
    bytes=$(find "$work/disk-old/tree" -type f -printf '%s\n' | awk '{ s += $1 } END { print s }')
    ip netns exec "${tag}new" perl -MIO::Socket::INET -e '
        my $at = IO::Socket::INET->new(Listen => 1, LocalAddr => "198.18.77.11", LocalPort => 9) or die $!;
        my $in = $at->accept; my $piece; 1 while sysread $in, $piece, 1 << 20;' &
    sink=$!
    sleep 0.5
    from=$(now)
    ip netns exec "${tag}old" perl -MIO::Socket::INET -e '
        my $out = IO::Socket::INET->new("198.18.77.11:9") or die $!;
        my $piece = "x" x (1 << 20);
        for (my $left = $ARGV[0]; $left > 0; ) { my $sent = syswrite($out, $piece) or die $!; $left -= $sent }' "$bytes"
    wait "$sink"
    echo "$1 link: $(took "$from") s for as many bytes over the link, neither read nor written nor encrypted"
}

make_tree "$work/disk-old/tree" "$large" 8
measure large
rm -rf "$work/disk-old/tree"
make_tree "$work/disk-old/tree" "$small" "$files"
measure small
