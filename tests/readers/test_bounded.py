# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists and hlists that are damaged."""

import drgn
from drgn import (
    Object,
)
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.bounded import bounded_hlist, for_each_entry_bounded
import pytest

from tests.support.toy import NOWHERE, Toy


class Ring:
    """A doubly linked list of some entries."""

    def __init__(self, toy: Toy, count: int) -> None:
        toy.struct("entry", number="long", node="struct list_head")
        self.toy = toy
        self.head = toy.place("struct list_head")
        self.nodes = [toy.place("struct entry") + 8 for _ in range(count)]
        for i, node in enumerate(self.nodes):
            toy.put(node - 8, "Q", i)
        ring = [self.head, *self.nodes]
        for here, there in zip(ring, [*ring[1:], self.head]):
            self.link(here, there)
            toy.put(there + 8, "Q", here)

    def link(self, here: int, there: int) -> None:
        """Let next of one node point to another one."""
        self.toy.put(here, "Q", there)

    def all(self) -> tuple[list[int], str]:
        """Return what was reached, sorted, and what was said."""
        prog = self.toy.prog
        head = Object(prog, "struct list_head *", self.head)
        found: list[int] = []
        try:
            for entry in for_each_entry_bounded(head, "struct entry", "node"):
                found.append(entry.number.value_())
        except WalkError as e:
            return sorted(found), str(e)
        return sorted(found), ""


@pytest.mark.parametrize("first", range(-1, 9))
@pytest.mark.parametrize("skipped", (1, 2, 8))
def test_list_that_skips_entries(toy: Toy, first: int, skipped: int) -> None:
    """Some next leads past entries, or past the end: all are found, and it is said."""
    ring = Ring(toy, 10)
    assert ring.all() == (list(range(10)), "")
    there = first + 1 + skipped
    after = ring.nodes[there] if there < 10 else ring.head
    ring.link(ring.nodes[first] if first >= 0 else ring.head, after)
    found, why = ring.all()
    assert found == list(range(10))
    assert why


@pytest.mark.parametrize("broken", range(10))
def test_list_with_one_pointer_back_that_is_wrong(toy: Toy, broken: int) -> None:
    ring = Ring(toy, 10)
    toy.put(ring.nodes[broken] + 8, "Q", ring.nodes[(broken + 5) % 10])
    found, why = ring.all()
    assert found == list(range(10))
    assert "does not point back" in why


def test_list_that_leads_into_another_one(toy: Toy) -> None:
    ring, other = Ring(toy, 4), Ring(toy, 4)
    toy.put(other.nodes[2] - 8, "Q", 99)
    ring.link(ring.nodes[1], other.nodes[2])
    found, why = ring.all()
    assert found == [0, 1, 2, 3]
    assert "does not point back" in why


class Chain:
    """A struct hlist_head and its nodes."""

    def __init__(self, toy: Toy, count: int) -> None:
        toy.struct("hlist_node", next="void *", pprev="void *")
        self.toy = toy
        self.head = toy.place("void *")
        self.nodes = [toy.place("struct hlist_node") for _ in range(count)]
        for here, there in zip([self.head, *self.nodes], self.nodes):
            toy.put(here, "Q", there)
            toy.put(there + 8, "Q", here)

    def all(self, tags: int = 0) -> tuple[list[int], str]:
        """Return what was reached, and what was said."""
        found: list[int] = []
        try:
            for node in bounded_hlist(self.toy.prog, self.head, tags=tags, limit=20):
                found.append(node)
        except (WalkError, drgn.FaultError) as e:
            return found, str(e)
        return found, ""


def test_hlist(toy: Toy) -> None:
    assert Chain(toy, 0).all() == ([], "")
    chain = Chain(toy, 5)
    assert chain.all() == (chain.nodes, "")


@pytest.mark.parametrize("first", range(-1, 3))
def test_hlist_that_skips_entries(toy: Toy, first: int) -> None:
    chain = Chain(toy, 5)
    here = chain.nodes[first] if first >= 0 else chain.head
    toy.put(here, "Q", chain.nodes[first + 2])
    found, why = chain.all()
    assert found == chain.nodes[: first + 1]
    assert "does not point back" in why


def test_hlist_with_tags_and_without_an_end(toy: Toy) -> None:
    chain = Chain(toy, 5)
    toy.put(chain.nodes[2] + 8, "Q", chain.nodes[1] | 1)
    assert chain.all(tags=1) == (chain.nodes, "")
    assert "does not point back" in chain.all()[1]
    toy.put(chain.nodes[4], "Q", chain.nodes[2])
    found, why = chain.all(tags=1)
    assert found == chain.nodes
    assert "does not point back" in why
    toy.put(chain.nodes[4], "Q", NOWHERE)
    found, why = chain.all(tags=1)
    assert found == chain.nodes
    assert "could not find memory" in why


def test_hlist_that_loops_where_nothing_points_back(toy: Toy) -> None:
    chain = Chain(toy, 2)
    last = NOWHERE - 8  # Its pprev is not there.
    toy.put(chain.nodes[1], "Q", last)
    toy.put(last, "Q", last)
    found, why = chain.all()
    assert found == [*chain.nodes, last]
    assert why == f"the list loops at {last:#x}"


def test_hlist_has_a_limit(toy: Toy) -> None:
    chain = Chain(toy, 20)
    assert chain.all() == (chain.nodes, "")
    chain = Chain(toy, 21)
    assert chain.all() == (chain.nodes[:20], "more than 20 entries: gave up")


def test_hlist_whose_last_entry_is_half_there(toy: Toy) -> None:
    """What cannot be read at all is no entry."""
    chain = Chain(toy, 3)
    toy.put(chain.nodes[2], "Q", NOWHERE)
    found, why = chain.all()
    assert found == chain.nodes and "could not find memory" in why
    # Only its pprev is not there: it may be the next one.
    toy.put(chain.nodes[2], "Q", NOWHERE - 8)
    assert chain.all() == ([*chain.nodes, NOWHERE - 8], "")


def test_list_that_ends_with_null(toy: Toy) -> None:
    """It is walked from its other end, too."""
    ring = Ring(toy, 4)
    ring.link(ring.nodes[1], 0)
    assert ring.all() == ([0, 1, 2, 3], "a NULL pointer in the list")


def test_list_has_a_limit(toy: Toy) -> None:
    ring = Ring(toy, 4)
    head = Object(toy.prog, "struct list_head *", ring.head)
    assert len(list(for_each_entry_bounded(head, "struct entry", "node", 4))) == 4
    with pytest.raises(WalkError, match="more than 3 entries: gave up"):
        list(for_each_entry_bounded(head, "struct entry", "node", 3))
