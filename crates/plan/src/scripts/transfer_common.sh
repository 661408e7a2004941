# What the ends of a transfer of a database share. Arguments: what is done, the staging folder of both hosts, `dump` or `copy`.
# The server never runs for others meanwhile: it is started by this script alone, with a socket in a folder of its own.
verb=$1 stage=$2 by=$3
export LC_ALL=C
umask 077
# Longest wait until a server answers: it may have to recover from a crash of long ago.
up_s_max=900
aside="$(dirname "$stage")/.$(basename "$stage").load"
case $data$stage in
    *..* | /) echo "$data and $stage are no folders for this" >&2; exit 1 ;;
esac
server='' private=''

fail() {
    echo "$*" >&2
    exit 1
}
down() {
    [ -n "$server" ] || return 0
    kill -"$1" "$server" 2>/dev/null || :
    wait "$server" || :
    server=''
    rm -rf "$private"
}
# At any end of this script its server ends, too; the kernel sees to it where the script is killed.
at_end() {
    status=$?
    down "$stop"
    exit "$status"
}
trap at_end EXIT
trap 'exit 1' INT TERM HUP
# A folder that nobody else looks into, for the socket and what is written down meanwhile.
room() {
    private=$(mktemp -d "/run/overhaul-$account.XXXXXX")
    chown "$account:" "$private"
}
# Runs the server in the background: the words are its command.
serve() {
    setpriv --reuid "$account" --regid "$account" --init-groups --pdeathsig "$stop" -- "$@" </dev/null >"$private/log" 2>&1 &
    server=$!
    waited=0
    until answers >/dev/null 2>&1; do
        kill -0 "$server" 2>/dev/null || {
            tail -n 20 "$private/log" >&2
            fail "the server does not start"
        }
        [ "$waited" -lt $((up_s_max * 5)) ] || fail "the server does not answer within $up_s_max s"
        waited=$((waited + 1))
        sleep 0.2
    done
}
# Whether anybody has touched the files of the server is told by their names, sizes and times.
stamps() {
    (cd "$data" && find . -type f -printf '%p %s %T@\n' | sort | sha256sum | cut -d' ' -f1)
}
at_rest() {
    for file in "$data"/*.pid /run/mysqld/*.pid; do
        [ -e "$file" ] || continue
        read -r pid <"$file" || :
        case $(readlink "/proc/$pid/exe" 2>/dev/null) in
            */postgres | */mariadbd | */mysqld) fail "the server runs here (process $pid): stop it first" ;;
        esac
    done
}
# One line for each table or the like: its name, how many rows it has, the SHA-256 of its rows in order. Reads rows.
digest_of() {
    mkfifo "$private/rows"
    wc -l <"$private/rows" >"$private/count" &
    counting=$!
    sum=$(sort -T "$private_large" | tee "$private/rows" | sha256sum | cut -d' ' -f1)
    wait "$counting"
    echo "rows $1 $(cat "$private/count") $sum"
    rm -f "$private/rows"
}
# What is in all databases, in a form that does not depend on the version.
content() {
    private_large="$(dirname "$stage")/.$(basename "$stage").sort"
    rm -rf "$private_large"
    mkdir "$private_large"
    : >"$private/failed"
    listed | sort >"$1"
    rm -rf "$private_large"
    [ ! -s "$private/failed" ] || fail "not all could be read: $(head -n 1 "$private/failed")"
    [ -s "$1" ] || fail "nothing could be read"
}
summary() {
    awk '$1 == "rows" { tables++; rows += $(NF - 1) } END { printf "%d tables and sequences with %.0f rows", tables, rows }' "$1"
    echo ", contents $(sha256sum <"$1" | cut -d' ' -f1)"
}
# The folder of what is on its way: made new, but where it is whole and of the same data.
fresh_stage() {
    if [ -e "$stage/whole" ] && [ "$(cat "$stage/by")" = "$by" ] && [ "$(cat "$stage/rest")" = "$(stamps)" ]; then
        echo "made before, and nothing has changed since: $(summary "$stage/content")"
        exit 0
    fi
    rm -rf "$stage"
    (umask 022 && mkdir -p "$(dirname "$stage")")
    mkdir "$stage"
    chown "$account:" "$stage"
    echo "$by" >"$stage/by"
}
whole_stage() {
    stamps >"$stage/rest"
    sync
    : >"$stage/whole"
    sync
    echo "$(du -sm "$stage" | cut -f1) MB are to go: $(summary "$stage/content")"
}
# The old side is as it was when the copy was made.
still_at_rest() {
    at_rest
    [ -e "$stage/whole" ] || fail "$stage is not whole"
    [ "$(cat "$stage/rest")" = "$(stamps)" ] || fail "something has written to $data since the copy was made"
    echo "$data is as it was when the copy was made"
}
# Loading begins with the empty server as it was; a second attempt goes back to that.
begin_load() {
    [ -e "$stage/whole" ] || fail "$stage is not whole"
    [ "$(cat "$stage/by")" = "$by" ] || fail "$stage is a $(cat "$stage/by"), not a $by"
    # The same content, in a server that nobody has started since.
    if cmp -s "$aside/loaded" "$stage/content" && [ "$(cat "$aside/rest" 2>/dev/null)" = "$(stamps)" ]; then
        echo "loaded before: $(summary "$aside/loaded")"
        exit 0
    fi
    at_rest
    if [ -e "$aside/begun" ]; then
        echo "an earlier attempt was cut off: begun again from the empty server"
        find "$data" -mindepth 1 -delete
        cp -a "$aside/empty/." "$data/"
        return
    fi
    rm -rf "$aside"
    mkdir "$aside"
    must_be_empty
    cp -a "$data" "$aside/empty"
    sync
    : >"$aside/begun"
    sync
}
end_load() {
    if ! diff "$stage/content" "$aside/content" >"$aside/differs"; then
        head -n 20 "$aside/differs" >&2
        fail "what is here now is not what was at the source; < there, > here"
    fi
    down "$stop"
    stamps >"$aside/rest"
    sync
    mv "$aside/content" "$aside/loaded"
    rm -rf "$aside/empty" "$aside/begun" "$aside/differs"
    echo "the same at both ends: $(summary "$aside/loaded")"
}
case $verb in
    dump)
        at_rest
        fresh_stage
        up source
        version >"$stage/version"
        content "$stage/content"
        "make_$by"
        down "$stop"
        whole_stage
        ;;
    rest) still_at_rest ;;
    ready)
        at_rest
        fits "${4:-}"
        must_be_empty
        ;;
    load)
        fits "$(cat "$stage/version")"
        begin_load
        "load_$by"
        content "$aside/content"
        end_load
        ;;
    *) fail "there is no $verb" ;;
esac
