# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Instructions
------------

What one machine instruction does, on whichever architecture: the decoders give this,
and what looks for something in code needs no more.
"""

from typing import NamedTuple, Optional, Protocol

from drgn import Program

__all__ = ("Access", "Code", "Held", "Instruction", "Registers", "Text", "Write")

_CHUNK = 64
_MAX_TEXT = 1 << 16


class Held(NamedTuple):
    """What is known of a register."""

    number: int
    is_address: bool = False  # that is made of parts
    made_at: Optional[int] = None  # by the instruction there; None: by part
    is_offset: bool = False  # from an address that is not known


#: What is known of registers, by number.
Registers = dict[int, Held]


class Access(NamedTuple):
    """An operand in memory, at an offset from a register."""

    offset: int
    wide: bool  # of 64 bits
    stored: bool = False  # and not read


class Write(NamedTuple):
    """An operand in memory that is written, at an offset from a register."""

    offset: int
    size: int  # in bytes


class Instruction(NamedTuple):
    """What an instruction does."""

    end: int
    falls_through: bool
    jump: Optional[int] = None
    call: Optional[int] = None
    refers_to: tuple[int, ...] = ()
    # An address that it makes of parts, and where an address was made that is a part
    makes: Optional[int] = None
    takes: Optional[int] = None
    is_breakpoint: bool = False
    is_outside: bool = False  # behind a call: no part of the function that called
    accesses: tuple[Access, ...] = ()
    writes: tuple[Write, ...] = ()


class Text:
    """The code of a kernel, read in chunks, up to the maximum length of a function."""

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._chunks: dict[int, bytes] = {}

    def _chunk(self, number: int) -> bytes:
        try:
            return self._chunks[number]
        except KeyError:
            pass
        if len(self._chunks) >= _MAX_TEXT // _CHUNK:
            raise ValueError(f"the code continues for more than {_MAX_TEXT} bytes")
        chunk = self._chunks[number] = self._prog.read(number * _CHUNK, _CHUNK)
        return chunk

    def byte(self, address: int) -> int:
        """Read a byte."""
        return self._chunk(address // _CHUNK)[address % _CHUNK]

    def read(self, address: int, size: int) -> bytes:
        """Read some bytes, at most _CHUNK."""
        number, start = divmod(address, _CHUNK)
        found = self._chunk(number)[start : start + size]
        if len(found) < size:
            found += self._chunk(number + 1)[: size - len(found)]
        return found

    def number(self, address: int, size: int, signed: bool = True) -> int:
        """Read a number."""
        return int.from_bytes(self.read(address, size), "little", signed=signed)


class Code(Protocol):
    """The code of a kernel of one architecture."""

    #: Where the kernel's image and its modules are, with their strings.
    image: range

    def begins_function(self, address: int) -> bool:
        """Return whether a function that can be traced begins here."""

    def decode(self, start: int, registers: Registers) -> Instruction:
        """
        Decode an instruction.

        :param registers: What is known before it; this changes it to what is known
            after it
        :raises ValueError: if it is not valid
        """
