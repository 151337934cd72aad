# SPDX-License-Identifier: LGPL-2.1-or-later
"""IDRs that are damaged, or of another kernel."""

from collections.abc import Mapping

from drgn import (
    Object,
    offsetof,
)
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.idr import for_each_idr_pointer
import pytest

from tests.support.toy import BASE, NOWHERE, Toy


class Tree:
    """An IDR."""

    def __init__(self, toy: Toy, slots: int = 64) -> None:
        self.toy = toy
        array = toy.prog.array_type(toy.prog.type("void *"), slots)
        toy.struct(
            "xa_node",
            shift="unsigned char",
            count="unsigned char",
            parent="void *",
            slots=array,
        )
        root = toy.struct("xarray", xa_head="void *")
        toy.struct("idr", idr_rt=root)
        self.idr = Object(toy.prog, "struct idr", address=toy.place("struct idr"))

    def head(self, entry: int) -> None:
        self.toy.set("struct idr", self.idr.address_ or 0, idr_rt__xa_head=entry)

    def node(self, shift: int, slots: Mapping[int, int]) -> int:
        """Return a node as an entry."""
        address = self.toy.place("struct xa_node")
        self.toy.set("struct xa_node", address, shift=shift, count=len(slots))
        self.fill(address + 2, slots)
        for entry in slots.values():
            if BASE < entry < NOWHERE:
                self.toy.set("struct xa_node", entry - 2, parent=address)
        return address + 2

    def fill(self, node: int, slots: Mapping[int, int]) -> None:
        at = node - 2 + offsetof(self.toy.prog.type("struct xa_node"), "slots")
        for index, entry in slots.items():
            self.toy.put(at + 8 * index, "Q", entry)

    def all(self) -> tuple[list[int], str]:
        """Return what was reached, and what was said."""
        found: list[int] = []
        try:
            for pointer in for_each_idr_pointer(self.idr):
                found.append(pointer.value_())
        except WalkError as e:
            return found, str(e)
        return found, ""


def test_idr(toy: Toy) -> None:
    tree = Tree(toy)
    assert tree.all() == ([], "")
    tree.head(0x1000)
    assert tree.all() == ([0x1000], "")
    # A number, what stands for no pointer, and pointers.
    low = tree.node(0, {0: 0x2000, 1: (257 << 2) | 2, 2: 0x5, 63: 0x3000})
    tree.head(low)
    assert tree.all() == ([0x2000, 0x3000], "")
    lower = tree.node(0, {5: 0x4000})
    tree.head(tree.node(6, {0: low, 3: lower}))
    assert tree.all() == ([0x2000, 0x3000, 0x4000], "")


def test_idr_of_a_small_kernel(toy: Toy) -> None:
    tree = Tree(toy, slots=16)
    tree.head(tree.node(0, {15: 0x2000}))
    assert tree.all() == ([0x2000], "")


def test_idr_with_a_loop(toy: Toy) -> None:
    tree = Tree(toy)
    top = tree.node(6, {1: 0x2000, 3: 0x3000})
    tree.fill(top, {2: top})
    tree.head(top)
    found, why = tree.all()
    assert found == [0x2000, 0x3000]
    assert "is not below the one above" in why


def test_idr_that_skips_entries(toy: Toy) -> None:
    """A slot that was overwritten with 0 hides a pointer, or a whole node."""
    tree = Tree(toy)
    low = tree.node(0, {0: 0x2000, 1: 0x2100})
    tree.head(tree.node(6, {0: low, 3: tree.node(0, {5: 0x4000})}))
    assert tree.all() == ([0x2000, 0x2100, 0x4000], "")
    tree.fill(low, {1: 0})
    found, why = tree.all()
    assert found == [0x2000, 0x4000]
    assert "has count 2 but 1 used slots" in why


def test_idr_with_a_node_of_another_one(toy: Toy) -> None:
    tree = Tree(toy)
    low, other = tree.node(0, {0: 0x2000}), tree.node(0, {0: 0x3000})
    top = tree.node(6, {0: low})
    tree.node(6, {0: other})
    tree.head(top)
    tree.fill(top, {0: other})
    found, why = tree.all()
    assert found == []
    assert "does not point back" in why


def test_idr_with_a_page_missing(toy: Toy) -> None:
    tree = Tree(toy)
    tree.head(tree.node(6, {0: NOWHERE + 2, 1: 0x2000}))
    found, why = tree.all()
    assert found == [0x2000]
    assert "could not find memory" in why


@pytest.mark.slow
def test_idr_that_is_too_deep_for_anyone(toy: Toy) -> None:
    """Every slot of each node leads to all of the next one."""
    tree = Tree(toy)
    entry = tree.node(0, dict.fromkeys(range(64), 8192))
    for shift in range(6, 66, 6):
        entry = tree.node(shift, dict.fromkeys(range(64), entry))
    tree.head(entry)
    with pytest.raises(WalkError, match="gave up"):
        for _ in for_each_idr_pointer(tree.idr):
            pass
