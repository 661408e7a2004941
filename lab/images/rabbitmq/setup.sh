# A node that starts before it has the cookie of all nodes would be a cluster of its own.
rm -f /etc/systemd/system/multi-user.target.wants/rabbitmq-server.service
