# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every network namespace, and the nsid by which each knows the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import fcntl
import os
import socket
import struct

from libc import checked, libc, setns
from netlink import NLM_F_DUMP, RoutingSocket, attribute, attributes

__all__ = ("Namespace", "find_namespaces", "net_of_file", "nsids", "unescape_mount")

SYS_PIDFD_OPEN = 434
SYS_PIDFD_GETFD = 438
SIOCGSKNS = 0x894C
NS_GET_NSTYPE = 0xB703
CLONE_NEWNET = 0x40000000
SCM_MAX_FD = 253
RTM_GETNSID = 90
NETNSA_NSID = 1
NETNSA_FD = 3


class Namespace:
    """A network namespace, held open by a descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.inum = os.fstat(fd).st_ino
        #: Where process 1 sees it.
        self.mounts: set[str] = set()
        self.pids: dict[int, str] = {}

    def names(self) -> list[str]:
        """Return the names of ``ip netns``."""
        prefix = "/run/netns/"
        return sorted(m[len(prefix) :] for m in self.mounts if m.startswith(prefix))


def unescape_mount(field: bytes) -> str:
    r"""Turn the \040 of mountinfo back into the byte."""
    parts = field.split(b"\\")
    out = parts[0]
    for part in parts[1:]:
        out += bytes([int(part[:3], 8)]) + part[3:]
    return out.decode("utf-8", "surrogateescape")


def _comm(proc: str) -> str:
    try:
        with open(proc + "/comm", "rb") as f:
            return f.read()[:-1].decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def net_of_file(link: str) -> int | None:
    """Return the inode number if an open file (/proc/PID/fd/N) is a network namespace.

    What the link says does not tell: if the file was opened through a mount, that is a
    path, and "/" once it is unmounted.
    """
    try:
        status = os.stat(link)
        if status.st_dev != os.stat("/proc/self/ns/net").st_dev:
            return None
        fd = os.open(link, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        kind = fcntl.ioctl(fd, NS_GET_NSTYPE)
    finally:
        os.close(fd)
    return status.st_ino if kind == CLONE_NEWNET else None


def _in_socket(pid: int, fd: int) -> Iterator[int]:
    """Yield descriptors of what a socket of another process, or its tun, holds: its
    namespace, and those whose files are on their way through it.
    """
    try:
        process = checked(libc.syscall(SYS_PIDFD_OPEN, pid, 0))
        try:
            copy = checked(libc.syscall(SYS_PIDFD_GETFD, process, fd, 0))
        finally:
            os.close(process)
    except OSError:
        return  # The process ended meanwhile.
    try:
        yield fcntl.ioctl(copy, SIOCGSKNS)
    except OSError:
        pass  # A device of tun that is not attached, on some kernels.
    try:
        queue = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)  # It is tun's.
        return
    with queue:
        if queue.family == socket.AF_UNIX:
            space = socket.CMSG_SPACE(SCM_MAX_FD * struct.calcsize("i"))
            flags = socket.MSG_PEEK | socket.MSG_DONTWAIT
            try:
                ancillary = queue.recvmsg(1, space, flags)[1]
            except OSError:
                return  # Nothing is in it.
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    yield from struct.unpack(f"{len(data) // 4}i", data)


def find_namespaces() -> dict[int, Namespace]:
    """Find every network namespace that a process, a mount, a file or a socket holds.

    By inode number, in ascending order.
    """
    found: dict[int, Namespace] = {}

    def add(path: str, inum: int | None) -> Namespace | None:
        if inum is None or inum in found:
            return None if inum is None else found[inum]
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

    def is_socket(link: str) -> bool:
        try:
            text = os.readlink(link)
        except OSError:
            return False
        return text.startswith("socket:[") or text == "/dev/net/tun"

    initial = os.readlink("/proc/1/ns/mnt")
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
            namespace.pids[pid] = _comm(proc)
        try:
            descriptors = os.listdir(proc + "/fd")
            mount_namespace = os.readlink(proc + "/ns/mnt")
        except OSError:
            continue
        for name in descriptors if pid != os.getpid() else ():
            inum = net_of_file(f"{proc}/fd/{name}")
            if inum is not None:
                add(f"{proc}/fd/{name}", inum)
            elif is_socket(f"{proc}/fd/{name}"):
                for fd in _in_socket(pid, int(name)):
                    link = f"/proc/self/fd/{fd}"
                    add(link, net_of_file(link))
                    os.close(fd)
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
                path = unescape_mount(fields[4])
                namespace = add(f"{proc}/root{path}", int(fields[3][5:-1]))
                if namespace is not None and mount_namespace == initial:
                    namespace.mounts.add(path)
    return {inum: found[inum] for inum in sorted(found)}


class _NsidSocket(RoutingSocket):
    """Asks for the nsids of a namespace."""

    def _ask(self, flags: int, what: bytes) -> list[int]:
        """Send RTM_GETNSID, return NETNSA_NSID of each answer."""
        found = []
        for data in self.ask(RTM_GETNSID, flags, struct.pack("<Bxxx", 0) + what):
            for kind, value in attributes(data[4:]):
                if kind == NETNSA_NSID:
                    found.append(int(struct.unpack_from("<i", value)[0]))
        return found

    def all(self) -> list[int]:
        return self._ask(NLM_F_DUMP, b"")

    def of(self, fd: int) -> int | None:
        nsid = self._ask(0, attribute(NETNSA_FD, struct.pack("<I", fd)))[0]
        return None if nsid < 0 else nsid


def nsids(viewer: Namespace, namespaces: Sequence[Namespace]) -> dict[str, int]:
    """Return the inode number of each namespace that the viewer knows, by its nsid.

    Asks about one namespace after the other, until every nsid has its own. Leaves the
    process in the namespace of the viewer.
    """
    setns(viewer.fd)
    asker = _NsidSocket()
    try:
        unknown = set(asker.all())
        found = {}
        for namespace in namespaces:
            if not unknown:
                break
            nsid = asker.of(namespace.fd)
            if nsid is not None:
                found[str(nsid)] = namespace.inum
                unknown.discard(nsid)
        return found
    finally:
        asker.close()
