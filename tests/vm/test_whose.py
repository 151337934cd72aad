# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose namespaces these are, against /proc and the scene, on booted kernels."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle, whose
from tests.support.booted import (
    SCRIPT,
    SLICE_SCRIPT,
    SOURCES,
    Dump,
    Tally,
    drgn,
    settled,
)
from tests.support.schemas import validate
from tests.support.whose_truth import ABSENT, PANICKING, expected_namespaces

KEYS = ("namespaces", "devices", "pairs", "findings")


#: Targets, and the slices of those that are not a file of the kernel's own making.
SIDES = [
    *((source, "dwarf") for source in SOURCES),
    *((source, "slice") for source in SOURCES if source != "kdump"),
]


def _told(dump: Dump, source: str, types: str) -> str:
    return f"{dump.made.kernel.release} whose {source} {types}"


@pytest.mark.parametrize("source, types", SIDES)
def test_every_namespace(
    whose_dump: Dump, source: str, types: str, tally: Tally
) -> None:
    report = whose_dump.report(source, types)
    comparison = whose.compare(
        report,
        whose_dump.truth,
        later=PANICKING if source == "kdump" else 0,
        live=source == "kcore",
    )
    tally[f"{_told(whose_dump, source, types)}: namespaces"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert sum(comparison.compared.values()) > 500
    assert report["unreadable"] == []
    validate(report)


@pytest.mark.parametrize("source, types", SIDES)
def test_every_device(whose_dump: Dump, source: str, types: str, tally: Tally) -> None:
    report = whose_dump.report(source, types)
    comparison = oracle.compare(report, whose_dump.truth)
    tally[f"{_told(whose_dump, source, types)}: devices"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)


def test_all_targets_agree(whose_dump: Dump) -> None:
    """Also in what /proc does not tell."""
    reports = [
        json.loads(settled(whose_dump.report_text(source, types)))
        for source, types in SIDES
    ]
    for report in reports:
        for name in ("kind", "path", "time", "types"):
            del report["target"][name]
    for side, report in zip(SIDES, reports):
        assert report == reports[0], side


@pytest.mark.parametrize("source", SOURCES)
def test_by_btf_alone(new_whose_dump: Dump, source: str) -> None:
    dwarf, btf = (
        json.loads(settled(new_whose_dump.report_text(source, types)))
        for types in ("dwarf", "btf")
    )
    for key in KEYS:
        assert btf[key] == dwarf[key], key


def test_a_slice_carries_all_of_it(whose_dump: Dump, tmp_path: Path) -> None:
    path = tmp_path / "whose.core"
    done = whose_dump.run_script(SLICE_SCRIPT, path)
    assert done.returncode == 0, done.stderr
    done = drgn("-c", path, *whose_dump.symbols, SCRIPT, "--format", "json")
    assert done.returncode == 0, done.stderr
    sliced, whole = json.loads(done.stdout), whose_dump.report()
    for key in KEYS:
        assert sliced[key] == whole[key], key


def test_the_scene_has_what_it_is_for(whose_dump: Dump) -> None:
    """Else there would be nothing to compare."""
    expected = expected_namespaces(whose_dump.truth)
    values: list[dict[str, Any]] = [
        {key: value for key, (_, value) in namespace.items()}
        for namespace in expected.values()
    ]
    runtimes = {c["runtime"] for n in values for c in n["containers"]}
    assert runtimes == {
        "buildkit", "containerd", "cri-o", "docker", "garden", "lxc", "podman",
        "systemd-nspawn", None,
    }  # fmt: skip
    labels = {n["label"].split("@")[0].split(":")[0] for n in values}
    assert {"host", "shop", "default", "secret", "pid", "fd", "net", "lxc"} <= labels
    held = [h for n in values if n["holders"] is not ABSENT for h in n["holders"]]
    assert {h["kind"] for h in held} == {"fd", "socket"}
    assert max(n["task_count"] for n in values) > 10
    assert [n["task_count"] for n in values if n["names"] == ["zombie"]] == [0]
    assert any(len(n["containers"]) > 2 for n in values)
    assert any(n["holders"] == [] for n in values)
    depth = {len(c["within"]) for n in values for c in n["containers"]}
    assert depth == {0, 1, 2}


def _as_reported(truth: dict[str, Any]) -> dict[str, Any]:
    """A report that is as it has to be."""
    expected = expected_namespaces(truth)
    namespaces = []
    for inum, namespace in expected.items():
        record = {
            key: copy.deepcopy(value)
            for key, (_, value) in namespace.items()
            if value is not ABSENT
        }
        init = record["label"] == "host"
        namespaces.append({"inum": inum, "init": init, **record})
    devices = [{"netns": n["inum"], "ifindex": 1, "netns_label": n["label"]}
               for n in namespaces]  # fmt: skip
    return {"namespaces": namespaces, "devices": devices}


def _altered(value: Any) -> Any:
    if isinstance(value, list):
        return value[1:] if value else [{"id": "other", "pid": 1, "fd": 3}]
    if isinstance(value, int):
        return value + 1
    return "other"


def test_the_comparison_can_fail(whose_dump: Dump) -> None:
    """Each value, altered or left out, is noticed."""
    truth = whose_dump.truth
    report = _as_reported(truth)
    good = whose.compare(report, truth)
    assert not good.differences
    assert sum(good.compared.values()) > 500
    for namespace in report["namespaces"]:
        for key in whose.EVERY_KEY:
            if key not in namespace:
                namespace[key] = []
                assert len(whose.compare(report, truth).differences) == 1, key
                del namespace[key]
                continue
            before = namespace.pop(key)
            assert len(whose.compare(report, truth).differences) == 1, key
            namespace[key] = _altered(before)
            assert len(whose.compare(report, truth).differences) == 1, key
            namespace[key] = before
    # On a live kernel, only which processes the host has is left out.
    for namespace in report["namespaces"]:
        for key in ("task_count", "tasks"):
            before = namespace[key]
            namespace[key] = _altered(before)
            found = whose.compare(report, truth, live=True).differences
            assert len(found) == (0 if namespace["init"] else 1), key
            namespace[key] = before
    report["devices"][0]["netns_label"] = "other"
    assert len(whose.compare(report, truth).differences) == 1
    report["namespaces"].pop()
    assert len(whose.compare(report, truth).differences) == 2
