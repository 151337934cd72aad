# SPDX-License-Identifier: LGPL-2.1-or-later
"""Descriptor tables that are damaged."""

from drgn import FaultError, Object
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.files import MAX_FDS, FileTables, for_each_file_bounded
import pytest

from tests.support.toy import NOWHERE, Toy


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
