# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Our answer against the kernel's own
-----------------------------------

Turns what iproute2, bpftool, ethtool and sysfs said in the guest (truth.json, see
vmcores/lab/guest/truth.py) into the values that a report has to have, and compares
every value of a report with them. A value that nothing else tells is counted and
must be of a kind in :data:`NO_SECOND_SOURCE`.
"""

import collections
from typing import Any

from .comparison import NO_SECOND_SOURCE, Comparison, check, kind_of, leaves
from .counters import QUEUE_COUNTERS, compare_counters
from .devices import check_first, expected_device, expected_pairs
from .maps import check_maps
from .namespaces import expected_namespaces
from .said import DYING, Truth
from .target import expected_target

__all__ = (
    "Comparison",
    "DYING",
    "NO_SECOND_SOURCE",
    "QUEUE_COUNTERS",
    "compare",
    "compare_counters",
    "kind_of",
    "leaves",
)


def compare(report: dict[str, Any], truth: dict[str, Any]) -> Comparison:
    """Compare every value of a report with what the guest's tools said."""
    expected = Truth(truth)
    result = Comparison(collections.Counter(), [], collections.Counter())
    check(result, "target", "target", report["target"], expected_target(expected))

    ours_ns = {n["inum"]: n for n in report["namespaces"]}
    their_ns = expected_namespaces(expected)
    for inum in ours_ns.keys() ^ their_ns.keys():
        result.differences.append(f"namespace {inum}: only one side has it")
    for inum in ours_ns.keys() & their_ns.keys():
        for name, value in their_ns[inum].items():
            result.compared["iproute2"] += 1
            have = ours_ns[inum].get(name)
            if have != value:
                result.differences.append(
                    f"namespace {inum}.{name}: {have!r}, iproute2 says {value!r}"
                )

    # Of a truth that does not have them.
    unasked = () if expected.has_addresses else ("devices.addresses",)
    ours = {(d["netns"], d["ifindex"]): d for d in report["devices"]}
    for key in ours.keys() ^ expected.links.keys():
        result.differences.append(f"device {key}: only one side has it")
    for key in sorted(ours.keys() & expected.links.keys()):
        place = f"device {key}"
        check(
            result, "devices", place, ours[key], expected_device(expected, key), unasked
        )
        check_first(result, place, ours[key])

    check_maps(result, report.get("maps", []), expected)
    pairs = sorted(
        (
            pair["kind"],
            (pair["a"]["netns"], pair["a"]["ifindex"]),
            (pair["b"]["netns"], pair["b"]["ifindex"]),
        )
        for pair in report["pairs"]
    )
    result.compared["iproute2"] += len(pairs)
    if pairs != expected_pairs(expected):
        extra = set(pairs) ^ set(expected_pairs(expected))
        result.differences.append(f"pairs: only one side has {sorted(extra)}")
    return result
