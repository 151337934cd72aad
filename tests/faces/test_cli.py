# SPDX-License-Identifier: LGPL-2.1-or-later
"""Command lines: debug symbols, filters, hostile names, what is not installed."""

import csv
import io
import json
import logging
from pathlib import Path
import sys
from typing import Any

from drgn_veth.faces import symbols
import pytest

from tests.support.recorded import first_core
from tests.support.scripts import (
    REPOSITORY,
    SCRIPT,
    by_name,
    one_line,
    run,
    without,
)
from tests.support.warm import run_warm

COMMAND = REPOSITORY / "helpers" / "drgn_veth" / "__main__.py"


@pytest.fixture(scope="module")
def core() -> Path:
    return first_core("6.12").core


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
@pytest.mark.slow
def test_symbols_that_drgn_ignores(core: Path, path: str, why: str) -> None:
    done = run("-c", core, "-s", path, "--all")
    assert done.returncode == 0
    assert done.stdout == run("-c", core, "--all").stdout
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


# Hostile names in a recorded core


@pytest.mark.slow
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


@pytest.mark.slow
def test_several_namespaces(core: Path) -> None:
    """--netns may be repeated, like --device."""

    def devices(*args: str) -> list[Any]:
        done = run_warm(SCRIPT, "--all", "--format", "json", *args, core=core)
        assert (done.returncode, done.stderr) == (0, "")
        found: list[Any] = json.loads(done.stdout)["devices"]
        # The others are peers.
        return [device for device in found if device.get("matched")]

    one, two = devices("--netns", "pod1"), devices("--netns", "/run/netns/pod2")
    assert one and two
    assert devices("--netns", "pod2", "--netns", "pod1") == one + two
    host = devices("--netns", "host")
    assert {d["netns"] for d in host} == {4026531840}
    done = run_warm(SCRIPT, "--netns", "pod1", "--netns", "nowhere", core=core)
    one_line(done, 2, "nowhere; available: 4026531840 (host), ")


# What is not installed


@pytest.mark.slow
def test_without_tabulate(core: Path) -> None:
    done = without("tabulate", SCRIPT, "-c", core)
    one_line(done, 2, "pip install tabulate")
    for format in ("json", "csv"):
        done = without("tabulate", SCRIPT, "-c", core, "--format", format)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == run("-c", core, "--format", format).stdout


@pytest.mark.slow
def test_other_commands_without_tabulate(core: Path) -> None:
    for words in (["netns"], ["path", "veth_yyy0"], ["drops"], ["xdp"]):
        done = without("tabulate", COMMAND, words[0], "-c", core, *words[1:])
        assert (done.returncode, done.stdout) == (2, "")
        assert "pip install tabulate" in done.stderr
        if words[0] in ("netns", "path"):
            more = [*words[1:], "--format", "json"]
            done = without("tabulate", COMMAND, words[0], "-c", core, *more)
            assert (done.returncode, done.stderr) == (0, "")
            json.loads(done.stdout)


@by_name
def test_without_drgn(script: Path) -> None:
    done = without("drgn", script, "-h")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script.stem}: ")
    assert line.endswith("pip install 'drgn>=0.0.33'")
