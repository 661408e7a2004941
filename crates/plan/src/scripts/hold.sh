# Masked first, so that nothing starts it again between the two.
systemctl mask --now -- "$1"
# Units that are part of it, as the clusters of postgresql.service, stop by themselves, but nobody waits for them.
for part in $(systemctl show --property=ConsistsOf --value -- "$1"); do
    systemctl stop -- "$part"
done
