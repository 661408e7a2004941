# The world of the tests' sshd. Runs as process 1 of a process and mount namespace of its own:
#   cage.sh SCENE PREPARE PROGRAM...
# Whoever logs in there sees this machine's files, and what is written outside SCENE is gone with the
# namespace. reboot(2) and signals to process 1 end the namespace and nothing else.
set -eu
scene=$1 prepare=$2
shift 2

# Sockets by which services are asked for anything lie here.
mount -t tmpfs none /run
# The last one says that systemd is process 1, which the false `systemctl` below plays.
mkdir -p /run/sshd /run/scene /run/layers /run/systemd/system
mount --bind "$scene" /run/scene
for part in etc home opt root srv usr var; do
    test -d "/$part" || continue
    mkdir -p "/run/layers/$part/upper" "/run/layers/$part/work"
    mount -t overlay -o "lowerdir=/$part,upperdir=/run/layers/$part/upper,workdir=/run/layers/$part/work" none "/$part"
done
# The scene may lie below one of them.
mkdir -p "$scene"
mount --bind /run/scene "$scene"
# Of a fresh /proc, this is the one file that acts on the whole machine.
test ! -e /proc/sysrq-trigger || mount --bind /dev/null /proc/sysrq-trigger

cat >/run/refuse <<EOF
#!/bin/sh
# The tests' host has no services, and is never switched off.
case "\$(basename "\$0") \${1:-}" in
'systemctl list-units') exit 0 ;;
esac
echo "\$(basename "\$0") \$*" >>'$scene/refused'
echo "\$(basename "\$0") \$* is refused: this is a test" >&2
exit 1
EOF
for name in systemctl reboot shutdown halt poweroff telinit runlevel init service invoke-rc.d; do
    for folder in /usr/bin /usr/sbin; do
        # The link, where it is one: what it leads to may be a name of the service manager.
        rm -f "$folder/$name"
        cp /run/refuse "$folder/$name"
        chmod 755 "$folder/$name"
    done
done
eval "$prepare"
exec "$@"
