# SPDX-License-Identifier: LGPL-2.1-or-later
"""The report from BTF is the report from debug symbols, wherever it looks."""

from collections.abc import Iterator
import json
from typing import Any

import pytest

from tests.support.booted import (
    NO_SYMBOLS,
    SCRIPT,
    SOURCES,
    Dump,
    drgn,
    run_alone,
    settled,
)

_Path = tuple[Any, ...]


def _unreadable(value: Any, path: _Path = ()) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, dict):
        if set(value) == {"unreadable"}:
            yield path, value["unreadable"]
            return
        for key, inner in value.items():
            yield from _unreadable(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _unreadable(inner, (*path, i))


#: What is missing of devices of a kind without the types of its module.
_LACKING = {
    "veth": (["xdp", "queues"], "struct veth_priv"),
    "bond": (["bond", "mode"], "struct bonding"),
    "ipvlan": (["ipvlan"], "struct ipvl_dev"),
}


def _is_counted(what: str) -> bool:
    return what.endswith(("stats", "queue_stats")) or what.startswith("in_flight")


def assert_same(found: dict[str, Any], expected: dict[str, Any], whole: bool) -> None:
    """
    Compare reports, apart from which types were used.

    :param whole: Nothing may be missing; otherwise what a driver keeps itself may
    """
    assert found["target"].pop("types") == "btf"
    assert expected["target"].pop("types") == "dwarf"
    assert expected["unreadable"] == []
    missing = list(_unreadable(found["devices"]))
    assert bool(missing) != whole
    for (i, *rest), why in missing:
        device = found["devices"][i]
        where, type = _LACKING[device["kind"]]
        assert rest == where
        assert type in why
        whole_device = expected["devices"][i]
        *above, last = rest
        for part in above:
            device, whole_device = device[part], whole_device[part]
        device[last] = whole_device[last]
    # settled() has taken the counters and the packets away.
    counted = [one for one in found["unreadable"] if _is_counted(one["what"])]
    assert all("no type struct " in one["why"] for one in counted)
    assert len(found["unreadable"]) == len(missing) + len(counted)
    found["unreadable"] = []
    if not whole:  # Some rules are undecided then.
        assert any("undecided" in finding for finding in found["findings"])
        found["findings"] = expected["findings"]
    assert found == expected


@pytest.mark.parametrize("source", [*SOURCES, "unasked"])
def test_btf_is_dwarf(zoo: Dump, source: str) -> None:
    texts = (zoo.report_text(source, "btf"), zoo.report_text(source))
    # The counters of a dump stand still.
    if source in ("qemu", "kcore") or zoo.is_old:
        texts = (settled(texts[0]), settled(texts[1]))
    found, expected = map(json.loads, texts)
    assert len(found["devices"]) > 80
    assert_same(found, expected, not zoo.is_old)


def test_nothing_is_said_where_nothing_is_missing(zoo: Dump) -> None:
    done = drgn("-c", zoo.vmcore, *NO_SYMBOLS, SCRIPT)
    assert done.returncode == 0
    if zoo.is_old:
        (line,) = done.stderr.splitlines()
        assert "partial report" in line and "struct veth_priv" in line
    else:
        assert done.stderr == ""


def test_without_drgn(zoo: Dump) -> None:
    """Started by python3, with nothing but the dump."""
    done = run_alone("-c", zoo.vmcore, "--format", "json")
    assert done.returncode == 0, done.stderr
    # The lab does not install debug symbols where drgn would find them.
    assert done.stdout == zoo.report_text("kdump", "btf")


def test_system_map(zoo: Dump) -> None:
    """Symbols out of a file: here vmlinux, of which only its symbol table is used."""
    args = ("--format", "json", "--system-map", zoo.vmlinux)
    done = drgn("-c", zoo.vmcore, *NO_SYMBOLS, SCRIPT, *args)
    assert done.returncode == 0, done.stderr
    assert done.stdout == zoo.report_text("kdump", "btf")
