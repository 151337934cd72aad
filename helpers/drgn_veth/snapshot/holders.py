# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What keeps network namespaces alive
-----------------------------------

For those that have neither a task nor a mount. Each reference is one of an open file of
the namespace, of a socket in it, or of something in the kernel.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from drgn import Object, Program, offsetof

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.unreadable import Maybe, Unreadable
from ..model import Holder, Namespace, Task
from ..readers.files import for_each_open_file
from ..readers.netns import net_refcount
from ..readers.tun import is_tun_file_operations
from .mounts import Mounts
from .task_record import task_record

__all__ = ("MAX_HOLDERS", "add_holders")

#: How many holders of a namespace are named.
MAX_HOLDERS = 10


class _Open(NamedTuple):
    # An open file that holds a namespace.
    net: int
    kind: str
    what: int  # inode or socket
    task: int
    fd: int


class _Files:
    # What open files are, with offsets that are looked up once.
    def __init__(self, prog: Program, wanted: set[int]) -> None:
        self._prog = prog
        self._wanted = wanted
        file = prog.type("struct file")
        self._op = offsetof(file, "f_op")
        self._inode = offsetof(file, "f_inode")
        self._file_private = offsetof(file, "private_data")
        self._inode_private = offsetof(prog.type("struct inode"), "i_private")
        self._ns = offsetof(prog.type("struct net"), "ns")
        self._sk = offsetof(prog.type("struct socket"), "sk")
        self._sk_net = offsetof(prog.type("struct sock"), "__sk_common.skc_net.net")
        self._ns_file = prog["ns_file_operations"].address_of_().value_()
        self._socket_file = prog["socket_file_ops"].address_of_().value_()
        self._queue_files: dict[int, bool] = {}  # of tun and tap, by file operations

    def _holds(self, file: int) -> Optional[tuple[int, str, int]]:
        # The namespace that a file holds, how, and the inode or the socket.
        read = self._prog.read_word
        operations = read(file + self._op)
        if operations == self._ns_file:
            inode = read(file + self._inode)
            net = read(inode + self._inode_private) - self._ns
            return (net, "fd", inode) if net in self._wanted else None
        if operations == self._socket_file:
            socket = read(file + self._file_private)
            sk = read(socket + self._sk) if socket else 0
            # A socket that is closed has none.
            net = read(sk + self._sk_net) if sk else 0
            return (net, "socket", socket) if net in self._wanted else None
        if operations not in self._queue_files:
            found = attempt(is_tun_file_operations, self._prog, operations)
            self._queue_files[operations] = found is True
        if self._queue_files[operations]:
            # A queue begins with its struct sock, which holds the namespace.
            queue = read(file + self._file_private)
            net = read(queue + self._sk_net) if queue else 0
            return (net, "socket", queue) if net in self._wanted else None
        return None

    def walk(self) -> Iterator[_Open]:
        """
        :raises WalkError: after all that could be reached
        """
        for task, fd, found in for_each_open_file(self._prog, self._holds):
            yield _Open(*found, task, fd)


def _mounted(prog: Program, wanted: set[int]) -> set[int]:
    # Those of some namespaces that are mounted in some mount namespace, be it on a file
    # that is gone.
    used: set[int] = set()
    salvage = Salvage()
    inode_at = offsetof(prog.type("struct dentry"), "d_inode")
    private_at = offsetof(prog.type("struct inode"), "i_private")
    ns_at = offsetof(prog.type("struct net"), "ns")

    def net_of(dentry: int) -> int:
        inode = prog.read_word(dentry + inode_at)
        return prog.read_word(inode + private_at) - ns_at if inode else 0

    super_block = prog["nsfs_mnt"].mnt_sb
    for mount in salvage.walk(Mounts(prog).of_super_block(super_block)):
        net = salvage.read(net_of, mount.root)
        if net in wanted:
            used.add(net)
    return used


def _rest(prog: Program, net: int, opened: Sequence[_Open]) -> list[Holder]:
    # References that no open file explains.
    struct_net = Object(prog, "struct net *", net)
    refs = net_refcount(struct_net)
    sockets = {one.what for one in opened if one.kind == "socket"}
    # All files of a namespace share one inode, which holds one reference.
    stashed = struct_net.ns.stashed
    has_inode = bool(getattr(stashed, "counter", stashed))
    rest = max(0, refs - len(sockets) - has_inode)
    files = [one for one in opened if one.kind == "fd"]
    # Sent to a socket that nobody has received from; or mounted where no path leads.
    unseen = [Holder("fd", None, None, None)] if has_inode and not files else []
    return unseen + [Holder("kernel", None, None, None)] * rest


def _is_wanted(namespace: Namespace) -> bool:
    # Without a task and a mount, as far as is known.
    return (
        not namespace.init
        and not namespace.dying
        and namespace.task_count == 0
        and namespace.mounts == ()
        and namespace.other_mounts == ()
    )


def add_holders(prog: Program, namespaces: Sequence[Namespace]) -> list[Namespace]:
    """
    Return namespaces, with what holds those that have neither a task nor a mount.

    Only if there are such namespaces, it walks the files of all tasks.
    """
    wanted = {one.net for one in namespaces if _is_wanted(one)}
    if not wanted:
        return list(namespaces)
    used = attempt(_mounted, prog, wanted)
    if not isinstance(used, Unreadable):
        wanted -= used
        if not wanted:
            return list(namespaces)
    salvage = Salvage()
    opened: dict[int, list[_Open]] = {net: [] for net in wanted}
    files = attempt(_Files, prog, wanted)
    if isinstance(files, Unreadable):
        salvage.lose(files.reason)
    else:
        for one in salvage.walk(files.walk()):
            opened[one.net].append(one)
    records: dict[int, Task] = {}

    def holder(one: _Open) -> Holder:
        if one.task not in records:
            task = Object(prog, "struct task_struct *", one.task)
            records[one.task] = task_record(task)
        return Holder(one.kind, *records[one.task], one.fd)

    def complete(namespace: Namespace) -> Namespace:
        if namespace.net not in wanted:
            return namespace
        found = opened[namespace.net]
        if salvage.lost is not None and not found:
            lost = Unreadable(salvage.lost)
            return namespace._replace(holders=lost, holder_count=lost)
        rest: Maybe[list[Holder]] = attempt(_rest, prog, namespace.net, found)
        count: Maybe[int]
        if isinstance(rest, Unreadable):
            count, rest = rest, []
        else:
            count = len(found) + len(rest)
        if salvage.lost is not None:
            count = Unreadable(salvage.lost)
        holders = [holder(one) for one in found[:MAX_HOLDERS]]
        holders += rest[: MAX_HOLDERS - len(holders)]
        return namespace._replace(holders=tuple(holders), holder_count=count)

    return [complete(namespace) for namespace in namespaces]
