how=$1 device=$2 path=$3 options=$4
seconds=0
until [ -b "$device" ]; do
    seconds=$((seconds + 1))
    # Controllers of disks announce a new one within seconds, busy clouds within half a minute.
    if [ "$seconds" -gt 60 ]; then
        echo "no device $device came within 60 s"
        exit 1
    fi
    sleep 1
done
kind=$(blkid -p -s TYPE -o value -- "$device" || :)
if [ -z "$kind" ]; then
    echo "there is no file system on $device; nothing was mounted"
    exit 1
fi
# As mountinfo writes it; stat speaks hexadecimal.
number=$(printf '%d:%d' "0x$(stat -L -c %t -- "$device")" "0x$(stat -L -c %T -- "$device")")
there=$(awk -v p="$path" '$5 == p { print $3 }' /proc/self/mountinfo | tail -n 1)
if [ -n "$there" ] && [ "$there" != "$number" ]; then
    echo "something else is mounted at $path; nothing was changed"
    exit 1
fi
uuid=$(blkid -p -s UUID -o value -- "$device" || :)
what=$device
if [ -n "$uuid" ] && [ -e "/dev/disk/by-uuid/$uuid" ]; then
    what=UUID=$uuid
fi
mkdir -p -- "$path"
case $how in
fstab)
    [ -e /etc/fstab ] || : >/etc/fstab
    cp -p /etc/fstab /etc/fstab.overhaul-new
    { awk -v p="$path" '/^[[:space:]]*#/ || $2 != p' /etc/fstab; echo "$what $path $kind $options 0 2"; } >/etc/fstab.overhaul-new
    sync /etc/fstab.overhaul-new
    mv /etc/fstab.overhaul-new /etc/fstab
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
    [ -n "$there" ] || mount -- "$path"
    ;;
unit)
    unit=$(systemd-escape --path --suffix=mount -- "$path")
    printf '%s\n' '[Unit]' "Description=The volume at $path" '[Mount]' "What=$what" "Where=$path" "Type=$kind" \
        "Options=$options" '[Install]' 'WantedBy=multi-user.target' >"/etc/systemd/system/$unit"
    sync "/etc/systemd/system/$unit"
    systemctl daemon-reload
    systemctl enable --now -- "$unit"
    ;;
esac
