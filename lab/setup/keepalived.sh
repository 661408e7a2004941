# One of two web servers that share an address; web1 has it while both are well.
net=$(hostname -I | tr ' ' '\n' | grep -m1 '^10\.77\.' | cut -d. -f1-3)
case $(hostname) in web1) priority=150 ;; *) priority=100 ;; esac
cat >/etc/keepalived/keepalived.conf.new <<CONF
vrrp_instance web {
    state BACKUP
    interface host0
    virtual_router_id 51
    priority $priority
    advert_int 1
    virtual_ipaddress {
        $net.200/32
    }
}
CONF
put /etc/keepalived/keepalived.conf
systemctl enable --quiet --now keepalived
[ -z "$changed" ] || systemctl restart keepalived
wait_for 60 "one of both has the address" curl -fsS -o /dev/null --max-time 2 "http://$net.200/"
