# Databases that came or went since the plan was made would have no copy, or none that is wanted.
port=$1
shift
now=$(runuser -u postgres -- psql -X -p "$port" -d postgres -Atc \
    "select datname from pg_database where not datistemplate order by datname collate \"C\"")
planned=$(printf '%s\n' "$@")
if [ "$now" != "$planned" ]; then
    echo "planned:" "$@"
    echo "now:" $now
    exit 1
fi
echo "databases as planned:" "$@"
