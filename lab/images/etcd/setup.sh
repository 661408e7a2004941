# A member that starts before it is configured would be a cluster of its own.
rm -f /etc/systemd/system/multi-user.target.wants/etcd.service /etc/systemd/system/etcd2.service
rm -rf /var/lib/etcd/default
