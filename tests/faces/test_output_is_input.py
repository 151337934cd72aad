# SPDX-License-Identifier: LGPL-2.1-or-later
"""The output is never an input, by whatever name."""

import argparse
import hashlib
import os
from pathlib import Path
import sys
from typing import Callable

from drgn import Program
from drgn_veth.faces import opening, output
from drgn_veth.faces.status import UsageError
import pytest

from tests.support.scripts import SCRIPT, SLICE_SCRIPT, by_name
from tests.support.slow import slow_but
from tests.support.writing import command, refused, run_command


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def by_itself(core: Path) -> object:
    return core


def by_a_relative_path(core: Path) -> object:
    return os.path.relpath(core, core.parent)


def by_a_hard_link(core: Path) -> object:
    os.link(core, core.parent / "hard")
    return core.parent / "hard"


def by_a_link(core: Path) -> object:
    (core.parent / "one").symlink_to(core.name)
    (core.parent / "two").symlink_to("one")
    return core.parent / "two"


def by_a_folder(core: Path) -> object:
    (core.parent / "here").symlink_to(".")
    return core.parent / "here" / "." / core.name


NAMES = (by_itself, by_a_relative_path, by_a_hard_link, by_a_link, by_a_folder)
WAYS = [(name, how) for name in NAMES for how in ("python", "drgn")]


@pytest.mark.parametrize(
    "name, how",
    slow_but([(by_itself, "python"), (by_a_link, "drgn")], WAYS),
)
@by_name
def test_output_is_the_core(
    script: Path, name: Callable[[Path], object], how: str, core: Path
) -> None:
    before, inode = digest(core), core.stat().st_ino
    path = name(core)
    there = sorted(core.parent.iterdir())
    if how == "drgn":
        argv = command(script, path, drgn=["-c", core])
    else:
        argv = command(script, path, "-c", core)
    refused(run_command(argv, cwd=core.parent), script)
    assert (digest(core), core.stat().st_ino) == (before, inode)
    assert sorted(core.parent.iterdir()) == there


@pytest.mark.slow
@by_name
def test_output_is_a_descriptor_of_the_core(script: Path, core: Path) -> None:
    before = digest(core)
    with open(core, "r+b") as f:
        for path in (f"/proc/self/fd/{f.fileno()}", f"/dev/fd/{f.fileno()}"):
            argv = command(script, path, "-c", core)
            refused(run_command(argv, pass_fds=[f.fileno()]), script)
    assert digest(core) == before


@by_name
def test_standard_output_is_the_core(script: Path, core: Path) -> None:
    """As ``>>vmcore`` makes it."""
    before = digest(core)
    argv = command(script, core.parent / "new", "-c", core)
    if script != SLICE_SCRIPT:
        argv.remove("--output")
        argv.remove(str(core.parent / "new"))
    with open(core, "ab") as f:
        done = run_command(argv, stdout=f)
    refused(done, script)
    assert digest(core) == before
    assert list(core.parent.iterdir()) == [core]


@pytest.mark.slow
@pytest.mark.parametrize("option", ["-s", "--system-map"])
@by_name
def test_output_is_what_tells_symbols(script: Path, option: str, core: Path) -> None:
    symbols = core.parent / "symbols"
    symbols.write_text("ffffffff81000000 T _stext\n")
    argv = command(script, symbols, "-c", core, option, symbols)
    refused(run_command(argv), script)
    # --system-map is an option of the script, -s one of drgn.
    if option == "-s":
        argv = command(script, symbols, drgn=["-c", core, "-s", symbols])
        refused(run_command(argv), script)
        argv = command(script, symbols, drgn=["-c", core, f"--symbols={symbols}"])
        refused(run_command(argv), script)
    else:
        argv = command(script, symbols, option, symbols, drgn=["-c", core])
        refused(run_command(argv), script)
    assert symbols.read_text() == "ffffffff81000000 T _stext\n"


def test_explanation_over_the_core(core: Path) -> None:
    before = digest(core)
    argv = command(SCRIPT, core, "-c", core, "--explain", "no-peer")
    refused(run_command(argv), SCRIPT)
    assert digest(core) == before


def test_input_that_comes_to_be_the_output(core: Path) -> None:
    """What was another file at first is looked at once more."""
    path = core.parent / "new"
    with pytest.raises(UsageError, match="it is the input"):
        with output.replacing(str(path), [str(core)]) as f:
            f.write(b"report")
            os.link(core, path)
    assert os.path.samefile(core, path)
    assert sorted(core.parent.iterdir()) == [path, core]


def test_files_that_symbols_were_loaded_from() -> None:
    """drgn finds some by itself: the modules of the program say which."""
    prog = Program()
    prog.set_pid(os.getpid())
    prog.create_loaded_modules()
    path = os.path.realpath(sys.executable)
    prog.main_module().try_file(path, force=True)
    args = argparse.Namespace(core=None, system_map=None, symbols=[], vmcoreinfo=None)
    assert path in opening.inputs(prog, args)
