# SPDX-License-Identifier: LGPL-2.1-or-later
"""Record who is in each network namespace, and what holds it, from /proc.

::

    {"tasks": [{"tgid": 220, "tid": 221, "comm": "...", "leader_comm": "...",
                "state": "S", "kernel_thread": false,
                "netns": INUM, or null if it has none any more,
                "cgroup": ["0::/system.slice/...", ...]}],
     "hostnames": {INUM as text: of the UTS namespace of its lowest process},
     "mounts": [{"netns": INUM, "path": "...", "mount_namespace": INUM,
                 "initial": whether that is the one of process 1}],
     "fds": [{"netns": INUM, "pid": 300, "comm": "...", "fd": 5}],
     "scene": [the records of WHOSE_RECORDS]}

What records is not in it, nor are those who wait for that, except for process 1.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
import os
import re

from libc import checked, libc
from namespaces import net_of_file, unescape_mount
from places import WHOSE_RECORDS, lines

__all__ = ("record_whose",)

PF_KTHREAD = 0x00200000
CLONE_NEWUTS = 0x04000000

Record = dict[str, object]


def _read(path: str) -> str:
    with open(path, "rb") as f:
        return f.read().decode("utf-8", "surrogateescape")


def _inum(link: str, kind: str) -> int | None:
    """Return 4026531840 of a link net:[4026531840]."""
    try:
        text = os.readlink(link)
    except OSError:
        return None
    match = re.fullmatch(rf"{kind}:\[(\d+)\]", text)
    return int(match.group(1)) if match else None


def _stat(path: str) -> list[str]:
    """Return the fields of a stat file, from the state on."""
    return _read(path).rsplit(") ", 1)[1].split()


def _own() -> set[int]:
    """Return this process and its parents, except for process 1."""
    found = set()
    pid = os.getpid()
    while pid > 1:
        found.add(pid)
        pid = int(_stat(f"/proc/{pid}/stat")[1])
    return found


def _tasks(pid: int) -> Iterator[Record]:
    top = f"/proc/{pid}"
    for tid in sorted(map(int, os.listdir(top + "/task"))):
        task = f"{top}/task/{tid}"
        fields = _stat(task + "/stat")
        yield {
            "tgid": pid,
            "tid": tid,
            "comm": _read(task + "/comm")[:-1],
            "leader_comm": _read(top + "/comm")[:-1],
            "state": fields[0],
            "kernel_thread": bool(int(fields[6]) & PF_KTHREAD),
            "netns": _inum(task + "/ns/net", "net"),
            "cgroup": _read(task + "/cgroup").split("\n")[:-1],
        }


def _mounts(pid: int, seen: set[int], initial: int | None) -> Iterator[Record]:
    namespace = _inum(f"/proc/{pid}/ns/mnt", "mnt")
    if namespace is None or namespace in seen:
        return
    seen.add(namespace)
    with open(f"/proc/{pid}/mountinfo", "rb") as f:
        rows = [line.split(b" ") for line in f.read().splitlines()]
    for row in rows:
        match = re.fullmatch(rb"net:\[(\d+)\]", row[3])
        if match:
            yield {
                "netns": int(match.group(1)),
                "path": unescape_mount(row[4]),
                "mount_namespace": namespace,
                "initial": namespace == initial,
            }


def _fds(pid: int) -> Iterator[Record]:
    top = f"/proc/{pid}"
    for fd in sorted(map(int, os.listdir(top + "/fd"))):
        netns = net_of_file(f"{top}/fd/{fd}")
        if netns is not None:
            comm = _read(top + "/comm")[:-1]
            yield {"netns": netns, "pid": pid, "comm": comm, "fd": fd}


def _hostnames(tasks: list[Record]) -> dict[str, str]:
    """Return the host name that the first process of each namespace sees."""
    first: dict[str, Record] = {}
    for task in tasks:
        if task["netns"] is not None and not task["kernel_thread"]:
            first.setdefault(str(task["netns"]), task)
    home = os.open("/proc/self/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
    names = {}
    for netns, task in first.items():
        path = f"/proc/{task['tgid']}/task/{task['tid']}/ns/uts"
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        checked(libc.setns(fd, CLONE_NEWUTS))
        os.close(fd)
        names[netns] = os.uname().nodename
    checked(libc.setns(home, CLONE_NEWUTS))
    os.close(home)
    return names


def record_whose() -> Record:
    """Record it. Nothing else may run meanwhile that starts and ends processes."""
    initial = _inum("/proc/1/ns/mnt", "mnt")
    tasks: list[Record] = []
    mounts: list[Record] = []
    fds: list[Record] = []
    seen: set[int] = set()
    own = _own()
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid in own:
            continue
        try:
            tasks.extend(_tasks(pid))
            if not tasks[-1]["kernel_thread"]:
                mounts.extend(_mounts(pid, seen, initial))
                fds.extend(_fds(pid))
        except (FileNotFoundError, ProcessLookupError):
            continue  # A kernel thread that ended meanwhile.
    return {
        "tasks": tasks,
        "hostnames": _hostnames(tasks),
        "mounts": mounts,
        "fds": fds,
        "scene": [json.loads(line) for line in lines(WHOSE_RECORDS)],
    }
