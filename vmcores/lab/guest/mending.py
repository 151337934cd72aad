#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run commands that should mend something, and measure what is left of the symptoms.

It reads a plan, JSON with one object for each device of rules.sh::

    [{"rule": "xdp-peer-mtu", "name": "rpma", "commands": ["ip link ..."],
      "attach": true}]

and prints one object for each::

    [{"failed": ["COMMAND: what it said"], "again": {"rule": ..., "shown": false, ...},
      "answer": {"name": "rpma", "errno": 0, "message": null}}]

"again" is as symptoms.py prints it. "answer" is what the kernel then answers to a
native attach; null, unless "attach" asks for it. Without commands, nothing is measured,
and both are null.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import subprocess
import sys
import time
from typing import Any

from measures.attaching import answer
from symptoms import end_of, measure_one

__all__ = ("main",)

PATIENCE = 30.0


def _failed(command: str) -> list[str]:
    done = subprocess.run(
        ["dash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return [f"{command}: {done.stdout.strip()}"] if done.returncode else []


def _measured(rule: str, name: str) -> Any:
    # The kernel frees some things later: a link after the last pin was removed.
    deadline = time.monotonic() + PATIENCE
    while True:
        again = measure_one(rule, name)
        if not again["shown"] or time.monotonic() >= deadline:
            return again
        time.sleep(0.5)


def _mended(plan: Mapping[str, Any]) -> dict[str, Any]:
    rule, name = plan["rule"], plan["name"]
    if not plan["commands"]:
        return {"failed": [], "again": None, "answer": None}
    return {
        "failed": [said for command in plan["commands"] for said in _failed(command)],
        "again": _measured(rule, name),
        "answer": answer(end_of(rule, name)) if plan["attach"] else None,
    }


def main() -> None:
    """Do what the plan on standard input says."""
    print(json.dumps(list(map(_mended, json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
