# SPDX-License-Identifier: LGPL-2.1-or-later
"""Walks over lists that change."""

from collections.abc import Iterator, Sequence

from drgn import Program
from drgn_veth.core import moving
from drgn_veth.core.errors import WalkError
from drgn_veth.core.moving import let_it_move, moves, walked_again
import pytest


class Walks:
    """What each walk yields; one that ends in None breaks off."""

    def __init__(self, *walks: Sequence[object]) -> None:
        self.walks = list(walks)
        self.begun = 0

    def __call__(self) -> Iterator[object]:
        walk = self.walks[min(self.begun, len(self.walks) - 1)]
        self.begun += 1
        for entry in walk:
            if entry is None:
                raise WalkError(f"walk {self.begun} is broken")
            yield entry


def running() -> Program:
    prog = Program()
    assert not moves(prog)
    let_it_move(prog)
    assert moves(prog)
    return prog


def test_walk_of_a_dump_is_not_taken_up_again() -> None:
    walks = Walks([1, 2, None], [1, 2, 3])
    found = walked_again(Program(), walks, hash)
    assert (next(found), next(found)) == (1, 2)
    with pytest.raises(WalkError, match="walk 1"):
        next(found)
    assert walks.begun == 1


def test_what_was_reached_stays() -> None:
    walks = Walks([1, 2, None], [1, 3, None], [4, 1], [5])
    assert list(walked_again(running(), walks, hash)) == [1, 2, 3, 4]
    assert walks.begun == 3


def test_it_ends() -> None:
    walks = Walks([1, None])
    found = walked_again(running(), walks, hash)
    assert next(found) == 1
    with pytest.raises(WalkError, match="walk 10 is broken"):
        next(found)


def test_a_long_list_is_not_walked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "_LONG", 2)
    walks = Walks([1, 2, 3, None])
    with pytest.raises(WalkError, match="walk 1"):
        list(walked_again(running(), walks, hash))


def test_mistakes_are_not_hidden() -> None:
    def walk() -> Iterator[int]:
        yield 1
        raise AssertionError("a mistake of ours")

    with pytest.raises(AssertionError):
        list(walked_again(running(), walk, hash))
