# SPDX-License-Identifier: LGPL-2.1-or-later
"""The face: what is printed where, in one line, whatever happens to the streams."""

import argparse
import bz2
import csv
import gzip
import io
import json
import logging
import lzma
import os
from pathlib import Path
import re
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
from typing import Any

from drgn import Program
from drgn_veth.analysis.rules import RULES_BY_ID
from drgn_veth.analysis.rules.page import explain
from drgn_veth.btf import BtfUse
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.dump.kdump import how_to_unpack, missing_from_elf, missing_from_kdump
from drgn_veth.faces import opening, output, status, symbols, veth_report
from drgn_veth.model import Snapshot, Veth, Xdp
import pytest

from tests.support.recorded import first_core
from tests.support.scripts import SCRIPT, one_line, run, user_core
from tests.support.snapshots import HOST, device, pair
from tests.support.warm import run_warm

SLICE = SCRIPT.parent / "vmcore_slice.py"


@pytest.fixture(scope="module")
def core() -> Path:
    return first_core("6.12").core


def python(*args: object, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, *map(str, args)]
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=60, **kwargs)


def closed(streams: str, *args: object) -> "subprocess.CompletedProcess[str]":
    """Run the report with streams closed as the shell does it: ``>&-``."""
    return run(*args, prefix=["sh", "-c", f'exec "$@" {streams}', "sh"])


# Standard output


@pytest.mark.parametrize("unbuffered", [[], ["-u"]], ids=["buffered", "unbuffered"])
def test_output_that_fills_up(core: Path, tmp_path: Path, unbuffered: Any) -> None:
    """The first write is a short one, as on a disk that is almost full."""
    limit = 20_000
    with open(tmp_path / "out", "wb") as out:
        done = python(
            *(*unbuffered, SCRIPT, "-c", core, "--format", "json"),
            stdout=out,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (limit, limit)
            ),
        )
    assert os.path.getsize(tmp_path / "out") == limit
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "truncated" in line


def test_unbuffered_output_is_the_same(core: Path) -> None:
    plain = python(SCRIPT, "-c", core)
    unbuffered = python("-u", SCRIPT, "-c", core)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert unbuffered.stdout == plain.stdout


def test_terminal_without_the_letters(monkeypatch: Any, tmp_path: Path) -> None:
    with open(tmp_path / "out", "w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        output.write_output("v\xe9th\udcff\n", None)
    assert (tmp_path / "out").read_bytes() == b"v\\xe9th\\udcff\n"


def test_output_of_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_output("report\n", None)
    assert capsys.readouterr().out == "report\n"


def test_closed_output(core: Path, tmp_path: Path) -> None:
    one_line(closed(">&-", "-c", core), 2, "--output FILE")
    path = tmp_path / "report"
    done = closed(">&-", "-c", core, "--output", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.read_text() == run("-c", core).stdout


# Standard error


@pytest.mark.parametrize("args", [["-c", "/nosuch"], ["--nosuch"]], ids=["-c", "usage"])
def test_closed_error(args: list[str]) -> None:
    done = closed("2>&-", *args)
    assert done.returncode in (2, 3)
    assert (done.stdout, done.stderr) == ("", "")


def test_warning_with_closed_error(
    monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    status.warn("hello")
    assert capsys.readouterr().out == ""


def test_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status.warn("veth\n0\x1b[31m\u202e\udcff")
    said = capsys.readouterr().err
    assert said.endswith(": veth\\x0a0\\x1b[31m\\u202e\\udcff\n")


def test_name_of_a_file_is_escaped(tmp_path: Path) -> None:
    one_line(run("-c", tmp_path / "a\nb\x1b[31m"), 3, "a\\x0ab\\x1b[31m")


# Debug symbols


@pytest.mark.parametrize(
    ("path", "why"), [("/nosuch", "No such file"), ("/etc", "not a file")]
)
def test_symbols_that_are_no_file(core: Path, path: str, why: str) -> None:
    one_line(run("-c", core, "-s", path), 2, f"-s {path}: {why}")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "not an ELF file"),
        # As a vmlinux or a veth.ko of another kernel is.
        (sys.executable, "did not match any loaded modules"),
    ],
    ids=["text", "other"],
)
def test_symbols_that_drgn_ignores(core: Path, path: str, why: str) -> None:
    done = run("-c", core, "-s", path)
    assert done.returncode == 0
    assert done.stdout == run("-c", core).stdout
    (line,) = done.stderr.splitlines()
    assert f"-s {path}: drgn ignored it: {why}" in line


def test_what_drgn_says_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("drgn")
    before = logger.level, logger.propagate, list(logger.handlers)
    with symbols._what_drgn_says() as said:
        logger.warning("%s: no; ignoring", "a")
    assert said == ["a: no; ignoring"]
    assert capsys.readouterr().err == ""
    assert (logger.level, logger.propagate, logger.handlers) == before


# Diagnosis


@pytest.fixture
def report(monkeypatch: Any) -> Any:
    """The script, which is given a Snapshot to report."""
    monkeypatch.setattr(opening, "open_target", lambda prog, args: prog)

    def run_on(snapshot: Snapshot, *argv: str) -> int:
        monkeypatch.setattr(opening, "take", lambda prog: snapshot)
        return veth_report.main(None, list(argv))

    return run_on


def test_check(report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sick, sound = pair({"peer": None}), pair({"mtu": 9000, "veth": Veth(1, 0)})
    assert report(sick) == 0
    assert report(sound, "--check") == 0
    plain = capsys.readouterr().out
    assert "\nerror    no-peer  4026531840 3: veth0\n" in plain
    assert "\nwarning  mtu-mismatch  4026531840 3: veth0\n" in plain
    for extra in ((), ("--findings", "none"), ("--format", "csv"), ("--all",)):
        assert report(sick, "--check", *extra) == 1
    assert capsys.readouterr().err == ""
    assert report(sick, "--check", "--device", "veth0") == 1
    # An error counts if the pair is shown because of its other end.
    other = device(HOST, 9, "br0", kind="bridge")
    assert report(pair({"peer": None}, None, other), "--check", "--kind", "bridge") == 0


def test_check_of_what_is_undecided(
    report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no error, and a warning names the rules."""
    missing = Unreadable("page not in dump")
    lost = pair({"xdp": Xdp(None, missing, None, missing)})
    assert report(lost, "--check") == 0
    (line,) = [
        line
        for line in capsys.readouterr().err.splitlines()
        if "partial report" not in line
    ]
    assert line.endswith(
        "--check does not count rules that are undecided (on 1 device): "
        "xdp-queue-overflow, xdp-queue-without-program, xdp-tx-lost"
    )
    assert report(lost) == 0
    assert "undecided" not in capsys.readouterr().err


def test_findings_on_the_screen(
    report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    sick = pair({"mtu": 9000, "veth": Veth(1, 0)}, {"mtu": 3507})
    screens = {}
    for how in ("folded", "all", "none"):
        assert report(sick, "--findings", how) == 0
        screens[how] = capsys.readouterr().out
    table = screens["none"]
    assert table.endswith("RPS on 0 devices\n")
    assert screens["folded"].startswith(f"{table}\nfound: 1 warning, 2 infos; ")
    assert "xdp-peer-mtu  2, such as 4026531840 3: veth0: " in screens["folded"]
    assert len(re.findall("^info     xdp-peer-mtu", screens["all"], re.M)) == 2
    assert report(pair()) == 0
    assert capsys.readouterr().out.endswith("RPS on 0 devices\n")


def test_json_has_all_findings(report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    report(pair({"mtu": 9000}, {"mtu": 3507}), "--format", "json", "--findings", "none")
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [f["rule"] for f in found] == ["mtu-mismatch"] + ["xdp-peer-mtu"] * 2


@pytest.mark.parametrize("rule", RULES_BY_ID)
def test_explain(rule: str, report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(pair(), "--explain", rule) == 0
    assert capsys.readouterr().out == explain(RULES_BY_ID[rule])


def test_explain_needs_no_target(tmp_path: Path) -> None:
    done = run("--explain", "no-peer")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == explain(RULES_BY_ID["no-peer"])
    assert run("-c", "/nosuch", "--explain", "no-peer").stdout == done.stdout
    assert without("tabulate", SCRIPT, "--explain", "no-peer").stdout == done.stdout
    run("--explain", "no-peer", "--output", tmp_path / "page")
    assert (tmp_path / "page").read_text() == done.stdout


def test_explain_an_unknown_rule() -> None:
    done = run("--explain", "nosuch")
    one_line(done, 2, "no rule is called 'nosuch'; the rules are ")
    assert all(rule in done.stderr for rule in RULES_BY_ID)


# --output


@pytest.mark.parametrize("name", ["", "new/", "new/.", "old/", "old/..", "file/"])
def test_output_that_is_no_name(core: Path, tmp_path: Path, name: str) -> None:
    work = tmp_path / "work"
    (work / "old").mkdir(parents=True)
    (work / "file").write_text("kept")
    done = run("-c", core, "--output", name, cwd=work)
    one_line(done, 2, f"cannot write '{name}'")
    assert sorted(path.name for path in work.rglob("*")) == ["file", "old"]
    assert (work / "file").read_text() == "kept"
    assert list(tmp_path.iterdir()) == [work]


# Hostile names in a recorded core


def test_csv_of_hostile_names(core: Path, tmp_path: Path) -> None:
    """One begins with =; names as long as another are made to begin otherwise."""
    names = []
    for start in ("=", "+", "-", "@"):
        path = tmp_path / "vmcore"
        path.write_bytes(
            core.read_bytes().replace(b"veth_xxx0", f"{start}eth_xxx0".encode())
        )
        for extra in ((), ("--all",)):
            done = run("-c", path, "--format", "csv", *extra)
            assert done.returncode == 0
            cells = [c for row in csv.reader(io.StringIO(done.stdout)) for c in row]
            assert not [c for c in cells if c.startswith(("=", "+", "-", "@"))]
            assert f"'{start}eth_xxx0" in cells
            names += [cell for cell in cells if cell.startswith("'=1+1")]
    assert names


# Filters


def test_several_namespaces(core: Path) -> None:
    """--netns may be repeated, like --device."""

    def devices(*args: str) -> list[Any]:
        done = run_warm(SCRIPT, "--all", "--format", "json", *args, core=core)
        assert (done.returncode, done.stderr) == (0, "")
        found: list[Any] = json.loads(done.stdout)["devices"]
        return found

    one, two = devices("--netns", "pod1"), devices("--netns", "/run/netns/pod2")
    assert one and two
    assert devices("--netns", "pod2", "--netns", "pod1") == one + two
    host = devices("--netns", "host")
    assert {d["netns"] for d in host} == {4026531840}
    done = run_warm(SCRIPT, "--netns", "pod1", "--netns", "nowhere", core=core)
    one_line(done, 2, "nowhere; available: 4026531840 (host), ")


# What is not installed


def without(module: str, script: Path, *args: object) -> Any:
    code = (
        "import runpy, sys; del sys.argv[0]; sys.modules[sys.argv.pop(0)] = None; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return python("-c", code, module, script, *args)


def test_without_tabulate(core: Path) -> None:
    done = without("tabulate", SCRIPT, "-c", core)
    one_line(done, 2, "pip install tabulate")
    for format in ("json", "csv"):
        done = without("tabulate", SCRIPT, "-c", core, "--format", format)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == run("-c", core, "--format", format).stdout


@pytest.mark.parametrize(
    "script",
    [SCRIPT, SLICE, SCRIPT.parent / "xdp_attach.py"],
    ids=lambda path: path.stem,
)
def test_without_drgn(script: Path) -> None:
    done = without("drgn", script, "-h")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script.stem}: ")
    assert line.endswith("pip install 'drgn>=0.0.33'")


# Targets


def test_what_is_missing_of_the_running_kernel(monkeypatch: Any) -> None:
    def absent(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/kcore")

    monkeypatch.setattr(opening, "_set_target", absent)
    options = argparse.Namespace(core=None, qemu=None, symbols=[])
    logger = logging.getLogger("drgn")
    level = logger.level
    with pytest.raises(status.TargetError, match="/proc/kcore: No such file"):
        opening.open_target(None, options)
    logger.setLevel(level)


@pytest.mark.parametrize(
    ("packed", "what"),
    [
        (lzma.compress(b"core"), "xz -d it first"),
        (gzip.compress(b"core"), "gzip -d it first"),
        (bz2.compress(b"core"), "bzip2 -d it first"),
        (b"\x28\xb5\x2f\xfd" + bytes(60), "zstd -d it first"),
        (b"makedumpfile\0" + bytes(60) + b"\xff" * 16, "makedumpfile -R"),
    ],
    ids=["xz", "gzip", "bzip2", "zstd", "flattened"],
)
def test_packed_core(tmp_path: Path, packed: bytes, what: str) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(packed)
    assert what in (how_to_unpack(str(path)) or "")
    one_line(run("-c", path), 3, what)


@pytest.mark.parametrize("size", [5, 63, 500, 20_000, 100_000])
def test_truncated_elf(core: Path, tmp_path: Path, size: int) -> None:
    """Nothing can be read: the one line says why, by either way to start."""
    path = tmp_path / "vmcore"
    path.write_bytes(core.read_bytes()[:size])
    one_line(run("-c", path), 3, f"after {size} bytes")
    if size == 100_000:
        done = python("-m", "drgn", "-q", "-c", path, SCRIPT)
        (line,) = [x for x in done.stderr.splitlines() if "veth_report" in x]
        assert done.returncode == 3
        assert "copy the whole dump again" in line


def test_elf_with_its_end_missing(core: Path, tmp_path: Path) -> None:
    """Most can be read: a report, and a line that says that the dump is truncated."""
    path = tmp_path / "vmcore"
    path.write_bytes(core.read_bytes()[:-1])
    done = run("-c", path, "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["devices"]
    assert "copy the whole dump again" in done.stderr.splitlines()[0]
    assert missing_from_elf(str(core)) is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_elf_of_either_order(tmp_path: Path, order: str) -> None:
    path = tmp_path / "core"
    ident = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02")
    header = struct.pack(
        f"{order}16sHHIQQQIHHHHHH", ident, 4, 22, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    load = struct.pack(f"{order}IIQQQQQQ", 1, 4, 120, 0, 0, 8, 8, 1)
    path.write_bytes(header + load + bytes(8))
    assert missing_from_elf(str(path)) is None
    path.write_bytes(header + load + bytes(7))
    said = missing_from_elf(str(path))
    assert said is not None and "segments need 128" in said


def test_user_core_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "core"
    user_core(path)
    assert missing_from_elf(str(path)) is None


def test_kdump_of_a_large_machine(tmp_path: Path) -> None:
    """4 TB, of which every sixteenth page was dumped."""
    path = tmp_path / "vmcore"
    half = (4 << 40) // 4096 // 8
    blocks = 2 * half // 4096
    start = 2 * 4096
    pages = half // 2
    whole = start + 2 * half + pages * 24
    with open(path, "wb") as f:
        f.write(struct.pack("<8s4x390x6x16x4xiiI", b"KDUMP   ", 4096, 1, blocks))
        f.seek(start + half)
        for _ in range(half >> 20):
            f.write(b"\x01\x00" * (1 << 19))
        f.truncate(whole)
    tracemalloc.start()
    try:
        assert missing_from_kdump(str(path)) is None
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    before = time.process_time()
    assert missing_from_kdump(str(path)) is None
    assert time.process_time() - before < 5
    os.truncate(path, whole - 1)
    assert missing_from_kdump(str(path))


def test_no_types_and_no_reason(monkeypatch: Any) -> None:
    """drgn's own BTF finder does not say what is missing."""
    monkeypatch.setattr(opening, "use_btf", lambda *_: BtfUse("", None))
    with pytest.raises(
        status.TargetError, match="^the types of the kernel are missing"
    ):
        opening._get_types(Program(), None)
