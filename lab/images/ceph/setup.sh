# A monitor is made on its host. There is no NVMe over a network here, and its unit would only fail.
ln -sf /dev/null /etc/systemd/system/nvmf-autoconnect.service
