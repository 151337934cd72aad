# SPDX-License-Identifier: LGPL-2.1-or-later
"""The report against the kernel's own tools, on booted kernels."""

import datetime
import json
import os
from pathlib import Path
import re
import shutil
import time
from typing import Any, Callable

import lab
import pytest

from tests.support import oracle
from tests.support.booted import (
    SCRIPT,
    SOURCES,
    Dump,
    Tally,
    drgn,
    run_alone,
    settled,
)
from tests.support.schemas import validate

DRGN_VERSIONS = ("0.0.33", "0.1.0", "0.2.0", "0.3.0")


def _assert_equal(dump: Dump, source: str, tally: Tally) -> None:
    report = dump.report(source)
    comparison = oracle.compare(report, dump.truth)
    tally[f"{dump.made.kernel.release} {dump.made.lab['scene']} {source}"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert report["unreadable"] == []
    assert report["target"]["kind"] == source
    assert report["target"]["types"] == "dwarf"
    validate(report)


@pytest.mark.parametrize("source", SOURCES)
def test_every_value(zoo: Dump, source: str, tally: Tally) -> None:
    _assert_equal(zoo, source, tally)


@pytest.mark.parametrize("types", ["dwarf", "slice"])
def test_every_value_before_anyone_asked(zoo: Dump, types: str, tally: Tally) -> None:
    """
    A dump of the scene before the prober attached XDP to every device. By BTF alone it
    is the same: test_types.py.
    """
    report = zoo.report("unasked", types)
    comparison = oracle.compare(report, zoo.truth)
    tally[f"{zoo.made.kernel.release} zoo unasked {types}"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert report["target"]["kind"] == "elf"
    assert report["unreadable"] == []


def _altered(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return value[1:] if value else [1]
    return "other"


def test_the_comparison_can_fail(one_zoo: Dump) -> None:
    """Every kind of value with a second source, altered in one place, is noticed."""
    report = one_zoo.report()
    seen = set()
    for where in ("target", "devices"):
        for record in [report[where]] if where == "target" else report[where]:
            for path, value in oracle.leaves(record):
                kind = oracle.kind_of(where, path)
                if kind in seen:
                    continue
                if kind in oracle.NO_SECOND_SOURCE and "xps" not in kind:
                    continue
                place = record
                for part in path[:-1]:
                    place = place[int(part) if part.isdigit() else part]
                last: Any = int(path[-1]) if path[-1].isdigit() else path[-1]
                place[last] = _altered(value)
                differences = oracle.compare(report, one_zoo.truth).differences
                place[last] = value
                seen.add(kind)
                if kind == "devices.xps.cpus" and not differences:
                    seen.discard(kind)  # of a device with one queue: try another
                    continue
                assert differences, kind
    assert len(seen) > 40
    del report["devices"][-1]
    assert oracle.compare(report, one_zoo.truth).differences


def test_all_sources_agree(zoo: Dump) -> None:
    reports = [json.loads(settled(zoo.report_text(source))) for source in SOURCES]
    for report in reports:
        for name in ("kind", "path", "time"):
            del report["target"][name]
    assert all(report == reports[0] for report in reports)


def test_same_bytes(zoo: Dump) -> None:
    again = zoo.run("--format", "json")
    assert again.returncode == 0
    assert again.stdout == zoo.report_text("kdump")


def test_dying_namespace(dying: Dump, tally: Tally) -> None:
    _assert_equal(dying, "kdump", tally)
    report = dying.report()
    (namespace,) = (n for n in report["namespaces"] if "dying" in n)
    peers = [
        device["name"]
        for device in report["devices"]
        if device["peer"]
        and device["peer"].get("off_list")
        and device["netns"] != namespace["inum"]
    ]
    assert sorted(peers) == ["lost0", "lost1", "lost2"]
    screen = dying.run()
    assert f"({oracle.DYING})" in screen.stdout


def test_without_types_of_veth(zoo: Dump) -> None:
    """vmlinux alone: the module's own BTF tells the rest, where it has BTF."""
    done = drgn("-c", zoo.vmcore, "-s", zoo.vmlinux, SCRIPT, "--format", "json")
    assert done.returncode == 0
    report, whole = json.loads(done.stdout), zoo.report()
    types = report["target"].pop("types"), whole["target"].pop("types")
    if not zoo.is_old:
        assert (types, done.stderr) == (("dwarf+btf", "dwarf"), "")
        assert report == whole
        return
    assert types == ("dwarf", "dwarf")
    (line,) = done.stderr.splitlines()
    assert "partial report" in line
    for device in report["devices"]:
        if device["kind"] == "veth":
            assert "struct veth_priv" in device["xdp"]["queues"]["unreadable"]
        if device["kind"] == "bond":
            assert "struct bonding" in device["bond"].pop("mode")["unreadable"]
        if device["kind"] == "ipvlan":
            assert "struct ipvl_dev" in device.pop("ipvlan")["unreadable"]
    for device in whole["devices"]:
        device.pop("ipvlan", None)
        device.get("bond", {}).pop("mode", None)
    for device, other in zip(report["devices"], whole["devices"]):
        stats, expected = device.pop("stats"), other.pop("stats")
        other.pop("queue_stats", None)
        if device["kind"] == "veth":
            assert "struct veth_rq" in device.pop("queue_stats")["unreadable"]
        if stats != expected:
            assert "is a module here, and its types are not" in stats["unreadable"]
    for ring in report["in_flight"]:
        assert ring["where"] == "tun-ring"
        assert "struct tun_struct" in ring["length"]["unreadable"]
    for it in (report, whole):
        del it["unreadable"], it["findings"], it["in_flight"]
        for device in it["devices"]:
            device["xdp"].pop("queues", None)
    assert report == whole


def _link(report: dict[str, Any], name: str) -> dict[str, Any]:
    (device,) = (d for d in report["devices"] if d["name"] == name)
    return device


def test_veth_queues(zoo: Dump) -> None:
    """xdp.queues has no second source: it is held against what must follow."""
    report = zoo.report()
    seen = 0
    grown = ("xgrowa", "xshrka")  # changed under XDP: kernels differ here
    # A bond hands its program to its slaves, which show none themselves.
    by_bond = ("bxslave",)
    for device in report["devices"]:
        if device["kind"] != "veth" or device["name"] in grown + by_bond:
            continue
        native = device["xdp"]["driver"]
        running = native["id"] if native and "UP" in device["flags"] else None
        for queue in device["xdp"]["queues"]:
            seen += 1
            assert queue["prog_id"] == running, device["name"]
            if running is not None:
                assert queue["napi"]
    assert seen > 100
    # GRO alone starts NAPI since v5.13.
    gro = _link(report, "groa")["xdp"]["queues"]
    assert [q["prog_id"] for q in gro] == [None] * len(gro)
    if any(q["napi"] for q in gro):
        assert not any(q["napi"] for q in _link(report, "lowa")["xdp"]["queues"])
    bond = _link(report, "bond_xdp")["xdp"]["driver"]
    if bond is not None:
        slave = _link(report, "bxslave")["xdp"]
        assert slave["driver"] is None
        assert [q["prog_id"] for q in slave["queues"]] == [bond["id"]]


@pytest.mark.parametrize("version", DRGN_VERSIONS)
def test_drgn_versions(
    zoo: Dump, version: str, drgn_python: Callable[[str], str]
) -> None:
    done = zoo.run("--format", "json", python=drgn_python(version))
    assert done.returncode == 0, done.stderr
    assert done.stdout == zoo.report_text("kdump")


def test_screen(zoo: Dump) -> None:
    for args in ([], ["--all"]):
        done = zoo.run(*args)
        assert done.returncode == 0
        lines = done.stdout.splitlines()
        assert max(map(len, lines)) <= 120
        assert all(line.isprintable() for line in lines)
        # "42 veth pairs", or "44 pairs (42 veth, 2 netkit)"
        pairs = rf"{len(zoo.report()['pairs'])} (veth )?pairs\b"
        assert any(re.match(pairs, line) for line in lines)


def test_filters(one_zoo: Dump) -> None:
    whole = one_zoo.report()
    inum = next(n["inum"] for n in whole["namespaces"] if not n["init"])

    def filtered(*args: object) -> dict[str, Any]:
        done = one_zoo.run("--format", "json", *args)
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def matched(part: dict[str, Any]) -> list[dict[str, Any]]:
        # Without the mark, and without the peers, which are in another namespace or
        # have another name.
        return [d for d in part["devices"] if d.pop("matched", False)]

    part = filtered("--netns", inum)
    there = {(d["netns"], d["ifindex"]) for d in part["devices"]}
    assert matched(part) == [d for d in whole["devices"] if d["netns"] == inum]
    assert [n["inum"] for n in part["namespaces"] if n.get("matched")] == [inum]
    assert part["pairs"] == [
        p for p in whole["pairs"] if inum in (p["a"]["netns"], p["b"]["netns"])
    ]
    # Both ends of each, and their namespaces.
    ends = {(e["netns"], e["ifindex"]) for p in part["pairs"] for e in (p["a"], p["b"])}
    assert ends <= there
    assert {n["inum"] for n in part["namespaces"]} == {netns for netns, _ in there}
    part = filtered("--device", "xm*", "--device", "veth_xxx0")
    names = {d["name"] for d in matched(part)}
    assert {"xmixa", "xmixb", "veth_xxx0"} <= names
    assert all(name.startswith("xm") or name == "veth_xxx0" for name in names)
    part = filtered("--kind", "bridge")
    assert {d["kind"] for d in part["devices"]} == {"bridge"}
    altname = _link(whole, "alta")["altnames"][0]
    part = filtered("--device", altname)
    assert [d["name"] for d in matched(part)] == ["alta"]
    assert {d["name"] for d in part["devices"]} == {"alta", "altb"}


@pytest.mark.parametrize(
    "args, needle",
    [
        (("--netns", "1"), "has the name, path or inode number 1;"),
        (("--device", "nosuch*"), "no device matches 'nosuch*'"),
        (("--kind", "nosuch"), "no device is of kind nosuch"),
        (("--output", "/nosuch/file"), "cannot write /nosuch/file"),
        (("-c", "other"), "drgn has already opened the target"),
    ],
)
def test_wrong_use(one_zoo: Dump, args: Any, needle: str) -> None:
    done = one_zoo.run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert needle in line


def test_output_file(one_zoo: Dump, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    done = one_zoo.run("--format", "json", "--output", path)
    assert (done.returncode, done.stdout) == (0, "")
    assert path.read_text() == one_zoo.report_text("kdump")
    assert list(tmp_path.iterdir()) == [path]


def test_bare_checkout(one_zoo: Dump, tmp_path: Path) -> None:
    """From another folder, through a symlink, and by python3 without drgn's CLI."""
    shortcut = tmp_path / "report"
    shortcut.symlink_to(SCRIPT)
    done = drgn("-c", one_zoo.vmcore, *one_zoo.symbols, shortcut, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == one_zoo.run().stdout


def test_no_rights(one_zoo: Dump) -> None:
    """Without root, and where a container runtime masks /proc/kcore."""
    text = (one_zoo.made.folder / "refused.json").read_text()
    said = json.loads(text)
    status, out, err = said["masked"]
    assert (status.strip(), out) == ("3", "")
    (line,) = err.splitlines()
    assert "/proc/kcore is masked, as in a container" in line
    for how in ("on the host", "a privileged container", "nsenter -t 1 -m"):
        assert how in line
    status, out, err = said["refused"]
    assert (status.strip(), out) == ("3", "")
    (line,) = err.splitlines()
    assert line.startswith("veth_report: the running kernel: /proc/kcore")
    assert "root (sudo)" in line


def test_vmlinux_of_another_kernel(one_zoo: Dump) -> None:
    """drgn does not take it, and the dump tells its types itself."""
    other = next(
        kernel
        for kernel in map(lab.get_kernel, lab.DEFAULT_SERIES)
        if kernel.release != one_zoo.made.kernel.release
    )
    symbols = ("--no-default-symbols", "-s", other.vmlinux)
    done = drgn("-c", one_zoo.vmcore, *symbols, SCRIPT, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == one_zoo.report_text("kdump", "btf")
    alone = run_alone("-c", one_zoo.vmcore, "-s", other.vmlinux, "--format", "json")
    assert (alone.returncode, alone.stdout) == (0, done.stdout), alone.stderr
    # As a source of symbols it would be believed: it is refused.
    refused = drgn(
        "-c",
        one_zoo.vmcore,
        "--no-default-symbols",
        SCRIPT,
        "--system-map",
        other.vmlinux,
    )
    assert (refused.returncode, refused.stdout) == (3, "")
    (line,) = refused.stderr.splitlines()
    assert "from another kernel" in line


@pytest.mark.parametrize("kept", [0, 7, 100, 4096, 1 << 16, 1 << 20, 0.5, 0.9, 0.999])
def test_truncated_core(one_zoo: Dump, kept: float, tmp_path: Path) -> None:
    size = one_zoo.vmcore.stat().st_size
    path = tmp_path / "vmcore"
    shutil.copyfile(one_zoo.vmcore, path)
    os.truncate(path, int(size * kept if isinstance(kept, float) else kept))
    start = time.monotonic()
    done = run_alone("-c", path, *one_zoo.symbols, "--format", "json")
    assert time.monotonic() - start < 60
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 3), done.stderr
    if done.returncode == 0:
        validate(json.loads(done.stdout))
    else:
        # What of -s drgn could not use for that reason, and then what is wrong.
        *ignored, line = done.stderr.splitlines()
        assert all("drgn ignored it" in warning for warning in ignored)
        assert "drgn ignored it" not in line
        assert done.stdout == ""


def test_crash_time(zoo: Dump) -> None:
    """The guest's clock is that of the host; a live kernel has not crashed."""
    recorded = datetime.datetime.fromisoformat(zoo.made.lab["date"]).timestamp()
    time = zoo.report("kdump")["target"]["time"]
    assert abs(time - recorded) < 600
    assert zoo.report("kcore")["target"]["time"] is None
