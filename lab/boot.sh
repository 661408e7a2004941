#!/bin/sh
# boot.sh LOWER UPPER WORK ROOT MACHINE HOSTNAME BRIDGE plain|containers: boots one host and stays until it is off; status 133 means that it asked for a reboot.
# The caller gives it a mount namespace of its own: the host's disk is mounted there alone and is gone with the host's last process.
set -eu
lower=$1 upper=$2 work=$3 root=$4 machine=$5 hostname=$6 bridge=$7 may=$8
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
# Locks of machine names live here; a private one lets the same name be used again at once after a power cut.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
# nspawn must see the unified hierarchy alone, whatever the machine has mounted beside it.
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
set --
# A host of containers makes namespaces, mounts and cgroups of its own.
if [ "$may" = containers ]; then
    set -- --bind=/dev/fuse --capability=all '--system-call-filter=@privileged @mount bpf keyctl add_key'
fi
exec systemd-nspawn --quiet --register=no --keep-unit --settings=no --directory="$root" --machine="$machine" --hostname="$hostname" \
    --network-bridge="$bridge" --resolv-conf=off --timezone=off --link-journal=no "$@" --boot --console=read-only
