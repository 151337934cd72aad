#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make the containers of container_table.py: real cgroups with real processes in them.

Use: ``containers.py``. A hierarchy of version 1 is mounted at CGROUPS/NAME. Writes a
line ``GROUP PID`` for the first process of each group, and a record of each process::

    {"what": "container", "row": "docker by systemd", "pid": 220, "comm": "nginx",
     "netns": 4026532529, "path": "...", "hierarchies": [""],
     "container": null or {"id", "runtime", "cgroup", "pod", "within"}}
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import sys

from container_table import ROWS, Row
from libc import checked, libc
from places import RUN
from stay import record, stay_behind

__all__ = ("main",)

CGROUPS = RUN + "/cgroup"
CGROUP2 = "/sys/fs/cgroup"
CLONE_NEWUTS = 0x04000000
CLONE_NEWNET = 0x40000000


def _enter(path: str, kind: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    checked(libc.setns(fd, kind))
    os.close(fd)


def _start(row: Row, first: int | None) -> int:
    """Start the process of a row, and return its id.

    :param first: the first process of the same group
    """

    def prepare() -> Sequence[int]:
        for hierarchy in row.hierarchies:
            top = f"{CGROUPS}/{hierarchy}" if hierarchy else CGROUP2
            os.makedirs(top + row.path, exist_ok=True)
            with open(top + row.path + "/cgroup.procs", "w", encoding="ascii") as f:
                f.write("0")
        if row.group == "host":
            return ()
        if first is None:
            checked(libc.unshare(CLONE_NEWNET | CLONE_NEWUTS))
        else:
            _enter(f"/proc/{first}/ns/net", CLONE_NEWNET)
            _enter(f"/proc/{first}/ns/uts", CLONE_NEWUTS)
        if row.hostname is not None:
            name = row.hostname.encode()
            checked(libc.sethostname(name, len(name)))
        return ()

    return stay_behind(row.comm.encode(), prepare)


def main(arguments: Sequence[str]) -> int:
    """Start all of them."""
    if arguments:
        print("usage: containers.py", file=sys.stderr)
        return 2
    groups: dict[str, int] = {}
    for row in ROWS:
        pid = _start(row, groups.get(row.group) if row.group else None)
        if row.group is not None and row.group not in groups:
            groups[row.group] = pid
            print(row.group.replace(" ", "_"), pid)
        record(
            {
                "what": "container",
                "row": row.what,
                "pid": pid,
                "comm": row.comm,
                "netns": os.stat(f"/proc/{pid}/ns/net").st_ino,
                "path": row.path,
                "hierarchies": list(row.hierarchies),
                "container": row.container and row.container._asdict(),
            }
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
