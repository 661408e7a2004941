systemctl unmask -- "$1"
# Packages may have brought new unit files, and generators new instances, while it was masked.
systemctl daemon-reload
systemctl start -- "$1"
