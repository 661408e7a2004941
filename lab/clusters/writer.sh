# Numbers, one row each, to whichever member takes it; only what was acknowledged is noted. A number that is tried again may be there already.
n=0
while [ ! -e /root/ends ]; do
    n=$((n + 1)) since=$(date +%s%3N)
    until for member in gal1 gal2 gal3; do
        timeout 2 mariadb -u writer -p'no secret' --skip-ssl --connect-timeout=1 -h "$member" orders \
            -e "insert ignore into acked (n) values ($n)" 2>/dev/null && break
    done; do [ ! -e /root/ends ] || exit 0; done
    echo "$n $(($(date +%s%3N) - since))" >>/root/acked
done
