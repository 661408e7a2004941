# No domain controller, and no names over broadcast.
for unit in samba-ad-dc.service nmbd.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
