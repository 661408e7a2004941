# The primary, with a database and a slot for its replica pg2.
net=$(hostname -I | cut -d. -f1-3)
folder=/etc/postgresql/15/main
echo "listen_addresses = '*'" >$folder/conf.d/lab.conf.new
put $folder/conf.d/lab.conf
line="host replication repl $net.0/24 scram-sha-256"
grep -qxF "$line" $folder/pg_hba.conf || { echo "$line" >>$folder/pg_hba.conf; changed=yes; }
systemctl enable --quiet --now postgresql
[ -z "$changed" ] || systemctl restart postgresql@15-main
wait_for 60 "PostgreSQL answers" pg_isready -q
# The password comes on standard input, so that no list of processes shows it.
sql() { runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1; }
sql <<SQL
do \$\$ begin
    if not exists (select from pg_roles where rolname = 'repl') then create role repl login replication; end if;
end \$\$;
alter role repl password '$LAB_SECRET';
select pg_create_physical_replication_slot('pg2', true) where not exists (select from pg_replication_slots where slot_name = 'pg2');
select 'create database shop' where not exists (select from pg_database where datname = 'shop') \gexec
\c shop
create table if not exists orders as select n as id, md5(n::text) as note from generate_series(1, 20000) n;
SQL
