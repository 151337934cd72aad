# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cannot be read is said, what is wrong with us is raised."""

from collections.abc import Iterator

from drgn import FaultError
from drgn_veth.core.errors import WalkError, attempt
from drgn_veth.core.salvage import Salvage
from drgn_veth.core.unreadable import Unreadable
import pytest


def broken_walk() -> Iterator[int]:
    yield 1
    yield 2
    raise FaultError("no page", 0x1000)


def bug(*_: object) -> int:
    raise AssertionError("a bug of ours")


def test_attempt() -> None:
    assert attempt(max, 1, 2) == 2
    lost = Unreadable("no page")
    assert attempt(bug, 1, lost) is lost
    why = attempt(int, "x")
    assert isinstance(why, Unreadable) and "invalid literal" in why.reason
    with pytest.raises(AssertionError):
        attempt(bug)


def test_salvage() -> None:
    salvage = Salvage("pages: ")
    found: list[int] = list(salvage.walk(broken_walk()))
    assert found == [1, 2]
    with pytest.raises(WalkError, match=r"^pages: no page"):
        salvage.finish()


def test_salvage_of_values() -> None:
    salvage = Salvage()
    assert salvage.read(int, "1") == 1
    salvage.finish()
    assert salvage.read(int, "x") is None
    with pytest.raises(WalkError, match="invalid literal"):
        salvage.finish()


def test_a_bug_is_not_salvaged() -> None:
    salvage = Salvage()
    with pytest.raises(AssertionError):
        list(salvage.walk(map(bug, (1,))))
    with pytest.raises(AssertionError):
        salvage.read(bug)
    assert salvage.lost is None


def test_an_error_of_the_consumer_is_its_own() -> None:
    """It is raised where the entries are used, not in the walk."""
    salvage = Salvage()
    with pytest.raises(ValueError):
        for _ in salvage.walk(iter((1, 2))):
            raise ValueError
    assert salvage.lost is None
