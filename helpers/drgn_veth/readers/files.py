# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Open files
----------

The open files of tasks, and what network namespace, socket or BPF link a file stands
for. Follows fs/file.c, net/socket.c and kernel/bpf/syscall.c.

Upstream: all but the bound of the walk.
"""

from collections.abc import Iterator
import struct
from typing import Callable, Optional, TypeVar

from drgn import NULL, Object, Program, cast, container_of, offsetof, sizeof

from ..core.budget import budget_of
from ..core.byte_order import byteorder, struct_order
from ..core.errors import WalkError
from ..core.salvage import Salvage
from .nsfs import nsfs_inode_net_ns
from .task import for_each_thread

__all__ = (
    "MAX_FDS",
    "FileTables",
    "bpf_link_file_operations",
    "file_bpf_link",
    "file_net",
    "file_socket",
    "for_each_file_bounded",
    "for_each_open_file",
    "sock_net",
)

T = TypeVar("T")

#: Far above any real table: 32 MiB of pointers. fs.nr_open allows more, but a table
#: only grows as far as it is used.
MAX_FDS = 1 << 22
_CHUNK = 1 << 13  # pointers that are read at once
_STEP = 1 << 9  # pointers for which a walk takes a step


class FileTables:
    """
    The descriptor tables of tasks. Tasks that share a table count as one.

    :param prog: Program
    :raises LookupError: if it has no such types
    """

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        task = prog.type("struct task_struct")
        self._files = offsetof(task, "files")
        self._fdt = offsetof(prog.type("struct files_struct"), "fdt")
        fdtable = prog.type("struct fdtable")
        self._max_fds = offsetof(fdtable, "max_fds")
        self._fd = offsetof(fdtable, "fd")
        self._word = sizeof(prog.type("void *"))
        self._seen: set[int] = set()
        order = struct_order(byteorder(prog))
        self._pointers = struct.Struct(order + ("Q" if self._word == 8 else "I"))

    def files(self, task: int) -> Iterator[tuple[int, int]]:
        """
        Iterate over the open files of a task, unless its table was visited before.

        :param task: Address of a ``struct task_struct``
        :return: Iterator of descriptors and addresses of ``struct file``
        :raises FaultError: if the table cannot be read
        :raises WalkError: if it is longer than any real table
        """
        prog = self._prog
        files = prog.read_word(task + self._files)
        # A task that is exiting has none.
        if not files or files in self._seen:
            return
        self._seen.add(files)
        fdt = prog.read_word(files + self._fdt)
        count = prog.read_u32(fdt + self._max_fds)
        if count > MAX_FDS:
            raise WalkError(f"max_fds is {count}: gave up")
        array = prog.read_word(fdt + self._fd)
        word = self._word
        budget = budget_of(prog)
        for start in range(0, count, _CHUNK):
            number = min(_CHUNK, count - start)
            budget.step(1 + number // _STEP)
            data = prog.read(array + start * word, number * word)
            if not any(data):
                continue
            for i, (file,) in enumerate(self._pointers.iter_unpack(data)):
                if file:
                    yield start + i, file

    def file(self, task: int, fd: int) -> int:
        """
        Return what a descriptor of a task leads to.

        :param task: Address of a ``struct task_struct``
        :return: Address of a ``struct file``, 0 if it is not open
        :raises FaultError: if the table cannot be read
        """
        prog = self._prog
        files = prog.read_word(task + self._files)
        fdt = prog.read_word(files + self._fdt) if files else 0
        if not fdt or fd >= prog.read_u32(fdt + self._max_fds):
            return 0
        return prog.read_word(prog.read_word(fdt + self._fd) + fd * self._word)


def for_each_open_file(
    prog: Program, look: Callable[[int, int], Optional[T]]
) -> Iterator[tuple[int, int, T]]:
    """
    Iterate over the open files of all tasks that are wanted; a table that tasks share
    counts once.

    :param look: Takes the address of a ``struct file``, and its ``f_op``; returns None
        to skip it
    :return: Iterator of addresses of ``struct task_struct``, descriptors, and what
        *look* returned
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached
    """
    tables = FileTables(prog)
    salvage = Salvage("open files: ")
    read, op_at = prog.read_word, offsetof(prog.type("struct file"), "f_op")
    # There may be millions of files, but they have few different f_op. In a damaged
    # table, each pointer leads to another f_op, or all pointers are the same.
    budget = budget_of(prog)
    kinds: set[int] = set()
    skipped = 0
    for task in salvage.walk(for_each_thread(prog)):
        for fd, file in salvage.walk(tables.files(task)):
            if file == skipped:
                continue
            operations = salvage.read(read, file + op_at)
            if operations is None:
                budget.step()
                continue
            if operations not in kinds:
                kinds.add(operations)
                budget.step()
            found = salvage.read(look, file, operations)
            if found is None:
                skipped = file
            else:
                yield task, fd, found
    salvage.finish()


def for_each_file_bounded(task: Object) -> Iterator[tuple[int, Object]]:
    """
    Iterate over the open files of a task.

    :param task: ``struct task_struct *``
    :return: Iterator of descriptors and ``struct file *``
    :raises FaultError: if the table cannot be read
    :raises WalkError: if it is longer than any real table (:data:`MAX_FDS`)
    """
    prog = task.prog_
    pointer = prog.type("struct file *")
    for fd, file in FileTables(prog).files(task.value_()):
        yield fd, Object(prog, pointer, file)


def sock_net(sk: Object) -> Object:
    """
    Return the network namespace of a socket, as sock_net() does (include/net/sock.h).

    :param sk: ``struct sock *``
    :return: ``struct net *``; ``&init_net`` in a kernel without CONFIG_NET_NS
    """
    skc_net = sk.member_("__sk_common").skc_net
    try:
        return skc_net.net.read_()
    except AttributeError:
        return sk.prog_["init_net"].address_of_()


def file_socket(file: Object) -> Object:
    """
    Return the socket that a file is, as sock_from_file() does (net/socket.c).

    :param file: ``struct file *``
    :return: ``struct socket *``, ``NULL`` for any other file
    """
    prog = file.prog_
    if file.f_op.value_() != prog["socket_file_ops"].address_of_().value_():
        return NULL(prog, "struct socket *")
    return cast("struct socket *", file.private_data.read_())


def file_net(file: Object) -> Object:
    """
    Return the network namespace that a file keeps alive: the one that it stands for
    (``/proc/PID/ns/net``), or that of a socket.

    :param file: ``struct file *``
    :return: ``struct net *``, ``NULL`` for any other file
    """
    prog = file.prog_
    ns = nsfs_inode_net_ns(file.f_inode.read_())
    if ns:
        return container_of(ns, "struct net", "ns")
    socket = file_socket(file)
    sk = socket.sk.read_() if socket else NULL(prog, "struct sock *")
    return sock_net(sk) if sk else NULL(prog, "struct net *")


def bpf_link_file_operations(prog: Program) -> frozenset[int]:
    """
    Return the addresses of the operations of files that are BPF links: one ``struct
    file_operations``, or two, since a link that can be polled has its own in newer
    kernels.
    """
    found = []
    for name in ("bpf_link_fops", "bpf_link_fops_poll"):
        try:
            found.append(prog[name].address_of_().value_())
        except KeyError:
            continue
    return frozenset(found)


def file_bpf_link(file: Object) -> Object:
    """
    Return the BPF link whose descriptor a file is, as bpf_link_get_from_fd() does
    (kernel/bpf/syscall.c).

    :param file: ``struct file *``
    :return: ``struct bpf_link *``, ``NULL`` for any other file
    """
    prog = file.prog_
    if file.f_op.value_() not in bpf_link_file_operations(prog):
        return NULL(prog, "struct bpf_link *")
    return cast("struct bpf_link *", file.private_data.read_())
