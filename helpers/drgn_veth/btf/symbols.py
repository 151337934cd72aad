# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Symbols without debug symbols
-----------------------------

From the kernel's own table (kallsyms) in memory, or else from a ``System.map``
or the symbol table of a vmlinux, moved to where KASLR put the kernel.
"""

import re
import struct
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from drgn import Program, Symbol, SymbolBinding, SymbolIndex, SymbolKind
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms, module_kallsyms

from ..errors import READ_ERRORS, reason
from ..walk import for_each_entry_read
from .finders import SymbolTable
from .parse import BtfError

__all__ = (
    "StaticSymbols",
    "kallsyms",
    "module_symbols",
    "read_system_map",
    "vmcoreinfo_symbols",
)

_MAX_MODULES = 1 << 12
_MAX_MODULE_SYMBOLS = 1 << 20

_SYMBOL_LINE = re.compile(r"SYMBOL\(([^)]+)\)=([0-9A-Fa-f]+)")

# The value of a pointer, not the address of the symbol.
_NOT_AN_ADDRESS = ("mem_section",)

_ELF_MAGIC = b"\x7fELF"
_SHT_SYMTAB = 2
_SHN_UNDEF = 0


def vmcoreinfo_symbols(prog: Program) -> Dict[str, int]:
    """Return the addresses that VMCOREINFO tells."""
    found = {}
    for line in prog["VMCOREINFO"].string_().decode("ascii", "replace").splitlines():
        match = _SYMBOL_LINE.fullmatch(line)
        if match and match.group(1) not in _NOT_AN_ADDRESS:
            found[match.group(1)] = int(match.group(2), 16)
    return found


def kallsyms(prog: Program) -> SymbolTable:
    """
    Return the kernel's own symbol table.

    :raises BtfError: if it cannot be had
    """
    try:
        return load_vmlinux_kallsyms(prog)
    except READ_ERRORS as e:
        raise BtfError(
            f"the kernel's symbols cannot be read from the target ({reason(e)})"
        ) from None


class StaticSymbols:
    """
    Symbols of a kernel as it was linked, moved to where it runs; a drgn symbol
    finder.

    :param addresses: By name, as they were linked
    :param source: Where they come from, for errors
    """

    def __init__(self, addresses: Mapping[str, int], source: str) -> None:
        self._source = source
        self._addresses = dict(addresses)
        self._index: Optional[SymbolIndex] = None

    def move(self, known: Mapping[str, int]) -> None:
        """
        Move the symbols to where the kernel runs.

        :param known: Some symbols of the running kernel
        :raises BtfError: if they are not symbols of the same kernel
        """
        linked = self._addresses
        if "_stext" not in linked or "_stext" not in known:
            where = self._source if "_stext" in known else "VMCOREINFO"
            raise BtfError(f"{where} has no symbol _stext")
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
                    f"{self._source} is of another kernel: {name} is not where it "
                    "should be"
                )
        self._addresses = moved

    def address_of(self, name: str) -> Optional[int]:
        """Return the address of a symbol."""
        return self._addresses.get(name)

    def __call__(
        self,
        prog: Program,
        name: Optional[str],
        address: Optional[int],
        one: bool,
    ) -> Sequence[Symbol]:
        if self._index is None:
            self._index = SymbolIndex(self._symbols())
        return self._index(prog, name, address, one)

    def _symbols(self) -> List[Symbol]:
        # There are no sizes: a symbol ends where the next one starts.
        by_address = sorted(self._addresses.items(), key=lambda item: item[1])
        ends = [address for _, address in by_address[1:]]
        ends.append(by_address[-1][1] if by_address else 0)
        return [
            Symbol(
                name, address, end - address, SymbolBinding.UNKNOWN, SymbolKind.UNKNOWN
            )
            for (name, address), end in zip(by_address, ends)
        ]


def _from_text(data: bytes) -> Iterator[Tuple[str, int]]:
    for line in data.splitlines():
        fields = line.split()
        if len(fields) == 3:  # With a fourth it is a symbol of a module.
            yield fields[2].decode("ascii"), int(fields[0], 16)
        elif len(fields) < 3:
            raise ValueError


def _elf_layout(data: bytes) -> Tuple[str, str, int, str]:
    order = "<" if data[5] == 1 else ">"
    if data[4] == 2:
        return order + "40xQ10xHHH", order + "IIQQQQIIQQ", 64, order + "IBxHQQ"
    return order + "32xI10xHHH", order + "IIIIIIIIII", 40, order + "IIIBxH"


def _from_elf(data: bytes) -> Iterator[Tuple[str, int]]:
    header, section, section_size, symbol = _elf_layout(data)
    offset, entry_size, count, _ = struct.unpack_from(header, data)
    if entry_size != section_size:
        raise ValueError
    sections = [
        struct.unpack_from(section, data, offset + i * entry_size)
        for i in range(count)
    ]
    for _, kind, _, _, start, size, link, *_ in sections:
        if kind != _SHT_SYMTAB:
            continue
        names_start, names_size = sections[link][4:6]
        names = data[names_start : names_start + names_size]
        size -= size % struct.calcsize(symbol)
        wide = data[4] == 2
        for fields in struct.iter_unpack(symbol, data[start : start + size]):
            name, value = fields[0], fields[3] if wide else fields[1]
            index = fields[2] if wide else fields[4]
            if not name or index == _SHN_UNDEF:
                continue
            yield names[name : names.index(b"\0", name)].decode("ascii"), value


def read_system_map(path: str) -> StaticSymbols:
    """
    Read a ``System.map``, or the symbol table of a vmlinux.

    :raises BtfError: if it is neither
    :raises OSError: if it cannot be read
    """
    with open(path, "rb") as f:
        data = f.read()
    is_elf = data.startswith(_ELF_MAGIC)
    addresses: Dict[str, int] = {}
    try:
        for name, address in _from_elf(data) if is_elf else _from_text(data):
            addresses.setdefault(name, address)
    except (ValueError, IndexError, struct.error):
        raise BtfError(f"{path} is no System.map and no vmlinux") from None
    if "_stext" not in addresses:
        hint = ""
        if not is_elf and data.count(b"\n") < 2:
            hint = ": it is but a note that names the package with the real one"
        elif is_elf:
            hint = ": it is stripped"
        raise BtfError(f"{path} has no kernel symbols{hint}")
    return StaticSymbols(addresses, path)


def module_symbols(prog: Program) -> SymbolTable:
    """Return the symbols of the kernel's modules, as far as they can be read."""
    found: List[Symbol] = []
    try:
        head = prog["modules"].address_of_()
        for module, _ in for_each_entry_read(
            head, "struct module", "list", _MAX_MODULES
        ):
            try:
                if module.kallsyms.num_symtab.value_() <= _MAX_MODULE_SYMBOLS:
                    found.extend(module_kallsyms(module))
            except READ_ERRORS:
                continue
    except READ_ERRORS:
        pass
    return SymbolIndex(found)
