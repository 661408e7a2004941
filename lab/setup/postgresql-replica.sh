# A streaming replica of pg1.
data=/var/lib/postgresql/15/main
if ! [ -e $data/standby.signal ]; then
    systemctl stop postgresql@15-main
    install -m 600 -o postgres -g postgres /dev/null /var/lib/postgresql/.pgpass
    echo "pg1:5432:*:repl:$LAB_SECRET" >/var/lib/postgresql/.pgpass
    clone() {
        rm -rf $data
        # Without -c fast it waits minutes for a checkpoint.
        runuser -u postgres -- timeout 60 pg_basebackup -d "host=pg1 user=repl application_name=pg2" -D $data -R -S pg2 -c fast -w
    }
    wait_for 120 "a copy of the primary" clone
fi
systemctl enable --quiet postgresql
systemctl start postgresql@15-main
streams() { [ "$(runuser -u postgres -- psql -XAtqc "select status from pg_stat_wal_receiver")" = streaming ]; }
wait_for 60 "the replica streams" streams
