# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The BTF format
--------------

An index of BTF, the BPF Type Format (Documentation/bpf/btf.rst in the kernel). It comes
from kernel memory, so the parser trusts nothing: whatever is out of range raises
:exc:`BtfError`.
"""

from array import array
from collections.abc import Iterator, Sequence
import enum
import struct
import sys
from typing import Any, NamedTuple, Optional

from ..core.byte_order import struct_order

__all__ = ("MAX_BTF_SIZE", "Btf", "BtfError", "Kind", "Record")

_MAGIC = 0xEB9F
_MAGIC_SWAPPED = 0x9FEB
_VERSION = 1
_HEADER = "HBBIIIII"

# A kernel's is 4 to 6 MB; with each driver built in it is below 32.
MAX_BTF_SIZE = 1 << 25
_MAX_TYPES = 0x000FFFFF  # BTF_MAX_TYPE, include/uapi/linux/btf.h
_MAX_NAME = 1 << 10  # KSYM_NAME_LEN is 512
_MAX_SAME_NAME = 64


class BtfError(ValueError):
    """BTF is not valid, or types cannot be made from it."""


class Kind(enum.IntEnum):
    """``BTF_KIND_*``."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


# How many words a record has: so many, and so many for each of its vlen. One of
# a kind that is not known ends the walk, since nobody knows where the next is.
_KINDS = 32
_BEYOND = 1 << 40
_WORDS = [_BEYOND] * _KINDS
_WORDS_EACH = [0] * _KINDS
for _kind in Kind:
    _WORDS[_kind] = 3
_WORDS[Kind.VOID] = _BEYOND  # never stored
_WORDS[Kind.INT] = _WORDS[Kind.VAR] = _WORDS[Kind.DECL_TAG] = 4
_WORDS[Kind.ARRAY] = 6
_WORDS_EACH[Kind.ENUM] = _WORDS_EACH[Kind.FUNC_PROTO] = 2
_WORDS_EACH[Kind.STRUCT] = _WORDS_EACH[Kind.UNION] = 3
_WORDS_EACH[Kind.DATASEC] = _WORDS_EACH[Kind.ENUM64] = 3
del _kind

_WORD = "I"
_WORD_SIZE = 4


class Record(NamedTuple):
    """``struct btf_type`` and what follows it."""

    kind: int
    name: int  # offset of a string
    vlen: int
    flag: bool
    size: int  # or the type that it refers to
    tail: Sequence[int]


_VOID = Record(Kind.VOID, 0, 0, False, 0, ())


class _Header(NamedTuple):
    length: int
    type_offset: int
    type_length: int
    string_offset: int
    string_length: int


def _section(data: bytes, header: _Header, offset: int, length: int) -> bytes:
    start = header.length + offset
    if start + length > len(data):
        raise BtfError(
            f"BTF is cut off: {len(data)} bytes, a section ends at {start + length}"
        )
    return data[start : start + length]


def _parse_header(data: bytes, byteorder: str) -> _Header:
    layout = struct_order(byteorder) + _HEADER
    if len(data) < struct.calcsize(layout):
        raise BtfError(f"BTF is cut off: {len(data)} bytes, less than its header")
    if len(data) > MAX_BTF_SIZE:
        raise BtfError(f"BTF is too large: {len(data)} bytes")
    magic, version, flags, *rest = struct.unpack_from(layout, data)
    if magic == _MAGIC_SWAPPED:
        raise BtfError(f"BTF is not in the byte order of the program, {byteorder}")
    if magic != _MAGIC:
        raise BtfError(f"this is not BTF: it starts with {magic:#06x}")
    if version != _VERSION or flags:
        raise BtfError(f"BTF of an unknown version: {version}, flags {flags:#x}")
    header = _Header(*rest)
    if header.length < struct.calcsize(layout):
        raise BtfError(f"the BTF header says that it has {header.length} bytes")
    if header.length % 4 or header.type_offset % 4 or header.type_length % 4:
        raise BtfError("the types of BTF are not aligned to 4 bytes")
    return header


class Btf:
    """
    One BTF blob: a kernel's, or a module's, whose type ids and string offsets continue
    where the kernel's end (split BTF).

    :param data: What ``/sys/kernel/btf/NAME`` holds
    :param byteorder: The program's: ``little`` or ``big``
    :param base: The kernel's, for a module's
    :raises BtfError: if it is not well-formed
    """

    def __init__(
        self, data: bytes, byteorder: str, base: Optional["Btf"] = None
    ) -> None:
        header = _parse_header(data, byteorder)
        types = _section(data, header, header.type_offset, header.type_length)
        self._strings = _section(
            data, header, header.string_offset, header.string_length
        )
        self._check_strings(base)
        self.base = base
        self.first_id: int = len(base) if base else 1
        self._first_string: int = base.end_of_strings if base else 0
        self.end_of_strings: int = self._first_string + len(self._strings)
        self._words = array(_WORD)
        self._words.frombytes(types)
        if byteorder != sys.byteorder:
            self._words.byteswap()
        self._starts, self._names, self._kinds = self._walk()
        self._enumerators: Optional[dict[int, tuple[int, int]]] = None
        self._found: dict[str, list[int]] = {}
        #: What was made of it, to be kept as long as this is.
        self.made: dict[object, Any] = {}

    def _check_strings(self, base: Optional["Btf"]) -> None:
        strings = self._strings
        if not strings and base:
            return  # a module that names nothing of its own
        if not strings or strings[-1] or (not base and strings[0]):
            raise BtfError("the strings of BTF do not begin and end with NUL")

    def _walk(self) -> tuple["array[int]", bytes, bytearray]:
        # 100,000 turns: what is not needed here is not done here.
        words = self._words
        starts = array(_WORD)
        names = array(_WORD)
        kinds = bytearray()
        add_start, add_name, add_kind = starts.append, names.append, kinds.append
        fixed, each = _WORDS, _WORDS_EACH
        pos, end = 0, len(words)
        try:
            while pos < end:
                add_start(pos)
                add_name(words[pos])
                info = words[pos + 1]
                kind = info >> 24 & 31
                add_kind(kind)
                pos += fixed[kind] + each[kind] * (info & 0xFFFF)
        except IndexError:
            pos = end + 1
        if pos >= _BEYOND:
            raise BtfError(
                f"BTF type {self.first_id + len(kinds) - 1} is of an unknown kind, "
                f"{kinds[-1]}"
            )
        if pos != end:
            raise BtfError("BTF is cut off in the middle of a type")
        if self.first_id + len(starts) > _MAX_TYPES:
            raise BtfError(f"BTF has too many types: {len(starts)}")
        return starts, names.tobytes(), kinds

    def __len__(self) -> int:
        """Return how many types there are, including void and those of the base."""
        return self.first_id + len(self._starts)

    def string(self, offset: int) -> str:
        """Return the string at an offset."""
        if self.base and offset < self._first_string:
            return self.base.string(offset)
        start = offset - self._first_string
        if start >= len(self._strings):
            raise BtfError(f"BTF has no string at {offset}")
        end = self._strings.index(b"\0", start)
        if end - start > _MAX_NAME:
            raise BtfError(f"BTF has a name of {end - start} bytes at {offset}")
        return self._strings[start:end].decode("utf-8", "backslashreplace")

    def kind(self, id: int) -> int:
        """Return the kind of a type."""
        if id >= self.first_id:
            try:
                return self._kinds[id - self.first_id]
            except IndexError:
                raise BtfError(f"BTF has no type {id}") from None
        return self.base.kind(id) if self.base else Kind.VOID

    def record(self, id: int) -> Record:
        """Return the record of a type; this includes void, which is id 0."""
        if id < self.first_id:
            return self.base.record(id) if self.base else _VOID
        index = id - self.first_id
        starts, words = self._starts, self._words
        try:
            pos = starts[index]
        except IndexError:
            raise BtfError(f"BTF has no type {id}") from None
        following = index + 1
        end = starts[following] if following < len(starts) else len(words)
        info = words[pos + 1]
        return Record(
            self._kinds[index],
            words[pos],
            info & 0xFFFF,
            bool(info >> 31),
            words[pos + 2],
            words[pos + 3 : end],
        )

    def _string_offsets(self, name: bytes) -> Iterator[int]:
        # Nothing that makes BTF lets one string end in another.
        wanted = b"\0" + name + b"\0"
        pos = -1
        for _ in range(_MAX_SAME_NAME):
            pos = self._strings.find(wanted, pos + 1)
            if pos < 0:
                break
            yield self._first_string + pos + 1
        # A module's first string has no NUL before it.
        if self.base:
            if self._strings.startswith(wanted[1:]):
                yield self._first_string
            yield from self.base._string_offsets(name)

    def find(self, name: str) -> list[int]:
        """Return the types with a name, without those of the base."""
        known = self._found.get(name)
        if known is None:
            known = self._found[name] = self._find(name)
        return known

    def _find(self, name: str) -> list[int]:
        found = []
        names = self._names
        for offset in self._string_offsets(name.encode()):
            wanted = array(_WORD, [offset]).tobytes()
            pos = names.find(wanted)
            while pos >= 0:
                if not pos % _WORD_SIZE:
                    found.append(self.first_id + pos // _WORD_SIZE)
                pos = names.find(wanted, pos + 1)
        return sorted(found)

    def of_kind(self, kind: int) -> Iterator[int]:
        """Iterate over the types of a kind, without those of the base."""
        index = self._kinds.find(kind)
        while index >= 0:
            yield self.first_id + index
            index = self._kinds.find(kind, index + 1)

    def find_enumerator(self, name: str) -> Optional[tuple[int, int]]:
        """
        Return the enumeration that has an enumerator, and which it is there.

        Those of the base are not looked at.
        """
        if self._enumerators is None:
            found: dict[int, tuple[int, int]] = {}
            for kind, each in ((Kind.ENUM, 2), (Kind.ENUM64, 3)):
                for id in self.of_kind(kind):
                    names = self.record(id).tail[::each]
                    for index, offset in enumerate(names):
                        found.setdefault(offset, (id, index))
            self._enumerators = found
        for offset in self._string_offsets(name.encode()):
            if offset in self._enumerators:
                return self._enumerators[offset]
        return None
