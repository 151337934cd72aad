# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Who has what open
-----------------

Open files hold network namespaces, BPF links and sockets. The files of all tasks are
many, so one walk over them finds all.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Optional

from drgn import Object, Program, offsetof

from ..core.errors import WalkError, attempt
from ..core.moving import moves
from ..core.salvage import Salvage
from ..core.unreadable import Maybe, Unreadable
from ..model import Task
from ..readers.files import (
    FileTables,
    bpf_link_file_operations,
    for_each_open_file,
)
from ..readers.tun import is_tun_file_operations
from .task_record import task_record

__all__ = ("MAX_HOLDERS", "NetHolder", "OpenFiles", "TaskFile")

#: How many holders of one namespace or link are named.
MAX_HOLDERS = 10

_TRIES = 3  # of a running kernel


class TaskFile(NamedTuple):
    """An open file: a task, and its descriptor."""

    task: Task
    fd: int


class NetHolder(NamedTuple):
    """An open file that holds a namespace."""

    net: int
    kind: str  # fd, socket
    what: int  # inode or socket
    file: TaskFile


class _NetFiles:
    # Which files hold namespaces, with offsets that are looked up once.
    def __init__(self, prog: Program, wanted: Collection[int]) -> None:
        self._prog = prog
        self._wanted = wanted
        file = prog.type("struct file")
        self._inode = offsetof(file, "f_inode")
        self._file_private = offsetof(file, "private_data")
        self._inode_private = offsetof(prog.type("struct inode"), "i_private")
        self._ns = offsetof(prog.type("struct net"), "ns")
        self._sk = offsetof(prog.type("struct socket"), "sk")
        self._sk_net = offsetof(prog.type("struct sock"), "__sk_common.skc_net.net")
        self._ns_file = prog["ns_file_operations"].address_of_().value_()
        self._socket_file = prog["socket_file_ops"].address_of_().value_()
        self._queue_files: dict[int, bool] = {}  # of tun and tap, by file operations

    def holds(self, file: int, operations: int) -> Optional[tuple[int, str, int]]:
        # The namespace that a file holds, how, and the inode or the socket.
        read = self._prog.read_word
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


class _Found(NamedTuple):
    nets: Sequence[NetHolder]
    links: Mapping[int, Sequence[TaskFile]]
    sockets: Mapping[int, Sequence[TaskFile]]
    # Why some may be missing.
    nets_lost: Optional[str]
    links_lost: Optional[str]
    sockets_lost: Optional[str]


def _add(found: dict[int, list[TaskFile]], what: int, file: TaskFile) -> None:
    files = found.setdefault(what, [])
    if len(files) < MAX_HOLDERS:
        files.append(file)


def _walk_again(
    prog: Program, net_files: Optional[_NetFiles], wanted: Collection[int]
) -> _Found:
    found = _walk(prog, net_files, wanted)
    if moves(prog):
        # Files are opened and closed while they are read.
        for _ in range(_TRIES - 1):
            if not (found.nets_lost or found.links_lost or found.sockets_lost):
                break
            found = _walk(prog, net_files, wanted)
    return found


def _walk(
    prog: Program, net_files: Optional[_NetFiles], wanted: Collection[int]
) -> _Found:
    # What cannot be read of a file that holds one kind says nothing of the other.
    walk, nets_salvage, links_salvage = Salvage(), Salvage(), Salvage()
    sockets_salvage = Salvage()
    nets: list[NetHolder] = []
    links: dict[int, list[TaskFile]] = {}
    sockets: dict[int, list[TaskFile]] = {}
    private_at = offsetof(prog.type("struct file"), "private_data")
    link_operations = bpf_link_file_operations(prog)
    read = prog.read_word
    socket_operations = prog["socket_file_ops"].address_of_().value_() if wanted else 0
    tables, task_struct = FileTables(prog), prog.type("struct task_struct *")
    is_moving = moves(prog)
    records: dict[int, Task] = {}

    def look(
        file: int, operations: int
    ) -> Optional[tuple[int, int, int, Optional[tuple[int, str, int]]]]:
        # The file, a link and a socket that are wanted, and what it holds of a
        # namespace.
        if operations in link_operations:
            link = links_salvage.read(read, file + private_at)
            return (file, link, 0, None) if link else None
        socket = 0
        if operations == socket_operations:
            socket = sockets_salvage.read(read, file + private_at) or 0
            socket = socket if socket in wanted else 0
        net = None
        if net_files is not None:
            net = nets_salvage.read(net_files.holds, file, operations)
        return (file, 0, socket, net) if socket or net is not None else None

    def record(task: int) -> Task:
        if task not in records or is_moving:
            records[task] = task_record(Object(prog, task_struct, task))
        return records[task]

    for task, fd, found in walk.walk(for_each_open_file(prog, look)):
        at, link, socket, net = found
        file = TaskFile(record(task), fd)
        if is_moving and attempt(tables.file, task, fd) != at:
            continue  # It was closed meanwhile, or the task is another one.
        if link:
            _add(links, link, file)
        if socket:
            _add(sockets, socket, file)
        if net is not None:
            nets.append(NetHolder(*net, file))

    def lost(own: Optional[str]) -> Optional[str]:
        if walk.lost is not None or own is None:
            return walk.lost
        return f"open files: {own}"

    return _Found(
        *(nets, links, sockets),
        *map(lost, (nets_salvage.lost, links_salvage.lost, sockets_salvage.lost)),
    )


class OpenFiles:
    """
    The open files of all tasks.

    It walks over them when it is first asked, once: so say which sockets are wanted
    first, and ask about namespaces before you ask about links and sockets, which it
    looks for in any case.
    """

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._found: Optional[Maybe[_Found]] = None
        self._sockets: Collection[int] = ()

    def want_sockets(self, wanted: Collection[int]) -> None:
        """
        Say which sockets to look for.

        :param wanted: Addresses of ``struct socket``
        """
        self._sockets = wanted

    def of_namespaces(
        self, wanted: Collection[int]
    ) -> tuple[Sequence[NetHolder], Optional[str]]:
        """
        Return the open files that hold some namespaces; and why some may be missing,
        None if none are.

        :param wanted: Addresses of ``struct net``
        """
        net_files = attempt(_NetFiles, self._prog, wanted)
        if isinstance(net_files, Unreadable):
            return (), net_files.reason
        self._found = found = attempt(_walk_again, self._prog, net_files, self._sockets)
        if isinstance(found, Unreadable):
            return (), found.reason
        return found.nets, found.nets_lost

    def of_links(self) -> Mapping[int, Sequence[TaskFile]]:
        """
        Return the open files that are BPF links, by the address of the ``struct
        bpf_link``; the first ten of each.

        :raises WalkError: if not all could be reached
        """
        found = self._any()
        if found.links_lost is not None:
            raise WalkError(found.links_lost)
        return found.links

    def of_sockets(self) -> Mapping[int, Sequence[TaskFile]]:
        """
        Return the open files of the sockets that are wanted, by the address of the
        ``struct socket``; the first ten of each.

        :raises WalkError: if not all could be reached
        """
        found = self._any()
        if found.sockets_lost is not None:
            raise WalkError(found.sockets_lost)
        return found.sockets

    def _any(self) -> _Found:
        if self._found is None:
            self._found = attempt(_walk_again, self._prog, None, self._sockets)
        if isinstance(self._found, Unreadable):
            raise WalkError(self._found.reason)
        return self._found
