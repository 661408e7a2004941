#!/bin/sh
# make-disk.sh LOWER UPPER WORK ROOT FILE MEGABYTES: a disk with one file system, which holds what an overlay shows. The caller gives it a mount
# namespace of its own, so that nothing stays mounted however this ends.
set -eu
umask 077
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
truncate -s "${6}M" "$5"
mkfs.ext4 -q -F -d "$4" "$5"
