# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a function does
--------------------

Follows the code of a function from its first instruction along its jumps, and says what
it refers to, reads, writes and calls. It reads little more than that function, needs no
sizes of symbols, and sees what is inlined.
"""

from collections.abc import Iterable
import operator
from typing import NamedTuple

from drgn import Architecture, IntegerLike, Program
from drgn.helpers.common.prog import takes_program_or_default

from .x86_64 import Access, Code, Write

__all__ = (
    "Reached",
    "code_accesses",
    "code_constants",
    "code_writes",
    "follow",
    "followed",
    "require_x86_64",
)

_FUNCTION_ALIGNMENT = 16


class Reached(NamedTuple):
    """What the code of a function reaches."""

    refers_to: set[int]
    functions: set[int]  # that are called, or jumped to in the end
    accesses: set[Access]
    writes: set[Write]


def follow(code: Code, start: int, others: Iterable[int]) -> Reached:
    """
    Return what one function does.

    :param others: Addresses that are known not to be part of it
    :raises FaultError: if its code cannot be read
    :raises ValueError: if the code does not end, or is not valid
    """
    reached = Reached(set(), set(), set(), set())
    apart = set(others) - {start}
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        at = waiting.pop()
        after_call = False
        while at not in seen:
            # Also code after a call that does not return is not the function's.
            aligned = at % _FUNCTION_ALIGNMENT == 0 and at != start
            if at in apart or (aligned and code.begins_function(at)):
                reached.functions.add(at)
                break
            seen.add(at)
            found = code.decode(at)
            # Compilers put breakpoints between functions, and so after a call that does
            # not return. Anywhere else, kprobes or ftrace has set one.
            if found.is_breakpoint and not after_call:
                raise ValueError(f"a breakpoint is set at {at:#x}")
            after_call = found.call is not None
            reached.refers_to.update(found.refers_to)
            if found.access is not None:
                reached.accesses.add(found.access)
            if found.write is not None:
                reached.writes.add(found.write)
            if found.call is not None:
                reached.functions.add(found.call)
            if found.jump is not None:
                waiting.append(found.jump)
            if not found.falls_through:
                break
            at = found.end
    return reached


def followed(prog: Program, code: Code, start: int) -> Reached:
    """Return the same from a cache, as code does not change."""
    known: dict[int, Reached] = prog.cache.setdefault("drgn_veth.followed", {})
    try:
        return known[start]
    except KeyError:
        reached = known[start] = follow(code, start, ())
        return reached


def require_x86_64(prog: Program) -> None:
    """
    :raises NotImplementedError: on another architecture than x86-64
    """
    platform = prog.platform
    if platform is None or platform.arch != Architecture.X86_64:
        name = platform.arch.name if platform else "an unknown architecture"
        raise NotImplementedError(f"cannot decode code of {name}, only of X86_64")


def _reached(prog: Program, function: IntegerLike) -> Reached:
    require_x86_64(prog)
    return followed(prog, Code(prog), operator.index(function))


@takes_program_or_default
def code_constants(prog: Program, function: IntegerLike) -> frozenset[int]:
    """
    Return the 32-bit and 64-bit numbers in the code of a function itself, and the
    addresses that it refers to.

    :param function: Pointer to the function
    :return: As unsigned 64-bit numbers
    :raises FaultError: if its code cannot be read
    :raises ValueError: if its code does not end, or is not valid
    :raises NotImplementedError: on another architecture than x86-64
    """
    return frozenset(_reached(prog, function).refers_to)


@takes_program_or_default
def code_accesses(prog: Program, function: IntegerLike) -> frozenset[Access]:
    """
    Return where the code of a function itself reads or writes memory: operands at a
    fixed offset from a register, like the members of a struct. It skips operands on the
    stack. Raises the same errors as :func:`code_constants()`.

    :param function: Pointer to the function
    """
    return frozenset(_reached(prog, function).accesses)


@takes_program_or_default
def code_writes(prog: Program, function: IntegerLike) -> frozenset[Write]:
    """
    Return where the code of a function itself writes memory: see
    :func:`code_accesses()`. It only decodes instructions with a single opcode byte,
    which compilers use for all stores of integers.

    :param function: Pointer to the function
    """
    return frozenset(_reached(prog, function).writes)
