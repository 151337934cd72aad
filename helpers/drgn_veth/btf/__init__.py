# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Types without debug symbols
---------------------------

Almost every kernel has its own types (BTF) and symbols (kallsyms) in memory, so a dump
has them too. :func:`use_btf()` makes drgn find them there. Readers do not know about
it.
"""

from collections.abc import Iterable, Mapping, Sequence
import functools
import itertools
from typing import Any, Callable, NamedTuple, Optional

from drgn import Object, Program

from ..core.byte_order import byteorder
from ..core.errors import READ_ERRORS, attempt, reason
from ..core.text import decode
from ..core.unreadable import Unreadable
from ..readers.bounded import for_each_entry_bounded
from .carried import Carried, carried_by
from .declarations import MODULE_TYPES, OPTIONAL_MODULE_TYPES
from .finders import BtfFinder, SymbolFinder
from .keep import kept
from .load import ModuleBtf, read_vmlinux_btf
from .parse import Btf, BtfError
from .symbols import (
    MAX_MODULES,
    KernelSymbols,
    SystemMap,
    kernel_symbols,
    module_symbols,
    symbol_address,
    vmcoreinfo_symbols,
)
from .types import BtfTypes

__all__ = ("BUSY_CACHE", "FINDER", "FINDERS_CACHE", "BtfError", "BtfUse", "use_btf")

FINDER = "drgn_veth_btf"  #: The name that the finders are registered under.

# drgn's own BTF reader, which is under review as of drgn 0.3.
_FINDER_OF_DRGN = "btf"

_CACHE = "drgn_veth.btf"
# For readers, which know nothing of this package.
_TYPES_CACHE = "drgn_veth.types"
#: Set while this decides, so that a failed lookup does not start it again.
BUSY_CACHE = "drgn_veth.btf_busy"
#: The finders that were registered, by what they find.
FINDERS_CACHE = "drgn_veth.btf_finders"

_AddressOf = Callable[[str], Optional[int]]


class BtfUse(NamedTuple):
    """Where the types of a program come from."""

    types: str  #: ``dwarf``, ``btf`` or ``dwarf+btf``; ``""``: there are none
    missing: Optional[str]  #: In one line, what is missing and what would help


def _has_type(prog: Program, name: str) -> bool:
    try:
        prog.type(name)
    except LookupError:
        return False
    return True


def _has_variable(prog: Program, name: str) -> bool:
    try:
        prog[name]
    except LookupError:
        return False
    return True


def _symbols(
    prog: Program, system_map: Optional[SystemMap], given: Mapping[str, int]
) -> tuple[Optional[KernelSymbols], _AddressOf]:
    if given:
        static = SystemMap(given, "what the core carries").moved(
            vmcoreinfo_symbols(prog)
        )
        symbols = KernelSymbols(static)
        return symbols, symbols.address_of
    if system_map is not None:
        symbols = KernelSymbols(system_map)
        return symbols, symbols.address_of
    of_drgn = functools.partial(symbol_address, prog)
    if of_drgn("net_namespace_list") is not None:
        return None, of_drgn  # a vmlinux without debug symbols
    try:
        symbols = kernel_symbols(prog)
    except READ_ERRORS as e:
        raise BtfError(
            f"the kernel's own symbols (kallsyms) cannot be read: {reason(e)}; give "
            "its System.map, or its vmlinux even without debug symbols "
            "(--system-map FILE)"
        ) from None
    if symbols.address_of("net_namespace_list") is None:
        raise BtfError(
            "the kernel's own symbols have no variables (this needs "
            "CONFIG_KALLSYMS_ALL and, for /proc/kallsyms, root); give its System.map "
            "(--system-map FILE)"
        )
    return symbols, symbols.address_of


class _Vmlinux:
    # The kernel's types, indexed once.
    def __init__(self, prog: Program, address_of: _AddressOf) -> None:
        self._prog = prog
        self._address_of = address_of
        self._types: Optional[BtfTypes] = None

    def __call__(self) -> BtfTypes:
        if self._types is None:
            prog = self._prog
            data, order = read_vmlinux_btf(prog, self._address_of), byteorder(prog)
            btf = kept(lambda: Btf(data, order), "btf", data, order)
            self._types = BtfTypes(prog, btf)
        return self._types


def _module_name(module: Object) -> str:
    return decode(module.name.string_())


def _is_loaded(prog: Program, name: str) -> bool:
    try:
        head = prog["modules"].address_of_()
        for module in for_each_entry_bounded(
            head, "struct module", "list", MAX_MODULES
        ):
            found = attempt(_module_name, module)
            # A slice may have the list, and not the names.
            if isinstance(found, Unreadable) or found == name:
                return True
        return False
    except READ_ERRORS:
        return True  # as far as anyone can tell


def _lacking(
    prog: Program, wanted: Sequence[tuple[str, str]] = MODULE_TYPES
) -> Iterable[tuple[str, str]]:
    # Types of modules that a report would miss.
    for type, module in wanted:
        if not _has_type(prog, type) and _is_loaded(prog, module):
            yield type, module


def _complain(prog: Program, modules: ModuleBtf) -> Optional[str]:
    for type, module in _lacking(prog):
        why = (
            modules.problems.get(module) or modules.problems.get("") or "there is none"
        )
        return (
            f"no {type}: module {module} has no debug symbols, and its BTF is "
            f"missing: {why}; load debug symbols (-s vmlinux -s {module}.ko)"
        )
    return None


def _use_beside(prog: Program, given: Carried) -> BtfUse:
    # The kernel's types are there, those of modules may not be.
    enough = not any(_lacking(prog))
    if enough and not any(_lacking(prog, OPTIONAL_MODULE_TYPES)):
        return BtfUse("dwarf", None)
    vmlinux = _Vmlinux(prog, functools.partial(symbol_address, prog))
    modules = ModuleBtf(prog, vmlinux, given.modules)
    finder = BtfFinder(modules, lambda name: None)
    prog.register_type_finder(FINDER, finder.find_type, enable_index=-1)
    prog.cache[FINDERS_CACHE] = {"type": finder.find_type}
    if enough:
        return BtfUse("dwarf", None)
    missing = _complain(prog, modules)
    if missing is None:
        return BtfUse("dwarf+btf", None)
    enabled = prog.enabled_type_finders()
    prog.set_enabled_type_finders([name for name in enabled if name != FINDER])
    return BtfUse("dwarf", missing)


def _use_alone(
    prog: Program, system_map: Optional[SystemMap], given: Carried
) -> Optional[str]:
    symbols, address_of = _symbols(prog, system_map, given.symbols)
    vmlinux = _Vmlinux(prog, address_of)
    vmlinux()
    modules = ModuleBtf(prog, vmlinux, given.modules)

    def types_with(name: str) -> Iterable[BtfTypes]:
        return itertools.chain((vmlinux(),), modules(name))

    finder = BtfFinder(types_with, address_of)
    finders: dict[str, Callable[..., Any]] = {
        "type": finder.find_type,
        "object": finder.find_object,
    }
    prog.register_type_finder(FINDER, finder.find_type, enable_index=-1)
    prog.register_object_finder(FINDER, finder.find_object, enable_index=-1)
    if symbols is not None:
        find_symbol = SymbolFinder(symbols, functools.partial(module_symbols, prog))
        finders["symbol"] = find_symbol
        prog.register_symbol_finder(FINDER, find_symbol, enable_index=-1)
    prog.cache[FINDERS_CACHE] = finders
    return _complain(prog, modules)


def _decide(prog: Program, system_map: Optional[SystemMap], given: Carried) -> BtfUse:
    has_types = _has_type(prog, "struct net_device")
    if _FINDER_OF_DRGN in prog.enabled_type_finders():
        return BtfUse("btf" if has_types else "", None)
    if has_types and _has_variable(prog, "net_namespace_list"):
        return _use_beside(prog, given)
    try:
        missing = _use_alone(prog, system_map, given)
    except BtfError as e:
        return BtfUse("dwarf" if has_types else "", str(e))
    return BtfUse("dwarf+btf" if has_types else "btf", missing)


def use_btf(
    prog: Program,
    system_map: Optional[str] = None,
    given: Optional[Carried] = None,
) -> BtfUse:
    """
    Let a program have types, variables and symbols from BTF and kallsyms, where
    debug symbols do not give them.

    Does nothing where they do, and where drgn reads BTF itself. A second call
    does nothing either, unless the first one failed.

    :param system_map: ``System.map`` of the kernel, or its vmlinux, for a dump that
        does not show where its symbols are (of a kernel before v6.0)
    :param given: Symbols and BTF of modules that the target lacks; by default, those
        that its core carries
    :raises OSError: if *system_map* cannot be read
    """
    static = None
    if system_map is not None:
        # Also where it is not wanted: what is of another kernel is a mistake.
        try:
            static = SystemMap.from_file(system_map).moved(vmcoreinfo_symbols(prog))
        except BtfError as e:
            return BtfUse("", str(e))
    try:
        return prog.cache[_CACHE]
    except KeyError:
        pass
    if given is None:
        given = carried_by(prog)
    prog.cache[BUSY_CACHE] = True
    try:
        use = _decide(prog, static, given)
    finally:
        del prog.cache[BUSY_CACHE]
    if use.missing is None or FINDER in prog.registered_type_finders():
        prog.cache[_CACHE] = use
        prog.cache[_TYPES_CACHE] = use.types
    return use
