# A host of one running system container with a volume of its own. LXD reads standard input, so every call has none.
lxd waitready --timeout 60 </dev/null
if ! lxc storage show default >/dev/null 2>&1 </dev/null; then
    printf 'storage_pools:\n- name: default\n  driver: dir\nprofiles:\n- name: default\n  devices:\n    root: {path: /, pool: default, type: disk}\n' |
        lxd init --preseed
fi
if ! lxc image info small >/dev/null 2>&1 </dev/null; then
    work=$(mktemp -d)
    mkdir -p "$work/rootfs/bin" "$work/rootfs/sbin" "$work/rootfs/etc" "$work/rootfs/proc" "$work/rootfs/sys" "$work/rootfs/dev" "$work/rootfs/root" "$work/rootfs/srv"
    install -m 755 /bin/busybox "$work/rootfs/bin/busybox"
    for name in sh init halt poweroff cat ls sleep hostname mount; do ln -s /bin/busybox "$work/rootfs/bin/$name"; done
    ln -s /bin/busybox "$work/rootfs/sbin/init"
    printf '::sysinit:/bin/hostname -F /etc/hostname\n::respawn:/bin/sleep 86400\n::shutdown:/bin/true\n' >"$work/rootfs/etc/inittab"
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$work/rootfs/etc/passwd"
    printf 'architecture: x86_64\ncreation_date: 1700000000\nproperties: {description: small}\n' >"$work/metadata.yaml"
    tar -czf "$work/image.tar.gz" -C "$work" metadata.yaml rootfs
    lxc image import "$work/image.tar.gz" --alias small </dev/null
    rm -rf "$work"
fi
if ! lxc info wiki >/dev/null 2>&1 </dev/null; then
    lxc init small wiki </dev/null
    lxc config set wiki security.privileged true </dev/null
    lxc storage volume create default wiki-data </dev/null
    lxc config device add wiki data disk pool=default source=wiki-data path=/srv </dev/null
fi
running() { lxc list --format csv --columns ns </dev/null | grep -qx 'wiki,RUNNING'; }
running || lxc start wiki </dev/null
wait_for 60 "the container runs" running
