#!/bin/sh
# How fast a tree goes to the controller and comes back: the mover against tar | zstd | ssh and rsync.
#
#   bench/mover/run.sh [LARGE_MB [SMALL_MB [SMALL_FILES [REPEATS]]]]    as root; 4096 1024 100000 3
#
# LARGE_MB in eight files, SMALL_MB in SMALL_FILES files; half of the bytes are random, half are text.
# The same sshd on loopback for all three tools, which take turns. Before each run the page cache is
# dropped. Inside the clock for each of them: what is written is synced, and a digest of it is taken
# where it was written (for an archive of the file, for a tree of each file). Prints seconds and ratios.
set -eu

large=${1:-4096}
small=${2:-1024}
files=${3:-100000}
repeats=${4:-3}

here=$(CDPATH= cd "$(dirname "$0")" && pwd)
root=$(CDPATH= cd "$here/../.." && pwd)
carry=${CARRY:-$root/target/release/examples/carry}

fail() {
    echo "bench/mover: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root, to drop the page cache"
for tool in sshd ssh ssh-keygen tar zstd rsync sha256sum perl; do
    command -v "$tool" >/dev/null 2>&1 || [ -x "/usr/sbin/$tool" ] || fail "$tool is lacking"
done
[ -x "$carry" ] || fail "$carry is lacking: cargo build --release -p overhaul-mover --example carry"

work=$(mktemp -d "${BENCH_DIR:-/tmp}/overhaul-mover.XXXXXX")
sshd_pid=
clean() {
    trap - EXIT INT TERM
    [ -z "$sshd_pid" ] || kill "$sshd_pid" 2>/dev/null || :
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# --- the line ---
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen=>1,LocalAddr=>"127.0.0.1")->sockport')
ssh-keygen -q -t ed25519 -N '' -f "$work/host"
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
cp "$work/key.pub" "$work/authorized"
printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$work/host.pub")" >"$work/known"
mkdir -p /run/sshd
/usr/sbin/sshd -D -f /dev/null -p "$port" -o ListenAddress=127.0.0.1 -o HostKey="$work/host" \
    -o AuthorizedKeysFile="$work/authorized" -o PidFile=none -o StrictModes=no \
    -o PermitRootLogin=prohibit-password -o UsePAM=no 2>"$work/sshd.log" &
sshd_pid=$!
cat >"$work/ssh" <<END
#!/bin/sh
exec ssh -F /dev/null -p $port -i $work/key -o BatchMode=yes -o Compression=no \\
    -o StrictHostKeyChecking=yes -o UserKnownHostsFile=$work/known "\$@"
END
chmod 700 "$work/ssh"
ssh=$work/ssh
host=root@127.0.0.1
for _ in 1 2 3 4 5 6 7 8 9 10; do
    "$ssh" "$host" true 2>/dev/null && break
    sleep 0.2
done
"$ssh" "$host" true || fail "sshd does not answer: $(cat "$work/sshd.log")"

# --- the trees ---
make_tree() { # FOLDER MEGABYTES FILES
    perl - "$1" "$2" "$3" <<'END'
use strict; use warnings;
my ($folder, $mb, $files) = @ARGV;
my @words = map { join "", map { chr(97 + int rand 26) } 1 .. 2 + int rand 8 } 1 .. 4000;
open my $random, "<:raw", "/dev/urandom" or die $!;
my $size = int($mb * 1048576 / $files);
# Text is cut from a store that is larger than any packer looks back: to make all of it word by word takes minutes.
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
    rm -rf "$work/kept" "$work/there"
    mkdir -p "$work/kept" "$work/there"
    sync
    # ext4 passes over what was freed in the last 5 s, name by name, whenever it looks for a free inode.
    sleep 6
    echo 3 >/proc/sys/vm/drop_caches
}

# --- the tools: from the "host" to the "controller" (work/kept), and back (work/there) ---
carry_away() {
    "$ssh" "$host" "$carry" pack "$tree" | "$carry" keep "$work/kept/a.ovh" >"$work/sum"
}
carry_back() {
    "$carry" send "$work/kept/a.ovh" "$(cat "$work/sum")" | "$ssh" "$host" "$carry" unpack "$tree" "$work/there"
}
tar_away() {
    "$ssh" "$host" "tar --xattrs --acls -cf - -C / '${tree#/}' | zstd -q -T0 -1" >"$work/kept/a.tar.zst"
    sync -f "$work/kept/a.tar.zst"
    sha256sum <"$work/kept/a.tar.zst" >"$work/sum"
}
tar_back() {
    "$ssh" "$host" "zstd -q -d | tar --xattrs --acls -xf - -C $work/there && sync -f $work/there" <"$work/kept/a.tar.zst"
    digest_tree "$work/there$tree" >"$work/sum.there"
    cmp -s "$work/sum.tree" "$work/sum.there" || fail "tar brought another tree back"
}
rsync_away() {
    rsync -aHAXS --numeric-ids -e "$ssh" "$host:$tree/" "$work/kept/tree/"
    sync -f "$work/kept"
    digest_tree "$work/kept/tree" >"$work/sum"
    cmp -s "$work/sum.tree" "$work/sum" || fail "rsync brought another tree"
}
rsync_back() {
    rsync -aHAXS --numeric-ids -e "$ssh" --mkpath "$work/kept/tree/" "$host:$work/there$tree/"
    sync -f "$work/there"
    digest_tree "$work/there$tree" >"$work/sum.there"
    cmp -s "$work/sum.tree" "$work/sum.there" || fail "rsync brought another tree back"
}

now() { date +%s.%N; }
took() { # FROM
    echo "$(now) $1" | awk '{ printf "%.2f", $1 - $2 }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { printf "%.2f", v[int((NR + 1) / 2)] }'; }

# The raw limit: the tree's bytes read from the disk, encrypted by the same line, and written and synced on the other side.
raw() { # NAME
    fresh
    from=$(now)
    "$ssh" "$host" "find '$tree' -type f -print0 | xargs -0 cat" >"$work/kept/raw"
    sync -f "$work/kept/raw"
    echo "$1 raw: $(took "$from") s for the bytes alone: read, over the line, written and synced"
}

measure() { # NAME
    name=$1
    digest_tree "$tree" >"$work/sum.tree"
    for round in $(seq "$repeats"); do
        for tool in carry tar rsync; do
            fresh
            from=$(now)
            "${tool}_away"
            took "$from" >>"$work/$name.$tool.away"
            echo >>"$work/$name.$tool.away"
            sync
            echo 3 >/proc/sys/vm/drop_caches
            from=$(now)
            "${tool}_back"
            took "$from" >>"$work/$name.$tool.back"
            echo >>"$work/$name.$tool.back"
            if [ "$tool" = carry ]; then
                digest_tree "$work/there$tree" >"$work/sum.there"
                cmp -s "$work/sum.tree" "$work/sum.there" || fail "the mover brought another tree back"
                [ ! -e "$work/there$(dirname "$tree")/.$(basename "$tree").overhaul-restoring" ] || fail "a mark is left"
            fi
        done
    done
    raw "$name"
    for way in away back; do
        ours=$(median <"$work/$name.carry.$way")
        for tool in carry tar rsync; do
            all=$(tr '\n' ' ' <"$work/$name.$tool.$way")
            theirs=$(median <"$work/$name.$tool.$way")
            ratio=$(echo "$theirs $ours" | awk '{ printf "%.2f", $1 / $2 }')
            echo "$name $way $tool: median $theirs s, $ratio of the mover's (each: $all)"
        done
    done
}

tree=$work/large
make_tree "$tree" "$large" 8
measure large
rm -rf "$tree"
tree=$work/small
make_tree "$tree" "$small" "$files"
measure small
