# Only what is empty gets a file system: the data of another volume would be lost.
kind=$1 device=$2
there=$(blkid -p -s TYPE -o value -- "$device" || :)
[ "$there" != "$kind" ] || exit 0
if [ -n "$there" ]; then
    echo "$device holds a file system of the type $there; nothing was changed"
    exit 1
fi
"mkfs.$kind" -q -- "$device"
