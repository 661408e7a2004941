name=$1 version=$2
shift 2
account=postgres stop=INT
confs=$(ls -d /etc/postgresql/${version:-*}/"$name"/postgresql.conf 2>/dev/null || :)
case $(printf '%s\n' "$confs" | grep -c .) in
    1) ;;
    0) echo "there is no cluster ${version:+$version }$name below /etc/postgresql" >&2; exit 1 ;;
    *) echo "several clusters are named $name, and nothing says which is meant:" $confs >&2; exit 1 ;;
esac
major=$(basename "$(dirname "$(dirname "$confs")")")
bin=/usr/lib/postgresql/$major/bin
data=$(pg_conftool -s "$major" "$name" show data_directory)
[ -d "$data" ] || { echo "there is no $data" >&2; exit 1; }

room_of_postgres() {
    room
    printf 'local all postgres peer\nlocal replication postgres peer\n' >"$private/hba"
    : >"$private/ident"
    chown postgres: "$private/hba" "$private/ident"
}
as_postgres() {
    setpriv --reuid postgres --regid postgres --init-groups -- env -u PGSERVICE PGHOST="$private" PGPORT=5432 PGUSER=postgres "$@"
}
# Settings that change how values are written.
forms='-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c lc_monetary=C -c xmlbinary=base64 -c statement_timeout=0'
# Arguments: database, further words of psql. Its name is no part of a connection string.
ask() {
    database=$1
    shift
    as_postgres env PGDATABASE="$database" PGOPTIONS="$forms" PGCLIENTENCODING=UTF8 "$bin/psql" -X -q -At -v ON_ERROR_STOP=1 "$@" </dev/null
}
answers() { ask postgres -c 'select 1'; }
# Whether it is the old side decides whether anything may be written.
up() {
    [ ! -e "$data/standby.signal" ] || fail "$data is that of a standby: name the host of the primary (authority)"
    case $1 in
        source) set -- -c default_transaction_read_only=on -c archive_mode=off ;;
        *) set -- -c synchronous_commit=off ;;
    esac
    room_of_postgres
    serve "$bin/postgres" -D "$data" -c config_file="$confs" -c hba_file="$private/hba" -c ident_file="$private/ident" \
        -c listen_addresses= -c unix_socket_directories="$private" -c port=5432 -c external_pid_file= -c ssl=off \
        -c autovacuum=off -c max_logical_replication_workers=0 -c logging_collector=off -c log_destination=stderr "$@"
}
version() { echo "$major"; }
databases() { ask postgres -c "select oid from pg_database where datallowconn and datname <> 'template1' order by oid"; }
name_of() { ask postgres -c "select datname from pg_database where oid = $1"; }
# What people make, without what extensions bring and without what differs by version.
theirs="n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
objects="select 'object', current_database(), c.relkind, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where $theirs and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  union all select 'column', current_database(), c.relkind, n.nspname || '.' || c.relname, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where $theirs and a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')
  union all select 'constraint', current_database(), o.contype, n.nspname, o.conname from pg_constraint o join pg_namespace n on n.oid = o.connamespace
    where $theirs and o.contype in ('c', 'f', 'p', 'u', 'x')
  union all select 'function', current_database(), p.prokind, n.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')'
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where $theirs and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
  union all select 'trigger', current_database(), t.tgenabled, n.nspname || '.' || c.relname, t.tgname
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace where $theirs and not t.tgisinternal
  union all select 'extension', current_database(), '-', n.nspname, e.extname from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname <> 'plpgsql'"
shared="select 'database', datname, pg_encoding_to_char(encoding), datcollate, datctype from pg_database where datallowconn and datname <> 'template1'
  union all select 'account', rolname, concat(rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls),
    rolconnlimit::text, coalesce(left(md5(rolpassword), 8), '-') from pg_authid where rolname !~ '^pg_' and rolname <> 'postgres'
  union all select 'member', r.rolname, m.rolname, '-', '-' from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
    where m.rolname !~ '^pg_'"
tables="select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where $theirs and c.relkind = 'r' and c.relpersistence <> 't'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') order by c.oid"
# Lines of rows, each escaped, as COPY writes them.
rows() { ask "$1" -c "copy ($2) to stdout" || echo "$1: $2" >>"$private/failed"; }
listed() {
    rows postgres "$shared" | sed 's/^/of all: /'
    all=$(databases) || echo "databases" >>"$private/failed"
    for oid in $all; do
        base=$(name_of "$oid")
        rows "$base" "$objects"
        rows "$base" "select 'sequence', current_database(), schemaname, sequencename, last_value from pg_sequences"
        rows "$base" "select loid, pageno, encode(data, 'hex') from pg_largeobject" | digest_of "$base large-objects"
        ask "$base" -c "$tables" >"$private/tables" || echo "$base" >>"$private/failed"
        while read -r table; do
            named=$(ask "$base" -c "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $table")
            rows "$base" "select * from only $named" | digest_of "$(printf '%s %s' "$base" "$named" | tr '\n' '?')"
        done <"$private/tables"
    done
}
# Nothing in a cluster that nobody wrote to has an id of those that PostgreSQL gives to what people make.
must_be_empty() {
    up here
    made=0
    for database in postgres template1; do
        made=$((made + $(ask "$database" -c "select (select count(*) from pg_database where oid >= 16384)
            + (select count(*) from pg_authid where oid >= 16384) + (select count(*) from pg_class where oid >= 16384)
            + (select count(*) from pg_proc where oid >= 16384) + (select count(*) from pg_namespace where oid >= 16384)
            + (select count(*) from pg_largeobject_metadata)")))
    done
    down "$stop"
    [ "$made" = 0 ] || fail "the cluster $major $name is not empty ($made things that people made); nothing was changed"
    echo "the cluster $major $name is empty"
}
# Argument: the version at the source, or nothing where it is not known yet.
fits() {
    [ -n "$1" ] || return 0
    case $by in
        copy) [ "$1" = "$major" ] || fail "a copy of files of PostgreSQL $1 does not fit $major: let it come as a dump" ;;
        *) [ "$1" -le "$major" ] || fail "a dump of PostgreSQL $1 does not go into the older $major" ;;
    esac
}
make_dump() {
    mkdir "$stage/dump"
    chown postgres: "$stage/dump"
    as_postgres "$bin/pg_dumpall" --globals-only >"$stage/globals.sql"
    all=$(databases)
    for oid in $all; do
        base=$(name_of "$oid")
        printf '%s' "$base" >"$stage/name.$oid"
        as_postgres env PGDATABASE="$base" "$bin/pg_dump" -Fd -Z 1 -j "$(nproc)" -f "$stage/dump/$oid"
    done
}
load_dump() {
    up here
    # The account that every cluster has is there.
    grep -vx 'CREATE ROLE "\?postgres"\?;' "$stage/globals.sql" >"$aside/globals.sql"
    as_postgres env PGDATABASE=postgres "$bin/psql" -X -q -v ON_ERROR_STOP=1 -f - <"$aside/globals.sql" >/dev/null
    rm -f "$aside/globals.sql"
    for folder in "$stage"/dump/*; do
        base=$(cat "$stage/name.$(basename "$folder")")
        case $base in
            postgres) set -- -d postgres ;;
            *) set -- -C -d postgres ;;
        esac
        as_postgres "$bin/pg_restore" --exit-on-error -j "$(nproc)" "$@" "$folder"
    done
    as_postgres "$bin/vacuumdb" --quiet --all --analyze-only -j "$(nproc)"
}
make_copy() {
    as_postgres env PGOPTIONS= "$bin/pg_basebackup" -D "$stage/base" -c fast -X stream --manifest-checksums=SHA256
    as_postgres "$bin/pg_verifybackup" "$stage/base" >/dev/null
}
load_copy() {
    "$bin/pg_verifybackup" "$stage/base" >/dev/null || fail "$stage/base is not what was copied"
    find "$data" -mindepth 1 -delete
    cp -a "$stage/base/." "$data/"
    up here
}
