# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a slice carries
--------------------

A dump may lack symbols (before v6.0, VMCOREINFO does not say where kallsyms is; without
CONFIG_KALLSYMS_ALL, that has no variables) or types of modules (before v5.11, they have
no BTF). A slice of such a dump carries them in its own ELF notes, which drgn and other
programs ignore.
"""

from collections.abc import Iterator, Mapping
import contextlib
from typing import NamedTuple, Optional

from drgn import Program

from ..core.byte_order import byteorder
from ..dump.elfcore import Note, read_notes, still_open
from .declarations import MODULE_TYPES, OPTIONAL_MODULE_TYPES
from .encode import encode_types
from .load import read_vmlinux_btf
from .parse import Btf
from .symbols import WANTED, symbol_address, vmcoreinfo_symbols

__all__ = ("Carried", "carried_by", "module_types_of", "symbols_of")

_NAME = b"drgn-veth"
_SYMBOLS = 1  # lines as in System.map
_MODULE_BTF = 2  # name of the module, NUL, BTF


class Carried(NamedTuple):
    """Symbols by name, and BTF by module."""

    symbols: Mapping[str, int]
    modules: Mapping[str, bytes]

    def notes(self) -> Iterator[Note]:
        """Yield the notes that carry them."""
        if self.symbols:
            lines = (
                f"{at:016x} d {name}\n" for name, at in sorted(self.symbols.items())
            )
            yield Note(_NAME, _SYMBOLS, "".join(lines).encode())
        for module, data in sorted(self.modules.items()):
            yield Note(_NAME, _MODULE_BTF, module.encode() + b"\0" + data)


def _symbols_in(data: bytes) -> Iterator[tuple[str, int]]:
    for line in data.splitlines():
        fields = line.split()
        with contextlib.suppress(ValueError):
            address, _, name = fields
            value = int(address, 16)
            if 0 <= value < 1 << 64:
                yield name.decode("utf-8", "replace"), value


def _notes_of(path: str) -> Iterator[Note]:
    with contextlib.suppress(OSError):
        yield from read_notes(still_open(path))


def carried_by(prog: Program) -> Carried:
    """Return what the core of a program carries, possibly nothing."""
    symbols: dict[str, int] = {}
    modules: dict[str, bytes] = {}
    path = prog.core_dump_path
    for note in _notes_of(path) if path is not None else ():
        if note.name != _NAME:
            continue
        if note.type == _SYMBOLS:
            symbols.update(_symbols_in(note.data))
        elif note.type == _MODULE_BTF:
            module, _, data = note.data.partition(b"\0")
            modules[module.decode("utf-8", "replace")] = data
    return Carried(symbols, modules)


def symbols_of(prog: Program) -> dict[str, int]:
    """Return the symbols that a report looks up, from a program."""
    found = {name: symbol_address(prog, name) for name in sorted(WANTED)}
    known = {name: address for name, address in found.items() if address is not None}
    # To tell where the kernel is.
    return {**known, "_stext": vmcoreinfo_symbols(prog)["_stext"]}


def module_types_of(source: Program, target: Program) -> dict[str, bytes]:
    """
    Return a program's types of modules, as BTF for a program that lacks them.

    :param source: Program with debug symbols, including those of the modules
    :param target: Program with the same memory; the result is based on its vmlinux BTF
    """
    types: dict[str, list[str]] = {}
    for name, module in (*MODULE_TYPES, *OPTIONAL_MODULE_TYPES):
        types.setdefault(module, []).append(name)
    order = byteorder(target)

    def address_of(name: str) -> Optional[int]:
        return symbol_address(source, name)

    base = Btf(read_vmlinux_btf(target, address_of), order)
    modules = {}
    for module, names in types.items():
        try:
            found = [source.type(name) for name in names]
        except LookupError:
            continue
        modules[module] = encode_types(found, base, order)
    return modules
