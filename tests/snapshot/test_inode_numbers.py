# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inode numbers that several namespaces have."""

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Namespace
from drgn_veth.snapshot.inode_numbers import shared_numbers


def _namespace(net: int, inum: object, dying: bool = False) -> Namespace:
    assert isinstance(inum, (int, Unreadable))
    return Namespace(inum, False, 1, dying, net=net)


def _other(net: int) -> Unreadable:
    return Unreadable(f"invalid inode number 7: {net:#x} has it, too")


def test_numbers_of_their_own() -> None:
    lost = Unreadable("lost")
    some = (_namespace(at, inum) for at, inum in enumerate((7, 8, lost, lost)))
    assert shared_numbers(some) == {}


def test_one_number_for_several() -> None:
    """None has it, and each has a reason of its own."""
    some = [_namespace(at, inum) for at, inum in ((1, 7), (2, 9), (3, 7), (4, 7))]
    assert shared_numbers(some) == {1: _other(3), 3: _other(4), 4: _other(1)}


def test_a_number_that_was_given_back() -> None:
    one, other = _namespace(1, 7, dying=True), _namespace(2, 7)
    assert shared_numbers([one, other]) == {1: _other(2)}
    both = [one, _namespace(3, 7, dying=True)]
    assert shared_numbers(both) == {1: _other(3), 3: _other(1)}
    assert shared_numbers([*both, other]) == {1: _other(2), 3: _other(2)}
