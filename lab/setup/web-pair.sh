# One of two web servers of equal rank behind the address `site`. A 1 in the file lowers the rank: the other one takes the address over while this
# one still answers, and neither takes it back by itself.
site=$(address site)
[ -e /etc/keepalived/drained ] || echo 0 >/etc/keepalived/drained
cat >/etc/keepalived/keepalived.conf.new <<CONF
track_file drained {
    file /etc/keepalived/drained
}
vrrp_instance site {
    state BACKUP
    interface host0
    virtual_router_id 51
    priority 100
    advert_int 1
    track_file {
        drained weight -50
    }
    virtual_ipaddress {
        $site/32
    }
}
CONF
put /etc/keepalived/keepalived.conf
systemctl enable --quiet --now nginx keepalived
[ -z "$changed" ] || systemctl restart keepalived
wait_for 60 "one of both has the address" curl -fsS -o /dev/null --max-time 2 "http://$site/"
