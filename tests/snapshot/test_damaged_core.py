# SPDX-License-Identifier: LGPL-2.1-or-later
"""Recorded cores with something wrong in them: one clear line, status 3, no file."""

import os
from pathlib import Path
import re
import subprocess
import sys

from drgn import Program, SymbolIndex
from drgn_veth.btf import symbols
from drgn_veth.btf.kallsyms import tables_in_vmcoreinfo
from drgn_veth.btf.parse import BtfError
import pytest

from tests.support.memory import altered_core
from tests.support.recorded import CORES, recorded_core, smallest_core
from tests.support.scripts import REPOSITORY, SCRIPT, SLICE_SCRIPT
from tests.support.warm import run_warm

OLD = [name for name in CORES if name.startswith("5.")]
NEW = [name for name in CORES if name not in OLD]


def run(
    script: Path, core: Path, *args: object, **env: str
) -> "subprocess.CompletedProcess[str]":
    if not env:
        return run_warm(script, "-c", core, *args)
    return subprocess.run(
        [sys.executable, str(script), "-c", str(core), *map(str, args)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def refused(done: "subprocess.CompletedProcess[str]", text: str) -> None:
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert text in line
    assert "internal error" not in line


def refused_by_both(core: Path, text: str) -> None:
    """Neither is it reported, nor is a slice made of it."""
    refused(run(SCRIPT, core), text)
    out = core.parent / "slice.core"
    refused(run(SLICE_SCRIPT, core, out), text)
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", OLD)
def test_carried_symbols_are_wrong(name: str, tmp_path: Path) -> None:
    core = recorded_core(name).copy(tmp_path)
    content = core.read_bytes()
    found = re.search(rb"([0-9a-f]{16}) d net_namespace_list\n", content)
    assert found
    moved = b"%016x" % (int(found.group(1), 16) + 4096)
    core.write_bytes(content.replace(found.group(1), moved))
    refused_by_both(core, "no network namespace could be read")


@pytest.mark.slow
@pytest.mark.parametrize("name", CORES)
def test_btf_is_broken(name: str, tmp_path: Path) -> None:
    core = recorded_core(name).copy(tmp_path)
    content = core.read_bytes()
    # Modules have theirs, too; the kernel's is the largest.
    header = re.compile(rb"\x9f\xeb\x01\x00\x18\0\0\0\0\0\0\0(....)", re.DOTALL)
    at = max(
        header.finditer(content),
        key=lambda match: int.from_bytes(match.group(1), "little"),
    ).start()
    core.write_bytes(content[: at + 4] + b"\xff" * 20 + content[at + 24 :])
    refused_by_both(core, "BTF")


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW)
def test_kallsyms_is_broken(name: str, tmp_path: Path) -> None:
    """The table of tokens: names come out as others, or too long."""
    core = recorded_core(name).copy(tmp_path)
    content = core.read_bytes()
    # Digits stand for themselves in it, one after the other.
    at = content.index(b"".join(b"%d\0" % digit for digit in range(10)))
    core.write_bytes(content[: at - 256] + bytes(512) + content[at + 256 :])
    refused(run(SCRIPT, core), "kernel")


@pytest.mark.parametrize(
    ("what", "asked"), [("token_table", False), ("token_index", False), ("names", True)]
)
def test_drgn_is_not_asked_to_unpack_what_is_no_name(
    what: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own reader of kallsyms takes seconds, and 578 MB, for broken tokens."""
    recorded = recorded_core(NEW[0])
    known = symbols.vmcoreinfo_symbols(recorded.prog)
    tables = tables_in_vmcoreinfo(known)
    assert tables is not None
    altered = altered_core(recorded)
    altered.write(getattr(tables, what), b"a" * 500)
    calls = []

    def load(prog: Program) -> SymbolIndex:
        calls.append(prog)
        return SymbolIndex([])

    monkeypatch.setattr(symbols, "load_vmlinux_kallsyms", load)
    prog = altered.unread()
    if asked:
        symbols.kernel_symbols(prog)
    else:
        with pytest.raises(BtfError):
            symbols.kernel_symbols(prog)
    assert bool(calls) is asked


@pytest.mark.slow
@pytest.mark.parametrize("plugin", ["", "drgn_veth=drgn_veth_plugin"])
def test_system_map_of_nothing(plugin: str, tmp_path: Path) -> None:
    """Refused also where it is not needed, and where a plugin was asked before."""
    core = recorded_core(NEW[0]).core
    path = tmp_path / "System.map"
    path.write_text("hello\n")
    helpers = str(REPOSITORY / "helpers")
    for system_map in (path, "/dev/null", tmp_path):
        done = run(
            SCRIPT,
            core,
            *("--system-map", system_map),
            DRGN_PLUGINS=plugin,
            PYTHONPATH=helpers,
        )
        assert done.returncode in (2, 3)
        (line,) = done.stderr.splitlines()
        assert str(system_map) in line


@pytest.mark.slow
def test_no_room_for_what_is_not_compressed_yet(tmp_path: Path) -> None:
    core = smallest_core().core
    shell = 'ulimit -f 2000; exec "$0" "$@"'
    argv = [sys.executable, str(SLICE_SCRIPT), "-c", str(core), str(tmp_path / "x")]
    done = subprocess.run(
        ["sh", "-c", shell, *argv], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "TMPDIR" in line
    assert not (tmp_path / "x").exists()
