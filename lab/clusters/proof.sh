#!/bin/sh
# What became of a Galera cluster that a client wrote to and read from: every acknowledged row is on every member, all members hold the same rows,
# each is synced, three of three, on the new release, and none has logged that its store was damaged by who fed it.
#
#     lab/clusters/proof.sh LAB DIR MEMBERS     LAB: the command of the instance; DIR: its folder
set -eu
lab=$1 dir=$2 members=$3
on() { host=$1 && shift && $lab exec "$host" -- "$@"; }
bad=0
on client1 "touch /root/ends; while systemctl is-active --quiet writer || systemctl is-active --quiet reader; do sleep 0.2; done"
on client1 "cat /root/acked" >"$dir/acked"
on client1 "cat /root/answers" >"$dir/answers"
rows=$(wc -l <"$dir/acked")
slowest=$(awk '$2 > m { m = $2 } END { print m + 0 }' "$dir/acked")
echo "rows acknowledged: $rows; the longest wait for one: $slowest ms"
[ "$rows" -gt 100 ] || { echo "too few to prove anything"; bad=1; }
awk '{ n++ } NF == 1 { none++; run++; if (run > longest) longest = run; next } { run = 0 } NF == 2 { one++ }
    END { printf "seconds read: %d; nobody answered in %d of them, %d in a row at most; one member alone in %d\n", n, none, longest, one }' "$dir/answers"
for host in $members; do
    on "$host" "mariadb -BNe 'select n from orders.acked'" | sort >"$dir/rows.$host"
    missing=$(cut -d' ' -f1 "$dir/acked" | sort | comm -23 - "$dir/rows.$host" | wc -l)
    digest=$(on "$host" "for table in acked t; do mariadb -BNe \"select * from orders.\$table order by 1\"; done | sha256sum | cut -c1-16")
    state=$(on "$host" "mariadb -BNe \"show status like 'wsrep_local_state_comment'\"; mariadb -BNe \"show status like 'wsrep_cluster_size'\"; mariadb -BNe 'select version()'" | tr '\t\n' '  ')
    damaged=$(on "$host" "journalctl --unit=mariadb --no-pager --output=cat | grep -c 'change buffer is corrupted' || true")
    cluster=$(on "$host" "mariadb -BNe \"show status like 'wsrep_cluster_state_uuid'\" | cut -f2")
    [ "$cluster" = "${all:=$cluster}" ] || { echo "$host: another cluster than the first member's"; bad=1; }
    release=$(on "$host" ". /etc/os-release; echo \$VERSION_ID")
    echo "$host: $missing acknowledged rows missing; all rows $digest; debian $release; $state"
    [ "$missing" = 0 ] && [ "$release" = 13 ] || bad=1
    [ "$damaged" = 0 ] || { echo "$host: its store was damaged by who fed it, $damaged times"; bad=1; }
    [ "$digest" = "${first:=$digest}" ] || { echo "$host: other rows than the first member"; bad=1; }
    case $state in *Synced*' 3 '*) ;; *) bad=1 ;; esac
done
exit "$bad"
