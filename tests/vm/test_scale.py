# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two thousand pairs on a booted kernel: nothing is cut short, or grows without end."""

import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from tests.support.booted import REPOSITORY, Dump
from tests.support.peak_memory import Used, measuring
from tests.support.schemas import validate

PAIRS, NAMESPACES = 2000, 50
MOST_MB = 200


def _run(dump: Dump, path: Path, *args: str) -> tuple[Any, float]:
    # The JSON that a command writes to standard output, and its peak memory in MB.
    used = path.with_suffix(".used")
    command = [sys.executable, "-m", "drgn_veth", args[0], "-c", str(dump.made.vmcore)]
    with open(path, "wb") as out:
        subprocess.run(
            measuring(used, *command, *args[1:], "--format", "json"),
            stdout=out,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "helpers")},
            check=True,
        )
    return json.loads(path.read_bytes()), Used.of(used).mb


def test_every_pair_is_there(many_dump: Dump, tmp_path: Path) -> None:
    report, memory = _run(many_dump, tmp_path / "report", "report")
    validate(report)
    assert report["unreadable"] == []
    labels = {one["inum"]: one["label"] for one in report["namespaces"]}
    names = {
        (one["netns"], one["ifindex"]): (labels[one["netns"]], one["name"])
        for one in report["devices"]
    }
    pairs = {
        frozenset(names[end["netns"], end["ifindex"]] for end in (one["a"], one["b"]))
        for one in report["pairs"]
    }
    assert pairs == {
        frozenset(
            (("host", f"veth{i}"), (f"ns{i % NAMESPACES}", f"eth{i // NAMESPACES}"))
        )
        for i in range(PAIRS)
    }
    steered = {one["name"] for one in report["devices"] if one["rps"][0]["cpus"]}
    assert steered == {f"veth{i}" for i in range(0, PAIRS, 10)}
    assert memory < MOST_MB


def test_every_device_is_asked(many_dump: Dump, tmp_path: Path) -> None:
    answers, memory = _run(many_dump, tmp_path / "answers", "attach", "--all")
    validate(answers, "drgn-veth-1-attempts")
    asked: dict[tuple[int, int], list[Any]] = {}
    for one in answers["attempts"]:
        asked.setdefault((one["netns"], one["ifindex"]), []).append(one)
    veths = [of for of in asked.values() if "veth" in (of[0]["function"] or "")]
    assert len(veths) == 2 * PAIRS
    # One real RX queue, and one TX queue at the other end.
    for of in veths:
        errors = {one["mode"]: one["error"] for one in of}
        assert errors == {
            "default": None,
            "driver": None,
            "generic": None,
            "offload": "EINVAL",
        }
    assert memory < MOST_MB
