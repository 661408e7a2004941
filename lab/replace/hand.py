#!/usr/bin/env python3
"""The operator's hand in scripts/replace: asks the lab's provider as the definition names it.

    hand.py DEFINITION ask OP NAME [MACHINE]    one call, its answer on standard output
    hand.py DEFINITION prepare                  volumes for notes1 and kept1, the addresses for web1 and notes1
    hand.py DEFINITION file PATH                what the definition writes to this file
    hand.py DEFINITION host-of VOLUME           the host of the lab whose machine has it
    hand.py DEFINITION host-named MACHINE       the host of the lab that is this machine
    hand.py DEFINITION cloud                    all that the provider remembers
"""

import json
import os
import subprocess
import sys
import textwrap

LINE = "  machines: "


def provider(definition):
    for line in definition.splitlines():
        if line.startswith(LINE):
            return json.loads(line[len(LINE) :])
    sys.exit("the definition names no provider")


def ask(provider, op, name, machine="", identity=None, token="by hand"):
    kind = op.rpartition("-")[2]
    request = {
        "contract": 1,
        "op": op,
        "token": token + " " + op + " " + name,
        "machine": name if "-" not in op else machine,
        "image": None,
        "params": {},
        "expect": {"identity": None, "machine": identity},
        "config": provider["config"],
        kind: name,
    }
    done = subprocess.run(
        [provider["script"]], input=json.dumps(request), stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return json.loads(done.stdout)


def cloud(provider):
    with open(os.path.join(provider["config"]["dir"], "cloud.json"), encoding="utf-8") as file:
        return json.load(file)


def identity(provider, machine):
    return ask(provider, "describe", machine)["identity"]


def prepare(provider):
    for volume, machine in (("notes", "notes1"), ("kept", "kept1")):
        ask(provider, "create-volume", volume, machine)
        ask(provider, "attach-volume", volume, machine, identity(provider, machine))
    for address, machine in (("shop", "web1"), ("notes", "notes1")):
        ask(provider, "move-address", address, machine, identity(provider, machine))


def content(definition, path):
    """The block below `content: |` of the file with this path."""
    lines = iter(definition.splitlines())
    for line in lines:
        if line.strip() == "path: " + path:
            break
    for line in lines:
        if line.strip() == "content: |":
            indent = len(line) - len(line.lstrip())
            break
    block = []
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        block.append(line)
    return textwrap.dedent("\n".join(block)).rstrip("\n") + "\n"


def host_of(provider, volume):
    has = cloud(provider)["volumes"][volume]["machine"]
    config = provider["config"]
    for name in config["hosts"] + list(cloud(provider)["names"]):
        if identity(provider, name) == has:
            return cloud(provider)["names"].get(name, name)
    sys.exit("nobody has " + volume)


def main():
    path, verb, *rest = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        definition = file.read()
    own = provider(definition)
    if verb == "ask":
        print(json.dumps(ask(own, *rest)))
    elif verb == "prepare":
        prepare(own)
    elif verb == "file":
        sys.stdout.write(content(definition, *rest))
    elif verb == "host-of":
        print(host_of(own, *rest))
    elif verb == "host-named":
        print(cloud(own)["names"].get(rest[0], rest[0]))
    elif verb == "cloud":
        print(json.dumps(cloud(own)))
    else:
        sys.exit(__doc__)


main()
