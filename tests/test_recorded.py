# SPDX-License-Identifier: LGPL-2.1-or-later
"""The report on the recorded cores: no root, no QEMU, no debug symbols."""

import json
from pathlib import Path
import subprocess
import sys
from typing import Any, Optional

from drgn_veth.analysis.attach.ask import decision
import golden
import pytest

from tests.support import oracle, whose
from tests.support.booted import Tally
from tests.support.recorded import (
    CORES,
    EVERY_CORE,
    SLOW_CORES,
    Recorded,
    recorded_core,
    said_of,
)
from tests.support.schemas import validate
from tests.support.scripts import REPOSITORY, SCRIPT, by_drgn
from tests.support.slow import slow_but

ATTACH_SCRIPT = REPOSITORY / "scripts" / "xdp_attach.py"
#: The golden JSON, and the commands that print it.
JSON_BY: dict[str, tuple[Path, list[str]]] = {
    "report.json.xz": (SCRIPT, ["--format", "json"]),
    "attach.json.xz": (ATTACH_SCRIPT, ["--all", "--format", "json"]),
}
MOST = 3 << 20
QUICK = [name for name in EVERY_CORE if name not in SLOW_CORES]
by_every_core = pytest.mark.parametrize(
    "recorded", slow_but(QUICK, EVERY_CORE), indirect=True
)
WHOSE = [name for name in EVERY_CORE if name.endswith("-whose")]


@pytest.fixture(scope="session")
def said(recorded: Recorded) -> dict[str, str]:
    """What every command prints, in every format, without a process each."""
    return said_of(recorded)


@pytest.fixture(scope="session")
def report(said: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said["report.json.xz"])
    return found


def test_there_is_one_for_each_kernel() -> None:
    series = [name.split("-")[0] for name in CORES]
    assert {"5.10", "6.1", "6.12"} < set(series)
    assert any(name.startswith("7.") for name in series)
    assert WHOSE


@pytest.mark.parametrize(
    "recorded", slow_but([QUICK[0], *QUICK[-2:]], EVERY_CORE), indirect=True
)
def test_every_value(recorded: Recorded, report: dict[str, Any], tally: Tally) -> None:
    comparison = oracle.compare(report, recorded.truth)
    tally[f"{recorded.name} core"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert sum(comparison.compared.values()) > 2500
    assert report["unreadable"] == []
    assert report["target"]["kind"] == "elf"
    assert report["target"]["types"] == "btf"
    validate(report)


@pytest.mark.parametrize("recorded", WHOSE, indirect=True)
def test_who_is_in_each_namespace(recorded: Recorded, report: dict[str, Any]) -> None:
    comparison = whose.compare(report, recorded.truth)
    assert not comparison.differences, "\n".join(comparison.differences)
    assert sum(comparison.compared.values()) > 1000


def test_findings(recorded: Recorded, report: dict[str, Any]) -> None:
    """What the scene has set up to go wrong, and nothing else."""
    found = report["findings"]
    if recorded.about["scene"] != "zoo":
        # Nothing in it is broken: this scene has states that decide an attach.
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
    # No finding is undecided because a value is missing.
    assert not [
        f for f in found if {"unreadable"} in map(_keys, f["evidence"].values())
    ]


def _keys(value: object) -> object:
    return set(value) if isinstance(value, dict) else None


NO_OPERATION = ("EOPNOTSUPP", "Underlying driver does not support XDP in native mode")

_Answer = tuple[Optional[str], Optional[str]]

#: Rules that say how the kernel refuses native XDP, by its answer.
REFUSALS: dict[_Answer, str] = {
    ("ENOSPC", decision("veth-queues").message): "xdp-native-queues",
    ("ERANGE", decision("veth-mtu").message): "xdp-peer-mtu",
    ("EEXIST", decision("other-mode").message): "xdp-mode-conflict",
    ("EEXIST", decision("upper").message): "xdp-upper-program",
    ("EOPNOTSUPP", None): "netkit-default-attach",
}


def _chain(attempt: dict[str, Any]) -> list[dict[str, Any]]:
    # The answer to an attach, and those that come after its fixes.
    chain = [attempt]
    while "then" in chain[-1]:
        chain.append(chain[-1]["then"])
    return chain


def _said(answer: dict[str, Any]) -> _Answer:
    return answer["error"], answer["message"]


def test_findings_agree_with_the_predictor(
    recorded: Recorded, report: dict[str, Any], said: dict[str, str]
) -> None:
    """What rules say of native XDP, and of what comes then, is what it answers."""
    chains = {
        (a["netns"], a["ifindex"]): _chain(a)
        for a in json.loads(said["attach.json.xz"])["attempts"]
        if (a["mode"], a["via"], a["frags"]) == ("driver", "netlink", False)
    }
    found = {
        (f["rule"], f["device"]["netns"], f["device"]["ifindex"]): f
        for f in report["findings"]
        if f["rule"] in REFUSALS.values()
    }
    # No rule is about these: they have a native program, their own or their bond's, or
    # cannot have one, or are a bond, which is refused because of its slaves.
    silent = {
        (d["netns"], d["ifindex"])
        for d in report["devices"]
        if d["xdp"]["driver"] is not None
        or d["kind"] == "bond"
        or any(q["prog_id"] for q in d["xdp"].get("queues", ()))
        or (d["kind"] == "netkit" and d["xdp"]["generic"] is not None)
        or _said(chains[d["netns"], d["ifindex"]][-1]) == NO_OPERATION
    }
    told = 0
    for (rule, *where), finding in found.items():
        place = where[0], where[1]
        chain = chains[place]
        mine = finding["kernel"]["errno"], finding["kernel"]["message"]
        assert REFUSALS[mine] == rule
        assert mine in map(_said, chain)
        then = finding.get("then")
        rest = [_said(a) for a in chain if _said(a) != mine and a["errno"]]
        if then is not None:
            told += 1
            assert (then["errno"], then["message"]) == rest[0]
        elif finding["fix"] or "undo" in finding:
            assert rest == [] or place in silent
    assert told >= (2 if recorded.about["scene"] == "zoo" else 0)
    # And vice versa.
    for place, chain in chains.items():
        for answer in chain if place not in silent else ():
            mine = _said(answer)
            assert mine not in REFUSALS or (REFUSALS[mine], *place) in found


@pytest.mark.slow
@pytest.mark.parametrize("name", CORES)
def test_screen(name: str) -> None:
    """By the command line; what is in the other files, without a process each."""
    argv = [sys.executable, "-m", "drgn", "-q", "-c", str(recorded_core(name).core)]
    argv += ["--no-default-symbols", str(SCRIPT)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd="/")
    assert done.stdout == golden.read(name, "pairs.txt")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_CORE)
@pytest.mark.parametrize("file", JSON_BY)
def test_json_by_drgn(name: str, file: str) -> None:
    """By the command line of drgn; the other tests look at the same text."""
    script, options = JSON_BY[file]
    done = by_drgn(recorded_core(name).core, script, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == golden.read(name, file)


@by_every_core
def test_golden_output(recorded: Recorded, said: dict[str, str]) -> None:
    """``make golden`` makes it again."""
    there = {path.name for path in golden.folder_of(recorded.name).iterdir()}
    assert there == set(golden.OUTPUTS)
    changed = [
        golden.difference(file, golden.read(recorded.name, file), text)
        for file, text in said.items()
    ]
    assert not any(changed), "\n".join(filter(None, changed))


def test_difference_is_readable() -> None:
    record = {"name": "veth0", "queues": {"rx": 1, "tx": 1}}
    old = "\n".join(["[", json.dumps(record) + ",", json.dumps({"a": 1}), "]"])
    new = old.replace('"tx": 1', '"tx": 2')
    said = golden.difference("report.json.xz", old, new).splitlines()
    assert said[:2] == ["--- golden report.json.xz", "+++ now"]
    assert [line for line in said[2:] if line[0] in "+-"] == [
        '-  "tx": 1',
        '+  "tx": 2',
    ]
    assert golden.difference("pairs.txt", "a\n", "a\n") == ""
    assert golden.difference("pairs.txt", "a\nb\n", "a\nc\n").endswith("-b\n+c")


def test_size(recorded: Recorded) -> None:
    assert recorded.packed.stat().st_size <= MOST


def test_no_packet_and_no_process_in_it(recorded: Recorded) -> None:
    """vmcores/lab/guest/marker.py has put these words into packets and a process."""
    content = recorded.core.read_bytes()
    for what in ("PACKET", "USER"):
        assert "-".join(("DRGN", "VETH", what)).encode() not in content
