# A file server whose tree has everything that copies of trees get wrong. `lab manifest` lists it in all respects.
share=/srv/files
make_tree() {
    rm -rf "$share"
    mkdir -p "$share"
    cd "$share"
    # Many small files: 5,000 of four lines each.
    mkdir many
    (cd many && seq 1 20000 | split -l 4 -a 3 - note-)
    # Owners, with and without a name, and modes.
    mkdir owners modes
    for id in 0:0 1000:1000 33:33 4242:4343 65534:65534; do echo "$id" >"owners/of-$id"; chown "$id" "owners/of-$id"; done
    for mode in 0000 0400 0666 0755 1644 2755 4755; do cp /bin/true "modes/$mode"; chmod "$mode" "modes/$mode"; done
    mkdir -m 2775 modes/group-of-parent && chown 0:4343 modes/group-of-parent
    mkdir -m 1777 modes/for-all
    # Access lists, extended attributes, capabilities.
    mkdir attributes
    echo listed >attributes/acl && setfacl -m u:admin:rw,g:4343:r attributes/acl
    mkdir attributes/acl-default && setfacl -d -m u:admin:rwx,g::rx attributes/acl-default && setfacl -m u:4242:rx attributes/acl-default
    echo scanned >attributes/user && setfattr -n user.origin -v 'scan 7' attributes/user && setfattr -n user.binary -v 0x00ff0a80 attributes/user
    setfattr -n user.empty attributes/user && setfattr -n user.of-folder -v yes attributes
    # Version 2, effective: cap_net_bind_service.
    cp /bin/true attributes/capable && setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 attributes/capable
    # Links of both kinds.
    mkdir links links/other
    echo shared >links/one && ln links/one links/other/two && ln links/one 'links/other/three again'
    ln -s /nowhere/at/all links/dangling && ln -s . links/circle && ln -s ../owners links/folder && ln -s "$(printf 'odd\n\377target')" links/odd
    chown -h 4242:4343 links/dangling
    # Holes: all hole, data in the middle, data at the end.
    mkdir sparse
    truncate -s 1G sparse/nothing-else
    truncate -s 5G sparse/middle && dd if=/bin/true of=sparse/middle bs=4096 seek=500000 conv=notrunc status=none
    truncate -s 300M sparse/end && echo end >>sparse/end
    # What is neither file nor folder.
    mkdir special
    mkfifo -m 0620 special/pipe
    mknod -m 0660 special/null c 1 3
    mknod -m 0640 special/loop99 b 7 99
    perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un("special/socket")) or die $!'
    # Names.
    mkdir names
    (
        cd names
        for name in "$(printf 'line\nbreak')" "$(printf 'not-utf8-\377\376')" ' blank ' '-rf' '*' "quo'te\"s" 'back\slash' "$(printf 'tab\there')" \
            "$(printf 'bell\007esc\033[31m')" '#remark' '$(touch x)' "$(printf '%0255d' 0)" 'überhaul' '...'; do
            echo "named" >"./$name"
        done
    )
    # Depth, emptiness, and times at both ends.
    deep=deep
    for level in $(seq 1 60); do deep=$deep/level-$level; done
    mkdir -p "$deep" empty && echo bottom >"$deep/bottom" && : >empty-file
    mkdir times && echo old >times/old && echo new >times/new && echo exact >times/exact
    touch -d '1970-01-01 00:00:01.000000001 UTC' times/old
    touch -d '2040-02-29 12:00:00 UTC' times/new
    touch -d '2001-09-09 01:46:40.123456789 UTC' times/exact
    # Some size: 24 MB that nothing compresses.
    head -c 24000000 /dev/urandom >large.dat
    touch -h -d '2005-05-05 05:05:05.5 UTC' links/dangling times special
}
if ! [ -e /etc/odd-files-made ]; then
    make_tree
    cd /
    touch /etc/odd-files-made
fi
cat >/etc/samba/smb.conf.new <<'CONF'
[global]
    workgroup = LAB
    server role = standalone server
    disable netbios = yes
    load printers = no
[files]
    path = /srv/files
    read only = no
CONF
put /etc/samba/smb.conf
systemctl enable --quiet --now smbd
[ -z "$changed" ] || systemctl restart smbd
listens() { timeout 2 bash -c "</dev/tcp/127.0.0.1/445"; }
wait_for 60 "the share is served" listens
