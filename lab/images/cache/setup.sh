# Nothing: both are configured on the host.
