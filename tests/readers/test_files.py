# SPDX-License-Identifier: LGPL-2.1-or-later
"""Descriptor tables that are damaged, and what files stand for."""

from typing import Optional

from drgn import FaultError, Object
from drgn_veth.core.budget import shared_budget
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.files import (
    MAX_FDS,
    FileTables,
    bpf_link_file_operations,
    file_bpf_link,
    file_net,
    file_socket,
    for_each_file_bounded,
    for_each_open_file,
)
import pytest

from tests.support.toy import NOWHERE, Toy
from tests.support.toy_tasks import Tasks


class Table:
    """A task with a descriptor table."""

    def __init__(self, toy: Toy, *files: int) -> None:
        self.toy = toy
        toy.struct("file", f_op="void *")
        toy.struct("fdtable", max_fds="unsigned int", fd="void *")
        toy.struct("files_struct", fdt="void *")
        toy.struct("task_struct", files="void *")
        self.fd = toy.place("struct file", len(files))
        for i, file in enumerate(files):
            toy.put(self.fd + 8 * i, "Q", file)
        self.fdt = toy.place("struct fdtable")
        toy.set("struct fdtable", self.fdt, max_fds=len(files), fd=self.fd)
        self.files = toy.place("struct files_struct")
        toy.set("struct files_struct", self.files, fdt=self.fdt)
        self.task = self.add()

    def add(self) -> int:
        task = self.toy.place("struct task_struct")
        self.toy.set("struct task_struct", task, files=self.files)
        return task

    def read(self) -> list[tuple[int, int]]:
        task = Object(self.toy.prog, "struct task_struct *", self.task)
        return [(fd, file.value_()) for fd, file in for_each_file_bounded(task)]


def test_files(toy: Toy) -> None:
    table = Table(toy, 0x100, 0, 0x200, 0)
    assert table.read() == [(0, 0x100), (2, 0x200)]
    toy.set("struct task_struct", table.task, files=0)
    assert table.read() == []


def test_shared_table(toy: Toy) -> None:
    table = Table(toy, 0x100)
    tables = FileTables(toy.prog)
    assert list(tables.files(table.task)) == [(0, 0x100)]
    assert list(tables.files(table.add())) == []


@pytest.mark.parametrize("count", (1 << 30, (1 << 32) - 1, MAX_FDS + 1))
def test_table_that_is_too_long(toy: Toy, count: int) -> None:
    table = Table(toy, 0x100)
    toy.set("struct fdtable", table.fdt, max_fds=count)
    with pytest.raises(WalkError, match=f"max_fds is {count}: gave up"):
        table.read()


@pytest.mark.parametrize("what", ("files", "fdt", "fd"))
def test_table_that_is_not_there(toy: Toy, what: str) -> None:
    table = Table(toy, 0x100)
    if what == "files":
        toy.set("struct task_struct", table.task, files=NOWHERE)
    elif what == "fdt":
        toy.set("struct files_struct", table.files, fdt=NOWHERE)
    else:
        toy.set("struct fdtable", table.fdt, fd=NOWHERE)
    with pytest.raises(FaultError):
        table.read()


# Files of all tasks ------------------------------------------------------------------

WANTED, OTHER = 0x100, 0x200


class Open:
    """Tasks with open files."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.tasks = Tasks(toy, files="void *")
        toy.struct("file", f_op="void *")
        toy.struct("fdtable", max_fds="unsigned int", fd="void *")
        toy.struct("files_struct", fdt="void *")
        self.looked: list[int] = []

    def file(self, operations: int) -> int:
        at = self.toy.place("struct file")
        self.toy.set("struct file", at, f_op=operations)
        return at

    def add(self, pid: int, *files: int) -> int:
        fd = self.toy.place("void *", len(files))
        for i, file in enumerate(files):
            self.toy.put(fd + 8 * i, "Q", file)
        fdt = self.toy.place("struct fdtable")
        self.toy.set("struct fdtable", fdt, max_fds=len(files), fd=fd)
        table = self.toy.place("struct files_struct")
        self.toy.set("struct files_struct", table, fdt=fdt)
        task = self.tasks.add(pid, 0)
        self.tasks.point(task, files=table)
        return task

    def _look(self, file: int, operations: int) -> Optional[int]:
        self.looked.append(file)
        return file if operations == WANTED else None

    def read(self) -> "tuple[list[tuple[int, int, int]], Optional[str]]":
        """Return the files that are found, and why there may be more."""
        found = []
        try:
            for one in for_each_open_file(self.toy.prog, self._look):
                found.append(one)
        except WalkError as e:
            return found, str(e)
        return found, None


def test_wanted_files_of_all_tasks(toy: Toy) -> None:
    opened = Open(toy)
    wanted, other = opened.file(WANTED), opened.file(OTHER)
    first = opened.add(1, other, other, other, wanted, 0, wanted)
    second = opened.add(2, wanted)
    assert opened.read() == (
        [(first, 3, wanted), (first, 5, wanted), (second, 0, wanted)],
        None,
    )
    # A terminal is often what the next descriptor is, too.
    assert opened.looked.count(other) == 1


def test_files_that_are_not_there(toy: Toy) -> None:
    """The others are found."""
    opened = Open(toy)
    wanted = opened.file(WANTED)
    first = opened.add(1, NOWHERE, wanted)
    lost = opened.add(2, wanted)
    opened.tasks.point(lost, files=NOWHERE)
    last = opened.add(3, wanted)
    found, why = opened.read()
    assert found == [(first, 1, wanted), (last, 0, wanted)]
    assert why is not None and why.startswith("open files: ")


def test_files_without_end(toy: Toy) -> None:
    """Each has other operations: it is no table of files."""
    opened = Open(toy)
    count = 400
    for start in range(0, count, 200):
        files = [opened.file(OTHER + start + i) for i in range(200)]
        opened.add(1 + start, *files)
    with shared_budget(toy.prog):
        budget = toy.prog.cache["drgn_veth.budget"]
        budget.step(budget._left - count // 2)
        _, why = opened.read()
    assert why is not None and "steps: gave up" in why
    assert opened.read() == ([], None)


# What a file stands for --------------------------------------------------------------


class Kinds:
    """A file that may be a socket, a BPF link, or a namespace."""

    def __init__(self, toy: Toy, net_ns: bool = True) -> None:
        self.toy = toy
        toy.struct("dentry", d_inode="void *")
        toy.struct("ns_common", ns_type="unsigned int", inum="unsigned int")
        toy.struct("net", count="long", ns=toy.prog.type("struct ns_common"))
        toy.struct("inode", i_fop="void *", i_private="void *")
        net = toy.struct("", **{"net": "struct net *"} if net_ns else {})
        common = toy.struct("sock_common", skc_net=net)
        toy.struct("sock", __sk_common=common)
        toy.struct("socket", sk="struct sock *")
        toy.struct("bpf_link", id="int")
        toy.struct("file_operations", owner="void *")
        toy.struct(
            "file", f_op="void *", f_inode="struct inode *", private_data="void *"
        )
        self.operations = {
            name: toy.variable(name, "struct file_operations")
            for name in ("ns_file_operations", "socket_file_ops", "bpf_link_fops")
        }
        self.inode = toy.place("struct inode")
        self.at = toy.place("struct file")
        toy.set("struct file", self.at, f_inode=self.inode)
        self.file = Object(toy.prog, "struct file *", self.at)

    def be(self, operations: str, private: int) -> None:
        found = self.operations[operations]
        self.toy.set("struct file", self.at, f_op=found, private_data=private)


def test_file_of_a_namespace(toy: Toy) -> None:
    kinds = Kinds(toy)
    net = toy.place("struct net")
    ns = Object(toy.prog, "struct net *", net).ns.address_
    assert ns is not None
    toy.set("struct inode", kinds.inode, i_private=ns)
    assert not file_net(kinds.file)
    operations = kinds.operations["ns_file_operations"]
    toy.set("struct inode", kinds.inode, i_fop=operations)
    assert not file_net(kinds.file)  # It is one of another kind.
    toy.set("struct ns_common", ns, ns_type=0x40000000)
    assert file_net(kinds.file).value_() == net


@pytest.mark.parametrize("net_ns", [True, False])
def test_file_of_a_socket(toy: Toy, net_ns: bool) -> None:
    kinds = Kinds(toy, net_ns)
    init, net = toy.variable("init_net", "struct net"), toy.place("struct net")
    socket, sk = toy.place("struct socket"), toy.place("unsigned long")
    kinds.be("bpf_link_fops", socket)
    assert not file_socket(kinds.file) and not file_net(kinds.file)
    kinds.be("socket_file_ops", socket)
    assert file_socket(kinds.file).value_() == socket
    assert not file_net(kinds.file)  # It has no struct sock yet.
    toy.set("struct socket", socket, sk=sk)
    toy.put(sk, "Q", net)
    assert file_net(kinds.file).value_() == (net if net_ns else init)


def test_file_of_a_link(toy: Toy) -> None:
    """One that can be polled has other operations."""
    kinds = Kinds(toy)
    link = toy.place("struct bpf_link")
    kinds.be("socket_file_ops", link)
    assert not file_bpf_link(kinds.file)
    kinds.be("bpf_link_fops", link)
    assert file_bpf_link(kinds.file).value_() == link
    name = "bpf_link_fops_poll"
    kinds.operations[name] = toy.variable(name, "struct file_operations")
    kinds.be(name, link)
    assert file_bpf_link(kinds.file).value_() == link
    assert len(bpf_link_file_operations(toy.prog)) == 2
