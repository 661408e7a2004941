# A node of a cluster of three, without fencing: there is nothing to fence with here.
me=$(hostname)
{
    printf 'totem {\n  version: 2\n  cluster_name: lab\n  transport: knet\n  crypto_cipher: aes256\n  crypto_hash: sha256\n}\nnodelist {\n'
    n=0
    for node in key1 key2 key3; do
        n=$((n + 1))
        printf '  node {\n    ring0_addr: %s\n    name: %s\n    nodeid: %s\n  }\n' "$(address $node)" $node $n
    done
    printf '}\nquorum {\n  provider: corosync_votequorum\n}\nlogging {\n  to_syslog: yes\n}\n'
} >/etc/corosync/corosync.conf.new
put /etc/corosync/corosync.conf
# All nodes have the same key, and nobody else is on this bridge.
printf '%0256d' 7 >/etc/corosync/authkey
chmod 400 /etc/corosync/authkey
systemctl enable --quiet corosync pacemaker
wait_for 120 "corosync starts" systemctl start corosync
wait_for 120 "pacemaker starts" systemctl start pacemaker
online() { crm_mon -1 --output-as=xml | grep "node name=\"$me\"" | grep -q 'online="true"'; }
wait_for 180 "the node is online" online
[ "$me" != key1 ] || wait_for 60 "no fencing" crm_attribute --name stonith-enabled --update false
