old=$1 name=$2
# Another root is for tests of this script only.
root=${OVERHAUL_TEST_ROOT:-}
newest() {
    for binary in "$root"/usr/lib/postgresql/*/bin/postgres; do
        [ -x "$binary" ] || continue
        version=${binary%/bin/postgres}
        echo "${version##*/}"
    done | sort -n | tail -n 1
}
line_of() { pg_lsclusters -h | awk -v version="$1" -v name="$2" '$1 == version && $2 == name'; }
ask() { runuser -u postgres -- psql -X -p "$1" -d "$2" -Atc "$3"; }
# Nothing in a cluster that nobody wrote to has an id of those that PostgreSQL gives to what people make.
made_by_people() {
    case $(line_of "$new" "$name" | awk '{ print $4 }') in
        online*) ;;
        *) pg_ctlcluster "$new" "$name" start ;;
    esac
    port=$(line_of "$new" "$name" | awk '{ print $3 }')
    made=0
    for database in postgres template1; do
        count=$(ask "$port" "$database" "select (select count(*) from pg_database where oid >= 16384)
            + (select count(*) from pg_authid where oid >= 16384) + (select count(*) from pg_class where oid >= 16384)
            + (select count(*) from pg_proc where oid >= 16384) + (select count(*) from pg_namespace where oid >= 16384)
            + (select count(*) from pg_largeobject_metadata)")
        made=$((made + count))
    done
    [ "$made" != 0 ]
}

new=$(newest)
[ -n "$new" ] || { echo "no PostgreSQL server is installed" >&2; exit 1; }
if [ -z "$old" ]; then
    old=$(pg_lsclusters -h | awk -v name="$name" -v new="$new" '$2 == name && $1 != new { print $1 }' | sort -n | tail -n 1)
fi
[ -n "$old" ] || { echo "there is no cluster $name of another major than $new" >&2; exit 1; }
[ "$old" != "$new" ] || { echo "$new is the newest major that is installed: is the package postgresql installed?" >&2; exit 1; }
[ -n "$(line_of "$old" "$name")" ] || { echo "there is no cluster $old $name" >&2; exit 1; }

# Begun and not ended: what is there of the new cluster then is the rest of that move, made while services were held down.
begun=$root/var/lib/postgresql/overhaul-move-$old-$new-$name
retired() { grep -qsx manual "$root/etc/postgresql/$old/$name/start.conf"; }

# A cluster of the new major is in the way. It goes only if it is the rest of a move that was cut off, while the old one was not
# retired yet, or if the package made it and nobody ever wrote to it.
if [ -n "$(line_of "$new" "$name")" ]; then
    if [ -e "$begun" ] && ! retired; then
        echo "cluster $new $name is the rest of a move that was cut off: dropped"
    elif ! made_by_people; then
        echo "cluster $new $name is empty and was never used: dropped"
    else
        echo "cluster $new $name exists, is not empty, and nothing says that a move of this run made it. Look at both clusters." >&2
        echo "If $new $name is not wanted: pg_dropcluster --stop $new $name; then have this step begun again." >&2
        echo "If it has everything, on the port of $old $name: say that the step is done." >&2
        exit 1
    fi
    pg_dropcluster --stop "$new" "$name"
fi

: >"$begun"
sync
pg_upgradecluster -v "$new" "$old" "$name"
rm -f "$begun"

# It starts the new cluster only if the old one ran before, and that one was held down.
case $(line_of "$new" "$name" | awk '{ print $4 }') in
    online*) ;;
    *) pg_ctlcluster "$new" "$name" start ;;
esac
pg_lsclusters
