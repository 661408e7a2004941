#!/bin/sh
# in-tree.sh LOWER UPPER WORK ROOT SCRIPT...: runs shell scripts inside an overlay. The caller gives it a mount namespace of its own,
# so that nothing stays mounted however this ends. LAB_SEED, if set, is a folder shown inside as /tmp/seed.
set -eu
lower=$1 upper=$2 work=$3 root=$4
shift 4
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
if [ -n "${LAB_SEED:-}" ]; then
    mkdir "$root/tmp/seed"
    mount --bind "$LAB_SEED" "$root/tmp/seed"
fi
for script in "$@"; do
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        LAB_PROXY="${LAB_PROXY:-}" LAB_PACKAGES="${LAB_PACKAGES:-}" sh -eus <"$script"
done
