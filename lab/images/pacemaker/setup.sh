# Nodes that start before they are configured would be clusters of their own.
rm -f /etc/systemd/system/multi-user.target.wants/corosync.service /etc/systemd/system/multi-user.target.wants/pacemaker.service
