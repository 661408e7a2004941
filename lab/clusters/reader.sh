# Every second, each member is asked for a row at once; one line for each second: the time, and who answered within it.
ask() {
    timeout 0.9 mariadb -u writer -p'no secret' --skip-ssl --connect-timeout=1 -h "$1" orders -BNe 'select note from t where id = 7' 2>/dev/null |
        grep -q . && printf ' %s' "$1"
}
while [ ! -e /root/ends ]; do
    second=$(date +%s)
    answered=$({ ask gal1 & ask gal2 & ask gal3 & wait; })
    echo "$second$answered" >>/root/answers
    while [ "$(date +%s)" = "$second" ]; do sleep 0.05; done
done
