# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Reports of a kernel in which everything moves
---------------------------------------------

The loops of vmcores/lab/guest/moving.py change devices, programs, queues and namespaces
while drgn reads them, in the guest and through QEMU. No report mixes things up, none
says that something is wrong that is right, and all have what nobody touches.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
import re

import pytest

from tests.support.moving import LOOPS, Moving, Run, wrong_with

pytestmark = pytest.mark.vm

#: Of all rows of moving devices, how many may be "changing".
_MOST_CHANGING = 0.05
#: How often each loop goes round while reports are made, at least.
_LEAST_ROUNDS = 20


def _all_wrong(runs: Sequence[Run], moving: Moving) -> list[str]:
    return [
        f"report {number}: {wrong}"
        for number, run in enumerate(runs)
        for wrong in wrong_with(run, moving)
    ]


def test_in_the_guest(moving: Moving) -> None:
    assert moving.in_guest
    assert not _all_wrong(moving.in_guest, moving)


def test_by_qemu(moving: Moving) -> None:
    assert moving.by_qemu
    assert not _all_wrong(moving.by_qemu, moving)


def test_what_stands_is_right(moving: Moving) -> None:
    """The reports are compared with this one."""
    rows = {row["name"]: row for row in moving.still["devices"]}
    assert not moving.still["unreadable"]
    for number in range(20):
        one, other = rows[f"s{number}a"], rows[f"s{number}b"]
        assert one["peer"]["name"] == other["name"], number
        assert other["peer"]["name"] == one["name"]
        assert (one["netns_label"], other["netns_label"]) == ("host", f"stay{number}")
    assert rows["s0a"]["master"]["name"] == "stay_br"
    assert rows["s100a"]["queues"]["rx"] == {"real": 3, "allocated": 4}
    assert rows["s100a"]["queues"]["tx"] == {"real": 2, "allocated": 4}
    assert rows["s100a"]["rps"][0]["cpus"] == [0, 1]
    assert rows["s101a"]["xdp"]["generic"]["name"] == "stay_gen"
    assert rows["s102a"]["xdp"]["driver"]["name"] == "stay_drv"
    found = {(one["rule"], one["device"]["name"]) for one in moving.still["findings"]}
    assert ("peer-down", "s103a") in found


def _states(run: Run) -> Iterator[tuple[int, object]]:
    # Which loop has a device, and what the report says of it.
    for row in run.report["devices"]:
        match = re.fullmatch(r"m(\d)\d+[ab]\d*", str(row["name"]))
        if match:
            values = (row[key] for key in ("name", "netns", "queues", "xdp", "master"))
            yield int(match[1]), tuple(map(str, values))


def test_everything_moved(moving: Moving) -> None:
    assert moving.rounds["failed"] == []
    lazy = [loop for loop in LOOPS if moving.rounds[loop] < _LEAST_ROUNDS]
    assert not lazy
    # The reports met what each loop does in more than one state.
    runs = (*moving.in_guest, *moving.by_qemu)
    states = {state for run in runs for state in _states(run)}
    met = Counter(loop for loop, _ in states)
    assert {i: met[i] > 2 for i in met} == {i + 1: True for i in range(len(LOOPS))}


def test_few_rows_are_changing(moving: Moving) -> None:
    """It is no way out: nearly all rows of what moves are there."""
    rows = [
        row
        for run in (*moving.in_guest, *moving.by_qemu)
        for row in run.report["devices"]
        if str(row["name"]).startswith("m")
    ]
    changing = [row for row in rows if "unreadable" in (row["peer"] or {})]
    assert len(rows) > 10 * (len(moving.in_guest) + len(moving.by_qemu))
    assert len(changing) <= _MOST_CHANGING * len(rows)


def test_kernel_takes_no_harm(moving: Moving) -> None:
    assert moving.kernel_log == []
