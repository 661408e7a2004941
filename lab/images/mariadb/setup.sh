# Nothing: the package makes an empty server, and what differs is done on the hosts.
