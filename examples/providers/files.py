#!/usr/bin/env python3
"""A provider of machines whose cloud is a folder: an example of the contract in docs/providers.md.

Each machine is a file NAME.json in the folder `config.cloud`. Making one anew gives it the next identity
and the host keys in `config.host_keys`; a token that was seen before gives the same machine again.
"""

import json
import os
import sys
import uuid

DONE, FAILED, NOTHING_CHANGED = 0, 1, 75


def fail(code, why):
    sys.stderr.write(why + "\n")
    sys.exit(code)


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def save(path, machine):
    # Whole or not at all: a call that is cut off must be able to see what it did.
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(machine, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


def answer(machine):
    if machine is None or machine["state"] == "absent":
        return {"identity": "", "state": "absent"}
    return {key: value for key, value in machine.items() if key != "tokens"}


def make(request, machine):
    config, tokens = request["config"], (machine or {}).get("tokens", [])
    return {
        "identity": "file-" + uuid.uuid4().hex,
        "state": "running",
        "image": request["image"],
        "host_keys": config.get("host_keys", []),
        "machine_id": config.get("new_machine_id"),
        "tokens": tokens + [request["token"]],
    }


def main():
    request = json.load(sys.stdin)
    if request["contract"] != 1:
        fail(NOTHING_CHANGED, "this provider knows contract 1")
    name = request["machine"]
    if "/" in name or name.startswith("."):
        fail(NOTHING_CHANGED, "that is no name of a machine")
    path = os.path.join(request["config"]["cloud"], name + ".json")
    machine, op = load(path), request["op"]
    if op == "describe" or (machine and request["token"] in machine.get("tokens", [])):
        print(json.dumps(answer(machine)))
        sys.exit(DONE)
    if machine is None and op != "create":
        fail(NOTHING_CHANGED, "there is no machine " + name)
    if op in ("rebuild", "create"):
        machine = make(request, machine)
    else:
        state = {"stop": "stopped", "start": "running", "destroy": "absent"}[op]
        machine["state"] = state
        machine["tokens"] = machine.get("tokens", []) + [request["token"]]
    save(path, machine)
    print(json.dumps(answer(machine)))


main()
