# A member of a cluster of three, which all make together, once.
me=$(hostname)
others=$(awk '$2 ~ /^(key|etcd)[123]$/ { print $2 "=http://" $1 ":2380" }' /etc/hosts | sort -u | paste -sd ,)
if ! [ -e /var/lib/etcd/$me ]; then
    cat >/etc/default/etcd <<CONF
ETCD_NAME=$me
ETCD_DATA_DIR=/var/lib/etcd/$me
ETCD_LISTEN_PEER_URLS=http://$(address "$me"):2380
ETCD_LISTEN_CLIENT_URLS=http://$(address "$me"):2379
ETCD_ADVERTISE_CLIENT_URLS=http://$(address "$me"):2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://$(address "$me"):2380
ETCD_INITIAL_CLUSTER=$others
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_INITIAL_CLUSTER_TOKEN=lab
CONF
fi
systemctl enable --quiet etcd
systemctl start --no-block etcd
works() { ETCDCTL_API=3 etcdctl --endpoints="http://$(address "$me"):2379" --command-timeout=3s get --limit=1 --prefix ''; }
wait_for 180 "the member answers with a majority" works
