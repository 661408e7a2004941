# Nothing: a monitor is made on its host. The unit nvmf-autoconnect, which a package brings along, fails here as on every host without NVMe.
