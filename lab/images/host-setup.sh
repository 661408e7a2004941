# Makes one machine out of an image: everything here comes from the seed folder of this host and differs from every other host.
seed=/tmp/seed
install -m 644 $seed/hostname /etc/hostname
install -m 644 $seed/hosts /etc/hosts
install -m 444 $seed/machine-id /etc/machine-id
# Nobody listens there: a refused lookup costs nothing, one without answer ten seconds.
rm -f /etc/resolv.conf
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
install -m 644 $seed/host0.network /etc/systemd/network/10-host0.network

for kind in rsa ecdsa ed25519; do
    install -m 600 $seed/ssh_host_${kind}_key /etc/ssh/ssh_host_${kind}_key
    install -m 644 $seed/ssh_host_${kind}_key.pub /etc/ssh/ssh_host_${kind}_key.pub
done
for account in root admin ops; do
    home=$(getent passwd $account | cut -d: -f6)
    install -d -m 700 -o $account -g $account "$home/.ssh"
    install -m 600 -o $account -g $account $seed/authorized_keys "$home/.ssh/authorized_keys"
done
chpasswd <$seed/chpasswd

rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
if [ -e $seed/sources.list ]; then
    install -m 644 $seed/sources.list /etc/apt/sources.list
else
    install -m 644 $seed/debian.sources /etc/apt/sources.list.d/debian.sources
fi
