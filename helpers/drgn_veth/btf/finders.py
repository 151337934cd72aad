# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Finders
-------

They answer drgn's requests for types, objects and symbols from BTF and from the
kernel's own symbol table. A finder returns nothing for what it does not have; whatever
is wrong with the BTF, the answer to drgn is "not found".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import logging
from typing import (
    Callable,
    Optional,
)

from drgn import FindObjectFlags, Object, Program, Symbol, Type, TypeKind, TypeKindSet

from ..core.errors import READ_ERRORS, reason
from .declarations import SYMBOLS, VARIABLES
from .parse import Kind
from .types import BtfTypes

__all__ = ("BtfFinder", "SymbolFinder", "SymbolTable")

_logger = logging.getLogger("drgn")

# What drgn takes for a symbol finder, such as a drgn.SymbolIndex.
SymbolTable = Callable[[Program, Optional[str], Optional[int], bool], Sequence[Symbol]]

_KINDS: Mapping[int, frozenset[TypeKind]] = {
    Kind.INT: frozenset((TypeKind.INT, TypeKind.BOOL, TypeKind.FLOAT)),
    Kind.STRUCT: frozenset((TypeKind.STRUCT,)),
    Kind.UNION: frozenset((TypeKind.UNION,)),
    Kind.ENUM: frozenset((TypeKind.ENUM,)),
    Kind.ENUM64: frozenset((TypeKind.ENUM,)),
    Kind.TYPEDEF: frozenset((TypeKind.TYPEDEF,)),
    Kind.FLOAT: frozenset((TypeKind.FLOAT,)),
}
_NO_KINDS: frozenset[TypeKind] = frozenset()


class BtfFinder:
    """
    Finds the types and objects of one program.

    :param types_with: Returns the types of each BTF blob that may contain a name, the
        kernel's first
    :param address_of: Returns the address of a symbol of the kernel, if it has it
    """

    def __init__(
        self,
        types_with: Callable[[str], Iterable[BtfTypes]],
        address_of: Callable[[str], Optional[int]],
    ) -> None:
        self._types_with = types_with
        self._address_of = address_of
        self._found: dict[tuple[str, TypeKindSet], Optional[Type]] = {}
        self._objects: dict[tuple[str, FindObjectFlags], Optional[Object]] = {}

    def _with_name(self, name: str) -> Iterator[tuple[BtfTypes, int]]:
        for types in self._types_with(name):
            for id in types.btf.find(name):
                yield types, id

    def find_type(
        self,
        prog: Program,
        kinds: TypeKindSet,
        name: str,
        filename: Optional[str],
    ) -> Optional[Type]:
        """Find a type, as a drgn type finder."""
        if filename is not None:
            return None  # BTF knows no files.
        key = (name, kinds)
        if key not in self._found:
            self._found[key] = None  # should it be asked for while it is made
            try:
                self._found[key] = self._type(kinds, name)
            except READ_ERRORS as e:
                _logger.warning("BTF: type %s: %s", name, reason(e))
        return self._found[key]

    def _type(self, kinds: TypeKindSet, name: str) -> Optional[Type]:
        for types, id in self._with_name(name):
            if _KINDS.get(types.btf.kind(id), _NO_KINDS).isdisjoint(kinds):
                continue
            type = types.type(id)
            if type.kind in kinds and type.is_complete():
                return type
        return None

    def find_object(
        self,
        prog: Program,
        name: str,
        flags: FindObjectFlags,
        filename: Optional[str],
    ) -> Optional[Object]:
        """Find a variable, function or enumerator, as a drgn object finder."""
        if filename is not None:
            return None
        key = (name, flags)
        if key not in self._objects:
            self._objects[key] = None  # should it be asked for while it is made
            try:
                self._objects[key] = self._object(prog, name, flags)
            except READ_ERRORS as e:
                _logger.warning("BTF: object %s: %s", name, reason(e))
        return self._objects[key]

    def _object(
        self, prog: Program, name: str, flags: FindObjectFlags
    ) -> Optional[Object]:
        found = None
        if flags & FindObjectFlags.VARIABLE:
            found = self._declared(prog, name)
            if found is None:
                found = self._with_address(prog, name, Kind.VAR)
        if found is None and flags & FindObjectFlags.FUNCTION:
            found = self._with_address(prog, name, Kind.FUNC)
        if found is None and flags & FindObjectFlags.CONSTANT:
            found = self._enumerator(name)
        return found

    def _declared(self, prog: Program, name: str) -> Optional[Object]:
        if name not in VARIABLES:
            return None
        address = self._address_of(name)
        if address is None:
            return None
        try:
            type = prog.type(VARIABLES[name])
        except LookupError:
            return None
        return Object(prog, type, address=address)

    def _with_address(self, prog: Program, name: str, kind: int) -> Optional[Object]:
        for types, id in self._with_name(name):
            if types.btf.kind(id) != kind:
                continue
            address = self._address_of(name)
            if address is not None:
                type = types.type(types.btf.record(id).size)
                return Object(prog, type, address=address)
        return None

    def _enumerator(self, name: str) -> Optional[Object]:
        for types in self._types_with(name):
            found = types.enumerator(name)
            if found is not None:
                return found
        return None


class SymbolFinder:
    """
    Finds the symbols of one program, as a drgn symbol finder.

    :param vmlinux: Symbols of the kernel
    :param modules: Returns those of its modules, when they are first needed
    """

    def __init__(
        self, vmlinux: SymbolTable, modules: Callable[[], SymbolTable]
    ) -> None:
        self._vmlinux = vmlinux
        self._load_modules = modules
        self._modules: Optional[SymbolTable] = None

    def __call__(
        self,
        prog: Program,
        name: Optional[str],
        address: Optional[int],
        one: bool,
    ) -> Sequence[Symbol]:
        found = list(self._vmlinux(prog, name, address, one))
        # To look into modules costs the names of all their symbols.
        if (found and one) or name in SYMBOLS:
            return found
        if self._modules is None:
            self._modules = lambda *args: ()  # while it looks up what it needs
            self._modules = self._load_modules()
        return found + list(self._modules(prog, name, address, one))
