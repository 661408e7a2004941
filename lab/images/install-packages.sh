# Installs the packages of a layer; LAB_PACKAGES and LAB_PROXY come from the builder. policy-rc.d keeps services from being started in the tree.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
# shellcheck disable=SC2086
apt-get -qq -y -o Acquire::http::Proxy="$LAB_PROXY" --no-install-recommends install $LAB_PACKAGES </dev/null
rm /usr/sbin/policy-rc.d
apt-get clean
