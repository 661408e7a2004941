#!/bin/sh
# Installs what the lab needs on the machine that carries it. Starts no service, asks no question, and ends at once when everything is there.
# `lab/install.sh kernel` also installs what a host with a kernel of its own needs.
set -eu

PACKAGES="systemd-container mmdebstrap iproute2 e2fsprogs openssh-client util-linux mount procps jq curl ca-certificates debian-archive-keyring"
kernel=
# Tools of another qemu that stand against this one are left to a person.
[ "${1:-}" != kernel ] || { PACKAGES="$PACKAGES qemu-system-x86" kernel=yes; }

# shellcheck disable=SC2086
missing=$(for package in $PACKAGES; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
done)
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "lab/install.sh must run as root to install: $(echo $missing)" >&2; exit 1; }

# A package that starts a service on installation would change the machine; only our own policy file is taken away again.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o Acquire::Retries=3 update
# shellcheck disable=SC2086
apt-get -qq -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 --no-install-recommends ${kernel:+--no-remove} install $missing </dev/null
