# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program has types and symbols from, and what is said when some are missing."""

from collections.abc import Mapping
import functools
from pathlib import Path
from typing import Optional

from drgn import Program
from drgn_veth.btf import FINDER, use_btf
from drgn_veth.btf.carried import Carried, carried_by
from drgn_veth.btf.finders import BtfFinder, SymbolFinder
from drgn_veth.btf.load import read_vmlinux_btf
from drgn_veth.btf.parse import Btf
from drgn_veth.btf.symbols import KernelSymbols, SystemMap, module_symbols
from drgn_veth.btf.types import BtfTypes
from drgn_veth.readers.bounded import for_each_entry_bounded
import pytest

from tests.support.btf.kallsyms import Image
from tests.support.memory import altered_core
from tests.support.recorded import Recorded, recorded_core

NOTHING = Carried({}, {})


@pytest.fixture(scope="module")
def old() -> Recorded:
    """A core that carries its symbols, and the types of its modules."""
    return recorded_core("5.10-zoo")


@pytest.fixture(scope="module")
def carried(old: Recorded) -> Carried:
    return carried_by(old.prog)


def opened(recorded: Recorded) -> Program:
    prog = Program()
    prog.set_core_dump(recorded.core)
    return prog


# Nothing but the core ----------------------------------------------------------------


def test_symbols_of_another_kernel(old: Recorded, carried: Carried) -> None:
    prog = opened(old)
    moved = {**carried.symbols, "init_uts_ns": 0}
    use = use_btf(prog, given=carried._replace(symbols=moved))
    assert use.types == ""
    assert use.missing is not None and "from another kernel" in use.missing
    # One that failed may be tried again.
    assert use_btf(prog, given=carried) == ("btf", None)
    assert prog.type("struct veth_priv").is_complete()


def test_system_map_has_them(old: Recorded, carried: Carried, tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_text(
        "".join(f"{at:x} d {name}\n" for name, at in carried.symbols.items())
    )
    prog = opened(old)
    assert use_btf(prog, str(path), carried._replace(symbols={})) == ("btf", None)
    assert prog["init_net"].address_ == carried.symbols["init_net"]
    # The symbols are drgn's, too.
    assert prog.symbol("init_net").address == carried.symbols["init_net"]


def test_system_map_of_another_kernel(old: Recorded, tmp_path: Path) -> None:
    """It is a mistake even where it is not needed."""
    path = tmp_path / "System.map"
    path.write_text("ffffffff81000000 T _stext\nffffffff81000008 T init_uts_ns\n")
    types, missing = use_btf(opened(old), str(path))
    assert types == "" and missing is not None and "from another kernel" in missing


def with_kallsyms(*names: str) -> Program:
    """Return a kernel whose VMCOREINFO says where its symbols are."""
    symbols = {name: Image.BASE + 64 * i for i, name in enumerate(names)}
    image = Image(symbols)
    known = {f"kallsyms_{name}": at for name, at in image.tables._asdict().items()}
    known.update({"_stext": Image.BASE, "swapper_pg_dir": Image.BASE})
    text = "OSRELEASE=6.1.0\nPAGESIZE=4096\n"
    text += "".join(f"SYMBOL({name})={at:x}\n" for name, at in known.items())
    prog = Program(image.prog.platform)
    prog.set_linux_kernel_custom(text.encode(), False)
    prog.add_memory_segment(Image.BASE, Image.SIZE, image.read)
    return prog


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("_stext", "net_namespace_list"), "has no BTF"),
        (("_stext", "schedule"), "no variables (this needs CONFIG_KALLSYMS_ALL"),
        (("_text", "net_namespace_list"), "(kallsyms) cannot be read: kallsyms has no"),
    ],
)
def test_symbols_of_the_kernel_itself(names: "tuple[str, ...]", why: str) -> None:
    types, missing = use_btf(with_kallsyms(*names))
    assert types == "" and missing is not None and why in missing


def test_types_of_a_module_that_are_missing(old: Recorded, carried: Carried) -> None:
    without = {name: data for name, data in carried.modules.items() if name != "veth"}
    prog = opened(old)
    use = use_btf(prog, given=carried._replace(modules=without))
    assert use.types == "btf"
    assert use.missing is not None
    assert use.missing.startswith("no struct veth_priv: module veth has no debug")
    assert "the kernel has none for modules" in use.missing
    assert "-s veth.ko" in use.missing
    # What there is, is used: no second look changes that.
    assert use_btf(prog) is use


def test_a_module_that_is_not_loaded_is_not_missed(old: Recorded) -> None:
    altered = altered_core(old)
    modules = altered.original["modules"].address_of_()
    for module in for_each_entry_bounded(modules, "struct module", "list", 100):
        # The core, a slice, has the list alone.
        altered.add(module.name.address_, b"another".ljust(56, b"\0"))
    prog = altered.unread()
    assert use_btf(prog, given=altered.given._replace(modules={})) == ("btf", None)


def test_types_that_a_core_carries_and_that_are_damaged(
    old: Recorded, carried: Carried
) -> None:
    wrong = {**carried.modules, "veth": b"\0" + carried.modules["veth"]}
    use = use_btf(opened(old), given=carried._replace(modules=wrong))
    assert use.missing is not None and "no struct veth_priv" in use.missing
    assert "the kernel has none" not in use.missing


# Beside the kernel's debug symbols ---------------------------------------------------


def with_debug_symbols(
    recorded: Recorded, modules: Optional[Mapping[str, bytes]] = None
) -> Program:
    """
    Open a core with the types and symbols of vmlinux, as if from debug symbols.

    :param modules: BTF of modules whose types are there, too
    """
    found = KernelSymbols(SystemMap(carried_by(recorded.prog).symbols, ""))
    prog = opened(recorded)
    data = read_vmlinux_btf(prog, found.address_of)
    base = BtfTypes(prog, Btf(data, "little"))
    all_types = [base]
    for blob in (modules or {}).values():
        all_types.append(BtfTypes(prog, Btf(blob, "little", base.btf), base))
    finder = BtfFinder(lambda name: all_types, found.address_of)
    prog.register_type_finder("debug symbols", finder.find_type, enable_index=-1)
    prog.register_object_finder("debug symbols", finder.find_object, enable_index=-1)
    find = SymbolFinder(found, functools.partial(module_symbols, prog))
    prog.register_symbol_finder("debug symbols", find, enable_index=-1)
    return prog


def test_debug_symbols_of_vmlinux_alone(old: Recorded, carried: Carried) -> None:
    prog = with_debug_symbols(old)
    assert use_btf(prog, given=carried) == ("dwarf+btf", None)
    assert prog.type("struct veth_priv").is_complete()


def test_debug_symbols_of_what_a_report_needs(old: Recorded, carried: Carried) -> None:
    """BTF may still have what it can do without."""
    prog = with_debug_symbols(old, {"veth": carried.modules["veth"]})
    assert use_btf(prog, given=carried) == ("dwarf", None)
    assert prog.type("struct tun_struct").is_complete()


def test_debug_symbols_and_no_btf_of_modules(old: Recorded) -> None:
    prog = with_debug_symbols(old)
    use = use_btf(prog, given=NOTHING)
    assert use.types == "dwarf"
    assert use.missing is not None and "no struct veth_priv" in use.missing
    # Nothing of it is found in BTF, then.
    assert "debug symbols" in prog.enabled_type_finders()
    assert FINDER not in prog.enabled_type_finders()
