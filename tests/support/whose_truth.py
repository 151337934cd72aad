# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Whose namespaces these are
--------------------------

Turns what /proc said in the guest (``whose`` in truth.json, see
vmcores/lab/guest/whose.py), and what the scene knows, into the values that the
namespaces of a report have to have. tests/support/whose.py compares them.

Which container a process is in stands in the scene's own table
(vmcores/lab/guest/container_table.py). A process that is not in that table is in none.
"""

import collections
from collections.abc import Iterator, Mapping, Sequence
import posixpath
from typing import Any, NamedTuple, Optional

__all__ = ("ABSENT", "PANICKING", "expected_labels", "expected_namespaces")

#: The value of a key that a namespace does not have.
ABSENT = "(absent)"
#: The names of runtimes whose ids are names, which labels do not shorten.
_NAMED = ("lxc", "systemd-nspawn")
_SHOWN = 10


#: How many processes make the kernel panic: a shell, and who writes to sysrq-trigger.
PANICKING = 2

Value = tuple[str, Any]  # who says so, and what


def _text(text: str) -> str:
    # The truth has bytes that are not UTF-8 as surrogates, the contract as \xNN.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class _Process(NamedTuple):
    pid: int
    comm: str


def _processes(tasks: Sequence[Mapping[str, Any]]) -> list[_Process]:
    # Of the threads that are in one namespace. *comm* is that of the first thread if
    # that is among them.
    found: dict[int, Mapping[str, Any]] = {}
    for task in sorted(tasks, key=lambda t: (t["tgid"], t["tid"])):
        found.setdefault(task["tgid"], task)
    return [_Process(pid, _text(task["comm"])) for pid, task in found.items()]


class _Expected:
    def __init__(self, truth: Mapping[str, Any], later: int) -> None:
        self.namespaces = {int(i): n for i, n in truth["namespaces"].items()}
        (self.init,) = (i for i, n in self.namespaces.items() if n["init"])
        whose = truth["whose"]
        self.hostnames = {int(i): name for i, name in whose["hostnames"].items()}
        self.later = later
        self.mounts = whose["mounts"]
        self.fds = whose["fds"]
        self.held = [r for r in whose["scene"] if r["what"] == "holder"]
        self.rows = {r["pid"]: r for r in whose["scene"] if r["what"] == "container"}
        tasks = collections.defaultdict(list)
        for task in whose["tasks"]:
            if not task["kernel_thread"] and task["netns"] is not None:
                tasks[task["netns"]].append(task)
        self.processes = {i: _processes(tasks[i]) for i in self.namespaces}
        self.nsids = {
            inum: int(nsid)
            for nsid, inum in self.namespaces[self.init]["nsids"].items()
        }

    def container_of(self, pid: int) -> Optional[dict[str, Any]]:
        row = self.rows.get(pid)
        if row is None or row["container"] is None:
            return None
        container = dict(row["container"])
        container["id"] = _text(container["id"])
        container["cgroup"] = _text(container["cgroup"])
        return container

    def containers(self, inum: int) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for process in self.processes[inum]:
            container = self.container_of(process.pid)
            if container is not None:
                found.setdefault(container["id"], container)
        return list(found.values())

    def paths(self, inum: int, initial: bool) -> list[str]:
        """Return where it is mounted: as process 1 sees it, or as others do."""
        return sorted(
            {
                _text(mount["path"])
                for mount in self.mounts
                if mount["netns"] == inum and mount["initial"] == initial
            }
        )

    def names(self, inum: int) -> list[str]:
        prefix = "/run/netns/"
        paths = self.paths(inum, True)
        return [p[len(prefix) :] for p in paths if p.startswith(prefix)]

    def holders(self, inum: int) -> Optional[list[dict[str, Any]]]:
        """Return what holds it; None if nobody had to look."""
        mounts = self.paths(inum, True) or self.paths(inum, False)
        if inum == self.init or self.processes[inum] or mounts:
            return None
        held = [
            {"kind": "fd", "pid": f["pid"], "comm": _text(f["comm"]), "fd": f["fd"]}
            for f in self.fds
            if f["netns"] == inum
        ]
        # A descriptor of tun is a socket to the kernel.
        kinds = {"socket": "socket", "tun": "socket"}
        for record in self.held:
            if record["netns"] == inum and record["kind"] in kinds:
                one = {key: record[key] for key in ("pid", "comm", "fd")}
                held.append({"kind": kinds[record["kind"]], **one})
        return sorted(held, key=lambda h: (h["pid"], h["fd"]))

    def _label(self, inum: int) -> str:
        if inum == self.init:
            return "host"
        for name in self.names(inum):
            return name
        for container in self.containers(inum):
            runtime, id = container["runtime"] or "container", container["id"]
            return f"{runtime}:{id if runtime in _NAMED else id[:12]}"
        for path in self.paths(inum, True) or self.paths(inum, False):
            return posixpath.basename(path)
        for process in self.processes[inum]:
            return f"pid:{process.pid}({process.comm})"
        for holder in self.holders(inum) or ():
            return f"fd:{holder['pid']}/{holder['fd']}"
        return f"net:{inum}"

    def labels(self) -> dict[int, str]:
        labels = {inum: self._label(inum) for inum in self.namespaces}
        count = collections.Counter(labels.values())
        return {
            inum: label if count[label] == 1 or inum == self.init else f"{label}@{inum}"
            for inum, label in labels.items()
        }

    def tasks(self, inum: int) -> Iterator[dict[str, Any]]:
        for process in self.processes[inum][:_SHOWN]:
            container = self.container_of(process.pid)
            yield {
                "pid": process.pid,
                "comm": process.comm,
                "container": container and container["id"],
            }

    def namespace(self, inum: int, label: str) -> Iterator[tuple[str, Value]]:
        processes = self.processes[inum]
        hostname = self.hostnames.get(inum)
        yield "label", ("design", label)
        yield "hostname", ("uname", None if hostname is None else _text(hostname))
        yield "names", ("mountinfo", self.names(inum))
        mounts, others = self.paths(inum, True), self.paths(inum, False)
        yield "mounts", ("mountinfo", mounts)
        yield "other_mounts", ("mountinfo", ABSENT if mounts else others or ABSENT)
        yield "nsid", ("netlink", self.nsids.get(inum))
        later = self.later if inum == self.init else 0
        yield "task_count", ("proc", len(processes) + later)
        yield "tasks", ("proc", list(self.tasks(inum)))
        yield "containers", ("scene", self.containers(inum))
        holders = self.holders(inum)
        yield "holders", ("scene", ABSENT if holders is None else holders)


def expected_namespaces(
    truth: Mapping[str, Any], later: int = PANICKING
) -> dict[int, dict[str, Value]]:
    """
    Return what each namespace has to have, by inode number and key, and who says so.

    :param later: How many processes came to the initial namespace after the truth
    """
    expected = _Expected(truth, later)
    labels = expected.labels()
    return {
        inum: dict(expected.namespace(inum, labels[inum]))
        for inum in expected.namespaces
    }


def expected_labels(truth: Mapping[str, Any]) -> dict[int, str]:
    """Return what each namespace is called, by inode number."""
    return _Expected(truth, 0).labels()
