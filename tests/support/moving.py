# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A kernel in which everything moves
----------------------------------

The scene "moving", reports of it while its loops run, and what is wrong with these.
"""

from collections.abc import Iterator, Mapping, Sequence
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Any, NamedTuple, Optional

import lab

from tests.support.scripts import REPOSITORY

__all__ = ("LOOPS", "Moving", "Run", "make_moving", "wrong_with")

_REPORTS = REPOSITORY / "tests" / "vm" / "reports_in_a_row.py"

#: The loops of vmcores/lab/guest/moving.py.
LOOPS = (
    *("births", "births_afar", "names", "moves", "programs", "queues"),
    *("namespaces", "ports"),
)

_END = re.compile(r"([ms]\d+)([ab])\d*")
_MOVING_NETNS = re.compile(r"n(\d+)")
#: What the kernel says of a mistake of its own.
_BAD = re.compile(
    r"^.*(?:WARNING: |Oops|BUG: |general protection|Call Trace:).*$", re.M
)
#: What a report says of time, and of what is counted.
_COUNTED = ("stats", "queue_stats", "qdisc_stats")

Document = Mapping[str, Any]


class Run(NamedTuple):
    """One report: what came of it, and the document."""

    status: int
    error: str
    seconds: float
    report: Document


class Moving(NamedTuple):
    """What was seen of the scene."""

    still: Document  # before anything moved
    in_guest: Sequence[Run]
    by_qemu: Sequence[Run]
    rounds: Mapping[str, Any]  # what the loops say of themselves
    kernel_log: Sequence[str]  # mistakes of the kernel


def _runs(path: Path) -> list[Run]:
    runs = []
    for line in path.read_text().splitlines():
        said = json.loads(line)
        document = said.get("report", {})
        runs.append(Run(said["status"], said["error"], said["seconds"], document))
    return runs


def _by_qemu(guest: lab.Guest, path: Path, count: int) -> list[Run]:
    target = ("--qemu", guest.qmp_socket, "--no-default-symbols")
    words = (*target, _REPORTS, REPOSITORY / "helpers", path, count)
    subprocess.run(
        [sys.executable, "-m", "drgn", "-q", *map(str, words)],
        cwd="/",
        check=True,
        timeout=60 + 30 * count,
    )
    return _runs(path)


def make_moving(kernel: str, folder: Path, in_guest: int, by_qemu: int) -> Moving:
    """
    Boot a kernel, make a report, start the loops, and make reports.

    :param in_guest: How many by drgn in the guest
    :param by_qemu: How many through QEMU
    """
    booted = lab.get_kernel(kernel)
    folder.mkdir()
    return lab.try_boots(
        booted.release, lambda: _attempt(booted, folder, in_guest, by_qemu)
    )


def _attempt(kernel: lab.Kernel, folder: Path, in_guest: int, by_qemu: int) -> Moving:
    files = {
        f"/lab/repo/{name}": REPOSITORY / name for name in ("helpers", "drgn_scripts")
    }
    files["/lab/reports.py"] = _REPORTS
    with lab.Guest(kernel, files=files) as guest:
        guest.run("dash /lab/scenes/moving.sh", env={"MOVE": "0"})
        drgn = "python3 -m drgn -q -k --no-default-symbols"
        reports = f"/lab/reports.py /lab/repo/helpers /out/kcore.jsonl {in_guest + 1}"
        guest.run(
            f"{drgn} {reports} python3 /lab/guest/moving.py",
            timeout=300 + 60 * in_guest,
        )
        outside = _by_qemu(guest, folder / "qemu.jsonl", by_qemu)
        guest.run("touch /run/lab/moving.stop")
        # The last of them has written its file.
        told = "until [ -e /run/lab/moving.json ]; do sleep 0.1; done"
        rounds = json.loads(guest.run(f"{told}; cat /run/lab/moving.json"))
        guest.run("dmesg >/out/dmesg")
        guest.power_off()
        guest.empty_out_disk(folder / "out")
        log = guest.console() + (folder / "out" / "dmesg").read_text(errors="replace")
    still, *inside = _runs(folder / "out" / "kcore.jsonl")
    return Moving(still.report, inside, outside, rounds, _BAD.findall(log))


def _pair_of(name: object) -> str:
    # What the names of both ends of a pair have in common.
    match = _END.fullmatch(name) if isinstance(name, str) else None
    return match[1] if match else str(name)


def _is_whole(value: object) -> bool:
    if isinstance(value, dict):
        return "unreadable" not in value and all(map(_is_whole, value.values()))
    return all(map(_is_whole, value)) if isinstance(value, list) else True


def _without_counters(device: Document) -> dict[str, Any]:
    return {key: value for key, value in device.items() if key not in _COUNTED}


def _standing(report: Document) -> dict[str, dict[str, Any]]:
    # The rows of devices that nobody touches.
    return {
        device["name"]: _without_counters(device)
        for device in report["devices"]
        if isinstance(device["name"], str)
        and (device["name"].startswith("s") and _END.fullmatch(device["name"]))
    }


def _findings(report: Document) -> set[tuple[str, str, Optional[str]]]:
    return {
        (one["severity"], one["rule"], (one["device"] or {}).get("name"))
        for one in report["findings"]
        if one["severity"] in ("error", "warning")
    }


def _rows(report: Document, programs: Mapping[str, int]) -> Iterator[str]:
    rows = {(one["netns"], one["ifindex"]): one for one in report["devices"]}
    if len(rows) != len(report["devices"]):
        yield "two rows have the same ifindex in one namespace"
    labels = {one["inum"]: one["label"] for one in report["namespaces"]}
    for row in rows.values():
        name, peer = row["name"], row["peer"]
        if not isinstance(name, str) or not (
            _END.fullmatch(name) or row["kind"] != "veth"
        ):
            yield f"{name!r} is no name of a device here"
        if row["netns_label"] != labels.get(row["netns"]):
            yield f"{name} is in {row['netns_label']}, which is not in the report"
        moving = _MOVING_NETNS.fullmatch(row["netns_label"])
        if moving and name not in ("lo", f"m{moving[1]}b"):
            yield f"{name} is in {row['netns_label']}"
        if isinstance(peer, dict) and "unreadable" not in peer:
            other = rows.get((peer["netns"], peer["ifindex"]))
            if other is None or other["name"] != peer["name"]:
                yield f"the peer of {name}, {peer}, is {other and other['name']}"
            elif other["peer"] is None or other["peer"].get("name") != name:
                yield f"{peer['name']} is the peer of {name}, but not the other way"
            if _pair_of(peer["name"]) != _pair_of(name):
                yield f"{peer['name']} is no peer of {name}"
        yield from _of_row(row, programs)
    for pair in report["pairs"]:
        ends = [rows[pair[end]["netns"], pair[end]["ifindex"]] for end in "ab"]
        if _pair_of(ends[0]["name"]) != _pair_of(ends[1]["name"]):
            yield f"{ends[0]['name']} and {ends[1]['name']} are called a pair"


def _of_row(row: Document, programs: Mapping[str, int]) -> Iterator[str]:
    name, queues = row["name"], row["queues"]
    real = queues["rx"]["real"]
    for what in (row["rps"], row["xdp"].get("queues")):
        if isinstance(what, list) and isinstance(real, int) and len(what) != real:
            yield f"{name} has {real} RX queues, and {len(what)} are listed"
    if _pair_of(name) == "m6000" and _is_whole(queues):
        if {real, queues["tx"]["real"]} - {1, 4}:
            yield f"{name} has {queues}"
    for mode in ("generic", "driver", "offload"):
        program = row["xdp"][mode]
        if program is None or not _is_whole(program):
            continue
        known = programs.get(program["name"], program["id"])
        if known != program["id"]:
            yield f"{program['name']} has ID {program['id']}, not {known}"
        if (_pair_of(name) == "m5000") != (program["name"] in programs):
            yield f"{name} has {program['name']}"


def wrong_with(run: Run, moving: Moving) -> list[str]:
    """Return what is wrong with a report: nothing, if it is right."""
    if run.status != 0 or not run.report:
        return [f"exit status {run.status}: {run.error}"]
    report = run.report
    wrong = []
    lines = run.error.splitlines()
    if lines and (len(lines) > 1 or "partial report: " not in lines[0]):
        wrong.append(f"on standard error: {run.error}")
    wrong += [
        f"{one['what']}: {one['why']}"
        for one in report["unreadable"]
        if one["what"].startswith("devices[") and not one["why"].startswith("changing")
    ]
    programs = {k: v for k, v in moving.rounds.items() if k.startswith("turn_")}
    wrong += _rows(report, programs)
    expected, found = _standing(moving.still), _standing(report)
    for name, row in expected.items():
        if found.get(name) != row:
            differ = [key for key in row if row[key] != found.get(name, {}).get(key)]
            wrong.append(f"{name} stands, but its row is not the same: {differ}")
    wrong += [
        f"{one['label']} stands, but is called {one['names']}"
        for one in report["namespaces"]
        if one["label"].startswith("stay") and one["names"] != [one["label"]]
    ]
    stay = {one["label"] for one in moving.still["namespaces"]}
    missing = stay - {one["label"] for one in report["namespaces"]}
    if missing:
        wrong.append(f"not in the report: {sorted(missing)}")
    expected_findings, found_findings = _findings(moving.still), _findings(report)
    for what, those in (
        ("a false", found_findings - expected_findings),
        ("not found:", expected_findings - found_findings),
    ):
        wrong += [f"{what} {' '.join(map(str, one))}" for one in sorted(those)]
    return wrong
