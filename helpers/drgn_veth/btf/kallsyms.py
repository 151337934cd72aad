# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernel's own symbol table
-----------------------------

kallsyms, as scripts/kallsyms.c writes it and kernel/kallsyms.c reads it. drgn can read
it too; this reader also reads the tables of kernels before v6.0, whose place is not in
VMCOREINFO, and of kernels that are newer than drgn, and it does not unpack 200,000
names to find thirty.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
import re
import sys
from typing import NamedTuple, Optional

from drgn import FaultError, PlatformFlags, Program

from ..core.byte_order import byteorder
from .keep import kept
from .parse import BtfError

__all__ = (
    "Kallsyms",
    "Tables",
    "has_tokens",
    "scan_for_tables",
    "tables_in_vmcoreinfo",
)

_MAX_SYMBOLS = 1 << 22
_MAX_NAMES = 1 << 24  # bytes; v7.3 has 3 MB
_MAX_NAME = 512  # KSYM_NAME_LEN
_MAX_TOKENS = 1 << 14
_TOKENS = 256
_INDEX_SIZE = 2 * _TOKENS

_PAGE = 4096
_CHUNK = 1 << 20
# From _stext on; text and read-only data of a kernel are 20 to 50 MB.
_MAX_SCAN = 1 << 27
_MARKER_EVERY = 256
# Each character that is in some symbol stands for itself, digits always are.
_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))


class Tables(NamedTuple):
    """Addresses of the tables. ``relative_base`` is 0 where there is none."""

    num_syms: int
    names: int
    token_table: int
    token_index: int
    offsets: int
    relative_base: int


def tables_in_vmcoreinfo(known: Mapping[str, int]) -> Optional[Tables]:
    """
    Return the addresses of the tables according to VMCOREINFO.

    :param known: The symbols in it
    :return: None if it does not: before Linux kernel commit f09bddbd8661
        ("vmcoreinfo: add kallsyms_num_syms symbol") (in v6.0)
    """
    try:
        return Tables(
            known["kallsyms_num_syms"],
            known["kallsyms_names"],
            known["kallsyms_token_table"],
            known["kallsyms_token_index"],
            known["kallsyms_offsets"],
            known.get("kallsyms_relative_base", 0),
        )
    except KeyError:
        return None


class _Memory:
    # Numbers in the program's byte order.
    def __init__(self, prog: Program) -> None:
        self.prog = prog
        platform = prog.platform
        assert platform is not None
        self._swap = byteorder(prog) != sys.byteorder
        self.word = 8 if platform.flags & PlatformFlags.IS_64_BIT else 4

    def numbers(self, data: bytes, typecode: str) -> "array[int]":
        found = array(typecode)
        found.frombytes(data)
        if self._swap:
            found.byteswap()
        return found

    def read_numbers(self, address: int, count: int, typecode: str) -> "array[int]":
        size = count * array(typecode).itemsize
        return self.numbers(self.prog.read(address, size), typecode)


def _tokens(memory: _Memory, tables: Tables) -> list[bytes]:
    index = memory.read_numbers(tables.token_index, _TOKENS, "H")
    size = tables.token_index - tables.token_table
    if not index[-1] < size <= _MAX_TOKENS:
        raise BtfError("the tokens of kallsyms are not where they should be")
    table = memory.prog.read(tables.token_table, size)
    tokens = [table[start : table.index(b"\0", start)] for start in index]
    if max(map(len, tokens)) > _MAX_NAME:
        raise BtfError("a token of kallsyms is longer than any symbol")
    return tokens


class Kallsyms:
    """
    The symbols of a kernel.

    :param names: Symbols that are wanted in any case
    :param known: Some symbols, to check the tables against
    :raises BtfError: if the tables are not valid
    """

    def __init__(
        self,
        prog: Program,
        tables: Tables,
        names: Iterable[str],
        known: Mapping[str, int],
    ) -> None:
        memory = _Memory(prog)
        try:
            (count,) = memory.read_numbers(tables.num_syms, 1, "I")
            size = tables.token_table - tables.names
            if not 0 < count <= _MAX_SYMBOLS or not 0 < size <= _MAX_NAMES:
                raise BtfError(f"kallsyms has {count} symbols in {size} bytes")
            self._count = count
            self._names = prog.read(tables.names, size)
            self._tokens = _tokens(memory, tables)
            self._offsets = memory.read_numbers(tables.offsets, count, "i")
            base = None
            if tables.relative_base:
                code = "Q" if memory.word == 8 else "I"
                (base,) = memory.read_numbers(tables.relative_base, 1, code)
        except (FaultError, ValueError) as e:
            raise BtfError(str(e)) from None
        self._base = base
        self._table = tables.offsets
        self._absolute = base is not None and min(self._offsets) < 0
        #: The wanted symbols that exist.
        self.found = self._find({*names, *known})
        if "_stext" not in self.found:
            raise BtfError("kallsyms has no symbol _stext")
        for name, address in known.items():
            if self.found.get(name, address) != address:
                raise BtfError(f"kallsyms has {name} at {self.found[name]:#x}")

    def _address(self, index: int) -> int:
        offset = self._offsets[index]
        if self._base is None:
            # Each is relative to where it stands itself.
            return self._table + 4 * index + offset
        # CONFIG_KALLSYMS_ABSOLUTE_PERCPU, up to v6.14: per-CPU variables are
        # offsets, all others are negative.
        if not self._absolute:
            return self._base + offset
        return offset if offset >= 0 else self._base - 1 - offset

    def _entries(self) -> Iterator[bytes]:
        names = self._names
        pos = 0
        for _ in range(self._count):
            length = names[pos]
            pos += 1
            if length & 0x80:
                # Since Linux kernel commit 73bbb94466fd ("kallsyms: support
                # "big" kernel symbols") (in v6.1).
                length = length & 0x7F | names[pos] << 7
                pos += 1
            yield names[pos : pos + length]
            pos += length

    def _unpack(self, entry: bytes) -> bytes:
        if len(entry) > _MAX_NAME:
            raise BtfError("kallsyms has a name that is too long")
        # The first character is what nm(1) shows.
        return b"".join([self._tokens[token] for token in entry])[1:]

    def _find(self, names: Iterable[str]) -> dict[str, int]:
        wanted = sorted({name.encode() for name in names})
        # Addresses differ between dumps of one kernel, places in the table do not.
        places = kept(
            lambda: self._places(frozenset(wanted)),
            "kallsyms",
            self._names,
            b"\0".join(self._tokens),
            b"\0".join(wanted),
            self._count,
        )
        return {name: self._address(index) for name, index in places.items()}

    def _places(self, wanted: frozenset[bytes]) -> dict[str, int]:
        first = bytearray(_TOKENS)
        last = bytearray(_TOKENS)
        for token, text in enumerate(self._tokens):
            first[token] = any(name.startswith(text[1:]) for name in wanted)
            last[token] = any(
                name.endswith(text) or text.endswith(name) for name in wanted
            )
        found: dict[str, int] = {}
        # As _entries() does, 200,000 times: most are passed over at one glance.
        packed = self._names
        pos = 0
        try:
            for index in range(self._count):
                length = packed[pos]
                if length & 0x80:
                    pos += 1
                    length = length & 0x7F | packed[pos] << 7
                if last[packed[pos + length]] and first[packed[pos + 1]]:
                    name = self._unpack(packed[pos + 1 : pos + 1 + length])
                    if name in wanted:
                        found.setdefault(name.decode(), index)
                pos += length + 1
        except IndexError:
            raise BtfError("the names of kallsyms are cut off") from None
        return found

    def all(self) -> dict[str, int]:
        """Return the addresses of all symbols."""
        found: dict[str, int] = {}
        try:
            for index, entry in enumerate(self._entries()):
                name = self._unpack(entry).decode("utf-8", "backslashreplace")
                found.setdefault(name, self._address(index))
        except IndexError:
            raise BtfError("the names of kallsyms are cut off") from None
        return found


# Without VMCOREINFO


def _chunks(prog: Program, start: int) -> Iterator[tuple[int, bytes]]:
    # What can be read, in pieces that overlap.
    for address in range(start, start + _MAX_SCAN, _CHUNK):
        try:
            yield address, prog.read(address, _CHUNK + _MAX_TOKENS)
            continue
        except FaultError:
            pass
        found = bytearray()
        for page in range(address, address + _CHUNK + _MAX_TOKENS, _PAGE):
            try:
                found += prog.read(page, _PAGE)
            except FaultError:
                found += bytes(_PAGE)
        yield address, bytes(found)


def _index_of(table: bytes) -> list[int]:
    # Where each of the strings begins.
    starts = [0]
    for _ in range(_TOKENS - 1):
        starts.append(table.find(b"\0", starts[-1]) + 1)
    return starts


def has_tokens(prog: Program, tables: Tables) -> bool:
    """
    Return whether the tokens of the tables are one behind the other. If not, to unpack
    the names takes seconds, and hundreds of megabytes.
    """
    memory = _Memory(prog)
    size = tables.token_index - tables.token_table
    try:
        index = memory.read_numbers(tables.token_index, _TOKENS, "H")
        if not 0 < size <= _MAX_TOKENS:
            return False
        return _index_of(prog.read(tables.token_table, size)) == list(index)
    except FaultError:
        return False


def _scan_for_tokens(memory: _Memory, start: int) -> Iterator[tuple[int, int]]:
    # Where the token table and the token index may be.
    digit = ord("0")
    for address, chunk in _chunks(memory.prog, start):
        for match in re.finditer(_DIGITS, chunk):
            end = match.start()
            for _ in range(digit, _TOKENS):
                end = chunk.find(b"\0", end) + 1
                if not end:
                    break
            else:
                index_at = end + -(address + end) % memory.word
                data = chunk[index_at : index_at + _INDEX_SIZE]
                if len(data) < _INDEX_SIZE:
                    continue
                index = memory.numbers(data, "H")
                table_at = match.start() - index[digit]
                # The table may begin in the chunk before.
                table = memory.prog.read(address + table_at, end - table_at)
                if _index_of(table) == list(index):
                    yield address + table_at, address + index_at


def _markers(
    memory: _Memory, token_table: int, typecode: str
) -> tuple[int, "array[int]"]:
    # They end where the tokens begin, and go up from 0.
    width = array(typecode).itemsize
    size = width * _MAX_SYMBOLS // _MARKER_EVERY
    words = memory.read_numbers(token_table - size, size // width, typecode)
    end = len(words)
    while end and not words[end - 1]:
        end -= 1  # padding
    start = end
    while (
        start
        and words[start - 1]
        and words[start - 1] < (words[start] if start < end else _MAX_NAMES)
    ):
        start -= 1
    start -= 1
    if start < 0 or words[start]:
        raise BtfError("the markers of kallsyms were not found")
    return token_table - width * (len(words) - start), words[start:end]


def _before_tokens(
    memory: _Memory, token_table: int, token_index: int, typecode: str
) -> Tables:
    # In memory: offsets, base, count, names, markers, tokens.
    markers_at, markers = _markers(memory, token_table, typecode)
    word = memory.word
    # The names end, after up to 256 more, where the markers begin; before them
    # is the count.
    longest = _MARKER_EVERY * 128
    start = markers_at - markers[-1] - longest
    start -= start % word
    data = memory.prog.read(start, longest)
    for pos in range(longest - word, -1, -word):
        (count,) = memory.numbers(data[pos : pos + 4], "I")
        if -(-count // _MARKER_EVERY) == len(markers) and not any(
            data[pos + 4 : pos + word]
        ):
            num_syms = start + pos
            size = 4 * count
            relative_base = num_syms - word
            return Tables(
                num_syms,
                num_syms + word,
                token_table,
                token_index,
                relative_base - size - size % word,
                relative_base,
            )
    raise BtfError("the names of kallsyms were not found")


def scan_for_tables(
    prog: Program, names: Iterable[str], known: Mapping[str, int]
) -> Kallsyms:
    """
    Look for the tables in memory, for kernels before v6.0.

    This is a heuristic: it knows the order of the tables in v4.18 to v5.19, and how
    they begin. It checks what it finds against all symbols in VMCOREINFO.

    :param names: Symbols that are wanted in any case
    :param known: Symbols in VMCOREINFO
    :raises BtfError: if they are not found
    """
    memory = _Memory(prog)
    if "_stext" not in known or len(known) < 3:
        raise BtfError("VMCOREINFO has no symbols that help to find kallsyms")
    # Since Linux kernel commit ("kallsyms: reduce size a little on 64-bit") (in v5.0),
    # a marker has four bytes. Before, it has the size of a pointer.
    widths = ("I", "Q") if memory.word == 8 else ("I",)
    for token_table, token_index in _scan_for_tokens(memory, known["_stext"]):
        for typecode in widths:
            try:
                found = _before_tokens(memory, token_table, token_index, typecode)
                return Kallsyms(prog, found, names, known)
            except (BtfError, FaultError):
                continue
    raise BtfError("they are not in VMCOREINFO, and were not found in memory")
