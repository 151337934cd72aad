# SPDX-License-Identifier: LGPL-2.1-or-later
"""The legend of a picture: what is in it, and how its signs are put into lines."""

from drgn_veth.render.picture.legend import Sign, in_lines, signs
import pytest

from tests.support.pictures import scene_of
from tests.support.snapshots import BAD, DOWN, generic, pair, rps

UP = Sign("device", "up", "up", state="UP")
PAIR = Sign("edge", "veth", "veth pair")


def test_how_many_signs_a_line_takes() -> None:
    """A sign needs no room for what would come after it."""
    after = Sign("edge", "", "").width - 28 - 6
    two = UP.width + PAIR.width - after
    assert in_lines(iter([UP, PAIR]), two) == [[UP, PAIR]]
    assert in_lines(iter([UP, PAIR]), two - 0.5) == [[UP], [PAIR]]
    three = [UP, PAIR, UP]
    assert in_lines(iter(three), two) == [[UP, PAIR], [UP]]
    assert in_lines(iter(three), 2 * UP.width + PAIR.width - after) == [three]
    # One that is too wide has a line of its own.
    assert in_lines(iter(three), 1) == [[UP], [PAIR], [UP]]
    assert in_lines(iter([]), 100) == []


def test_how_wide_a_sign_is() -> None:
    assert PAIR.width_of_sign == 28
    assert UP.width_of_sign == 12
    both = UP._replace(dot="")
    assert both.width_of_sign > UP.width_of_sign
    assert UP.width < PAIR._replace(meaning="a veth pair of two").width


@pytest.mark.parametrize(
    ("opened", "folded"), [(True, False), (False, True), (True, True)]
)
def test_what_is_in_the_picture(opened: bool, folded: bool) -> None:
    """An open box has the signs and words of devices, a folded one their letters."""
    whole = pair({"flags": DOWN, **generic()}, rps((0,)))
    found = {
        one.meaning.partition(": ")[2] or one.meaning: one
        for one in signs(scene_of(whole), opened, folded)
    }
    assert set(found) >= {
        "down",
        "program attached",
        "steers received packets",
        "veth pair",
    }
    assert "unreadable" not in found
    down, program = found["down"], found["program attached"]
    assert (down.state, down.dot) == (
        "DOWN" if opened else None,
        "" if folded else None,
    )
    assert program.badge == ("XDP" if opened else None)
    assert program.dot == ("X" if folded else None)
    # Without the word, the meaning has it.
    assert program.meaning == ("" if opened else "XDP: ") + "program attached"


def test_a_device_whose_state_is_not_known() -> None:
    """Its sign is a question mark, and no colour of a state."""
    whole = pair({"flags": BAD, "operstate": BAD})
    for opened, folded in ((True, False), (False, True)):
        (one,) = (
            s for s in signs(scene_of(whole), opened, folded) if s.kind == "unknown"
        )
        assert one == Sign("device", "unknown", "unreadable", state="?")
