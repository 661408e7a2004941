old=$1 name=$2
newest() {
    for binary in /usr/lib/postgresql/*/bin/postgres; do
        [ -x "$binary" ] || continue
        version=${binary%/bin/postgres}
        echo "${version##*/}"
    done | sort -n | tail -n 1
}
new=$(newest)
[ -n "$new" ] || { echo "no PostgreSQL server is installed" >&2; exit 1; }
if [ -z "$old" ]; then
    old=$(pg_lsclusters -h | awk -v name="$name" -v new="$new" '$2 == name && $1 != new { print $1 }' | sort -n | tail -n 1)
fi
[ -n "$old" ] || { echo "there is no cluster $name of another major than $new" >&2; exit 1; }
[ "$old" != "$new" ] || { echo "$new is the newest major that is installed: is postgresql-NEW of the new release?" >&2; exit 1; }

line_of() { pg_lsclusters -h | awk -v version="$1" -v name="$2" '$1 == version && $2 == name'; }
ask() { runuser -u postgres -- psql -X -p "$1" -d "$2" -Atc "$3"; }

# A cluster of the new major is in the way. It goes only if the package made it and nobody ever wrote to it:
# nothing in it has an id of those that PostgreSQL gives to what people make.
if [ -n "$(line_of "$new" "$name")" ]; then
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
    if [ "$made" != 0 ]; then
        echo "cluster $new $name exists and is not empty. If it is the rest of a move that was cut off, drop it with" >&2
        echo "  pg_dropcluster --stop $new $name" >&2
        echo "and have this step begun again; cluster $old $name still has all data." >&2
        exit 1
    fi
    echo "cluster $new $name is empty and was never used: dropped"
    pg_dropcluster --stop "$new" "$name"
fi

pg_upgradecluster -v "$new" "$old" "$name"

# It starts the new cluster only if the old one ran before, and that one was held down.
case $(line_of "$new" "$name" | awk '{ print $4 }') in
    online*) ;;
    *) pg_ctlcluster "$new" "$name" start ;;
esac
pg_lsclusters
