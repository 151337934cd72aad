# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Machine code of arm64
---------------------

Decodes one instruction at a time: where it jumps to, what it reads and writes, and what
it leaves in a register, as an address takes two instructions.
"""

import functools
from typing import Optional

from drgn import FaultError

from .arm64_memory import memory_of, signed_field
from .instruction import Access, Held, Instruction, Registers, Text, Write

__all__ = ("Arm64Code",)

_MASK = (1 << 64) - 1
# What ftrace leaves at the start of a function, after the landing pad that a kernel
# with BTI has there: the compiler's first nop becomes "mov x9, x30".
_BTI_C = 0xD503245F
_FTRACE = 0xAA1E03E9
# What saves where to return, for functions that ftrace leaves alone, too: no call comes
# before it.
_PACIASP = 0xD503233F
_PLT = (0x90000010, 0x91000210, 0xD61F0200)

_ZERO = 31  # as an operand; as a base it is the stack pointer
_STACK_POINTER = 31
_STACK = (29, 31)  # with the frame pointer, which the kernel has in each function
_LINK = 30
# What a function that is called may change (AAPCS64).
_CALLER_SAVED = (*range(19), _LINK)
_KPROBES = range(4, 8)  # BRK: asm/brk-imm.h


def _bitmask(word: int) -> Optional[int]:
    # The immediate of a logical instruction (DecodeBitMasks of Arm's manual).
    n, rotate, ones = word >> 22 & 1, word >> 16 & 63, word >> 10 & 63
    length = (n << 6 | (~ones & 63)).bit_length() - 1
    if length < 1 or n and not word >> 31:
        return None
    size = 1 << length
    levels = size - 1
    ones, rotate = ones & levels, rotate & levels
    if ones == levels:
        return None
    element = (1 << ones + 1) - 1
    element = (element >> rotate | element << size - rotate) & ((1 << size) - 1)
    value = 0
    for start in range(0, 64, size):
        value |= element << start
    return value if word >> 31 else value & 0xFFFFFFFF


class Arm64Code(Text):
    """Code of arm64."""

    # The upper half of the addresses has the linear map first, then modules and the
    # image: the halves part no lower than with 47 bits, or 48 as a rule.
    image = range(0xFFFF800000000000, 0xFFFFFFFFFFFFF000)

    @functools.cached_property
    def _stack_chk_fail(self) -> Optional[int]:
        # Many functions call it, and it does not return: what is behind the call has
        # other things in the registers.
        try:
            return self._prog.symbol("__stack_chk_fail").address
        except LookupError:
            return None

    def _behind_plt(self, goal: int) -> int:
        # A module may be farther away from what it calls than an instruction can say:
        # then it calls "adrp x16", "add x16", "br x16" (struct plt_entry).
        try:
            page, rest, jump = (self._word(goal + 4 * i) for i in range(3))
        except FaultError:
            return goal
        if (page & 0x9F00001F, rest & 0xFFC003FF, jump) != _PLT:
            return goal
        known: Registers = {}
        _immediate(goal, page, known)
        _immediate(goal + 4, rest, known)
        return known[16].number

    def begins_function(self, address: int) -> bool:
        """Return whether a function that can be traced begins here."""
        if self._begins(address):
            return True
        # With CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS, a pointer comes before it.
        if address % 8 or not self._begins(address + 8):
            return False
        return self.number(address, 8, signed=False) in self.image

    def _begins(self, address: int) -> bool:
        word = self._word(address)
        return word == _BTI_C or (word == _FTRACE and self._word(address - 4) != _BTI_C)

    def _word(self, address: int) -> int:
        return self.number(address, 4, signed=False)

    def decode(self, start: int, registers: Optional[Registers] = None) -> Instruction:
        """
        Decode an instruction.

        :param registers: What is known before it; this changes it to what is known
            after it
        :raises ValueError: if it is not valid
        """
        word = self._word(start)
        known: Registers = {} if registers is None else registers
        group = word >> 25 & 15
        if word >> 16 == 0:  # udf, which also fills up
            return Instruction(start + 4, False, is_breakpoint=True, is_outside=True)
        if group in (8, 9):
            return _immediate(start, word, known)
        if group in (10, 11):
            found = _branch(start, word, known)
            if found.call is None:
                return found
            goal = self._behind_plt(found.call)
            return found._replace(call=goal, falls_through=goal != self._stack_chk_fail)
        if group & 5 == 4:
            return _load_or_store(start, word, known)
        if group & 7 == 5:
            return _of_registers(start, word, known)
        if group & 7 == 7:  # SIMD and floating point
            known.pop(word & 31, None)
            return Instruction(start + 4, True)
        raise ValueError(f"no instruction at {start:#x}")


def _keep(known: Registers, register: int, held: Optional[Held]) -> None:
    if held is None or register == _ZERO:
        known.pop(register, None)
    else:
        known[register] = held


def _addresses(known: Registers, *registers: int) -> tuple[int, ...]:
    # Those that an instruction takes out of registers.
    return tuple(
        known[register].number
        for register in registers
        if register in known and known[register].made_at is not None
    )


def _number(known: Registers, register: int) -> Optional[int]:
    held = known.get(register)
    return None if held is None or held.is_offset else held.number


def _immediate(start: int, word: int, known: Registers) -> Instruction:
    # Data processing with an immediate.
    target, source, wide = word & 31, word >> 5 & 31, word >> 31
    kind = word >> 23 & 7
    mask = _MASK if wide else 0xFFFFFFFF
    held: Optional[Held] = None
    takes: Optional[int] = None
    refers_to: tuple[int, ...] = ()
    if kind < 2:  # adr, adrp
        distance = signed_field(word, 5, 19) << 2 | word >> 29 & 3
        if wide:
            held = Held((start & ~0xFFF) + (distance << 12) & _MASK, True)
        else:
            held = Held(start + distance & _MASK, True, start)
    elif kind == 2:  # add, sub
        number = (word >> 10 & 0xFFF) << 12 * (word >> 22 & 1)
        subtracts = bool(word >> 30 & 1)
        if target == _ZERO and word >> 29 & 1:  # cmp, cmn
            refers_to = ((number if subtracts else -number) & mask,)
            return Instruction(start + 4, True, refers_to=refers_to)
        part = known.get(source)
        held = _sum(start, source, part, -number if subtracts else number)
        if held is not None and not held.is_offset:
            held = held._replace(number=held.number & mask)
            takes = part.made_at if part is not None else None
    elif kind == 4:  # and, orr, eor, ands
        value = _bitmask(word)
        if value is None:
            raise ValueError(f"no instruction at {start:#x}")
        if word >> 29 & 3 == 1 and source == _ZERO:  # mov
            held, refers_to = Held(value), (value,)
        else:
            refers_to = _addresses(known, source)
    elif kind == 5:  # movn, movz, movk
        shift = 16 * (word >> 21 & 3)
        bits = (word >> 5 & 0xFFFF) << shift
        opcode = word >> 29 & 3
        if opcode == 1 or (not wide and shift > 16):
            raise ValueError(f"no instruction at {start:#x}")
        if opcode == 3:
            old = _number(known, target)
            if old is not None:
                held = Held((old & ~(0xFFFF << shift) | bits) & mask)
        else:
            held = Held((bits if opcode else ~bits) & mask)
        if held is not None:
            refers_to = (held.number,)
    else:  # of tags, of bit fields
        refers_to = _addresses(known, source)
    _keep(known, target, held)
    makes = None if held is None or held.made_at is None else held.number
    return Instruction(start + 4, True, refers_to=refers_to, makes=makes, takes=takes)


def _sum(start: int, source: int, part: Optional[Held], number: int) -> Optional[Held]:
    # What an instruction makes that adds a number.
    if source == _STACK_POINTER:
        return None
    if part is None:
        return Held(number, is_offset=True)
    made_at = start if part.is_address else None
    return part._replace(number=part.number + number, made_at=made_at)


def _branch(start: int, word: int, known: Registers) -> Instruction:
    # Branches, exceptions and system instructions.
    end = start + 4
    if word >> 26 & 31 == 5:  # b, bl
        goal = start + 4 * signed_field(word, 0, 26) & _MASK
        if word >> 31:
            return _called(end, known, goal)
        return Instruction(end, False, goal)
    if word >> 24 == 0x54 or word >> 25 & 63 == 0x1A:  # b.cond, cbz, cbnz
        return Instruction(end, True, start + 4 * signed_field(word, 5, 19) & _MASK)
    if word >> 25 & 63 == 0x1B:  # tbz, tbnz
        return Instruction(end, True, start + 4 * signed_field(word, 5, 14) & _MASK)
    if word >> 24 == 0xD4:
        number, which = word >> 5 & 0xFFFF, word & 0xE0001F
        if which == 0x200000:  # brk; after it nothing that is not reached otherwise
            return Instruction(end, False, is_breakpoint=number in _KPROBES)
        if which in (1, 2, 3):  # svc, hvc, smc
            _forget_call(known)
            return Instruction(end, True)
        if which == 0x400000:  # hlt
            return Instruction(end, False)
    if word >> 22 == 0x354:  # msr, mrs, hints, barriers
        if word >> 21 & 1:
            known.pop(word & 31, None)
        return Instruction(end, True, is_outside=word == _PACIASP)
    if word >> 25 == 0x6B:  # to what a register says
        opcode = word >> 21 & 15
        if opcode in (1, 9):  # blr, blraa
            return _called(end, known, None)
        if opcode in (0, 2, 4, 5, 8):  # br, ret, eret, drps, braa
            return Instruction(end, False)
    raise ValueError(f"no instruction at {start:#x}")


def _forget_call(known: Registers) -> None:
    for register in _CALLER_SAVED:
        known.pop(register, None)


def _called(end: int, known: Registers, goal: Optional[int]) -> Instruction:
    _forget_call(known)
    return Instruction(end, True, call=goal)


def _of_registers(start: int, word: int, known: Registers) -> Instruction:
    # Data processing with registers alone.
    target, source = word & 31, word >> 16 & 31
    if word >> 21 & 0xFF in (0xD0, 0xD2):  # ccmp, and others that only set flags
        if word >> 21 & 0xFF == 0xD2 or word >> 10 & 15 == 2 or word >> 10 & 31 == 1:
            return Instruction(start + 4, True)
    held: Optional[Held] = None
    if word & 0x7FE0FFE0 == 0x2A0003E0:  # mov
        held = Held(0) if source == _ZERO else known.get(source)
        if held is not None and not word >> 31:
            held = Held(held.number & 0xFFFFFFFF) if not held.is_offset else None
    refers_to = _addresses(known, source, word >> 5 & 31)
    _keep(known, target, held)
    return Instruction(start + 4, True, refers_to=refers_to)


def _load_or_store(start: int, word: int, known: Registers) -> Instruction:
    kind = word >> 27 & 7
    is_vector = bool(word >> 26 & 1)
    base = word >> 5 & 31
    if kind == 3 and not word >> 24 & 1:  # ldr of what is beside the code
        place = start + 4 * signed_field(word, 5, 19) & _MASK
        if not is_vector and word >> 30 != 3:
            known.pop(word & 31, None)
        return Instruction(start + 4, True, refers_to=(place,))
    memory = memory_of(word)
    if memory is None:
        for register in (base, word & 31, word >> 16 & 31):
            known.pop(register, None)
        return Instruction(start + 4, True)
    refers_to = _addresses(known, *memory.stores)
    accesses: list[Access] = []
    writes: list[Write] = []
    if memory.offset is None:
        refers_to += _addresses(known, base)
    elif memory.size:
        held = known.get(base)
        if held is not None and not held.is_offset:
            refers_to += (held.number + memory.offset & _MASK,)
        starts = [memory.offset] if base not in _STACK else []
        if held is not None and held.is_offset:
            # A member of a struct that is in another struct: of the one or the other.
            starts.append(memory.offset + held.number)
        steps = range(0, memory.size * memory.number, memory.size)
        for offset in (at + step for at in starts for step in steps):
            accesses.append(Access(offset, memory.size == 8, not memory.reads))
            if memory.writes:
                writes.append(Write(offset, memory.size))
    for register in memory.changes:
        known.pop(register, None)
    return Instruction(
        start + 4,
        True,
        refers_to=refers_to,
        accesses=tuple(accesses),
        writes=tuple(writes),
    )
