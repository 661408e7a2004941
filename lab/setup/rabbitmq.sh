# A node of a cluster of three; key1 makes it, the others join.
me=$(hostname)
printf 'OVERHAULLABCOOKIE' >/var/lib/rabbitmq/.erlang.cookie.new
put /var/lib/rabbitmq/.erlang.cookie
chown rabbitmq: /var/lib/rabbitmq/.erlang.cookie
chmod 400 /var/lib/rabbitmq/.erlang.cookie
printf 'cluster_name = lab\n' >/etc/rabbitmq/rabbitmq.conf.new
put /etc/rabbitmq/rabbitmq.conf
systemctl enable --quiet rabbitmq-server
wait_for 180 "RabbitMQ starts" systemctl start rabbitmq-server
is_member() { rabbitmqctl --quiet cluster_status --formatter json | tr -d ' \n' | grep -q '"disk_nodes":\[[^]]*rabbit@key1[^]]*\]'; }
if [ "$me" != key1 ] && ! is_member; then
    joined() { rabbitmqctl --quiet stop_app && rabbitmqctl --quiet join_cluster rabbit@key1 && rabbitmqctl --quiet start_app; }
    wait_for 240 "the node joins key1" joined
fi
