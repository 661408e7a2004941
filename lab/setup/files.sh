# A file server: one share, with what makes copies of trees go wrong.
share=/srv/projects
if ! [ -e $share/.made ]; then
    mkdir -p "$share/deep/a/b/c/d/e/f" "$share/empty" "$share/with space"
    for n in $(seq 1 200); do echo "plan $n" >"$share/deep/a/plan-$n.txt"; done
    echo one >"$share/linked"
    ln -f "$share/linked" "$share/linked again"
    ln -sfn /nowhere/at/all "$share/dangling"
    ln -sfn . "$share/deep/loop"
    truncate -s 5G "$share/sparse.img"
    head -c 3000000 /dev/zero | tr '\0' 'x' >"$share/report.dat"
    echo odd >"$share/$(printf 'line\nbreak')"
    echo odd >"$share/$(printf 'not-utf8-\377')"
    mkfifo "$share/pipe" 2>/dev/null || true
    install -m 4755 /bin/true "$share/setuid"
    setfacl -m u:admin:rw "$share/linked" || echo "no ACLs here" >&2
    setfattr -n user.origin -v scan "$share/report.dat" || echo "no extended attributes here" >&2
    chown -R admin:admin "$share/deep"
    touch $share/.made
fi
cat >/etc/samba/smb.conf.new <<'CONF'
[global]
    workgroup = LAB
    server role = standalone server
    disable netbios = yes
    load printers = no
[projects]
    path = /srv/projects
    read only = no
CONF
put /etc/samba/smb.conf
systemctl enable --quiet --now smbd
[ -z "$changed" ] || systemctl restart smbd
listens() { timeout 2 bash -c "</dev/tcp/127.0.0.1/445"; }
wait_for 60 "the share is served" listens
