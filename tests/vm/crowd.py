#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Processes and threads in network namespaces, each in some cgroup. Runs in the guest, as
root, with the paths of cgroups of version 2 and of version 1 as JSON in a file, and
prints what /proc says of all tasks as one line of JSON.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import sys
import threading
import time
from typing import Any, Callable

CLONE_NEWNET, CLONE_NEWUTS, CLONE_NEWPID = 0x40000000, 0x04000000, 0x20000000
SYS_EXIT = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
PF_KTHREAD = 0x00200000
PR_SET_NAME = 15

V2, V1 = "/sys/fs/cgroup", "/run/crowd/v1"

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def name(text: str) -> None:
    """Name this thread."""
    check(libc.prctl(PR_SET_NAME, text.encode(), 0, 0, 0))


def forever() -> None:
    while True:
        time.sleep(1000)


Settled = Callable[[], None]


def start(run: Callable[[Settled], None]) -> None:
    """
    Run something in a process that stays, and wait until it waits: *run* returns, or
    calls what it is given.
    """
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(ready)
        for fd in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)

        def settled() -> None:
            os.write(done, b"x")
            os.close(done)

        run(settled)
        settled()
        forever()
    os.close(done)
    if os.read(ready, 1) != b"x":
        raise SystemExit("a process did not start")
    os.close(ready)


def into(top: str, path: str) -> None:
    os.makedirs(top + path, exist_ok=True)
    with open(f"{top}{path}/cgroup.procs", "w") as f:
        f.write("0")


def contained(top: str, path: str) -> Callable[[Settled], None]:
    def run(_: Settled) -> None:
        into(top, path)
        check(libc.unshare(CLONE_NEWNET))
        name("contained")

    return run


def thread_elsewhere(_: Settled) -> None:
    """One thread in a namespace of its own, one that stays."""
    name("leader")
    moved = threading.Event()

    def elsewhere() -> None:
        check(libc.unshare(CLONE_NEWNET))
        name("moved")
        moved.set()
        forever()

    threading.Thread(target=elsewhere).start()
    threading.Thread(target=forever).start()
    moved.wait()


def zombie_leader(settled: Settled) -> None:
    """A process whose leader has exited, and that lives."""
    check(libc.unshare(CLONE_NEWNET))
    name("zombie")

    def lives() -> None:
        name("lives")
        while "Z" not in open(f"/proc/{os.getpid()}/stat").read().split()[2]:
            time.sleep(0.1)
        settled()
        forever()

    threading.Thread(target=lives).start()
    libc.syscall(SYS_EXIT, 0)


def zombie(_: Settled) -> None:
    check(libc.unshare(CLONE_NEWNET))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    name("has a zombie")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def many(_: Settled) -> None:
    """More processes than are listed, in a namespace with a host name."""
    check(libc.unshare(CLONE_NEWNET | CLONE_NEWUTS))
    check(libc.sethostname(b"crowd-1", 7))
    ours, theirs = os.pipe()
    for i in range(14):
        if os.fork() == 0:
            name(f"many-{i}")
            os.write(theirs, b".")
            forever()
    for _i in range(14):
        os.read(ours, 1)


def nested(_: Settled) -> None:
    """Another PID namespace: its process has PID 1 there."""
    check(libc.unshare(CLONE_NEWPID))
    ours, theirs = os.pipe()
    if os.fork() == 0:
        check(libc.unshare(CLONE_NEWNET))
        name("pid\\1 there")
        os.write(theirs, b".")
        forever()
    os.read(ours, 1)


def read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def nodename(task: str) -> str:
    """Return the host name that a task has."""
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        check(libc.setns(os.open(f"{task}/ns/uts", os.O_RDONLY), 0))
        os.write(done, os.uname().nodename.encode())
        os._exit(0)
    os.close(done)
    said = os.read(ready, 100).decode()
    os.close(ready)
    os.waitpid(pid, 0)
    return said


def tasks() -> list[dict[str, Any]]:
    """Return what /proc says of all tasks that have a network namespace."""
    found = []
    names: dict[int, str] = {}
    for task in glob.glob("/proc/[0-9]*/task/[0-9]*"):
        _, _, tgid, _, tid = task.split("/")
        try:
            flags = int(read(f"{task}/stat").rpartition(")")[2].split()[6])
            net = os.stat(f"{task}/ns/net").st_ino
            uts = os.stat(f"{task}/ns/uts").st_ino
            lines = read(f"{task}/cgroup").splitlines()
            comm = read(f"{task}/comm")[:-1]
        except OSError:
            continue  # It exits, or has exited.
        if flags & PF_KTHREAD or int(tgid) == os.getpid():
            continue
        if uts not in names:
            names[uts] = nodename(task)
        cgroups = [line.split(":", 2)[2] for line in lines]
        found.append(
            {
                "tgid": int(tgid),
                "tid": int(tid),
                "comm": comm,
                "net": net,
                "cgroups": sorted(cgroups),
                "hostname": names[uts],
            }
        )
    return found


def main() -> None:
    with open(sys.argv[1]) as f:
        paths = json.load(f)
    os.makedirs(V1)
    mounted = libc.mount(b"none", V1.encode(), b"cgroup", 0, b"none,name=crowd") == 0
    for path in paths["v2"]:
        start(contained(V2, path))
    for path in paths["v1"] if mounted else ():
        start(contained(V1, path))
    for run in (thread_elsewhere, zombie_leader, zombie, many, nested):
        start(run)
    init = os.stat("/proc/1/ns/net").st_ino
    print(json.dumps({"tasks": tasks(), "v1": mounted, "init": init}))


if __name__ == "__main__":
    main()
