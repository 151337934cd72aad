# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Layouts
-------

Some members of a struct, decoded from one memory read by one call. A Layout looks up
where the members are once per program, in its types; after that, a struct costs one
memory read and no look-up. An Object gives the same values one by one, about twenty
times slower.

The reader of the subject declares the members as a class::

    class RxQueueRps(Members):
        rps_map = optional_pointer("rps_map")  # CONFIG_RPS

If several subjects share a struct, the layout takes a class that inherits from all of
their classes. mypy gives the values of a record the types of the declarations.
"""

import collections
from collections.abc import Iterable, Mapping
import enum
import functools
import re
import struct
from typing import (
    Any,
    Callable,
    Generic,
    NamedTuple,
    Optional,
    TypeVar,
    Union,
    cast,
)

import drgn
from drgn import Program, TypeKind, sizeof

from .byte_order import byteorder, struct_order
from .errors import attempt
from .names import are_names_left_out
from .unreadable import Maybe, Unreadable

__all__ = (
    "Kind",
    "Layout",
    "Member",
    "Members",
    "array",
    "array_or_pointer",
    "counter",
    "kind_of",
    "members_of",
    "number",
    "optional_counter",
    "optional_number",
    "optional_pointer",
    "optional_pointer_or_number",
    "pointer",
    "with_values",
)

_INTEGER = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Kind(enum.Flag):
    """
    The kind of a member. Distributions turn arrays into pointers, and pointers into
    arrays.
    """

    NUMBER = enum.auto()
    POINTER = enum.auto()
    ARRAY = enum.auto()
    #: A number, or structs around one: u64_stats_t, atomic_t and the like.
    COUNTER = enum.auto()


class Member(NamedTuple):
    """A member of a struct that a Layout decodes."""

    #: Paths such as ``"xps_maps[0]"``; the first that this kernel has is taken.
    paths: tuple[str, ...]
    #: The expected kind. A member of another kind is not read.
    kind: Kind = Kind.NUMBER
    #: Whether some kernels do not have it; the value is None there.
    optional: bool = False


class Members:
    """
    Members of a struct, declared by the functions below. A record of them has an
    attribute for each: the value, or why it cannot be read.
    """


# The return type is that of the value in a record, as with dataclasses.field().


def number(*paths: str) -> Maybe[int]:
    """Declare an integer, a bool or an enum."""
    return cast("Maybe[int]", Member(paths, Kind.NUMBER))


def optional_number(path: str) -> Maybe[Optional[int]]:
    """Declare the same, None in kernels without it."""
    return cast("Maybe[Optional[int]]", Member((path,), Kind.NUMBER, True))


def counter(*paths: str) -> Maybe[int]:
    """
    Declare what is an integer in some kernels, and a ``u64_stats_t``, ``atomic_t`` or
    ``atomic_long_t`` in others.
    """
    return cast("Maybe[int]", Member(paths, Kind.COUNTER))


def optional_counter(path: str) -> Maybe[Optional[int]]:
    """Declare the same, None in kernels without it."""
    return cast("Maybe[Optional[int]]", Member((path,), Kind.COUNTER, True))


def pointer(*paths: str) -> Maybe[int]:
    """Declare a pointer: the address that it holds."""
    return cast("Maybe[int]", Member(paths, Kind.POINTER))


def optional_pointer(*paths: str) -> Maybe[Optional[int]]:
    """Declare the same, None in kernels without it."""
    return cast("Maybe[Optional[int]]", Member(paths, Kind.POINTER, True))


def optional_pointer_or_number(path: str) -> Maybe[Optional[int]]:
    """Declare a pointer, or in some kernels a number; None in kernels without it."""
    return cast(
        "Maybe[Optional[int]]", Member((path,), Kind.POINTER | Kind.NUMBER, True)
    )


def array(path: str) -> Maybe[bytes]:
    """Declare an array: its bytes."""
    return cast("Maybe[bytes]", Member((path,), Kind.ARRAY))


def array_or_pointer(path: str) -> Maybe[Union[bytes, int, None]]:
    """Declare an array, or in some kernels a pointer; None in kernels without it."""
    return cast(
        "Maybe[Union[bytes, int, None]]",
        Member((path,), Kind.ARRAY | Kind.POINTER, True),
    )


def members_of(declared: type[Members]) -> dict[str, Member]:
    """Return the members that a class and its bases declare."""
    return {
        name: member
        for one in reversed(declared.__mro__)
        for name, member in vars(one).items()
        if isinstance(member, Member)
    }


R = TypeVar("R", bound=Members)


def _without_typedefs(type: drgn.Type) -> drgn.Type:
    while type.kind == TypeKind.TYPEDEF:
        type = type.type
    return type


def kind_of(type: drgn.Type) -> Optional[Kind]:
    """Return the kind of a type, None if it is none of them."""
    kind = _without_typedefs(type).kind
    if kind in (TypeKind.INT, TypeKind.BOOL, TypeKind.ENUM):
        return Kind.NUMBER
    return {TypeKind.POINTER: Kind.POINTER, TypeKind.ARRAY: Kind.ARRAY}.get(kind)


class _Place(NamedTuple):
    offset: int  # in bits
    type: drgn.Type
    bits: Optional[int]


def _find(type: drgn.Type, path: str) -> _Place:
    """
    Find a member such as "xdp_state[0].prog".

    :raises LookupError: if the type has no such member
    :raises TypeError: if a type on the way to it is of another kind
    """
    offset = 0
    bits: Optional[int] = None
    for part in re.findall(r"\w+|\[\d+\]", path):
        type = _without_typedefs(type)
        if part.startswith("["):
            index = int(part[1:-1])
            if type.kind != TypeKind.ARRAY or index >= (type.length or 0):
                raise TypeError(f"{type.type_name()} has no element {index}")
            type = type.type
            offset += index * sizeof(type) * 8
        else:
            member = type.member(part)
            offset += member.bit_offset
            bits = member.bit_field_size
            type = member.type
    return _Place(offset, type, bits)


def _inside(type: drgn.Type) -> drgn.Type:
    # The number in structs that have nothing but it.
    type = _without_typedefs(type)
    while type.kind in (TypeKind.STRUCT, TypeKind.UNION) and type.members:
        inner = _without_typedefs(type.members[0].type)
        if inner.size != type.size:
            break
        type = inner
    return type


def _place(type: drgn.Type, member: Member) -> Union[_Place, Unreadable, None]:
    where = f"{type.type_name()}.{member.paths[0]}"
    for path in member.paths:
        try:
            found = _find(type, path)
        except LookupError:
            continue
        except TypeError as e:
            return Unreadable(f"{where} has an unexpected type: {e}")
        if member.kind is Kind.COUNTER:
            found = found._replace(type=_inside(found.type))
        kind = kind_of(found.type)
        if kind is Kind.NUMBER and member.kind is Kind.COUNTER:
            kind = Kind.COUNTER
        if kind is None or kind not in member.kind or not _is_decodable(found):
            name = found.type.type_name()
            return Unreadable(f"{where} has an unexpected type: {name}")
        return found
    return None if member.optional else Unreadable(f"this kernel has no {where}")


def _is_decodable(place: _Place) -> bool:
    # Whole bytes, in a size that the struct module knows.
    try:
        _code(place.type, place.bits)
    except (KeyError, TypeError, ValueError):
        return False
    return not place.offset % 8 and not (place.bits or 0) % 8


def _code(type: drgn.Type, bits: Optional[int]) -> str:
    type = _without_typedefs(type)
    if type.kind == TypeKind.ARRAY:
        return f"{sizeof(type)}s"
    if type.kind == TypeKind.ENUM:
        # IF_OPER_* and the like: its integer type gives size and sign.
        type = type.type
    size = sizeof(type) if bits is None else bits // 8
    code = _INTEGER[size]
    signed = type.kind == TypeKind.INT and type.is_signed
    return code.lower() if signed else code


def with_values(record: R, **values: object) -> R:
    """Return a record with other values."""
    return cast("R", cast("Any", record)._replace(**values))


class Layout(Generic[R]):
    """
    Members of a struct type.

    :param prog: Program
    :param type: Struct type
    :param declared: The members. One that is missing, or is of another kind, is
        :class:`~drgn_veth.core.unreadable.Unreadable` in every record; None if it is
        optional.
    """

    def __init__(self, prog: Program, type: drgn.Type, declared: type[R]) -> None:
        self.prog = prog
        self.size = sizeof(type)
        #: Nothing but the members is read, not what lies between them.
        self.by_member = are_names_left_out(prog)
        #: Offset of each value in the struct, in bytes.
        self.offset: dict[str, int] = {}
        self._missing: dict[str, Optional[Unreadable]] = {}
        absent = self._missing
        codes: dict[str, str] = {}
        for name, member in members_of(declared).items():
            place = _place(type, member)
            if place is None or isinstance(place, Unreadable):
                absent[name] = place
                continue
            self.offset[name] = place.offset // 8
            codes[name] = _code(place.type, place.bits)
        present = self._apart(codes)
        self._order = struct_order(byteorder(prog))
        self._fields = [
            (self.offset[name], struct.Struct(self._order + codes[name]))
            for name in present
        ]
        self._columns: dict[str, struct.Struct] = {}
        text = self._order
        position = 0
        for name in present:
            text += f"{self.offset[name] - position}x{codes[name]}"
            position = self.offset[name] + struct.calcsize(self._order + codes[name])
        self._struct = struct.Struct(f"{text}{self.size - position}x")
        # From the first member to the end of the last.
        self._start = min(self.offset.values(), default=0)
        before = f"{self._order}{self._start}x"
        self._span = struct.Struct(self._order + text[len(before) :])
        self._absent = tuple(absent.values())
        # In the order of the struct, so that the unpacked values already are a record.
        record = collections.namedtuple(  # type: ignore[misc]
            declared.__name__, [*present, *absent]
        )
        make = functools.partial(tuple.__new__, record)
        self._make = cast("Callable[[Iterable[object]], R]", make)

    def check(self) -> None:
        """
        See that there are all members that are not optional.

        :raises LookupError: if one is missing, or is of another kind
        """
        for why in self._missing.values():
            if why is not None:
                raise LookupError(why.reason)

    def _apart(self, codes: Mapping[str, str]) -> list[str]:
        # The names of the values in the order of the struct, without overlapping ones.
        present: list[str] = []
        end = 0
        for name in sorted(self.offset, key=self.offset.__getitem__):
            if self.offset[name] < end:
                self._missing[name] = Unreadable(f"{name} overlaps {present[-1]}")
                del self.offset[name]
            else:
                present.append(name)
                end = self.offset[name] + struct.calcsize("<" + codes[name])
        return present

    def decode(self, data: bytes, offset: int = 0) -> R:
        """Return the record of a struct that has been read."""
        return self._make(self._struct.unpack_from(data, offset) + self._absent)

    def decode_array(self, data: Union[bytes, memoryview]) -> list[R]:
        """Return the records of an array of structs that has been read."""
        make, absent = self._make, self._absent
        return [make(values + absent) for values in self._struct.iter_unpack(data)]

    def read(self, address: int) -> R:
        """
        Read the struct at an address.

        :return: A record with an attribute for each value, an int, or bytes for an
            array. If the struct cannot be read as a whole, each member is read
            separately, and those that fail are
            :class:`~drgn_veth.core.unreadable.Unreadable`.
        """
        if self.by_member:
            return self._read_members(address)
        try:
            data = self.prog.read(address, self.size)
        except Exception:  # Each member gets its own error.
            return self._read_members(address)
        return self._make(self._struct.unpack(data) + self._absent)

    def read_span(self, address: int) -> R:
        """
        Read the struct at an address, but nothing before its first member here and
        nothing behind the last: see :meth:`read()`.
        """
        span = self._span
        try:
            data = self.prog.read(address + self._start, span.size)
        except Exception:  # Each member gets its own error.
            return self._read_members(address)
        return self._make(span.unpack(data) + self._absent)

    def _read_members(self, address: int) -> R:
        values: list[Any] = []
        for offset, one in self._fields:
            data = attempt(self.prog.read, address + offset, one.size)
            if isinstance(data, Unreadable):
                values.append(data)
            else:
                values.append(one.unpack(data)[0])
        return self._make((*values, *self._absent))

    def column(self, name: str, data: Union[bytes, memoryview]) -> list[int]:
        """
        Return one value of each struct of an array that has been read.

        :param name: Name of the value; it is an int
        :raises LookupError: if this kernel does not have it
        """
        try:
            one = self._columns[name]
        except KeyError:
            one = self._columns[name] = self._column(name)
        return [value for (value,) in one.iter_unpack(data)]

    def _column(self, name: str) -> struct.Struct:
        try:
            offset = self.offset[name]
        except KeyError:
            why = self._missing[name]
            raise LookupError(why.reason if why else f"no member {name}") from None
        code = next(code for at, code in self._fields if at == offset)
        text, behind = code.format, self.size - offset - code.size
        return struct.Struct(f"{text[:1]}{offset}x{text[1:]}{behind}x")

    def read_array(self, address: int, count: int) -> Iterable[R]:
        """
        Read an array of the struct: see :meth:`read()`.

        :param count: How many; the caller has limited it
        """
        if count == 1:  # The usual case.
            return (self.read(address),)
        try:
            data = self.prog.read(address, self.size * count)
        except Exception:  # Each member gets its own error.
            return (self.read(address + i * self.size) for i in range(count))
        return self.decode_array(data)
