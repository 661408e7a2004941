#!/bin/sh
# A provider that only tells of machines and volumes, in shell: an example of the contract in docs/providers.md.
# Each machine is a folder below `config.cloud` with the files `identity` and `machine-id`; each volume a folder
# below `config.cloud`/volumes with the files `identity` and, when a machine has it, `machine` and `device`.
# Needs jq.
set -eu
request=$(cat)
field() { printf '%s' "$request" | jq -er "$1"; }
plain() { case $1 in */* | .*) echo "that is no name" >&2; exit 75 ;; esac; }
case $(field .op) in
describe)
    name=$(field .machine)
    plain "$name"
    machine=$(field .config.cloud)/$name
    if [ ! -d "$machine" ]; then
        echo '{"identity": "", "state": "absent"}'
        exit 0
    fi
    jq -cn --arg identity "$(cat "$machine/identity")" --arg machine_id "$(cat "$machine/machine-id")" \
        '{identity: $identity, state: "running", machine_id: $machine_id}'
    ;;
describe-volume)
    name=$(field .volume)
    plain "$name"
    volume=$(field .config.cloud)/volumes/$name
    if [ ! -d "$volume" ]; then
        echo '{"identity": "", "state": "absent"}'
    elif [ -e "$volume/machine" ]; then
        jq -cn --arg identity "$(cat "$volume/identity")" --arg machine "$(cat "$volume/machine")" \
            --arg device "$(cat "$volume/device")" \
            '{identity: $identity, state: "attached", machine: $machine, device: $device}'
    else
        jq -cn --arg identity "$(cat "$volume/identity")" '{identity: $identity, state: "free"}'
    fi
    ;;
*)
    echo "this provider changes nothing" >&2
    exit 75
    ;;
esac
