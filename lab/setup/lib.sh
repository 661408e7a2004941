# What setup scripts share; it stands before each of them. They may run again at any time.
set -eu
export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
changed=

# put FILE: FILE.new takes its place, and `changed` says whether that changed anything.
put() {
    if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; changed=yes; fi
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    bound=$1 what=$2
    shift 2
    until=$(($(date +%s) + bound))
    until "$@" >/tmp/setup.log 2>&1; do
        if [ "$(date +%s)" -gt $until ]; then
            tail -n 20 /tmp/setup.log >&2
            echo "$(hostname): $what: not within $bound s" >&2
            exit 1
        fi
        sleep 0.3
    done
    rm -f /tmp/setup.log
}

# address HOST: as in /etc/hosts.
address() { awk -v name="$1" '$2 == name { print $1; exit }' /etc/hosts; }
