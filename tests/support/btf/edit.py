# SPDX-License-Identifier: LGPL-2.1-or-later
"""Types of a dump, changed in its own BTF: how another kernel would have them."""

from array import array
from typing import Any, Callable, Optional

from drgn import Program
from drgn_veth.btf.load import read_vmlinux_btf
from drgn_veth.btf.parse import Btf, BtfError, Kind
from drgn_veth.btf.symbols import kernel_symbols

from tests.support.memory import Altered

__all__ = ("Types", "renamed")


def renamed(data: bytes, old: str, new: str) -> bytes:
    """Return BTF in which a name is another one, no longer than it was."""
    assert len(new) <= len(old)
    before, after = f"\0{old}\0".encode(), f"\0{new}\0".encode()
    assert data.count(before) == 1
    return data.replace(before, after + bytes(len(before) - len(after)))


def _addresses(prog: Program) -> Callable[[str], Any]:
    # A symbol of drgn has a size, which takes all the kernel's symbols.
    try:
        return kernel_symbols(prog).address_of
    except BtfError:
        return lambda name: prog.symbol(name).address


class Types:
    """
    The kernel's BTF in a dump, which can be changed before a program reads it.

    :param altered: The dump
    """

    def __init__(self, altered: Altered) -> None:
        self._altered = altered
        prog = altered.original
        self._at: dict[str, int] = {}

        def address_of(name: str) -> Optional[int]:
            self._at[name] = found(name)
            return self._at[name]

        found = _addresses(prog)

        self._data = read_vmlinux_btf(prog, address_of)
        self._btf = Btf(self._data, "little")
        self._words = int.from_bytes(self._data[4:8], "little") + int.from_bytes(
            self._data[8:12], "little"
        )

    def _show(self, offset: int, data: bytes) -> None:
        self._altered.write(self._at["__start_BTF"] + offset, data)

    def _show_word(self, id: int, word: int, value: int) -> None:
        # A word of the record of a type.
        start = self._btf._starts[id - 1]
        self._show(self._words + 4 * (start + word), array("I", [value]).tobytes())

    def rename(self, old: str, new: str) -> None:
        """Give everything of one name another one."""
        changed = renamed(self._data, old, new)
        at = self._data.index(f"\0{old}\0".encode()) + 1
        self._show(at, changed[at : at + len(old)])

    def struct(self, name: str) -> int:
        """Return the id of a struct."""
        (found,) = (id for id in self._btf.find(name) if self.kind(id) == Kind.STRUCT)
        return found

    def kind(self, id: int) -> int:
        """Return the kind of a type."""
        return self._btf.kind(id)

    def pointer_to(self, target: int) -> int:
        """Return a pointer to a type; one that nobody misses is made it."""
        pointers = list(self._btf.of_kind(Kind.PTR))
        for id in pointers:
            if self._btf.record(id).size == target:
                return id
        self._show_word(pointers[-1], 2, target)
        return pointers[-1]

    def set_type(self, struct: str, member: str, type: int) -> None:
        """Give a member of a struct another type."""
        id = self.struct(struct)
        tail = self._btf.record(id).tail
        (index,) = (
            i for i in range(0, len(tail), 3) if self._btf.string(tail[i]) == member
        )
        self._show_word(id, 3 + index + 1, type)
