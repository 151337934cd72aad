# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables of kallsyms in a small memory, as scripts/kallsyms.c lays them out."""

from collections.abc import Mapping, Sequence
import struct
from typing import Optional

from drgn import Architecture, Platform, PlatformFlags, Program
from drgn_veth.btf.kallsyms import Tables

__all__ = ("Image",)

_LONGEST = 0x7F


class Image:
    """
    The kallsyms tables of a kernel, in the order that they had before v6.0.

    :param marker: ``Q``: as before v5.0
    :param begin: Where they begin
    :param base: What ``kallsyms_relative_base`` says; None: each offset is relative to
        where it stands
    :param absolute: Negative offsets are from ``base - 1`` down, others are addresses
    :param tokens: What some of the 256 tokens stand for
    :param packed: How names are packed that are not their own characters
    :param word: 4: of a machine of 32 bits
    :param order: ``>``: of a big-endian machine
    """

    BASE = 0xFFFFFFFF81000000
    SIZE = 1 << 21

    def __init__(
        self,
        symbols: Mapping[str, int],
        marker: str = "I",
        *,
        begin: int = 1 << 20,
        base: Optional[int] = BASE,
        absolute: bool = False,
        tokens: Optional[Mapping[int, bytes]] = None,
        packed: Optional[Mapping[str, bytes]] = None,
        word: int = 8,
        order: str = "<",
    ) -> None:
        self.memory = bytearray(self.SIZE)
        self._end = begin
        self._order = order
        self.start = self.BASE % (1 << 8 * word)
        # Each character stands for itself: nothing is packed.
        used = {ord(c) for name in symbols for c in f"T{name}"} | set(b"0123456789")
        all_tokens = [bytes([c]) if c in used else b"" for c in range(256)]
        for token, text in (tokens or {}).items():
            all_tokens[token] = text
        names = b""
        markers = []
        for i, name in enumerate(symbols):
            if i % 256 == 0:
                markers.append(len(names))
            entry = (packed or {}).get(name, b"T" + name.encode())
            if len(entry) > _LONGEST:
                names += bytes([len(entry) & 0x7F | 0x80, len(entry) >> 7]) + entry
            else:
                names += bytes([len(entry)]) + entry
        self._align(8)
        offsets = self._at()
        for address in symbols.values():
            if base is None:
                self._put("i", address - self._at())
            elif absolute and address >= base:
                self._put("i", base - 1 - address)
            else:
                self._put("i", address if absolute else address - base)
        self._align(word)
        relative_base = self._at()
        self._put("Q" if word == 8 else "I", base or 0)
        num_syms = self._at()
        self._put(marker, len(symbols))
        self._align(word)
        names_at = self._at()
        self._add(names)
        self._align(word)
        self._put_all(marker, markers)
        self._align(word)
        table_at = self._at()
        index = []
        table = b""
        for text in all_tokens:
            index.append(len(table))
            table += text + b"\0"
        self._add(table)
        self._align(word)
        #: Where they are.
        self.tables = Tables(
            num_syms,
            names_at,
            table_at,
            self._at(),
            offsets,
            0 if base is None else relative_base,
        )
        self._put_all("H", index)
        flags = PlatformFlags(0)
        if word == 8:
            flags |= PlatformFlags.IS_64_BIT
        if order == "<":
            flags |= PlatformFlags.IS_LITTLE_ENDIAN
        self.prog = Program(Platform(Architecture.X86_64, flags))
        self.prog.add_memory_segment(self.start, self.SIZE, self.read)

    def read(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        return bytes(self.memory[offset : offset + count])

    def _at(self) -> int:
        return self.start + self._end

    def _align(self, to: int) -> None:
        self._end += -self._end % to

    def _add(self, data: bytes) -> None:
        self.memory[self._end : self._end + len(data)] = data
        self._end += len(data)

    def _put_all(self, code: str, values: Sequence[int]) -> None:
        self._add(struct.pack(f"{self._order}{len(values)}{code}", *values))

    def _put(self, code: str, value: int) -> None:
        self._put_all(code, [value])

    def write(self, address: int, code: str, *values: int) -> None:
        """Write other numbers to an address."""
        at = address - self.start
        struct.pack_into(self._order + code, self.memory, at, *values)
