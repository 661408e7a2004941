# Downloads what an upgrade to the next release will ask for, in a tree that is thrown away; only the mirror's cache keeps it.
sed -i 's/bookworm/trixie/g' /etc/apt/sources.list
apt-get -qq -o Acquire::http::Proxy="$LAB_PROXY" update
apt-get -qq -y -o Acquire::http::Proxy="$LAB_PROXY" --download-only full-upgrade </dev/null
