#!/bin/sh
# A provider that only tells of machines, in shell: an example of the contract in docs/providers.md.
# Each machine is a folder below `config.cloud` with the files `identity` and `machine-id`.
# Needs jq.
set -eu
request=$(cat)
field() { printf '%s' "$request" | jq -er "$1"; }
if [ "$(field .op)" != describe ]; then
    echo "this provider changes nothing" >&2
    exit 75
fi
name=$(field .machine)
case $name in */* | .*) echo "that is no name of a machine" >&2; exit 75 ;; esac
machine=$(field .config.cloud)/$name
if [ ! -d "$machine" ]; then
    echo '{"identity": "", "state": "absent"}'
    exit 0
fi
jq -cn --arg identity "$(cat "$machine/identity")" --arg machine_id "$(cat "$machine/machine-id")" \
    '{identity: $identity, state: "running", machine_id: $machine_id}'
