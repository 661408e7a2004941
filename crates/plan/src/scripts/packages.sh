export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE=l LC_ALL=C.UTF-8
policy=/usr/sbin/policy-rc.d
# Installed services start when a step says so, not by themselves. A policy that is there already stays.
if [ ! -e "$policy" ] && [ ! -L "$policy" ] || grep -qs 'overhaul: packages step' "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\n# overhaul: packages step\nexit 101\n' >"$policy.new"
    chmod 755 "$policy.new"
    mv "$policy.new" "$policy"
fi
apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold install "$@" </dev/null
