# A cache that lets nobody in by ssh but the jump host, as hosts of an inner network.
net=$(hostname -I | cut -d. -f1-3)
grep -qxF "bind 0.0.0.0" /etc/redis/redis.conf || {
    sed -i 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/' /etc/redis/redis.conf
    changed=yes
}
systemctl enable --quiet --now redis-server
[ -z "$changed" ] || systemctl restart redis-server
answers() { [ "$(redis-cli ping)" = PONG ]; }
wait_for 60 "the cache answers" answers
seq 1 2000 | sed 's/.*/set key:& value-&/' | redis-cli >/dev/null
cat >/etc/nftables.conf.new <<CONF
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy accept;
        tcp dport 22 ip saddr $net.0/24 ip saddr != $(address jump1) drop
    }
}
CONF
put /etc/nftables.conf
systemctl enable --quiet nftables
systemctl restart nftables
