#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Record what the kernel's own tools say in every network namespace.

Use: ``truth.py OUT``. Nothing is interpreted here: a reader of the file decides
what a value means. The scene is left as it was.

OUT is JSON in ASCII, keys sorted. Text in it is UTF-8 decoded with Python's
``surrogateescape``, so ``text.encode("utf-8", "surrogateescape")`` gives back the
bytes, whatever a device is called. ``ip -j`` writes control characters as they
are: read its text with ``json.loads(text, strict=False)``. COMMAND below is
``{"argv": [...], "status": 0, "stdout": "...", "stderr": "..."}``. VALUE is the text
of a file without its last newline, or ``{"errno": "ENOENT"}`` if the read failed.
LINK is the name that a symbolic link leads to, or null where there is none.

::

    {"format": "drgn-veth-truth/1",
     "kernel": {"release": "6.1.0-...", "version": "#1 SMP ...", "machine": "x86_64"},
     "page_size": 4096,
     "cpus": {"possible": VALUE, "online": VALUE},
     "sysctl": {"net.core.rps_sock_flow_entries": VALUE},
     "meminfo": VALUE,
     "dmesg": "...",
     "bpftool_prog": COMMAND, "bpftool_link": COMMAND,
     "xdp": [the records of xdp.py],
     "scene_log": ["what the scene said", ...],
     "dying": null, or {"netns": INUM, "links": COMMAND of `ip -d -j link show` in it},
     "seconds": 12.3,
     "namespaces": {INUM as text:
       {"init": true, "names": [those of `ip netns`], "mounts": ["/run/netns/NAME"],
        "pids": [{"pid": 1, "comm": "init"}],
        "ip_link": COMMAND `ip -d -j link show`,
        "bpftool_net": COMMAND `bpftool -j net show`,
        "ethtool_channels": COMMAND `ethtool -l *`: text, all that have channels,
        "sysctl": {"net.core.rps_default_mask": VALUE},
        "nsids": {NSID as text: INUM},
        "sysfs": {NAME:
          {"ifindex": VALUE, and likewise iflink address addr_len type mtu operstate
           flags ifalias carrier,
           "master": LINK, "driver": LINK, "uppers": [names], "lowers": [names],
           "queues": {"rx-0": {"rps_cpus": VALUE, "rps_flow_cnt": VALUE},
                      "tx-0": {"xps_cpus": VALUE, "xps_rxqs": VALUE}}}}}}}

``nsids`` are the numbers by which this namespace knows others: what ``link_netnsid``
of its ``ip_link`` means.

A scene that leaves the kernel in a state where these questions would hang runs this
program itself and then makes /run/lab/truth-done, which turns later runs into nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any, Union

__all__ = ("Namespace", "find_namespaces", "main", "record", "settle")

Value = Union[str, dict[str, str]]

RUN = "/run/lab"
DONE = RUN + "/truth-done"
DYING = RUN + "/dying"

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

SYSLOG_ACTION_READ_ALL = 3
SYSLOG_ACTION_SIZE_BUFFER = 10

NLM_F_REQUEST = 0x1
NLM_F_DUMP = 0x300
NLMSG_ERROR = 2
NLMSG_DONE = 3
RTM_GETNSID = 90
NETNSA_NSID = 1
NETNSA_FD = 3

DEVICE_FILES = (
    "ifindex",
    "iflink",
    "address",
    "addr_len",
    "type",
    "mtu",
    "operstate",
    "flags",
    "ifalias",
    "carrier",
)
SETTLE_SECONDS = 1.2
SETTLE_TRIES = 20

QUEUE_FILES = {"rx": ("rps_cpus", "rps_flow_cnt"), "tx": ("xps_cpus", "xps_rxqs")}

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _setns(fd: int) -> None:
    _checked(_libc.setns(fd, CLONE_NEWNET))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _errno(e: OSError) -> dict[str, str]:
    return {"errno": errno.errorcode.get(e.errno or 0, str(e.errno))}


def _value(path: str) -> Value:
    """Read a small file of sysfs or procfs."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, 65536)
        finally:
            os.close(fd)
    except OSError as e:
        return _errno(e)
    return _text(data[:-1] if data.endswith(b"\n") else data)


def _sysctl(name: str) -> dict[str, Value]:
    return {name: _value("/proc/sys/" + name.replace(".", "/"))}


def _link(path: str) -> str | None:
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return None


class _Command:
    """A running command. Several at once: starting one is what takes the time."""

    def __init__(self, *argv: str) -> None:
        self.argv = argv
        # Files, not pipes: nobody reads while they run.
        self.out = tempfile.TemporaryFile(dir="/tmp")
        self.err = tempfile.TemporaryFile(dir="/tmp")
        try:
            self.process: subprocess.Popen[bytes] | None = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err
            )
        except FileNotFoundError as e:
            self.process = None
            self.err.write(str(e).encode())

    def result(self) -> dict[str, object]:
        status = 127 if self.process is None else self.process.wait()
        texts = []
        for f in self.out, self.err:
            f.seek(0)
            texts.append(_text(f.read()))
            f.close()
        return {
            "argv": list(self.argv),
            "status": status,
            "stdout": texts[0],
            "stderr": texts[1],
        }


class Namespace:
    """A network namespace, held open by a descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.inum = os.fstat(fd).st_ino
        self.mounts: set[str] = set()
        self.pids: dict[int, str] = {}

    def names(self) -> list[str]:
        prefix = "/run/netns/"
        return sorted(m[len(prefix) :] for m in self.mounts if m.startswith(prefix))


def _unescape_mount(field: bytes) -> str:
    r"""Turn the \040 of mountinfo back into the byte."""
    parts = field.split(b"\\")
    out = parts[0]
    for part in parts[1:]:
        out += bytes([int(part[:3], 8)]) + part[3:]
    return _text(out)


def find_namespaces() -> dict[int, Namespace]:
    """Find every network namespace that a process, a mount or a file holds.

    By inode number, in ascending order.
    """
    found: dict[int, Namespace] = {}

    def add(path: str, inum: int | None) -> Namespace | None:
        if inum is not None and inum in found:
            return found[inum]
        try:
            namespace = Namespace(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return None  # The process ended meanwhile.
        if namespace.inum in found:
            os.close(namespace.fd)
        return found.setdefault(namespace.inum, namespace)

    def inum_of(link: str) -> int | None:
        """Return 4026531840 of the link text net:[4026531840]."""
        try:
            text = os.readlink(link)
        except OSError:
            return None
        return int(text[5:-1]) if text.startswith("net:[") else None

    seen_mount_namespaces: set[str] = set()
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        proc = f"/proc/{pid}"
        try:
            threads = os.listdir(proc + "/task")
        except OSError:
            continue
        for tid in threads:
            link = f"{proc}/task/{tid}/ns/net"
            inum = inum_of(link)
            namespace = None if inum is None else add(link, inum)
            if namespace is None or int(tid) != pid or pid == os.getpid():
                continue
            comm = _value(proc + "/comm")
            namespace.pids[pid] = comm if isinstance(comm, str) else ""
        try:
            descriptors = os.listdir(proc + "/fd")
            mount_namespace = os.readlink(proc + "/ns/mnt")
        except OSError:
            continue
        for name in descriptors if pid != os.getpid() else ():
            inum = inum_of(f"{proc}/fd/{name}")
            if inum is not None:
                add(f"{proc}/fd/{name}", inum)
        if mount_namespace in seen_mount_namespaces:
            continue
        seen_mount_namespaces.add(mount_namespace)
        try:
            with open(proc + "/mountinfo", "rb") as f:
                lines = f.read().splitlines()
        except OSError:
            continue
        for line in lines:
            fields = line.split(b" ")
            if fields[3].startswith(b"net:["):
                path = _unescape_mount(fields[4])
                namespace = add(f"{proc}/root{path}", int(fields[3][5:-1]))
                if namespace is not None:
                    namespace.mounts.add(path)
    return {inum: found[inum] for inum in sorted(found)}


def _in_child(function: Callable[[], Any]) -> Any:
    """Run a function in a forked child, which may change its namespaces, and return
    its result, which must fit into JSON."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            with os.fdopen(write_end, "w", encoding="ascii") as out:
                json.dump(function(), out)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, encoding="ascii") as f:
        text = f.read()
    _, wait_status = os.waitpid(child, 0)
    if wait_status != 0:
        raise RuntimeError("the child that was to record a namespace failed")
    return json.loads(text)


def _sysfs_queues(path: str) -> dict[str, dict[str, Value]]:
    queues = {}
    try:
        names = os.listdir(path)
    except OSError:
        return {}
    for name in names:
        files = QUEUE_FILES[name.split("-")[0]]
        queues[name] = {file: _value(f"{path}/{name}/{file}") for file in files}
    return queues


def _sysfs_device(path: str) -> dict[str, object]:
    device: dict[str, object] = {
        file: _value(path + "/" + file) for file in DEVICE_FILES
    }
    entries = sorted(os.listdir(path))
    device["master"] = _link(path + "/master")
    device["driver"] = _link(path + "/device/driver")
    device["uppers"] = [e[6:] for e in entries if e.startswith("upper_")]
    device["lowers"] = [e[6:] for e in entries if e.startswith("lower_")]
    device["queues"] = _sysfs_queues(path + "/queues")
    return device


def _sysfs() -> dict[str, object]:
    """Every device that sysfs, mounted anew, shows to this namespace."""
    # The same file system twice on one mount point is EBUSY.
    _checked(_libc.umount2(b"/sys", MNT_DETACH))
    _checked(_libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None))
    top = "/sys/class/net"
    return {
        name: _sysfs_device(top + "/" + name)
        for name in os.listdir(top)
        # bonding_masters is a file there.
        if os.path.isdir(top + "/" + name)
    }


def _record_namespace(namespace: Namespace) -> dict[str, object]:
    def inside() -> dict[str, object]:
        _setns(namespace.fd)
        _checked(_libc.unshare(CLONE_NEWNS))
        _checked(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
        commands = {
            "ip_link": _Command("ip", "-d", "-j", "link", "show"),
            "bpftool_net": _Command("bpftool", "-j", "net", "show"),
            "ethtool_channels": _Command("ethtool", "-l", "*"),
        }
        out: dict[str, object] = {
            "sysctl": _sysctl("net.core.rps_default_mask"),
            "sysfs": _sysfs(),
        }
        for key, command in commands.items():
            out[key] = command.result()
        return out

    result: dict[str, object] = _in_child(inside)
    return result


def _links(namespace: Namespace) -> object:
    def inside() -> dict[str, object]:
        _setns(namespace.fd)
        return _Command("ip", "-j", "link", "show").result()

    return _in_child(inside)


def settle() -> None:
    """Wait until no link changes any more: operstate follows the carrier up to a second
    later (net/core/link_watch.c), and what is recorded must still hold at the panic.
    """
    before: list[object] = []
    for _ in range(SETTLE_TRIES):
        namespaces = find_namespaces()
        now = [_links(namespace) for namespace in namespaces.values()]
        for namespace in namespaces.values():
            os.close(namespace.fd)
        if now == before:
            return
        before = now
        time.sleep(SETTLE_SECONDS)
    raise RuntimeError("the links of this scene do not come to rest")


class _NsidSocket:
    """A routing socket of one namespace that asks by which numbers it knows others."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.bind((0, 0))
        self.sequence = 0

    def close(self) -> None:
        self.socket.close()

    def _ask(self, flags: int, attributes: bytes) -> list[int]:
        """Send RTM_GETNSID, return NETNSA_NSID of each answer."""
        self.sequence += 1
        body = struct.pack("<Bxxx", 0) + attributes
        flags |= NLM_F_REQUEST
        header = struct.pack(
            "<IHHII", 16 + len(body), RTM_GETNSID, flags, self.sequence, 0
        )
        self.socket.send(header + body)
        nsids: list[int] = []
        while True:
            data = self.socket.recv(65536)
            offset = 0
            while offset + 16 <= len(data):
                length, kind = struct.unpack_from("<IH", data, offset)
                if kind == NLMSG_DONE:
                    return nsids
                if kind == NLMSG_ERROR:
                    (error,) = struct.unpack_from("<i", data, offset + 16)
                    raise OSError(-error, os.strerror(-error))
                nsids += _nsid_attributes(data[offset + 20 : offset + length])
                if flags & NLM_F_DUMP != NLM_F_DUMP:
                    return nsids
                offset += (length + 3) & ~3

    def all(self) -> list[int]:
        return self._ask(NLM_F_DUMP, b"")

    def of(self, fd: int) -> int | None:
        nsid = self._ask(0, struct.pack("<HHI", 8, NETNSA_FD, fd))[0]
        return None if nsid < 0 else nsid


def _nsid_attributes(data: bytes) -> list[int]:
    nsids = []
    offset = 0
    while offset + 8 <= len(data):
        length, kind = struct.unpack_from("<HH", data, offset)
        if kind == NETNSA_NSID:
            nsids.append(int(struct.unpack_from("<i", data, offset + 4)[0]))
        offset += (length + 3) & ~3
    return nsids


def _nsids(viewer: Namespace, namespaces: Sequence[Namespace]) -> dict[str, int]:
    """Ask for each namespace by descriptor, until all numbers are explained."""
    _setns(viewer.fd)
    asker = _NsidSocket()
    try:
        unknown = set(asker.all())
        nsids = {}
        for namespace in namespaces:
            if not unknown:
                break
            nsid = asker.of(namespace.fd)
            if nsid is not None:
                nsids[str(nsid)] = namespace.inum
                unknown.discard(nsid)
        return nsids
    finally:
        asker.close()


def _dmesg() -> str:
    size = _checked(_libc.klogctl(SYSLOG_ACTION_SIZE_BUFFER, None, 0))
    buffer = ctypes.create_string_buffer(size)
    length = _checked(_libc.klogctl(SYSLOG_ACTION_READ_ALL, buffer, size))
    return _text(buffer.raw[:length])


def _lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as f:
            return [_text(line) for line in f.read().split(b"\n") if line]
    except FileNotFoundError:
        return []


def _dying(namespaces: dict[str, dict[str, object]]) -> dict[str, object] | None:
    """What the scene says it will do: /run/lab/dying has an inode number."""
    lines = _lines(DYING)
    if not lines:
        return None
    return {"netns": int(lines[0]), "links": namespaces[lines[0]]["ip_link"]}


def record() -> dict[str, object]:
    """Record everything. Changes the calling process's network namespace."""
    start = time.monotonic()
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    init = os.stat("/proc/1/ns/net").st_ino
    namespaces = find_namespaces()
    found: dict[str, dict[str, object]] = {}
    for inum, namespace in namespaces.items():
        found[str(inum)] = {
            **_record_namespace(namespace),
            "init": inum == init,
            "names": namespace.names(),
            "mounts": sorted(namespace.mounts),
            "pids": [{"pid": p, "comm": c} for p, c in sorted(namespace.pids.items())],
        }
    # Later than all `ip link`: showing a link gives its peer's namespace a number.
    # init_net first: it is what the others mostly know.
    ordered = sorted(namespaces.values(), key=lambda n: (n.inum != init, n.inum))
    for inum, namespace in namespaces.items():
        found[str(inum)]["nsids"] = _nsids(namespace, ordered)
    _setns(home)
    commands = {
        "bpftool_prog": _Command("bpftool", "-j", "prog", "show"),
        "bpftool_link": _Command("bpftool", "-j", "link", "show"),
    }
    uname = os.uname()
    out: dict[str, object] = {
        "format": "drgn-veth-truth/1",
        "kernel": {
            "release": uname.release,
            "version": uname.version,
            "machine": uname.machine,
        },
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "cpus": {
            name: _value("/sys/devices/system/cpu/" + name)
            for name in ("possible", "online")
        },
        "sysctl": _sysctl("net.core.rps_sock_flow_entries"),
        "meminfo": _value("/proc/meminfo"),
        "dmesg": _dmesg(),
        "xdp": [json.loads(line) for line in _lines(RUN + "/xdp.jsonl")],
        "scene_log": _lines(RUN + "/scene.log"),
        "dying": _dying(found),
        "namespaces": found,
    }
    for key, command in commands.items():
        out[key] = command.result()
    out["seconds"] = round(time.monotonic() - start, 1)
    return out


def main(arguments: Sequence[str]) -> int:
    """Write the record to the file that the only argument names."""
    if len(arguments) != 1:
        print("usage: truth.py OUT", file=sys.stderr)
        return 2
    if os.path.exists(DONE):
        return 0
    settle()
    truth = record()
    temporary = arguments[0] + ".part"
    with open(temporary, "w", encoding="ascii") as f:
        json.dump(truth, f, indent=1, sort_keys=True)
        f.write("\n")
        f.flush()
        os.fsync(f.fileno())
    os.rename(temporary, arguments[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
