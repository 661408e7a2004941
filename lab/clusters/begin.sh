#!/bin/sh
# A table for numbered rows on a Galera cluster, a writer and a reader on client1.
#
#     lab/clusters/begin.sh LAB     LAB: the command of the instance
set -eu
cd "$(dirname "$0")"
lab=$1
on() { host=$1 && shift && $lab exec "$host" -- "$@"; }
on gal1 "mariadb -e \"create table if not exists orders.acked (n bigint primary key, at timestamp(6) default now(6));
    create or replace user writer@'%' identified by 'no secret'; grant insert, select on orders.* to writer@'%'\""
for what in writer reader; do
    on client1 "cat >/root/$what.sh" <"$what.sh"
    on client1 "systemd-run --quiet --unit=$what bash /root/$what.sh"
done
