# SPDX-License-Identifier: LGPL-2.1-or-later
"""What holds namespaces that have neither a task nor a mount, in a toy kernel."""

from collections.abc import Collection, Sequence
from typing import Any, Optional

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Holder, Namespace, Task
from drgn_veth.snapshot.holders import add_holders
from drgn_veth.snapshot.open_files import MAX_HOLDERS, NetHolder, TaskFile
import pytest

from tests.support.toy import NOWHERE, Toy

UNSEEN = Holder("fd", None, None, None)
KERNEL = Holder("kernel", None, None, None)
OPENED = Holder("fd", 7, "x", 3)
SOCKET = Holder("socket", 7, "x", 3)
INODE = 0x300


class Held:
    """A namespace that counts its references, and open files."""

    def __init__(self, toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.toy = toy
        counter = toy.struct("atomic_t", counter="int")
        refs = toy.struct("refcount_t", refs=counter)
        ns = toy.struct("ns_common", count=refs, stashed="void *")
        toy.struct("net", ns=ns)
        self.at = toy.place("struct net")
        self.plain = Namespace(5, False, 1, net=self.at, task_count=0)
        self.mounted: Any = set()
        self.files: list[NetHolder] = []
        self.lost: Optional[str] = None
        self.asked: list[set[int]] = []
        where = "drgn_veth.snapshot.holders"
        monkeypatch.setattr(f"{where}._mounted", self._mounted)

    def _mounted(self, prog: object, wanted: "set[int]") -> "set[int]":
        if isinstance(self.mounted, Exception):
            raise self.mounted
        found: set[int] = self.mounted
        return found

    def of_namespaces(
        self, wanted: Collection[int]
    ) -> tuple[Sequence[NetHolder], Optional[str]]:
        self.asked.append(set(wanted))
        return self.files, self.lost

    def refs(self, count: int, stashed: int = 0) -> None:
        self.toy.set("struct net", self.at, ns__count__refs__counter=count)
        self.toy.set("struct net", self.at, ns__stashed=stashed)

    def open(self, kind: str, what: int) -> None:
        self.files.append(NetHolder(self.at, kind, what, TaskFile(Task(7, "x"), 3)))

    def look(self, **changes: Any) -> Namespace:
        one = self.plain._replace(**changes)
        (found,) = add_holders(self.toy.prog, [one], self)  # type: ignore[arg-type]
        return found

    def holders(self) -> "tuple[object, object]":
        found = self.look()
        return found.holders, found.holder_count


@pytest.fixture
def held(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(toy, monkeypatch)


def test_references_that_no_file_explains(held: Held) -> None:
    assert held.holders() == ((), 0)
    held.refs(2)
    assert held.holders() == ((KERNEL, KERNEL), 2)
    # One socket may be open twice.
    held.open("socket", 0x200)
    held.open("socket", 0x200)
    assert held.holders() == ((SOCKET, SOCKET, KERNEL), 3)
    held.open("socket", 0x208)
    held.open("socket", 0x210)  # It is closed meanwhile.
    assert held.holders() == ((SOCKET,) * 4, 4)


def test_inode_of_its_files(held: Held) -> None:
    """It has one reference; the file may be where no task has it open."""
    held.refs(1, INODE)
    assert held.holders() == ((UNSEEN,), 1)
    held.refs(2, INODE)
    assert held.holders() == ((UNSEEN, KERNEL), 2)
    held.open("fd", INODE)
    held.open("fd", INODE)
    assert held.holders() == ((OPENED, OPENED, KERNEL), 3)


def test_no_more_holders_than_are_named(held: Held) -> None:
    held.refs(MAX_HOLDERS)
    assert held.holders() == ((KERNEL,) * MAX_HOLDERS, MAX_HOLDERS)
    held.refs(MAX_HOLDERS + 1)
    assert held.holders() == ((KERNEL,) * MAX_HOLDERS, MAX_HOLDERS + 1)
    held.refs(3)
    held.open("fd", INODE)
    assert held.holders() == ((OPENED, *[KERNEL] * 3), 4)
    for _ in range(MAX_HOLDERS):
        held.open("fd", INODE)
    assert held.holders() == ((OPENED,) * MAX_HOLDERS, MAX_HOLDERS + 4)


def test_holders_that_are_not_known(held: Held) -> None:
    held.lost = "open files: gone"
    lost = Unreadable(held.lost)
    assert held.holders() == (lost, lost)
    held.open("fd", INODE)
    assert held.holders() == ((OPENED,), lost)
    held.lost = None
    held.files.clear()
    found = held.look(net=NOWHERE)
    assert found.holders == ()
    assert isinstance(found.holder_count, Unreadable)


@pytest.mark.parametrize(
    "changes",
    [
        *({"init": True}, {"dying": True}, {"task_count": 1}, {"mounts": ("/x",)}),
        *({"other_mounts": ("/x",)}, {"task_count": Unreadable("gone")}),
    ],
)
def test_namespaces_that_nobody_asks_about(held: Held, changes: Any) -> None:
    held.refs(2)
    assert held.look(**changes) == held.plain._replace(**changes)
    assert held.asked == []


def test_mounted_where_no_path_leads(held: Held) -> None:
    """Such a mount holds it. If mounts cannot be read, its files may tell."""
    held.refs(1)
    held.mounted = {held.at}
    assert held.look() == held.plain and held.asked == []
    held.mounted = LookupError("struct mount")
    assert held.holders() == ((KERNEL,), 1)
    assert held.asked == [{held.at}]
