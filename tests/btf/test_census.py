# SPDX-License-Identifier: LGPL-2.1-or-later
"""On real kernels, BTF tells what DWARF tells."""

from collections import Counter
from collections.abc import Iterable
import json
import random
from typing import Any, Optional
from unittest import mock

from drgn import FindObjectFlags, Program, Type, TypeKind
from drgn_veth.btf import FINDER, use_btf
from drgn_veth.btf.declarations import MODULE_TYPES
from drgn_veth.btf.load import ModuleBtf
from drgn_veth.btf.parse import Btf, Kind
from drgn_veth.btf.types import BtfTypes
from drgn_veth.core.byte_order import byteorder
from drgn_veth.render import json as render_json
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.btf.census import differences
from tests.support.btf.dumps import LabDump

pytestmark = pytest.mark.vm

SEED = 20261122
OTHERS = 2000
_KEYWORDS = {
    Kind.STRUCT: "struct ",
    Kind.UNION: "union ",
    Kind.ENUM: "enum ",
    Kind.ENUM64: "enum ",
    Kind.TYPEDEF: "",
}


def _vmlinux_types(prog: Program) -> BtfTypes:
    start, stop = (prog.symbol(name).address for name in ("__start_BTF", "__stop_BTF"))
    return BtfTypes(prog, Btf(prog.read(start, stop - start), byteorder(prog)))


def _named(types: BtfTypes, ids: Iterable[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for id in ids:
        record = types.btf.record(id)
        if record.kind in _KEYWORDS and types.btf.string(record.name):
            name = _KEYWORDS[Kind(record.kind)] + types.btf.string(record.name)
            found.setdefault(name, []).append(id)
    return found


class _Used:
    """What a whole report asks for when it has types from BTF only."""

    def __init__(self, dump: LabDump) -> None:
        self.prog = prog = dump.program()
        self.objects: list[tuple[str, FindObjectFlags]] = []
        self.types: list[BtfTypes] = []
        prog.register_object_finder("recorder", self._record, enable_index=0)
        with mock.patch("drgn_veth.btf.BtfTypes", self._make_types):
            use_btf(prog)
            self.report = json.loads(render_json.render(take_snapshot(prog)))

    def _make_types(self, *args: Any) -> BtfTypes:
        types = BtfTypes(*args)
        self.types.append(types)
        return types

    def _record(
        self,
        prog: Program,
        name: str,
        flags: FindObjectFlags,
        filename: Optional[str],
    ) -> None:
        self.objects.append((name, flags))

    def names(self) -> set[str]:
        """Return the types of the kernel that were made."""
        (vmlinux,) = self.types
        return set(_named(vmlinux, vmlinux._made))


@pytest.fixture(scope="session")
def dwarf(lab_dump: LabDump) -> Program:
    return lab_dump.with_dwarf()


@pytest.fixture(scope="session")
def used(lab_dump: LabDump) -> _Used:
    return _Used(lab_dump)


_Names = dict[str, list[Type]]


def _compare(
    names: _Names, dwarf: Program, most: int = 1 << 20
) -> tuple["Counter[str]", list[str]]:
    counts: Counter[str] = Counter()
    wrong = []
    for name, types in names.items():
        if counts["compared"] == most:
            break
        try:
            expected = dwarf.type(name)
        except LookupError:
            counts["not in DWARF"] += 1
            continue
        # Several types can have one name: drgn has found one of them.
        found = min(
            (list(differences(type, expected, name)) for type in types), key=len
        )
        wrong.extend(found)
        counts["compared"] += 1
    return counts, wrong


def _only_enums(wrong: list[str]) -> bool:
    return all(text.startswith("enum ") and "Enumerator" in text for text in wrong)


def test_types_of_the_kernel(
    lab_dump: LabDump,
    dwarf: Program,
    used: _Used,
    capsys: pytest.CaptureFixture[str],
) -> None:
    types = _vmlinux_types(dwarf)
    everything = _named(types, range(len(types.btf)))
    needed = used.names()
    assert {"struct net_device", "struct net", "struct netdev_rx_queue"} <= needed
    # Some more, for those that DWARF does not have.
    others = random.Random(SEED).sample(
        sorted(set(everything) - needed), OTHERS + OTHERS // 100
    )
    # Before enum64, BTF has the low 32 bits of an enumerator, and no sign.
    is_old = not any(types.btf.of_kind(Kind.ENUM64))
    for what, names in (("used by the report", sorted(needed)), ("others", others)):
        counts, wrong = _compare(
            {name: list(map(types.type, everything[name])) for name in names},
            dwarf,
            OTHERS,
        )
        with capsys.disabled():
            print(f"\n{lab_dump.name}: types {what}: {dict(counts)}", end="")
        if is_old and _only_enums(wrong) and len(wrong) < 5:
            with capsys.disabled():
                print(f", {len(wrong)} with wide or negative enumerators", end="")
            wrong = []
        assert not wrong, "\n".join(wrong[:20])
        assert names is not others or counts["compared"] == OTHERS
        assert counts["not in DWARF"] < 1 + 0.01 * len(names)


def test_types_of_modules(
    lab_dump: LabDump, dwarf: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    base = _vmlinux_types(dwarf)
    modules = ModuleBtf(dwarf, lambda: base, {})
    compared = []
    names: _Names = {}
    for module in modules.all():
        if module.name not in lab_dump.modules:
            continue
        compared.append(module.name)
        types = module.types(base)
        ids = _named(types, range(types.btf.first_id, len(types.btf)))
        for name, found in ids.items():
            names.setdefault(name, []).extend(map(types.type, found))
    # A module may have another type of the same name than the kernel has.
    of_kernel = _named(base, range(len(base.btf)))
    for name in names:
        names[name] += map(base.type, of_kernel.get(name, ()))
    counts, wrong = _compare(names, dwarf)
    with capsys.disabled():
        print(f"\n{lab_dump.name}: types of {len(compared)} modules: {dict(counts)}")
    assert not wrong, "\n".join(wrong[:20])
    if "btf_modules" in dwarf:
        assert "veth" in compared and counts["compared"] > 50


def test_every_variable_is_declared(dwarf: Program, used: _Used) -> None:
    asked = set(used.objects)
    assert len(asked) > 5
    for name, flags in sorted(asked, key=str):
        try:
            expected = dwarf.object(name, flags)
        except LookupError:
            continue  # Not in this kernel.
        found = used.prog.object(name, flags)
        assert found.address_ == expected.address_, name
        types = found.type_, expected.type_
        if types[0].kind == TypeKind.ARRAY and types[0].length is None:
            # NR_CPUS is not known here, and some compilers do not write it either.
            assert types[1].kind == TypeKind.ARRAY, name
            types = types[0].type, types[1].type
        assert types[0].type_name() == types[1].type_name(), name
        if found.address_ is None:
            assert found.value_() == expected.value_(), name


def _report(prog: Program) -> Any:
    report = json.loads(render_json.render(take_snapshot(prog)))
    report["target"].pop("types")
    return report


def _lacks_module_types(prog: Program) -> bool:
    try:
        for type, _ in MODULE_TYPES:
            prog.type(type)
    except LookupError:
        return True
    return False


def _without_module_types(report: Any) -> Any:
    report.pop("unreadable")
    report.pop("findings")
    report.pop("in_flight")
    for device in report["devices"]:
        device.pop("stats")
        device.pop("queue_stats", None)
        if device["kind"] == "veth":
            device["xdp"].pop("queues")
        elif device["kind"] == "bond":
            device["bond"].pop("mode")
        elif device["kind"] == "ipvlan":
            device.pop("ipvlan")
    return report


def test_report_is_the_same(lab_dump: LabDump, dwarf: Program, used: _Used) -> None:
    expected, found = _report(dwarf), dict(used.report)
    found["target"].pop("types", None)
    found["findings"] = expected["findings"]  # tests/vm/test_types.py compares them
    if _lacks_module_types(used.prog):
        # Before v5.11 modules have no BTF.
        assert "btf_modules" not in dwarf
        expected, found = map(_without_module_types, (expected, found))
    assert found == expected


def test_beside_dwarf(lab_dump: LabDump, dwarf: Program) -> None:
    prog = lab_dump.program(lab_dump.vmlinux)
    use = use_btf(prog)
    if "btf_modules" not in dwarf:
        assert use.types == "dwarf" and "veth" in (use.missing or "")
        assert FINDER not in prog.enabled_type_finders()
        return
    assert (use.types, use.missing) == ("dwarf+btf", None)
    assert prog.enabled_type_finders()[-1] == FINDER
    assert FINDER not in prog.enabled_object_finders()
    assert _report(prog) == _report(dwarf)


def test_dwarf_is_enough(lab_dump: LabDump) -> None:
    prog = lab_dump.with_dwarf()
    assert use_btf(prog) == ("dwarf", None)
    assert FINDER not in prog.registered_type_finders()


def test_alone(used: _Used) -> None:
    use = use_btf(used.prog)
    assert use.types == "btf" and use_btf(used.prog) is use
    assert used.prog.cache["drgn_veth.types"] == "btf"


def test_symbols(dwarf: Program, used: _Used) -> None:
    all_symbols = {symbol.name: symbol.address for symbol in used.prog.symbols()}
    assert len(all_symbols) > 50_000
    for name in random.Random(SEED).sample(sorted(all_symbols), 100):
        expected = {symbol.address for symbol in dwarf.symbols(name)}
        # The linker's own, and those of functions that were split, may have
        # one name and many addresses.
        if len(expected) == 1:
            assert used.prog.symbol(name).address in expected, name
    address = used.prog["init_net"].address_
    assert address is not None
    assert used.prog.symbol(address + 1).name == "init_net"
    assert used.prog.symbol("veth_setup").address == dwarf["veth_setup"].address_
