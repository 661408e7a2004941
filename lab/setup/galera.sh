# A member of a cluster of three; gal1 makes it, once.
me=$(hostname)
cat >/etc/mysql/mariadb.conf.d/70-lab.cnf.new <<CONF
[galera]
binlog_format = ROW
innodb_autoinc_lock_mode = 2
innodb_buffer_pool_size = 64M
bind-address = 0.0.0.0
wsrep_on = ON
wsrep_provider = /usr/lib/galera/libgalera_smm.so
wsrep_cluster_name = orders
wsrep_cluster_address = gcomm://$(address gal1),$(address gal2),$(address gal3)
wsrep_sst_method = rsync
wsrep_node_address = $(address "$me")
wsrep_node_name = $me
CONF
put /etc/mysql/mariadb.conf.d/70-lab.cnf
listens() { timeout 2 bash -c "</dev/tcp/$1/$2"; }
if ! systemctl is-active --quiet mariadb; then
    if [ "$me" = gal1 ] && ! [ -e /var/lib/mysql/grastate.dat ]; then
        galera_new_cluster
    else
        [ "$me" = gal1 ] || wait_for 120 "gal1 listens" listens gal1 4567
        wait_for 240 "MariaDB starts" systemctl start mariadb
    fi
fi
systemctl enable --quiet mariadb
ready() { mariadb -BNe "show status like 'wsrep_%'" | grep -qx "wsrep_local_state_comment	Synced"; }
wait_for 120 "the member is synced" ready
if [ "$me" = gal1 ]; then
    mariadb -e "create database if not exists orders; create table if not exists orders.t (id int primary key, note text);
        insert ignore into orders.t select seq, md5(seq) from orders.seq_1_to_5000"
fi
