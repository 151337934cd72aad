# SPDX-License-Identifier: LGPL-2.1-or-later
"""veth_compare.py, as a user runs it: what is given, bad input, the screens."""

import json
import lzma
import os
from pathlib import Path
import subprocess
import sys
import threading
import time
from typing import Any

from drgn_veth.faces import compare as compare_face
from drgn_veth.faces import opening
from drgn_veth.faces.status import UsageError
import pytest

from tests.support.recorded import recorded_core, smallest_core
from tests.support.reports import device_of, recorded_report
from tests.support.schemas import validate
from tests.support.scripts import REPOSITORY, by_drgn, user_core
from tests.support.slow import slow_but
from tests.support.warm import run_warm

COMPARE = REPOSITORY / "scripts" / "veth_compare.py"
REPORT = REPOSITORY / "scripts" / "veth_report.py"
ATTACH = REPOSITORY / "scripts" / "xdp_attach.py"
REPORT = REPOSITORY / "scripts" / "veth_report.py"


def compare(*args: object, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
    return run_warm(COMPARE, *args, **kwargs)


def refused(done: "subprocess.CompletedProcess[str]", status: int, text: str) -> None:
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("veth_compare: ")
    assert text in line


@pytest.fixture(scope="module")
def core() -> Path:
    return smallest_core().core


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of that core, by the script."""
    path = tmp_path_factory.mktemp("report") / "a.json"
    done = run_warm(
        *(REPORT, "-c", smallest_core().core, "--format", "json"),
        *("--output", path),
    )
    assert done.returncode == 0
    return path


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The same with another MTU, a device less and one more."""
    document = recorded_report(smallest_core().name)
    eth0 = device_of(document, "eth0")
    eth0.update(mtu=1400)
    document["devices"].append({**eth0, "name": "new0", "ifindex": 999, "mac": None})
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.slow
def test_a_dump_and_its_report(core: Path, report: Path) -> None:
    for both in ((core, report), (report, core), (core, core), (report, report)):
        done = compare(*both, "--check")
        assert (done.returncode, done.stderr) == (0, "")
        found = [one["severity"] for one in json.loads(report.read_text())["findings"]]
        same = len(found) - found.count("info")
        assert same, "there are findings"
        assert f"no difference; findings: {same} in both\n" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["core", "json"])
def test_packed(core: Path, report: Path, tmp_path: Path, kind: str) -> None:
    packed = smallest_core().packed
    if kind == "json":
        packed = tmp_path / "report.json.xz"
        packed.write_bytes(lzma.compress(report.read_bytes()))
    done = compare(packed, core)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"A  {packed}" in done.stdout
    assert "no difference" in done.stdout
    assert "/proc/" not in done.stdout


@pytest.mark.slow
def test_a_pipe(report: Path, changed: Path, tmp_path: Path) -> None:
    """As a shell's <(ssh NODE veth_report.py --format json)."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(report.read_bytes()))
    writer.start()
    done = compare(pipe, changed)
    writer.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert "mtu" in done.stdout.lower()


@pytest.mark.slow
def test_what_never_ends(report: Path, tmp_path: Path) -> None:
    done = compare("/dev/zero", report)
    assert (done.returncode, done.stdout) == (2, "")
    assert "/dev/zero: not a file" in done.stderr
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(bytes(1 << 12)))
    writer.start()
    done = compare(pipe, report)
    writer.join()
    assert (done.returncode, done.stdout) == (2, "")
    assert "a pipe without a report" in done.stderr


def test_what_changed(report: Path, changed: Path) -> None:
    done = compare(report, changed, "--check")
    assert (done.returncode, done.stderr) == (1, "")
    assert "  + new0  " in done.stdout
    assert "  ~ eth0\n      MTU  1500 -> 1400\n" in done.stdout
    back = compare(changed, report)
    assert back.returncode == 0
    assert "  - new0  " in back.stdout
    assert "MTU  1400 -> 1500" in back.stdout
    only = compare(report, changed, "new*").stdout
    assert "new0" in only and "eth0" not in only


def test_json(report: Path, changed: Path) -> None:
    done = compare(report, changed, "--format", "json")
    found = json.loads(done.stdout)
    validate(found, "drgn-veth-1-compare")
    assert found["differ"] is True
    assert found["a"]["source"] == str(report)
    assert [(one["change"], one["name"]) for one in found["devices"]] == [
        *(("changed", "eth0"), ("came", "new0"))
    ]
    assert found["devices"][0]["changes"] == [{"key": "mtu", "old": 1500, "new": 1400}]


def test_output(report: Path, changed: Path, tmp_path: Path) -> None:
    path = tmp_path / "out"
    assert compare(report, changed, "--output", path).stdout == ""
    assert path.read_text() == compare(report, changed).stdout
    before = report.read_bytes()
    refused(compare(report, changed, "--output", report), 2, "it is the input")
    assert report.read_bytes() == before


def test_wide_and_narrow(report: Path, changed: Path) -> None:
    plain = compare(report, changed).stdout
    assert max(map(len, plain.splitlines())) <= 80
    painted = compare(report, changed, "--color", "always").stdout
    assert "\x1b[32" in painted and "\x1b[" not in plain


# Bad input


NO_REPORTS = [
    (b"hello\n" * 100, "neither a dump nor a report; give a dump, or what"),
    (b"", "the file is empty"),
    (b"{}", "JSON, but not of drgn-veth"),
    (b"[1, 2]", "JSON, but not a report"),
    (b'{"schema": "drgn-veth/1", "target"', "cut short or damaged"),
    (b'{"schema": "drgn-veth/2"}', "its schema is drgn-veth/2"),
    (b'{"schema": "other/1"}', "JSON, but not of drgn-veth"),
    (b'{"schema": ["drgn-veth/1"]}', "JSON, but not of drgn-veth"),
    (b'{"schema": "drgn-veth/1"}', "it is not a whole report, it has no target"),
    (b'{"a": "\xff"}', "cut short or damaged"),
    (b"[" * 100000, "too deep"),
    (b"\xfd7zXZ\0" + bytes(100), "it cannot be unpacked"),
    (b"\x93\x12" + bytes(5000), "neither a dump nor a report"),
]


@pytest.mark.parametrize(
    "content, said",
    slow_but(NO_REPORTS[:4], NO_REPORTS),
    ids=str,
)
def test_no_report(report: Path, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(content)
    status = 3 if "unpacked" in said else 2
    refused(compare(report, path), status, said)
    refused(compare(path, report), status, str(path))


def test_no_whole_report(report: Path, tmp_path: Path) -> None:
    text = report.read_bytes()
    path = tmp_path / "b.json"
    for size in (100, len(text) // 2, len(text) - 3):
        path.write_bytes(text[:size])
        refused(compare(report, path), 2, "make the report again")
    path.write_bytes(lzma.compress(text)[:-50])
    refused(compare(report, path), 3, "copy it again")


@pytest.mark.slow
def test_other_documents(core: Path, report: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    args = ("lo", "--netns", "host", "--format", "json")
    path.write_text(run_warm(ATTACH, "-c", core, *args).stdout)
    refused(compare(report, path), 2, "the answers of xdp_attach.py, not a report")
    path.write_text(compare(report, report, "--format", "json").stdout)
    refused(compare(report, path), 2, "a comparison, not a report")
    path.write_text(run_warm(ATTACH, "-c", core, *args, "--then", "mtu 9").stdout)
    refused(compare(report, path), 2, "answers of xdp_attach.py --then, not a report")
    path.write_text(run_warm(REPORT, "-c", core, "--format", "jsonl").stdout)
    refused(compare(report, path), 2, f"{path}: JSON lines; give a dump")


@pytest.mark.slow
def test_dumps_that_cannot_be_read(core: Path, report: Path, tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    user_core(path)
    refused(compare(report, path), 3, "not a Linux kernel but a user process")
    path.write_bytes(core.read_bytes()[:100_000])
    refused(compare(path, report), 3, str(path))
    refused(compare(report, sys.executable), 3, "complete kernel crash dump")
    refused(compare(report, tmp_path / "none"), 3, "No such file")
    refused(compare(report, tmp_path), 3, "Is a directory")


@pytest.mark.parametrize(
    "args, said",
    [
        ([], "give two dumps or reports"),
        (["one"], "give two dumps or reports"),
        (["live", "live"], "use --live SECONDS"),
    ],
)
def test_sides_that_are_missing(args: list[str], said: str) -> None:
    refused(compare(*args), 2, said)


@pytest.mark.parametrize("seconds", ["x", "-1", "nan", "1e9"])
def test_no_seconds(seconds: str) -> None:
    done = compare(f"--live={seconds}")
    assert done.returncode == 2
    assert "is not a number of seconds" in done.stderr


def test_filters_that_match_nothing(report: Path) -> None:
    refused(compare(report, report, "nosuch"), 2, "no device in A or B matches")
    refused(compare(report, report, "--netns", "x"), 2, "no network namespace")
    refused(compare(report, report, "--kind", "x"), 2, "no device in A or B is of")
    refused(compare(report, report, "--rule", "x"), 2, "no rule is called 'x'")


def test_symbols_that_are_no_file(core: Path) -> None:
    refused(compare(core, core, "--symbols-b", "/nosuch"), 2, "/nosuch")


def test_under_drgn(core: Path) -> None:
    done = by_drgn(core, COMPARE, core, core)
    refused(done, 2, "use python3 instead of drgn")


@pytest.mark.slow
def test_a_filtered_report(core: Path, report: Path, tmp_path: Path) -> None:
    path = tmp_path / "part.json"
    args = ("-c", core, "--format", "json", "--netns", "host", "--output", path)
    assert run_warm(REPORT, *args).returncode == 0
    done = compare(path, report)
    assert done.returncode == 0
    assert "was made with filters" in done.stderr
    assert compare(path, path).stderr == ""


@pytest.mark.slow
def test_hostile_names(tmp_path: Path) -> None:
    document = recorded_report("6.12-zoo")
    path = tmp_path / "without \x1b[31m.json"
    names = {"\x1b[31mred", "höker☃", "=1+1|`w`"}
    there = [one for one in document["devices"] if one["name"] not in names]
    path.write_text(json.dumps({**document, "devices": there, "findings": []}))
    done = compare(path, recorded_core("6.12-zoo").core)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    for name in ("\\x1b[31mred", "höker☃", "=1+1|`w`", "\\x1b[31m.json"):
        assert name in done.stdout


def test_help() -> None:
    done = compare("-h")
    assert done.returncode == 0
    for word in ("A B [DEVICE ...]", "--live", "examples:", "exit status:"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 88


@pytest.mark.slow
def test_live(core: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The running kernel twice; here it is a recorded one."""
    opened: list[object] = []
    slept: list[float] = []

    def open_target(prog: object, args: Any) -> Any:
        opened.append(args.core)
        return smallest_core().prog

    monkeypatch.setattr(opening, "open_target", open_target)
    monkeypatch.setattr(time, "sleep", slept.append)
    out = tmp_path / "out"
    assert compare_face.main(None, ["--live", "2.5", "--output", str(out)]) == 0
    assert (opened, slept) == ([None, None], [2.5])
    text = out.read_text()
    assert text.startswith("A  live  Linux ") and "\nB  live  Linux " in text
    assert "both seem to be from the same boot" in text and "no difference" in text
    # One of each, and the words that follow name devices.
    argv = ["--output", str(out), "live", str(core), "nosuch"]
    with pytest.raises(UsageError, match="no device in A or B matches 'nosuch'"):
        compare_face.main(None, argv)
    assert opened[2:] == [None, str(core)]
