# SPDX-License-Identifier: LGPL-2.1-or-later
"""Walks over lists: nodes in a dict, {node: (next, prev)}."""

from drgn_veth.core.errors import WalkError
from drgn_veth.core.unreadable import Maybe
from drgn_veth.readers.bounded import bounded_list

from tests.support.snapshots import BAD


def walked(
    nodes: dict[int, tuple[Maybe[int], Maybe[int]]], limit: int = 100
) -> tuple[list[int], str]:
    head = 1

    def read(pos: int) -> tuple[Maybe[int], Maybe[int], int]:
        following, previous = nodes.get(pos, (BAD, BAD))
        return following, previous, pos

    found = []
    try:
        for node in bounded_list(head, *nodes[head], read, limit):
            found.append(node)
    except WalkError as e:
        return found, str(e)
    return found, ""


def ring(count: int) -> dict[int, tuple[Maybe[int], Maybe[int]]]:
    nodes = list(range(1, count + 2))
    return {
        node: (nodes[(i + 1) % len(nodes)], nodes[i - 1])
        for i, node in enumerate(nodes)
    }


def test_walk_whole() -> None:
    assert walked(ring(0)) == ([], "")
    assert walked(ring(3)) == ([2, 3, 4], "")


def test_walk_reaches_the_rest_from_the_other_end() -> None:
    nodes = ring(6)
    del nodes[4]
    found, error = walked(nodes)
    assert sorted(found) == [2, 3, 4, 5, 6, 7]  # 4: both its neighbours name it
    assert error == BAD.reason


def test_walk_with_two_breaks() -> None:
    nodes = ring(6)
    del nodes[3], nodes[6]
    found, error = walked(nodes)
    assert sorted(found) == [2, 7]
    assert error == BAD.reason


def test_walk_in_a_circle() -> None:
    nodes = ring(6)
    nodes[5] = (3, 4)
    found, error = walked(nodes)
    assert sorted(found) == [2, 3, 4, 5, 6, 7]
    assert "loops" in error


def test_walk_limit() -> None:
    found, error = walked(ring(50), limit=10)
    assert len(found) == 10
    assert "gave up" in error


def test_walk_without_a_beginning() -> None:
    nodes = ring(3)
    nodes[1] = (BAD, 4)
    found, error = walked(nodes)
    assert found == [4, 3, 2]
    assert error == BAD.reason
    nodes[1] = (0, 0)
    assert walked(nodes) == ([], "a NULL pointer in the list")
