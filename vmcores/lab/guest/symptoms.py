#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Provoke and measure what each rule warns of, on the devices of rules.sh.

Use: ``symptoms.py`` (everything) or ``symptoms.py RULE...``. Each result is a line on
standard output, "symptom: " and an object. A run over everything also writes the
objects to /run/lab/symptoms.jsonl::

    {"rule": "xdp-peer-mtu", "netns": 4026531840, "ifindex": 7, "name": "rpma",
     "shown": true, "symptom": "what was measured, with the numbers",
     "twin": {the same five of the twin, with "shown": false}}

``shown`` is null, and ``why`` says why, if this kernel cannot show the symptom; then
``symptom`` has what was tried. ``"state_only": true`` means that ``shown`` is about the
state alone, because what follows from it would do harm. If the scene has no device for
the rule, ``netns``, ``ifindex`` and ``name`` are null. ``twin`` is null if there is
none. A measurement puts back what it changes; mending.py does not.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import socket
import sys
from typing import Any

from cases import CASES, Case
from measures.ends import End, Measure, ifindex_of, inum_of
from places import RUN
from traffic import netns

__all__ = ("end_of", "main", "measure", "measure_one")

RECORDS = RUN + "/symptoms.jsonl"


def _measure(end: End, how: Measure) -> dict[str, Any]:
    shown, symptom = how(end)
    return {
        "netns": inum_of(end.where),
        "ifindex": ifindex_of(end.name, end.where),
        "name": end.name,
        "shown": shown,
        "symptom": symptom,
    }


def _there(end: End) -> bool:
    with netns(end.where):
        return any(name == end.name for _, name in socket.if_nameindex())


def measure(case: Case) -> dict[str, Any]:
    """Measure a device and its twin."""
    result: dict[str, Any] = {
        "rule": case.rule,
        "netns": None,
        "ifindex": None,
        "name": None,
        "shown": None,
        "symptom": None,
        "twin": None,
    }
    if case.device is not None and _there(case.device):
        result.update(_measure(case.device, case.measure))
        if case.twin is not None and _there(case.twin):
            result["twin"] = _measure(case.twin, case.measure)
    if case.state_only:
        result["state_only"] = True
    if case.lacks and not result["shown"]:
        result.update(shown=None, why=case.lacks)
    return result


def _find(rule: str, name: str) -> tuple[End, Measure]:
    for case in CASES:
        for end in (case.device, case.twin):
            if case.rule == rule and end is not None and end.name == name:
                return end, case.measure
    raise LookupError(f"the scene has no {name} for {rule}")


def end_of(rule: str, name: str) -> End:
    """Return a device that shows the symptom of a rule, or its twin.

    :raises LookupError: if the scene has none
    """
    return _find(rule, name)[0]


def measure_one(rule: str, name: str) -> dict[str, Any]:
    """Measure one device again: its result has no "twin".

    :raises LookupError: if the scene has none
    """
    return {"rule": rule, **_measure(*_find(rule, name))}


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments say, or everything."""
    cases = [case for case in CASES if case.rule in arguments or not arguments]
    for case in cases:
        line = json.dumps(measure(case))
        print("symptom: " + line, flush=True)
        if not arguments:
            with open(RECORDS, "a", encoding="ascii") as f:
                f.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
