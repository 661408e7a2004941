# Runs inside the base tree after its packages are unpacked. Whatever must differ from host to host is removed here and written by host-setup.sh.
rm -f /etc/ssh/ssh_host_*key* /etc/apt/apt.conf.d/99mmdebstrap /etc/dpkg/dpkg.cfg.d/99mmdebstrap
rm -f /etc/machine-id /var/lib/dbus/machine-id
: >/etc/machine-id

# Disks of lab hosts are thrown away: waiting for them would only make the lab slow.
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/lab
echo 'LANG=C.UTF-8' >/etc/default/locale

# A container has no console of its own, and timers that start apt by themselves make runs differ from each other.
mkdir -p /etc/systemd/system/multi-user.target.wants
for unit in systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer console-getty.service \
    man-db.timer e2scrub_reap.service e2scrub_all.timer systemd-resolved.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
ln -sf /lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants/systemd-networkd.service

# Three ways in: root, an account that must give its password to sudo, and one that need not.
useradd --create-home --shell /bin/bash --groups sudo admin
useradd --create-home --shell /bin/bash ops
printf 'ops ALL=(ALL:ALL) NOPASSWD: ALL\n' >/etc/sudoers.d/ops
chmod 440 /etc/sudoers.d/ops
