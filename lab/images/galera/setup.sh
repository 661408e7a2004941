# A server that starts before it is configured would be a cluster of its own.
rm -f /etc/systemd/system/multi-user.target.wants/mariadb.service
