# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Machine code of x86-64
----------------------

Decodes one instruction at a time: its length, where it jumps to, what it refers to,
reads and writes.
"""

from typing import NamedTuple, Optional

from .instruction import Access, Instruction, Registers, Text, Write

__all__ = ("X86_64Code",)

_FUNCTION_ALIGNMENT = 16
# What ftrace leaves at the start of a function that is not traced: one instruction, in
# v5.13 and later the first, before that what the CPU takes best.
_FTRACE_NOPS = (b"\x0f\x1f\x44\x00\x00", b"\x66\x66\x66\x66\x90")
_ENDBR64 = b"\xf3\x0f\x1e\xfa"

_MASK = (1 << 64) - 1


def _opcodes(*ranges: tuple[int, int]) -> frozenset[int]:
    return frozenset(op for first, last in ranges for op in range(first, last + 1))


# Intel's Software Developer's Manual, volume 2, appendix A: the opcode maps.
_PREFIXES = frozenset((0x26, 0x2E, 0x36, 0x3E, *range(0x64, 0x68), 0xF0, 0xF2, 0xF3))
_INVALID = frozenset(
    (
        *(0x06, 0x07, 0x0E, 0x16, 0x17, 0x1E, 0x1F, 0x27, 0x2F, 0x37, 0x3F),
        *(0x60, 0x61, 0x62, 0x82, 0x9A, 0xCE, 0xD4, 0xD5, 0xD6, 0xEA),
    )
)
_MODRM = _opcodes(
    *(
        (row + 8 * half, row + 8 * half + 3)
        for row in range(0, 0x40, 16)
        for half in (0, 1)
    ),
    *((0x63, 0x63), (0x69, 0x69), (0x6B, 0x6B), (0x80, 0x8F), (0xC0, 0xC1)),
    *((0xC6, 0xC7), (0xD0, 0xD3), (0xD8, 0xDF), (0xF6, 0xF7), (0xFE, 0xFF)),
)
_IMM8 = _opcodes(
    *((op, op) for op in range(0x04, 0x40, 8)),
    *((0x6A, 0x6B), (0x70, 0x7F), (0x80, 0x80), (0x83, 0x83), (0xA8, 0xA8)),
    *((0xB0, 0xB7), (0xC0, 0xC1), (0xC6, 0xC6), (0xCD, 0xCD), (0xE0, 0xE7)),
    (0xEB, 0xEB),
)
# 16 bits after an operand-size prefix, otherwise 32.
_IMMZ = _opcodes(
    *((op, op) for op in range(0x05, 0x40, 8)),
    *((0x68, 0x69), (0x81, 0x81), (0xA9, 0xA9), (0xB8, 0xBF), (0xC7, 0xC7)),
)
_REL32 = frozenset((0xE8, 0xE9))
_IMM16 = frozenset((0xC2, 0xCA))
_NO_MODRM_0F = _opcodes(
    *((0x05, 0x09), (0x0B, 0x0B), (0x0E, 0x0E), (0x30, 0x37), (0x77, 0x77)),
    *((0x80, 0x8F), (0xA0, 0xA2), (0xA8, 0xAA), (0xC8, 0xCF)),
)
_IMM8_0F = _opcodes(
    *((0x0F, 0x0F), (0x70, 0x73), (0xA4, 0xA4), (0xAC, 0xAC), (0xBA, 0xBA)),
    *((0xC2, 0xC2), (0xC4, 0xC6)),
)
_INT3 = 0xCC
_LEA = 0x8D
_STORES = frozenset((0x88, 0x89, 0xC6, 0xC7))  # mov
# What writes to its operand: mov and xchg; add to xor, but for cmp; shifts. With an
# opcode extension: 80 to 83 but for cmp, not and neg, inc and dec.
_WRITES = frozenset(
    (
        *_STORES,
        *(0x86, 0x87),
        *(op + low for op in range(0, 0x38, 8) for low in (0, 1)),
        *(0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3),
    )
)
_WRITES_BY_EXTENSION = {
    **dict.fromkeys((0x80, 0x81, 0x83), range(7)),
    **dict.fromkeys((0xF6, 0xF7), range(2, 4)),
    **dict.fromkeys((0xFE, 0xFF), range(2)),
}
_STACK = 4  # rsp, as the base of an operand
# What accesses nothing: prefetch, nop, ud1.
_NO_ACCESS_0F = frozenset((0x0D, *range(0x18, 0x20), 0xB9))
_EXTENDING_0F = frozenset((0xB6, 0xB7, 0xBE, 0xBF))
# ret, int3, iret, hlt
_STOPS = frozenset((0xC2, 0xC3, 0xCA, 0xCB, 0xCC, 0xCF, 0xF4))


class _Operand(NamedTuple):
    # What the ModR/M byte says, and those that belong to it.
    end: int
    extension: int
    relative: Optional[int] = None  # to the instruction's end
    refers_to: tuple[int, ...] = ()
    offset: Optional[int] = None  # from a register that is not the stack pointer


class X86_64Code(Text):
    """Code of x86-64."""

    # What 32 bits, sign-extended, can refer to, up to where there are error codes.
    image = range(0xFFFFFFFF80000000, 0xFFFFFFFFFFFFF000)

    def begins_function(self, address: int) -> bool:
        """Return whether a function that can be traced begins here."""
        if address % _FUNCTION_ALIGNMENT:
            return False
        code = self.read(address, len(_ENDBR64) + len(_FTRACE_NOPS[0]))
        if code.startswith(_ENDBR64):
            code = code[len(_ENDBR64) :]
        return code.startswith(_FTRACE_NOPS)

    def _operand(self, pos: int, extended_base: bool) -> _Operand:
        modrm = self.byte(pos)
        pos += 1
        mod, extension, base = modrm >> 6, modrm >> 3 & 7, modrm & 7
        if mod == 3:
            return _Operand(pos, extension)
        if not mod and base == 5:
            return _Operand(pos + 4, extension, relative=self.number(pos, 4))
        size = (0, 1, 4)[mod]
        on_stack = has_no_base = False
        if base == 4:
            base = self.byte(pos) & 7
            pos += 1
            has_no_base = not mod and base == 5
            on_stack = base == _STACK and not extended_base
            size = 4 if has_no_base else size
        offset = self.number(pos, size) if size else 0
        return _Operand(
            pos + size,
            extension,
            refers_to=(offset & _MASK,) if size == 4 else (),
            offset=None if on_stack or has_no_base else offset,
        )

    def decode(self, start: int, registers: Optional[Registers] = None) -> Instruction:
        """
        Decode an instruction.

        :param registers: Not needed here: each instruction has whole numbers
        :raises ValueError: if it is not valid
        """
        pos = start
        short = wide = extended_base = False
        op = self.byte(pos)
        while op in _PREFIXES:
            short |= op == 0x66
            pos += 1
            op = self.byte(pos)
            if pos - start > 14:
                raise ValueError(f"no instruction at {start:#x}")
        if 0x40 <= op < 0x50:
            wide = op & 8 != 0
            extended_base = op & 1 != 0
            pos += 1
            op = self.byte(pos)
        pos += 1
        table = 0
        if op in (0xC4, 0xC5):  # VEX
            table = (self.byte(pos) & 31 or 4) if op == 0xC4 else 1
            pos += 2 if op == 0xC4 else 1
            op = self.byte(pos)
            pos += 1
        elif op == 0x0F:
            table = 1
            op = self.byte(pos)
            pos += 1
            if op in (0x38, 0x3A):
                table = 2 if op == 0x38 else 3
                op = self.byte(pos)
                pos += 1
        if table > 3 or (not table and op in _INVALID):
            raise ValueError(f"no instruction at {start:#x}")
        operand = _Operand(pos, 0)
        if (op in _MODRM, op not in _NO_MODRM_0F, True, True)[table]:
            operand = self._operand(pos, extended_base)
            pos = operand.end
        referred = list(operand.refers_to)
        size = _immediate(table, op, operand.extension, short, wide)
        value = self.number(pos, size) if size else 0
        pos += size
        if operand.relative is not None:
            referred.append(pos + operand.relative & _MASK)
        accesses: tuple[Access, ...] = ()
        if operand.offset is not None and not (
            (table == 0 and op == _LEA) or (table == 1 and op in _NO_ACCESS_0F)
        ):
            if not table and op == 0xFF and operand.extension in (2, 4, 6):
                wide = True  # call, jmp, push
            elif (not table and op == 0x63) or (table == 1 and op in _EXTENDING_0F):
                wide = False  # movsxd, movzx, movsx
            stored = not table and op in _STORES
            accesses = (Access(operand.offset, wide, stored),)
        if table == 1:
            # jcc; after ud2 nothing that is not reached otherwise.
            jump = pos + value & _MASK if 0x80 <= op < 0x90 else None
            return Instruction(
                pos, op != 0x0B, jump, refers_to=tuple(referred), accesses=accesses
            )
        if table:
            return Instruction(pos, True, refers_to=tuple(referred), accesses=accesses)
        if op == 0xE8:
            return Instruction(pos, True, call=pos + value & _MASK)
        if op in (0xE9, 0xEB):
            return Instruction(pos, False, pos + value & _MASK)
        if 0x70 <= op < 0x80 or 0xE0 <= op < 0xE4:
            return Instruction(pos, True, pos + value & _MASK)
        writes: tuple[Write, ...] = ()
        if operand.offset is not None and _is_written(op, operand.extension):
            size_of = 1 if not op & 1 else 2 if short else 8 if wide else 4
            writes = (Write(operand.offset, size_of),)
        if size in (4, 8):
            referred.append(value & _MASK)
        indirect = op == 0xFF and operand.extension in (4, 5)
        stops = op in _STOPS or indirect
        return Instruction(
            pos,
            not stops,
            refers_to=tuple(referred),
            is_breakpoint=op == _INT3,
            accesses=accesses,
            writes=writes,
        )


def _is_written(op: int, extension: int) -> bool:
    # Whether an instruction of one opcode byte writes to its operand.
    return op in _WRITES or extension in _WRITES_BY_EXTENSION.get(op, ())


def _immediate(table: int, op: int, extension: int, short: bool, wide: bool) -> int:
    # How long the immediate operand is.
    if table == 3:
        return 1
    if table == 2:
        return 0
    if table == 1:
        if 0x80 <= op < 0x90:
            return 4
        return 1 if op in _IMM8_0F else 0
    if op in (0xF6, 0xF7) and extension < 2:  # test
        return 1 if op == 0xF6 else 2 if short else 4
    if op in _IMM8:
        return 1
    if op in _REL32:
        return 4
    if op in _IMMZ:
        if 0xB8 <= op < 0xC0 and wide:
            return 8
        return 2 if short else 4
    if op in _IMM16:
        return 2
    if op == 0xC8:
        return 3
    return 8 if 0xA0 <= op < 0xA4 else 0
