# Nothing is taken away under somebody: who uses it is named, and nothing was changed then.
path=$1
mounted() { awk -v p="$1" '$5 == p { found = 1 } END { exit !found }' /proc/self/mountinfo; }
mounted "$path" || exit 0
below=$(awk -v p="$path/" 'index($5, p) == 1 { print $5 }' /proc/self/mountinfo)
if [ -n "$below" ]; then
    echo "nothing was changed: mounted below $path are" $below
    exit 1
fi
like=$(printf '%s' "$path" | sed 's/[][*?\\]/\\&/g')
users=$(find /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe /proc/[0-9]*/fd /proc/[0-9]*/map_files \
    -maxdepth 1 \( -lname "$like" -o -lname "$like/*" \) 2>/dev/null | cut -d/ -f3 | sort -nu || :)
if [ -n "$users" ]; then
    echo "nothing was changed: $path is in use by"
    for pid in $users; do
        what=$(tr '\0\n' '  ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-160)
        echo "  process $pid of $(stat -c %U "/proc/$pid" 2>/dev/null || echo nobody): ${what:-$(cat "/proc/$pid/comm" 2>/dev/null)}"
    done
    exit 1
fi
sync -f -- "$path"
umount -- "$path"
# A boot of this machine must not wait for what is gone.
if awk -v p="$path" '!/^[[:space:]]*#/ && $2 == p { found = 1 } END { exit !found }' /etc/fstab 2>/dev/null; then
    cp -p /etc/fstab /etc/fstab.overhaul-new
    awk -v p="$path" '!/^[[:space:]]*#/ && $2 == p { print "# gone with its volume: " $0; next } { print }' \
        /etc/fstab >/etc/fstab.overhaul-new
    sync /etc/fstab.overhaul-new
    mv /etc/fstab.overhaul-new /etc/fstab
fi
if [ -d /run/systemd/system ]; then
    unit=$(systemd-escape --path --suffix=mount -- "$path")
    [ ! -e "/etc/systemd/system/$unit" ] || systemctl disable -- "$unit"
    systemctl daemon-reload
fi
