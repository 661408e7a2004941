account=mysql stop=TERM
data=$(my_print_defaults mysqld mariadbd server | sed -n 's/^--datadir=//p' | tail -n 1)
data=${data:-/var/lib/mysql}
data=${data%/}
[ -d "$data" ] || { echo "there is no $data" >&2; exit 1; }

# The operator's own files for clients are not read: nothing but the account of this process speaks for it.
client() {
    program=$1
    shift
    "$program" --no-defaults --socket="$private/socket" --user=root --default-character-set=utf8mb4 "$@"
}
ask() { client mariadb --batch --skip-column-names -e "$1" </dev/null; }
answers() { ask 'select 1'; }
up() {
    case $1 in
        source) set -- --read-only ;;
        *) set -- --skip-log-bin ;;
    esac
    room
    serve mariadbd --datadir="$data" --skip-networking --socket="$private/socket" --pid-file="$private/pid" --skip-slave-start \
        --event-scheduler=OFF --wsrep-provider=none --log-error= "$@"
}
version() { mariadbd --version | sed 's/.*Ver \([0-9]*\.[0-9]*\).*/\1/'; }
theirs="not in ('mysql', 'information_schema', 'performance_schema', 'sys')"
# The accounts that every server has stay its own.
people="not in ('root', 'mysql', 'mariadb.sys', 'PUBLIC')"
databases() { ask "select schema_name from information_schema.schemata where schema_name $theirs order by 1"; }
objects="select 'object', table_schema, table_type, table_name, ifnull(engine, '-') from information_schema.tables where table_schema $theirs
  union all select 'column', table_schema, table_name, column_name, column_type from information_schema.columns where table_schema $theirs
  union all select 'constraint', constraint_schema, table_name, constraint_name, constraint_type from information_schema.table_constraints where constraint_schema $theirs
  union all select 'routine', routine_schema, routine_type, routine_name, md5(routine_definition) from information_schema.routines where routine_schema $theirs
  union all select 'trigger', trigger_schema, event_object_table, trigger_name, md5(action_statement) from information_schema.triggers where trigger_schema $theirs
  union all select 'event', event_schema, status, event_name, md5(event_definition) from information_schema.events where event_schema $theirs
  union all select 'account', user, host, is_role, '-' from mysql.user where user $people
  union all select 'database', schema_name, default_character_set_name, default_collation_name, '-' from information_schema.schemata where schema_name $theirs"
# Lines of rows, each escaped, as the dump program writes them: values that are no text as digits.
rows() {
    client mariadb-dump --compact --no-create-info --skip-triggers --skip-extended-insert --hex-blob --skip-tz-utc --skip-lock-tables -- "$1" "$2" ||
        echo "$1.$2" >>"$private/failed"
}
listed() {
    ask "$objects" || echo "what there is" >>"$private/failed"
    ask "select table_schema, table_name from information_schema.tables
        where table_schema $theirs and table_type in ('BASE TABLE', 'SYSTEM VERSIONED')" >"$private/tables" || echo "tables" >>"$private/failed"
    while IFS="$(printf '\t')" read -r base table; do
        case $base$table in
            # The client writes control characters and backslashes in another form.
            *\\*) echo "the name $base.$table is too odd" >>"$private/failed" ;;
        esac
        rows "$base" "$table" | grep '^INSERT ' | digest_of "$base.$table"
    done <"$private/tables"
    ask "select concat('select ''sequence'', ''', table_schema, ''', ''', table_name, ''', next_not_cached_value from \`', table_schema, '\`.\`', table_name, '\`;')
        from information_schema.tables where table_schema $theirs and table_type = 'SEQUENCE'" >"$private/sequences" || echo "sequences" >>"$private/failed"
    client mariadb --batch --skip-column-names <"$private/sequences" || echo "sequences" >>"$private/failed"
}
must_be_empty() {
    up here
    made=$(databases | grep -c . || :)
    down "$stop"
    [ "$made" = 0 ] || fail "the server is not empty ($made databases that people made); nothing was changed"
    echo "MariaDB $(version) here is empty"
}
older() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }
fits() {
    [ -n "$1" ] || return 0
    here=$(version)
    case $by in
        copy) [ "$1" = "$here" ] || fail "a copy of files of MariaDB $1 does not fit $here: let it come as a dump" ;;
        *) older "$1" "$here" || fail "a dump of MariaDB $1 does not go into the older $here" ;;
    esac
}
# Roles, then accounts, then what each may do, as the server itself writes it.
accounts() {
    ask "select concat('create role if not exists ', quote(user), ';') from mysql.user where is_role = 'Y' and user $people"
    told "select concat('show create user ', quote(user), '@', quote(host), ';') from mysql.user where is_role = 'N' and user $people"
    told "select concat('show grants for ', quote(user), if(is_role = 'Y', '', concat('@', quote(host))), ';') from mysql.user where user $people"
}
told() {
    client mariadb --batch --raw --skip-column-names -e "$1" </dev/null >"$private/questions"
    client mariadb --batch --raw --skip-column-names <"$private/questions" >"$private/answers"
    sed 's/$/;/' "$private/answers"
}
make_dump() {
    accounts >"$stage/accounts.sql"
    databases >"$private/names"
    set --
    while read -r base; do set -- "$@" "$base"; done <"$private/names"
    [ $# = 0 ] && : >"$stage/data.sql" ||
        client mariadb-dump --databases --routines --events --triggers --hex-blob --single-transaction --skip-lock-tables -- "$@" >"$stage/data.sql"
}
load_dump() {
    up here
    client mariadb --batch <"$stage/data.sql"
    client mariadb --batch <"$stage/accounts.sql"
}
make_copy() {
    command -v mariadb-backup >/dev/null || fail "the program mariadb-backup is lacking: install the package mariadb-backup"
    mkdir "$stage/base"
    mariadb-backup --no-defaults --backup --datadir="$data" --target-dir="$stage/base" --socket="$private/socket" --user=root >"$private/said" 2>&1 ||
        { tail -n 20 "$private/said" >&2; fail "mariadb-backup fails"; }
    mariadb-backup --no-defaults --prepare --target-dir="$stage/base" >"$private/said" 2>&1 ||
        { tail -n 20 "$private/said" >&2; fail "mariadb-backup cannot prepare its copy"; }
    chown -R mysql: "$stage/base"
}
load_copy() {
    find "$data" -mindepth 1 -delete
    cp -a "$stage/base/." "$data/"
    up here
}
