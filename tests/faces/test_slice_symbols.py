# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Slices of kernels whose own symbols are functions only
------------------------------------------------------

As without CONFIG_KALLSYMS_ALL, such as Debian 12's for arm64. A recorded core is made
one of them: in its kallsyms, all other symbols lose their names.
"""

import json
import lzma
from pathlib import Path

from drgn_veth.btf.kallsyms import Kallsyms, tables_in_vmcoreinfo
from drgn_veth.btf.symbols import vmcoreinfo_symbols
import pytest

from tests.support.recorded import VMCORES, Recorded, recorded_core
from tests.support.scripts import SCRIPT, SLICE_SCRIPT
from tests.support.warm import run_warm

pytestmark = pytest.mark.slow

NAME = "6.1-attach"
_FUNCTIONS = b"tTwW"  # as nm(1) shows them
_DIGIT = b"0"  # each digit is a token that stands for itself


def _own_symbols(recorded: Recorded) -> tuple[Kallsyms, bytes]:
    # What they are, and the table of their names.
    prog = recorded.prog
    known = vmcoreinfo_symbols(prog)
    tables = tables_in_vmcoreinfo(known)
    assert tables is not None
    names = prog.read(tables.names, tables.token_table - tables.names)
    return Kallsyms(prog, tables, (), known), names


def functions_only(recorded: Recorded, path: Path) -> None:
    """Write a core again, with no other symbols than functions."""
    kallsyms, before = _own_symbols(recorded)
    after = bytearray(before)
    pos = kept = 0
    for entry in kallsyms._entries():
        pos = before.index(entry, pos)
        if kallsyms._tokens[entry[0]][:1] in (b"%c" % one for one in _FUNCTIONS):
            kept += 1
        else:
            after[pos : pos + len(entry)] = _DIGIT * len(entry)
        pos += len(entry)
    assert kept > 10_000
    content = recorded.core.read_bytes()
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, after))


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return recorded_core(NAME)


@pytest.fixture(scope="module")
def core(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("functions") / "vmcore"
    functions_only(recorded, path)
    return path


@pytest.fixture(scope="module")
def system_map(recorded: Recorded, core: Path) -> Path:
    path = core.with_name("System.map")
    symbols = _own_symbols(recorded)[0].all()
    lines = [f"{address:016x} T {name}\n" for name, address in symbols.items()]
    path.write_text("".join(lines))
    return path


def test_slice_carries_the_symbols_that_were_given(
    recorded: Recorded, core: Path, system_map: Path, tmp_path: Path
) -> None:
    """It opens alone, and the report is that of the core as it is."""
    done = run_warm(SCRIPT, "-c", core)
    assert done.returncode == 3
    assert "this needs CONFIG_KALLSYMS_ALL" in done.stderr
    slice = tmp_path / "slice"
    done = run_warm(SLICE_SCRIPT, "-c", core, "--system-map", system_map, slice)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    done = run_warm(SCRIPT, "-c", slice, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    golden = VMCORES / f"{NAME}.golden" / "report.json.xz"
    said = json.loads(done.stdout)
    expected = json.loads(lzma.decompress(golden.read_bytes()))
    for report in (said, expected):
        del report["target"]["path"]
    assert said == expected
    # Its own kallsyms is of no use, and not in it.
    assert slice.stat().st_size < recorded.core.stat().st_size


def test_no_slice_without_symbols(core: Path, tmp_path: Path) -> None:
    slice = tmp_path / "slice"
    done = run_warm(SLICE_SCRIPT, "-c", core, slice)
    assert done.returncode == 3 and not slice.exists()
    (line,) = done.stderr.splitlines()
    assert "--system-map" in line
