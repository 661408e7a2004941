#!/usr/bin/env python3
"""Measures whole trees of processes, daemons that leave their parent included.

tree.py run FILE COMMAND...   carries out a command and ends whatever it leaves behind; FILE gets its wall
                              seconds, processor seconds of all of it, and the largest peak of one process (KiB)
tree.py hold COMMAND...       carries out a command and takes in its orphans, for `used`
tree.py used PID              prints the processor seconds of everything below a holder, ended or not
"""
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def take_in_orphans():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("tree.py: orphans cannot be taken in")


def stats():
    """Parent and clock ticks, those of ended children included, of every process."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(name)] = (int(fields[1]), sum(int(ticks) for ticks in fields[11:15]))
    return found


def below(root):
    """The processes below one, and that one, each with its ticks."""
    all_of_them, inside = stats(), {root}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in all_of_them.items() if parent in inside} - inside
        inside |= more
        grown = bool(more)
    return {pid: all_of_them[pid][1] for pid in inside if pid in all_of_them}


def run(file, command):
    take_in_orphans()
    began = time.monotonic()
    child = subprocess.Popen(command)
    code = child.wait()
    seconds = time.monotonic() - began
    while True:
        for pid in below(os.getpid()):
            if pid != os.getpid():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(file, "w") as out:
        out.write(f"{seconds:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss}\n")
    return code if code >= 0 else 128 - code


def hold(command):
    take_in_orphans()
    subprocess.Popen(command)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return 0


def main(words):
    if len(words) >= 3 and words[0] == "run":
        return run(words[1], words[2:])
    if len(words) >= 2 and words[0] == "hold":
        return hold(words[1:])
    if len(words) == 2 and words[0] == "used":
        print(sum(below(int(words[1])).values()) / os.sysconf("SC_CLK_TCK"))
        return 0
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
