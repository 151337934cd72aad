# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A second source of what code says
---------------------------------

capstone is the other disassembler. It is imported where it is used, as ``make test``
does not have it.
"""

from collections.abc import Iterator
import contextlib
import struct
from typing import Any, Optional

from drgn import Architecture, FaultError, Program, SymbolKind
from drgn_veth.disasm.instruction import Access, Write

__all__ = (
    "disassemble",
    "expected_accesses",
    "expected_goal",
    "expected_writes",
    "functions_around",
    "is_arm64",
    "messages_by_scan",
)


def is_arm64(prog: Program) -> bool:
    """Return whether a program is of arm64, not of x86-64."""
    assert prog.platform is not None
    return prog.platform.arch == Architecture.AARCH64


def functions_around(prog: Program, around: str) -> list[tuple[int, int]]:
    """Return start and size of the functions near one."""
    middle = prog.symbol(around).address
    found = {
        symbol.address: symbol.size
        for symbol in prog.symbols()
        if symbol.kind == SymbolKind.FUNC and abs(symbol.address - middle) < 1 << 16
    }
    # What a module has only while it starts is not there any more.
    return sorted(item for item in found.items() if prog.symbols(item[0]))


def _decoder(prog: Program) -> Any:
    import capstone

    if is_arm64(prog):
        decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    else:
        decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    return decoder


def disassemble(prog: Program, start: int, size: int) -> Iterator[tuple[Any, int]]:
    """Yield capstone's instructions, and where each ends."""
    decoder = _decoder(prog)
    code = prog.read(start, size)
    at = start
    while at < start + size:
        (instruction,) = decoder.disasm(code[at - start : at - start + 16], at, 1)
        # Capstone 5 does not know that it has a ModR/M byte.
        at += instruction.size + (instruction.mnemonic == "ud1")
        yield instruction, at


# What neither loads nor stores.
_NO_ACCESS_X86 = ("lea", "nop", "ud1")


def _x86_operand(instruction: Any) -> Any:
    from capstone import x86_const as x86

    if not instruction.encoding.modrm_offset:
        return None  # Such as movs, which says nothing of where.
    no_member = (x86.X86_REG_INVALID, x86.X86_REG_RIP, x86.X86_REG_RSP)
    for operand in instruction.operands:
        if operand.type == x86.X86_OP_MEM and operand.mem.base not in no_member:
            return operand
    return None


def _expected_access_x86(instruction: Any) -> Optional[Access]:
    name = instruction.mnemonic
    if name in _NO_ACCESS_X86 or name.startswith("prefetch"):
        return None
    operand = _x86_operand(instruction)
    if operand is None:
        return None
    stored = name == "mov" and instruction.operands[0].type == operand.type
    return Access(operand.mem.disp, operand.size == 8, stored)


def _expected_write_x86(instruction: Any) -> Optional[Write]:
    import capstone

    operand = None if instruction.opcode[0] == 0x0F else _x86_operand(instruction)
    if operand is None or not operand.access & capstone.CS_AC_WRITE:
        return None
    return Write(operand.mem.disp, operand.size)


# By the end of the mnemonic, the size where the register does not say it.
_SIZES = (("sw", 4), ("sb", 1), ("sh", 2), ("b", 1), ("h", 2))
_LOADS = ("ld",)
_STORES = ("st",)
#: That read and write.
_ATOMIC_STORES = ("stadd", "stclr", "stset", "steor", "stsmax", "stumax")
_ATOMIC = ("cas", "swp", "ldadd", "ldclr", "ldset", "ldeor", "ldsmax", "ldumax")


def _arm64_operands(instruction: Any) -> tuple[list[int], int]:
    """Return the offsets from a register that is no stack pointer, and the size."""
    from capstone import arm64_const as arm

    name = instruction.mnemonic
    if not name.startswith((*_LOADS, *_STORES, *_ATOMIC)):
        return [], 0
    stack = (arm.ARM64_REG_SP, arm.ARM64_REG_FP)
    where = [op for op in instruction.operands if op.type == arm.ARM64_OP_MEM]
    if not where or where[0].mem.base in stack or where[0].mem.index:
        return [], 0
    registers = [
        instruction.reg_name(operand.reg)
        for operand in instruction.operands
        if operand.type == arm.ARM64_OP_REG
    ]
    # The first is a status where one is stored exclusively.
    is_exclusive = name.startswith("st") and "x" in name[2:]
    data = registers[is_exclusive:]
    size = 8 if data[0][0] == "x" else 4
    for end, number in _SIZES:
        if name.endswith(end) and not name.endswith("psw"):
            size = number
            break
    size = 4 if name.endswith("psw") else size
    offset = where[0].mem.disp
    is_pair = name.startswith(("ldp", "ldnp", "ldxp", "ldaxp", "stp", "stnp", "stxp"))
    return ([offset, offset + size] if is_pair else [offset]), size


def expected_accesses(prog: Program, instruction: Any) -> set[Access]:
    """Return what an instruction accesses."""
    if not is_arm64(prog):
        access = _expected_access_x86(instruction)
        return set() if access is None else {access}
    offsets, size = _arm64_operands(instruction)
    name = instruction.mnemonic
    stored = name.startswith(_STORES) and not name.startswith(_ATOMIC_STORES)
    return {Access(offset, size == 8, stored) for offset in offsets}


def expected_writes(prog: Program, instruction: Any) -> set[Write]:
    """Return what an instruction writes."""
    if not is_arm64(prog):
        write = _expected_write_x86(instruction)
        return set() if write is None else {write}
    offsets, size = _arm64_operands(instruction)
    if not instruction.mnemonic.startswith((*_STORES, *_ATOMIC)):
        return set()
    return {Write(offset, size) for offset in offsets}


def expected_goal(prog: Program, instruction: Any) -> Optional[int]:
    """Return where an instruction jumps to or calls, None if it does not."""
    from capstone import CS_GRP_CALL, CS_GRP_JUMP, CS_OP_IMM

    name = instruction.mnemonic
    groups = instruction.groups
    branches = CS_GRP_JUMP in groups or CS_GRP_CALL in groups
    if not (branches or name in ("b", "bl", "cbz", "cbnz", "tbz", "tbnz")):
        return None
    last = instruction.operands[-1]
    if last.type != CS_OP_IMM:
        return None
    goal = int(last.imm & ((1 << 64) - 1))
    return _behind_plt(prog, goal) if name == "bl" else goal


def _behind_plt(prog: Program, goal: int) -> int:
    # What a module calls that is far away.
    with contextlib.suppress(FaultError, ValueError):
        three = [instruction for instruction, _ in disassemble(prog, goal, 12)]
        if [one.mnemonic for one in three] == ["adrp", "add", "br"]:
            page, rest = three[0].operands[1].imm, three[1].operands[2].imm
            return int(page + rest & ((1 << 64) - 1))
    return goal


def messages_by_scan(
    prog: Program, start: int, size: int, messages: tuple[bytes, ...]
) -> frozenset[bytes]:
    """Return those that any address leads to which may be made in a function."""
    found: set[bytes] = set()
    addresses = _addresses_arm64 if is_arm64(prog) else _addresses_x86
    for address in addresses(prog, start, size):
        for message in messages:
            with contextlib.suppress(FaultError):
                if prog.read(address, len(message) + 1) == message + b"\0":
                    found.add(message)
    return frozenset(found)


def _addresses_x86(prog: Program, start: int, size: int) -> Iterator[int]:
    # Each four bytes of a function as an address, absolute or relative.
    code = prog.read(start, size)
    for at in range(size - 3):
        (value,) = struct.unpack_from("<i", code, at)
        for address in (value, start + at + 4 + value):
            address &= (1 << 64) - 1
            if address >= 0xFFFFFFFF80000000:
                yield address


def _addresses_arm64(prog: Program, start: int, size: int) -> Iterator[int]:
    # What is added to what adrp left in a register before, from the first instruction
    # to the last, whatever branches there are.
    held: dict[int, int] = {}
    for instruction, _ in disassemble(prog, start, size):
        operands = instruction.operands
        if instruction.mnemonic in ("adr", "adrp"):
            held[operands[0].reg] = operands[1].imm
        elif instruction.mnemonic == "add" and operands[1].reg in held:
            number = operands[2].imm << operands[2].shift.value
            held[operands[0].reg] = held[operands[1].reg] + number
            yield held[operands[0].reg] & (1 << 64) - 1
