# Nothing: the package makes the cluster `main`, and what differs between primary and replica is done on the hosts.
