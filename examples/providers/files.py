#!/usr/bin/env python3
"""A provider whose cloud is a folder: an example of the contract in docs/providers.md.

Each machine is a file NAME.json in the folder `config.cloud`, each volume a file NAME.volume.json, each address a
file NAME.address.json. Making a machine anew gives it the next identity and the host keys in `config.host_keys`; a
token that was seen before gives the same again.
"""

import json
import os
import sys
import uuid

DONE, FAILED, NOTHING_CHANGED = 0, 1, 75
STATES = {"stop": "stopped", "start": "running", "destroy": "absent"}


def fail(code, why):
    sys.stderr.write(why + "\n")
    sys.exit(code)


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def save(path, thing):
    # Whole or not at all: a call that is cut off must be able to see what it did.
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(thing, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


def said(thing):
    if thing is None or thing["state"] == "absent":
        thing = {"identity": "", "state": "absent"}
    print(json.dumps({key: value for key, value in thing.items() if key != "tokens"}))
    sys.exit(DONE)


class Cloud:
    def __init__(self, request):
        self.request, self.config = request, request["config"]

    def path(self, name, kind=""):
        if "/" in name or name.startswith("."):
            fail(NOTHING_CHANGED, "that is no name")
        return os.path.join(self.config["cloud"], name + kind + ".json")

    def made(self, thing):
        """With the token of this call, by which the same call is known again."""
        return {**thing, "tokens": thing.get("tokens", []) + [self.request["token"]]}

    def was_made(self, thing):
        return thing is not None and self.request["token"] in thing.get("tokens", [])

    def new_machine(self, before):
        return {
            "identity": "file-" + uuid.uuid4().hex,
            "state": "running",
            "image": self.request["image"],
            "address": self.config.get("new_address"),
            "host_keys": self.config.get("host_keys", []),
            "machine_id": self.config.get("new_machine_id"),
            "protected": self.config.get("protected", False),
            "tokens": (before or {}).get("tokens", []),
        }

    def machine(self):
        op, path = self.request["op"], self.path(self.request["machine"])
        machine = load(path)
        if op == "describe" or self.was_made(machine):
            said(machine)
        if machine is None and op != "create":
            fail(NOTHING_CHANGED, "there is no machine " + self.request["machine"])
        if op == "rename":
            return self.rename(path, machine)
        if op in ("rebuild", "create"):
            machine = self.new_machine(machine)
        elif op == "unprotect":
            machine["protected"] = False
        elif op == "destroy" and machine.get("protected"):
            fail(NOTHING_CHANGED, self.request["machine"] + " is protected")
        elif op in STATES:
            machine["state"] = STATES[op]
        else:
            fail(NOTHING_CHANGED, "this provider cannot " + op)
        machine = self.made(machine)
        save(path, machine)
        said(machine)

    def rename(self, path, machine):
        to = self.path(self.request["to"])
        if load(to) is not None:
            fail(NOTHING_CHANGED, "there is a machine " + self.request["to"])
        machine = self.made(machine)
        save(path, machine)
        os.rename(path, to)
        said(machine)

    def belonging(self, kind):
        """A volume or an address: at most one machine has it."""
        name, op = self.request[kind], self.request["op"]
        path = self.path(name, "." + kind)
        thing = load(path)
        if op == "describe-" + kind or self.was_made(thing):
            said(thing)
        if op == "create-" + kind and thing is None:
            thing = {"identity": kind + "-" + uuid.uuid4().hex, "state": "free", "machine": None}
        elif thing is None:
            fail(NOTHING_CHANGED, "there is no " + kind + " " + name)
        elif op == "detach-" + kind:
            thing.update(state="free", machine=None)
        elif op in ("attach-volume", "move-address"):
            if kind == "volume" and thing["state"] == "attached":
                fail(NOTHING_CHANGED, name + " is with a machine already")
            # The machine's identity, not its name: a name may come to mean another machine.
            thing.update(state="attached", machine=self.request["expect"]["machine"])
            if kind == "volume":
                thing["device"] = "/dev/disk/by-id/" + thing["identity"]
        else:
            fail(NOTHING_CHANGED, "this provider cannot " + op)
        thing = self.made(thing)
        save(path, thing)
        said(thing)


def main():
    request = json.load(sys.stdin)
    if request["contract"] != 1:
        fail(NOTHING_CHANGED, "this provider knows contract 1")
    cloud = Cloud(request)
    for kind in ("volume", "address"):
        if request["op"].endswith("-" + kind):
            cloud.belonging(kind)
    cloud.machine()


main()
