# SPDX-License-Identifier: LGPL-2.1-or-later
"""Symbols without debug symbols, and what is said when there are none."""

from collections.abc import Sequence
from pathlib import Path
import struct
import sys
from typing import Optional

from drgn import Architecture, Platform, PlatformFlags, Program, Symbol
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms
from drgn_veth.btf import BtfError, use_btf
from drgn_veth.btf.finders import SymbolFinder
from drgn_veth.btf.kallsyms import Kallsyms, scan_for_tables, tables_in_vmcoreinfo
from drgn_veth.btf.symbols import (
    WANTED,
    KernelSymbols,
    SystemMap,
    kernel_symbols,
    vmcoreinfo_symbols,
)
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.btf.dumps import LabDump
from tests.support.btf.kallsyms import Image
from tests.support.recorded import smallest_core

TEXT = """\
0000000000000000 D __per_cpu_start
0000000000001000 D runqueues
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 t twice
ffffffff81000200 t twice
ffffffff82000000 D init_uts_ns
ffffffff82000040 D net_namespace_list
"""
SHIFT = 0x13C00000
KNOWN = {
    "_stext": 0xFFFFFFFF81000000 + SHIFT,
    "init_uts_ns": 0xFFFFFFFF82000000 + SHIFT,
}


def _map(folder: Path, text: str) -> SystemMap:
    path = folder / "System.map"
    path.write_text(text)
    return SystemMap.from_file(str(path))


def test_system_map_is_moved(tmp_path: Path) -> None:
    found = _map(tmp_path, TEXT).moved(KNOWN).all()
    assert found["net_namespace_list"] == 0xFFFFFFFF82000040 + SHIFT
    assert found["twice"] == 0xFFFFFFFF81000100 + SHIFT
    assert found["runqueues"] == 0x1000  # an offset


def test_pointer_in_vmcoreinfo(tmp_path: Path) -> None:
    """What it says of mem_section is where that leads to, which may be anywhere."""
    known = {name: hex(address)[2:] for name, address in KNOWN.items()}
    near = f"{KNOWN['_stext'] + (1 << 24):x}"
    lines = [*known.items(), ("mem_section", near), ("swapper_pg_dir", "1000")]
    text = "OSRELEASE=6.1.0\nPAGESIZE=4096\n"
    text += "".join(f"SYMBOL({name})={address}\n" for name, address in lines)
    prog = Program(Platform(Architecture.X86_64))
    prog.set_linux_kernel_custom(text.encode(), False)
    assert vmcoreinfo_symbols(prog) == KNOWN
    with_it = TEXT + "ffffffff82000080 D mem_section\n"
    assert _map(tmp_path, with_it).moved(vmcoreinfo_symbols(prog))


def test_system_map_of_another_kernel(tmp_path: Path) -> None:
    other = TEXT.replace("ffffffff82000000", "ffffffff82000010")
    with pytest.raises(BtfError, match="from another kernel: init_uts_ns"):
        _map(tmp_path, other).moved(KNOWN)
    with pytest.raises(BtfError, match="does not say where"):
        _map(tmp_path, TEXT).moved({})


@pytest.mark.parametrize(
    "text, match",
    [
        ("", "is empty"),
        ("ffffffffffffffff B The real System.map is in -dbg\n", "names the package"),
        ("0 A x\nffffffff81000000 T _text\n", "no kernel symbols"),
        ("root:x:0:0:root:/root:/bin/bash\n", "neither a System.map"),
        ("zzz T _stext\n", "neither a System.map"),
        ("\x7fELF", "neither a System.map nor a vmlinux"),
        ("\x7fELF" + 100 * "\x01", "neither a System.map nor a vmlinux"),
    ],
)
def test_no_system_map(text: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(BtfError, match=match):
        _map(tmp_path, text)


def _elf(symbols: dict[str, int], bits: int, order: str) -> bytes:
    wide = bits == 64
    names, table = b"\0", b"" + bytes(24 if wide else 16)
    for name, value in symbols.items():
        at = len(names)
        names += name.encode() + b"\0"
        if wide:
            table += struct.pack(order + "IBBHQQ", at, 0, 0, 1, value, 8)
        else:
            table += struct.pack(order + "IIIBBH", at, value, 8, 0, 0, 1)
    header_size, section_size = (64, 64) if wide else (52, 40)
    layout = order + ("IIQQQQIIQQ" if wide else "10I")
    names_at = header_size + len(table)
    sections = [
        (0,) * 10,
        (0, 2, 0, 0, header_size, len(table), 2, 0, 8, 24),
        (0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0),
    ]
    sections_at = names_at + len(names)
    ident = (
        b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    )
    header = ident + struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        *(2, 0, 1, 0, 0, sections_at, 0, header_size, 0, 0, section_size, 3, 2),
    )
    packed = b"".join(struct.pack(layout, *section) for section in sections)
    return header + table + names + packed


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_symbol_table_of_vmlinux(bits: int, order: str, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    symbols = {"_stext": 0xC1000000, "init_net": 0xC2000000}
    data = _elf(symbols, bits, order)
    path.write_bytes(data)
    assert SystemMap.from_file(str(path)).all() == symbols
    path.write_bytes(_elf({"init_net": 1}, bits, order))
    with pytest.raises(BtfError, match="it is stripped"):
        SystemMap.from_file(str(path))
    for size in range(4, len(data), 7):
        path.write_bytes(data[:size])
        with pytest.raises(BtfError):
            SystemMap.from_file(str(path))


def test_a_symbol_ends_where_the_next_one_starts(tmp_path: Path) -> None:
    prog = Program(Platform(Architecture.X86_64))
    symbols = KernelSymbols(_map(tmp_path, TEXT))
    prog.register_symbol_finder("test", symbols, enable_index=0)
    assert prog.symbol(0xFFFFFFFF82000010).name == "init_uts_ns"
    assert prog.symbol("init_uts_ns").size == 0x40
    # The next one is far away.
    assert prog.symbol("runqueues").size == 0


def test_nothing_there() -> None:
    flags = PlatformFlags.IS_64_BIT | PlatformFlags.IS_LITTLE_ENDIAN
    use = use_btf(Program(Platform(Architecture.X86_64, flags)))
    assert use.types == ""
    assert use.missing is not None and "VMCOREINFO" in use.missing
    assert "--system-map" in use.missing and "\n" not in use.missing


def test_missing_system_map(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        use_btf(Program(Platform(Architecture.X86_64)), str(tmp_path / "none"))


# On real dumps


def test_kallsyms_is_what_drgn_reads(new_dump: LabDump) -> None:
    prog = new_dump.program()
    index = load_vmlinux_kallsyms(prog)
    expected: dict[str, set[int]] = {}
    for symbol in index(prog, None, None, False):
        expected.setdefault(symbol.name, set()).add(symbol.address)
    known = vmcoreinfo_symbols(prog)
    tables = tables_in_vmcoreinfo(known)
    assert tables is not None
    found = Kallsyms(prog, tables, ["init_net"], known)
    everything = found.all()
    assert set(everything) == set(expected)
    assert all(address in expected[name] for name, address in everything.items())
    assert found.found["init_net"] == everything["init_net"]


def test_kallsyms_is_found_without_vmcoreinfo(old_dump: LabDump) -> None:
    prog = old_dump.program()
    known = vmcoreinfo_symbols(prog)
    assert tables_in_vmcoreinfo(known) is None
    found = scan_for_tables(prog, ["init_net"], known)
    expected = SystemMap.from_file(old_dump.vmlinux).moved(known).all()
    everything = found.all()
    assert len(everything) > 50_000
    same = sum(expected.get(name) == address for name, address in everything.items())
    # Of several with one name, they may have another.
    assert same > 0.999 * len(everything)
    with pytest.raises(BtfError, match="not found in memory"):
        scan_for_tables(prog, [], {**known, "init_uts_ns": known["init_uts_ns"] + 8})


@pytest.mark.slow
@pytest.mark.parametrize("count", [300, 3000, 20000])
@pytest.mark.parametrize("marker", "IQ")
def test_kallsyms_of_kernels_before_v6(marker: str, count: int) -> None:
    """Before v5.0, markers and the number of symbols have the size of a pointer."""
    symbols = {"_stext": Image.BASE, "init_uts_ns": Image.BASE + 0x1234}
    symbols.update((f"some_{i}_symbol", Image.BASE + 16 * i) for i in range(count - 3))
    symbols["net_namespace_list"] = Image.BASE + 0x123450
    image = Image(symbols, marker)
    known = {"_stext": symbols["_stext"], "init_uts_ns": symbols["init_uts_ns"]}
    known["some_0_symbol"] = symbols["some_0_symbol"]
    found = scan_for_tables(image.prog, ["net_namespace_list"], known)
    assert found.found["net_namespace_list"] == symbols["net_namespace_list"]
    assert found.all() == symbols
    with pytest.raises(BtfError, match="were not found"):
        scan_for_tables(image.prog, [], {**known, "init_uts_ns": Image.BASE})


def test_system_map_does_as_well(lab_dump: LabDump, tmp_path: Path) -> None:
    prog = lab_dump.program()
    use = use_btf(prog, lab_dump.vmlinux)
    assert use.types == "btf"
    own = kernel_symbols(lab_dump.program())
    assert prog["init_net"].address_ == own.address_of("init_net")


def test_broken_kallsyms_is_said(new_dump: LabDump) -> None:
    prog = new_dump.program()
    known = vmcoreinfo_symbols(prog)
    tables = tables_in_vmcoreinfo(known)
    assert tables is not None
    for field in ("num_syms", "names", "token_table", "token_index", "offsets"):
        for wrong in (0, 8, getattr(tables, field) + 4, known["_stext"], sys.maxsize):
            with pytest.raises(BtfError):
                Kallsyms(prog, tables._replace(**{field: wrong}), [], known)


@pytest.mark.slow
def test_what_a_report_looks_up_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other name costs a look at all symbols of all modules."""
    names: set[str] = set()
    look_up = SymbolFinder.__call__

    def noted(
        self: SymbolFinder,
        prog: Program,
        name: Optional[str],
        address: Optional[int],
        one: bool,
    ) -> Sequence[Symbol]:
        if name is not None:
            names.add(name)
        return look_up(self, prog, name, address, one)

    monkeypatch.setattr(SymbolFinder, "__call__", noted)
    prog = Program()
    prog.set_core_dump(smallest_core().core)
    use_btf(prog)
    take_snapshot(prog)
    assert names and names <= WANTED
