# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Symbols without debug symbols
-----------------------------

From the kernel's own table, or from a ``System.map`` or the symbol table of a vmlinux,
adjusted for KASLR.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import mmap
import os
import re
import stat
import struct
from typing import (
    Optional,
    Protocol,
)

from drgn import (
    Object,
    Program,
    ProgramFlags,
    Symbol,
    SymbolBinding,
    SymbolIndex,
    SymbolKind,
)
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms, module_kallsyms

from ..core.errors import READ_ERRORS, attempt, reason
from ..core.salvage import Salvage
from ..core.unreadable import Unreadable
from ..readers.bounded import for_each_entry_bounded
from .declarations import SYMBOLS, VARIABLES
from .kallsyms import (
    Kallsyms,
    has_tokens,
    scan_for_tables,
    tables_in_vmcoreinfo,
)
from .parse import BtfError

__all__ = (
    "MAX_MODULES",
    "KernelSymbols",
    "SymbolSource",
    "SystemMap",
    "kernel_symbols",
    "module_symbols",
    "symbol_address",
    "vmcoreinfo_symbols",
)

_MAX_SYMBOL = 1 << 26
#: Modules that a list may have.
MAX_MODULES = 1 << 12
_MAX_MODULE_SYMBOLS = 1 << 20

_SYMBOL_LINE = re.compile(r"SYMBOL\(([^)]+)\)=([0-9A-Fa-f]+)")
# With CONFIG_SPARSEMEM_EXTREME, VMCOREINFO has the value of this pointer instead of its
# address. On s390x, that may be near the kernel.
_POINTERS = ("mem_section",)
# What is farther away is no symbol, either.
_KERNEL_IMAGE = 1 << 30

# What is asked for in any case.
WANTED = frozenset((*VARIABLES, *SYMBOLS, "__start_BTF", "__stop_BTF"))

_MAX_SYSTEM_MAP = 1 << 28

_PROC_KALLSYMS = "/proc/kallsyms"
_ELF_MAGIC = b"\x7fELF"
_SHT_SYMTAB = 2
_SHN_UNDEF = 0


def symbol_address(prog: Program, name: str) -> Optional[int]:
    """Return the address of a symbol that drgn knows, None if it does not."""
    try:
        return prog.symbol(name).address
    except LookupError:
        return None


def vmcoreinfo_symbols(prog: Program) -> dict[str, int]:
    """
    Return the addresses in VMCOREINFO.

    :raises BtfError: if there is no VMCOREINFO
    """
    try:
        text = prog["VMCOREINFO"].string_().decode("ascii", "replace")
    except READ_ERRORS as e:
        raise BtfError(f"no VMCOREINFO: {reason(e)}") from None
    found = {
        match.group(1): int(match.group(2), 16)
        for match in map(_SYMBOL_LINE.fullmatch, text.splitlines())
        if match
    }
    start = found.get("_stext", 0)
    return {
        name: address
        for name, address in found.items()
        if name not in _POINTERS and abs(address - start) < _KERNEL_IMAGE
    }


class SymbolSource(Protocol):
    """Where the symbols of a kernel come from."""

    @property
    def found(self) -> Mapping[str, int]:
        """Addresses of at least the wanted symbols."""

    def all(self) -> Mapping[str, int]:
        """Return the addresses of all symbols."""


class KernelSymbols:
    """The symbols of a kernel; a drgn symbol finder."""

    def __init__(self, source: SymbolSource) -> None:
        self._source = source
        self._all: Optional[Mapping[str, int]] = None
        self._index: Optional[SymbolIndex] = None

    def address_of(self, name: str) -> Optional[int]:
        """Return the address of a symbol, None if there is none."""
        if name in WANTED:
            # To those who may not know, /proc/kallsyms says 0.
            return self._source.found.get(name) or None
        return self._addresses().get(name)

    def _addresses(self) -> Mapping[str, int]:
        if self._all is None:
            self._all = self._source.all()
        return self._all

    def __call__(
        self,
        prog: Program,
        name: Optional[str],
        address: Optional[int],
        one: bool,
    ) -> Sequence[Symbol]:
        if name in SYMBOLS and address is None:
            at = self.address_of(name)
            if at is None:
                return ()
            # Where it ends would take all the others.
            kind = (SymbolBinding.UNKNOWN, SymbolKind.UNKNOWN)
            return (Symbol(name, at, 0, *kind),)
        if self._index is None:
            self._index = SymbolIndex(_to_symbols(self._addresses()))
        return self._index(prog, name, address, one)


def _to_symbols(addresses: Mapping[str, int]) -> Iterator[Symbol]:
    # There are no sizes: a symbol ends where the next one starts.
    by_address = sorted(addresses.items(), key=lambda item: item[1], reverse=True)
    end = following = 0
    for name, address in by_address:
        if address != following:
            end, following = following, address
        size = end - address
        # From per-CPU variables, which are numbered from 0, it is far.
        yield Symbol(
            name,
            address,
            size if 0 < size < _MAX_SYMBOL else 0,
            SymbolBinding.UNKNOWN,
            SymbolKind.UNKNOWN,
        )


class SystemMap:
    """
    Symbols of a kernel, with the addresses of the linker.

    :param addresses: By name
    :param source: Where they come from, for errors
    """

    def __init__(self, addresses: Mapping[str, int], source: str) -> None:
        self.found = addresses
        self._source = source

    @classmethod
    def from_file(cls, path: str) -> "SystemMap":
        """
        Read a ``System.map``, or the symbol table of a vmlinux.

        :raises BtfError: if it is neither
        :raises OSError: if it cannot be read
        """
        with open(path, "rb") as f:
            status = os.fstat(f.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BtfError(f"{path} is not a file")
            if not status.st_size:
                raise BtfError(f"{path} is empty")
            is_elf = f.read(len(_ELF_MAGIC)) == _ELF_MAGIC
            f.seek(0)
            addresses: dict[str, int] = {}
            hint = ""
            try:
                if is_elf:
                    with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
                        pairs = list(_from_elf(data))
                    hint = ": it is stripped"
                else:
                    pairs = list(_from_text(f.read(_MAX_SYSTEM_MAP)))
                    if len(pairs) < 2:
                        hint = ": it only names the package with the real one"
            except (ValueError, IndexError, struct.error):
                raise BtfError(
                    f"{path} is neither a System.map nor a vmlinux"
                ) from None
        for name, address in pairs:
            addresses.setdefault(name, address)
        if "_stext" not in addresses:
            raise BtfError(f"{path} has no kernel symbols{hint}")
        return cls(addresses, path)

    def moved(self, known: Mapping[str, int]) -> "SystemMap":
        """
        Return the symbols with the addresses of the running kernel.

        :param known: Some symbols of the running kernel
        :raises BtfError: if they are not symbols of the same kernel
        """
        linked = self.found
        if "_stext" not in known:
            raise BtfError("VMCOREINFO does not say where the kernel is (_stext)")
        shift = known["_stext"] - linked["_stext"]
        start = min(linked["_stext"], linked.get("_text", linked["_stext"]))
        # Below that are offsets of per-CPU variables.
        moved = {
            name: address + shift if address >= start else address
            for name, address in linked.items()
        }
        for name, address in known.items():
            if moved.get(name, address) != address:
                raise BtfError(
                    f"{self._source} is from another kernel: {name} does not match"
                )
        return SystemMap(moved, self._source)

    def all(self) -> Mapping[str, int]:
        """Return the addresses of all symbols."""
        return self.found


def _from_text(data: bytes) -> Iterator[tuple[str, int]]:
    for line in data.splitlines():
        fields = line.split()
        if len(fields) == 3:  # In /proc/kallsyms, modules have a fourth.
            yield fields[2].decode("utf-8", "backslashreplace"), int(fields[0], 16)
        elif len(fields) < 3:
            raise ValueError


def _from_elf(data: mmap.mmap) -> Iterator[tuple[str, int]]:
    order = "<" if data[5] == 1 else ">"
    # Of a section: type, offset, size, link. Of a symbol: name, section, value.
    if data[4] == 2:
        header, section, symbol = "40xQ10xHH", "4xI16xQQI20x", "IxxHQ8x"
        fields = (0, 1, 2)
    else:
        header, section, symbol = "32xI10xHH", "4xI8xIII12x", "II4xxxH"
        fields = (0, 2, 1)
    header, section, symbol = order + header, order + section, order + symbol
    offset, size, count = struct.unpack_from(header, data)
    sections = [
        struct.unpack_from(section, data, offset + i * size) for i in range(count)
    ]
    for kind, start, size, link in sections:
        if kind != _SHT_SYMTAB:
            continue
        _, names_at, names_size, _ = sections[link]
        names = data[names_at : names_at + names_size]
        table = data[start : start + size - size % struct.calcsize(symbol)]
        for found in struct.iter_unpack(symbol, table):
            name, index, value = (found[field] for field in fields)
            if name and index != _SHN_UNDEF:
                end = names.index(b"\0", name)
                yield names[name:end].decode("utf-8", "backslashreplace"), value


def _proc_kallsyms() -> SystemMap:
    with open(_PROC_KALLSYMS, "rb") as f:
        # Of several with one name, the first: the kernel's, not a module's.
        return SystemMap(dict(reversed(list(_from_text(f.read())))), _PROC_KALLSYMS)


class _SymbolsOfDrgn:
    # drgn's own reader: it may know a kernel that ours does not.
    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._index = index = load_vmlinux_kallsyms(prog)
        named = {name: index(prog, name, None, True) for name in WANTED}
        self.found = {name: found[0].address for name, found in named.items() if found}

    def all(self) -> Mapping[str, int]:
        symbols = self._index(self._prog, None, None, False)
        return {symbol.name: symbol.address for symbol in symbols}


def kernel_symbols(prog: Program) -> KernelSymbols:
    """
    Return the kernel's own symbols.

    :raises BtfError: if they are not available
    """
    known = vmcoreinfo_symbols(prog)
    tables = tables_in_vmcoreinfo(known)
    here = ProgramFlags.IS_LIVE | ProgramFlags.IS_LOCAL
    if tables is None:
        if prog.flags & here == here:
            return KernelSymbols(_proc_kallsyms())
        return KernelSymbols(scan_for_tables(prog, WANTED, known))
    try:
        return KernelSymbols(Kallsyms(prog, tables, WANTED, known))
    except BtfError:
        if not has_tokens(prog, tables):
            raise
        theirs = attempt(_SymbolsOfDrgn, prog)
        if isinstance(theirs, Unreadable):
            raise
        return KernelSymbols(theirs)


def _modules(prog: Program) -> Iterator[Object]:
    head = prog["modules"].address_of_()
    return for_each_entry_bounded(head, "struct module", "list", MAX_MODULES)


def _symbols_of(module: Object) -> Iterable[Symbol]:
    if module.kallsyms.num_symtab.value_() > _MAX_MODULE_SYMBOLS:
        return ()
    return module_kallsyms(module)


def module_symbols(prog: Program) -> SymbolIndex:
    """Return the symbols of the kernel's modules, as far as they can be read."""
    found: list[Symbol] = []
    salvage = Salvage()
    modules = salvage.read(_modules, prog)
    for module in salvage.walk(modules or ()):
        found.extend(salvage.read(_symbols_of, module) or ())
    return SymbolIndex(found)
