#!/bin/sh
# by-hand.sh PLAN LAB_DIR XTASK...: what a careful person's own script does for the same upgrade: the commands, copies and waits of the plan in its order and
# parallelism, over OpenSSH with one kept connection to each host, without journal, receipts, checks and verification. XTASK... is `xtask lab --id ID`.
# Prints the seconds of the whole and of the database's window. walk.jq writes the script before the clock begins.
set -eu
plan=$1 dir=$2
shift 2
xtask="$*"
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
copies=$work/copies log=$work/log steps=$work/steps
mkdir "$copies"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# The lab's keys: whoever rebuilds a machine by hand enters its new key.
{
    cat "$dir/ssh_config"
    printf '    ControlMaster auto\n    ControlPath %s/ssh-%%C\n    ControlPersist 20\n    ServerAliveInterval 5\n    ConnectTimeout 5\n    LogLevel ERROR\n' "$work"
} | sed "s|UserKnownHostsFile .*|UserKnownHostsFile $dir/lab_known_hosts|" >"$work/ssh_config"

# As steps run: in the root folder, with a plain environment.
environment='cd / && export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin;'
quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }
on() { ssh -F "$work/ssh_config" "$@"; }
shell() { on "$1" "$environment exec /bin/sh -euc $(quote "$2")" </dev/null; }
argv() {
    host=$1 line=
    shift
    for word in "$@"; do line="$line $(quote "$word")"; done
    on "$host" "$environment$line" </dev/null
}
feed() {
    file=$1 host=$3
    shift 3
    line=
    for word in "$@"; do line="$line $(quote "$word")"; done
    on "$host" "$environment$line" <"$file"
}
put() { printf '%s' "$4" | on "$1" "cat >'$2.new' && chmod $(printf %o "$3") '$2.new' && mv '$2.new' '$2'"; }
http() { [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 1 "$1")" = "$2" ]; }
tcp() { timeout 1 bash -c "</dev/tcp/${1%:*}/${1#*:}" 2>/dev/null; }
release() { shell "$1" ". /etc/os-release; test \"\$VERSION_ID\" = $2"; }
until_so() {
    every=$1 until=$(($(date +%s) + $(printf %.0f "$2")))
    until eval "$3" >>"$log" 2>&1; do
        [ "$(date +%s)" -le "$until" ] || { echo "by-hand: not so in time: $3" >&2; exit 1; }
        sleep "$every"
    done
}
close_connection() { on -O exit "$1" 2>/dev/null || true; }
answers_again() {
    until=$(($(date +%s) + $2))
    until new=$(shell "$1" 'cat /proc/sys/kernel/random/boot_id' 2>/dev/null) && [ "$new" != "$3" ]; do
        [ "$(date +%s)" -le "$until" ] || { echo "by-hand: $1 did not come back" >&2; exit 1; }
        close_connection "$1"
        sleep 0.2
    done
}
reboot_host() {
    boot=$(shell "$1" 'cat /proc/sys/kernel/random/boot_id')
    on "$1" systemctl reboot </dev/null >/dev/null 2>&1 || true
    close_connection "$1"
    answers_again "$1" 600 "$boot"
}
rebuild() {
    close_connection "$1"
    $xtask rebuild "$1" --image "$2" >>"$log"
    answers_again "$1" "${3%.*}" none
}
wait_all() { wait; }
carry_out() {
    host=$1 file=$2
    shift 2
    mkdir -p "$(dirname "$file")"
    on "$host" "tar --create --sparse --acls --xattrs --xattrs-include='*' --numeric-owner -C / $(for path in "$@"; do quote ".$path"; printf ' '; done)" </dev/null | zstd -q -1 -o "$file"
    sha256sum "$file" >"$file.sha256"
}
carry_in() { sha256sum --quiet -c "$2.sha256" && zstd -q -d -c "$2" | on "$1" "tar --extract --preserve-permissions --same-owner --sparse --acls --xattrs --xattrs-include='*' --numeric-owner -C /"; }
step() { printf '%s %s %s\n' "$(date +%s.%N)" "$1" "$2" >>"$steps"; }

jq -r -f "$here/walk.jq" "$plan" >"$work/script"
step begin controller
# shellcheck disable=SC1091
. "$work/script"
step end controller
if [ -n "${BY_HAND_STEPS:-}" ]; then cp "$steps" "$BY_HAND_STEPS"; fi
# The window: from the stop of the database until the step after its health was proven.
awk '$2 == "begin" { began = $1 } $2 == "end" { ended = $1 }
    stopped && healthy && !served && $2 != healthy { served = $1 }
    $2 ~ /hold-database$/ { stopped = $1 } $2 ~ /healthy-database$/ { healthy = $2 }
    END { printf "whole %.1f\nwindow %.1f\n", ended - began, served - stopped }' "$steps"
