# One of three monitors. All of them make the same map and the same keys out of the lab's secret, so none waits for another.
me=$(hostname)
monitors="mon1 files1 cont1"
fsid=$(echo "$LAB_SECRET" | sed -E 's/(.{8})(.{4})(.{4})(.{4})(.{12})/\1-\2-\3-\4-\5/')
# A key as ceph writes it: its type, no time, its length, 16 bytes.
key=$(echo "010000000000000000001000$LAB_SECRET" | perl -ne 'chomp; print pack("H*", $_)' | base64)
peers=$(for name in $monitors; do address "$name"; done | paste -sd,)
cat >/etc/ceph/ceph.conf.new <<CONF
[global]
fsid = $fsid
mon_host = $peers
mon_initial_members = $(echo "$monitors" | tr ' ' ,)
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
CONF
put /etc/ceph/ceph.conf
umask 077
printf '[client.admin]\n\tkey = %s\n\tcaps mon = "allow *"\n' "$key" >/etc/ceph/ceph.client.admin.keyring
umask 022
data=/var/lib/ceph/mon/ceph-$me
if ! [ -e "$data/done" ]; then
    work=$(mktemp -d)
    printf '[mon.]\n\tkey = %s\n\tcaps mon = "allow *"\n' "$key" >"$work/keyring"
    cat /etc/ceph/ceph.client.admin.keyring >>"$work/keyring"
    # shellcheck disable=SC2046
    monmaptool --create --clobber --fsid "$fsid" --set-min-mon-release 16 \
        $(for name in $monitors; do echo "--addv $name [v2:$(address "$name"):3300,v1:$(address "$name"):6789]"; done) "$work/map" >/dev/null
    chown -R ceph:ceph "$work"
    rm -rf "$data"
    runuser -u ceph -- ceph-mon --mkfs -i "$me" --monmap "$work/map" --keyring "$work/keyring"
    runuser -u ceph -- touch "$data/done"
    rm -rf "$work"
fi
systemctl enable --quiet --now "ceph-mon@$me"
quorate() { timeout 10 ceph daemon "mon.$me" mon_status | grep -qE '"state": "(leader|peon)"'; }
wait_for 180 "the monitor is in quorum" quorate
