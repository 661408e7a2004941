#!/bin/sh
# by-hand.sh INSTANCE_DIR HOST LOG_DIR [--mask]: what a careful person types to bring a lab host with PostgreSQL from Debian 12 to 13, with the time of
# each phase. This is the honest peer that the tool is compared with. --mask keeps every PostgreSQL unit from starting until its own phase.
set -eu
dir=$1 host=$2 logs=$3 mask=${4:-}
address=$(sed -n "s/^  $host: {address: \([0-9.]*\),.*/\1/p" "$dir/fleet.yaml")
[ -n "$address" ] || { echo "no host $host in $dir/fleet.yaml" >&2; exit 2; }
mkdir -p "$logs"

on_host() {
    ssh -F none -i "$dir/ssh_key" -o UserKnownHostsFile="$dir/known_hosts" -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o BatchMode=yes \
        -o ConnectTimeout=5 -o ServerAliveInterval=5 -o LogLevel=ERROR "root@$address" "$@"
}
# phase NAME LINE: runs a shell line on the host, keeps its output, says how long it took.
phase() {
    name=$1
    shift
    began=$(date +%s.%N)
    status=0
    on_host "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
    awk -v n="$name" -v a="$began" -v b="$(date +%s.%N)" -v s="$status" 'BEGIN { printf "%-22s %7.1f s  status %d\n", n, b - a, s }' | tee -a "$logs/phases"
    [ "$status" = 0 ] || { tail -n 20 "$logs/$name.log" >&2; exit 1; }
}
answers="-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
apt="DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE=l DEBCONF_DEBUG=${DEBCONF_DEBUG:-} apt-get -q -y $answers"
rows="cd / && runuser -u postgres -- env PGTZ=UTC PGDATESTYLE=ISO psql -X -q -d shop -c 'copy (select * from orders order by id) to stdout' | sha256sum"
all_began=$(date +%s)

: >"$logs/phases"
phase rows-before "$rows"
phase packages-before "dpkg-query -W"
phase clean-before "dpkg --audit; apt-mark showhold; df -h /"
began=$(date +%s.%N)
on_host "cd / && runuser -u postgres -- pg_dump -Fc -Z 1 shop" >"$logs/shop.dump"
pg_dump_seconds=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
printf '%-22s %7.1f s  %s bytes\n' dump "$pg_dump_seconds" "$(stat -c %s "$logs/shop.dump")" | tee -a "$logs/phases"
phase update-old "$apt update"
phase upgrade-old "$apt full-upgrade"
if [ "$mask" = --mask ]; then
    phase mask "systemctl stop postgresql && systemctl mask postgresql.service"
fi
phase sources "find /etc/apt -name '*.list' -o -name '*.sources' | xargs sed -i s/bookworm/trixie/g"
phase update-new "$apt update"
phase simulate-full "$apt -s full-upgrade"
phase upgrade-minimal "$apt upgrade --without-new-pkgs"
phase after-minimal "pg_lsclusters; systemctl --failed; cat /etc/debian_version; ps -C postgres,nginx,sshd -o pid,lstart,args"
phase upgrade-full "$apt full-upgrade"
phase after-full "pg_lsclusters; systemctl --failed; dpkg --audit; cat /etc/debian_version; ps -C postgres,nginx,sshd -o pid,lstart,args"
boot=$(on_host cat /proc/sys/kernel/random/boot_id)
began=$(date +%s.%N)
on_host systemctl reboot >/dev/null 2>&1 || true
until new=$(on_host cat /proc/sys/kernel/random/boot_id 2>/dev/null) && [ "$new" != "$boot" ]; do sleep 0.2; done
on_host "timeout 60 systemctl is-system-running --wait" >"$logs/running.log" || true
awk -v a="$began" -v b="$(date +%s.%N)" -v w="$(cat "$logs/running.log")" 'BEGIN { printf "%-22s %7.1f s  %s\n", "reboot", b - a, w }' | tee -a "$logs/phases"
phase after-boot "pg_lsclusters; systemctl --failed; systemctl list-units 'postgres*'; cat /etc/debian_version /etc/os-release"
# The package may have made an empty cluster of the new major, and that would be in the way.
phase drop-empty-17 "if pg_lsclusters -h | grep -q '^17 *main '; then pg_dropcluster --stop 17 main; echo dropped; fi"
phase pg_upgradecluster "cd / && pg_upgradecluster 15 main"
if [ "$mask" = --mask ]; then
    phase after-move-masked "pg_lsclusters; systemctl --failed; systemctl list-units 'postgres*'"
    phase unmask "systemctl unmask postgresql.service && systemctl start postgresql && pg_lsclusters"
fi
phase after-move "pg_lsclusters; systemctl --failed; systemctl list-units 'postgres*'; curl -s http://localhost/"
phase rows-after "$rows"
phase packages-after "dpkg-query -W"
phase autoremove-simulated "$apt -s autoremove"
cmp "$logs/rows-before.log" "$logs/rows-after.log"
echo "rows are equal; all phases together $(($(date +%s) - all_began)) s" | tee -a "$logs/phases"
