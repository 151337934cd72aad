# SPDX-License-Identifier: LGPL-2.1-or-later
"""The report on the recorded cores: no root, no QEMU, no debug symbols."""

import json
from pathlib import Path
import subprocess
import sys
from typing import Any, Dict

from booted import SCRIPT, Tally
import jsonschema
import oracle
import pytest
from recorded import CORES, Recorded

REPOSITORY = Path(__file__).resolve().parent.parent
SCHEMA = json.loads((REPOSITORY / "docs" / "drgn-veth-1.schema.json").read_text())
MOST = 3 << 20


def run(core: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "drgn", "-q", "-c", str(core)]
    argv += ["--no-default-symbols", str(SCRIPT), *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd="/")


@pytest.fixture(scope="session")
def report(recorded: Recorded) -> Dict[str, Any]:
    done = run(recorded.core, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    said: Dict[str, Any] = json.loads(done.stdout)
    return said


def test_there_is_one_for_each_kernel() -> None:
    series = [name.split("-")[0] for name in CORES]
    assert {"5.10", "6.1", "6.12"} < set(series)
    assert any(name.startswith("7.") for name in series)


def test_every_value(recorded: Recorded, report: Dict[str, Any], tally: Tally) -> None:
    comparison = oracle.compare(report, recorded.truth)
    tally[f"{recorded.name} core"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert sum(comparison.compared.values()) > 4000
    assert report["unreadable"] == []
    assert report["target"]["kind"] == "elf"
    assert report["target"]["types"] == "btf"
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_findings(recorded: Recorded, report: Dict[str, Any]) -> None:
    """What the scene has set up to go wrong, and nothing else."""
    found = report["findings"]
    if recorded.about["scene"] != "zoo":
        # Nothing is broken in it: it has what decides an attach.
        assert not [f for f in found if f["severity"] == "error"]
        return
    worse = {(f["rule"], f["device"]["name"]) for f in found if f["severity"] != "info"}
    assert worse == {
        ("peer-down", "half_up"),
        ("peer-down", "to_pod3"),
        ("rps-queue-off-by-one", "rpsa"),
        ("rps-queue-off-by-one", "rpsb"),
        ("rps-queue-out-of-range", "veth_xxx0"),
    }
    (seed,) = [
        f
        for f in found
        if (f["rule"], f["device"]["name"]) == ("xdp-native-queues", "veth_xxx0")
    ]
    assert seed["evidence"] == {
        "real_num_rx_queues": 14,
        "peer_real_num_tx_queues": 48,
    }
    assert seed["kernel"]["errno"] == "ENOSPC"
    # Nothing is undecided for want of a value.
    assert not [
        f for f in found if {"unreadable"} in map(_keys, f["evidence"].values())
    ]


def _keys(value: object) -> object:
    return set(value) if isinstance(value, dict) else None


def test_screen(recorded: Recorded) -> None:
    """The golden screen; make vmcores makes it anew."""
    done = run(recorded.core)
    assert done.stdout == recorded.screen


def test_size(recorded: Recorded) -> None:
    assert recorded.packed.stat().st_size <= MOST


def test_no_packet_and_no_process_in_it(recorded: Recorded) -> None:
    """vmcores/lab/guest/marker.py has put these words into packets and a process."""
    content = recorded.core.read_bytes()
    for what in ("PACKET", "USER"):
        assert "-".join(("DRGN", "VETH", what)).encode() not in content
