old=$1 name=$2 port=$3
# Another root is for tests of this script only.
root=${OVERHAUL_TEST_ROOT:-}
newest() {
    for binary in "$root"/usr/lib/postgresql/*/bin/postgres; do
        [ -x "$binary" ] || continue
        version=${binary%/bin/postgres}
        echo "${version##*/}"
    done | sort -n | tail -n 1
}
new=$(newest)
[ -n "$new" ] || { echo "no PostgreSQL server is installed"; exit 1; }
lines=$(pg_lsclusters -h)
echo "$lines"
if [ -z "$old" ]; then
    old=$(echo "$lines" | awk -v name="$name" -v new="$new" '$2 == name && $1 != new { print $1 }' | sort -n | tail -n 1)
fi
echo "$lines" | awk -v name="$name" -v new="$new" -v port="$port" '
    $1 == new && $2 == name && (port == "" || $3 == port) { found = 1 }
    END { exit !found }' || { echo "no cluster $new $name${port:+ on port $port}"; exit 1; }
[ "$new" = "$old" ] && exit 0
# pg_upgradecluster writes this only after everything was restored, and swaps the ports after that.
if [ -n "$old" ] && [ -e "$root/etc/postgresql/$old/$name/postgresql.conf" ]; then
    grep -qsx manual "$root/etc/postgresql/$old/$name/start.conf" || { echo "cluster $old $name was not retired"; exit 1; }
    if echo "$lines" | awk -v name="$name" -v old="$old" '
        $1 == old && $2 == name && $4 ~ /^online/ { online = 1 } END { exit !online }'; then
        echo "cluster $old $name runs"
        exit 1
    fi
fi
