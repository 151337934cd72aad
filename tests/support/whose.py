# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Our namespaces against /proc
----------------------------

Compares what a report says of each namespace with tests/support/whose_truth.py, value
by value, as tests/support/oracle does with the devices.
"""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.oracle import Comparison
from tests.support.whose_truth import ABSENT, PANICKING, expected_namespaces

__all__ = ("EVERY_KEY", "compare")

#: What a report of the kernel that it runs on tells otherwise at each moment: which
#: processes the initial namespace has. The report's own is one of them.
_OF_THE_MOMENT = ("task_count", "tasks")

#: The keys of a namespace that this compares.
EVERY_KEY = (
    "label",
    "hostname",
    "names",
    "mounts",
    "other_mounts",
    "nsid",
    "task_count",
    "tasks",
    "containers",
    "holders",
)


def _comparable(key: str, value: Any) -> Any:
    """Bring what has no order into one."""
    if not isinstance(value, (list, tuple)):
        return value
    if key == "containers":
        plain = [{**c, "within": list(c.get("within", ()))} for c in value]
        return sorted(plain, key=lambda c: str(c["id"]))
    if key == "holders":
        # One of the kernel's has no process: nothing in /proc tells which there are.
        with_process = [h for h in value if h.get("pid") is not None]
        return sorted(with_process, key=lambda h: (h["pid"], h["fd"]))
    return list(value)


def _parts(key: str, value: Any) -> int:
    """Return how many values a list of records is."""
    if isinstance(value, list) and key in ("tasks", "containers", "holders"):
        return max(1, sum(len(one) for one in value))
    return 1


def compare(
    report: Mapping[str, Any],
    truth: Mapping[str, Any],
    later: int = PANICKING,
    keys: Sequence[str] = EVERY_KEY,
    live: bool = False,
) -> Comparison:
    """
    Compare every namespace of a report with the truth.

    :param later: How many processes came to the initial namespace after the truth
    :param live: The report ran on the kernel itself: leave out which processes the
        initial namespace has
    """
    result = Comparison(collections.Counter(), [], collections.Counter())
    ours = {n["inum"]: n for n in report["namespaces"]}
    init = {n["inum"] for n in report["namespaces"] if n["init"]} if live else set()
    theirs = expected_namespaces(truth, later)
    for inum in sorted(ours.keys() ^ theirs.keys()):
        result.differences.append(f"namespace {inum}: only one side has it")
    for inum in sorted(ours.keys() & theirs.keys()):
        for key in keys:
            if inum in init and key in _OF_THE_MOMENT:
                continue
            source, value = theirs[inum][key]
            if value is not ABSENT:
                result.compared[source] += _parts(key, value)
            have = ours[inum].get(key, ABSENT)
            if _comparable(key, have) != _comparable(key, value):
                result.differences.append(
                    f"namespace {inum}.{key}: {have!r}, {source} says {value!r}"
                )
    for device in report["devices"]:
        label = theirs[device["netns"]]["label"][1] if device["netns"] in theirs else ""
        result.compared["design"] += 1
        if device.get("netns_label") != label:
            result.differences.append(
                f"device {device['netns']}, {device['ifindex']}: netns_label "
                f"{device.get('netns_label')!r}, not {label!r}"
            )
    return result
