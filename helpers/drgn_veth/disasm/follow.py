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
from typing import Callable, NamedTuple

from drgn import Architecture, IntegerLike, Program
from drgn.helpers.common.prog import takes_program_or_default

from .arm64 import Arm64Code
from .instruction import Access, Code, Registers, Write
from .x86_64 import X86_64Code

__all__ = (
    "Reached",
    "code_accesses",
    "code_constants",
    "code_of",
    "code_writes",
    "follow",
    "followed",
)

_DECODERS: dict[Architecture, Callable[[Program], Code]] = {
    Architecture.X86_64: X86_64Code,
    Architecture.AARCH64: Arm64Code,
}


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
    made: dict[int, int] = {}
    taken: set[int] = set()
    waiting: list[tuple[int, Registers]] = [(start, {})]
    while waiting:
        at, registers = waiting.pop()
        goal = at
        after_call = called = False
        while at not in seen:
            # Also code after a call that does not return is not the function's. A
            # static branch that is off looks like the begin of a function.
            may_begin = at != start and (called or at == goal)
            if at in apart or (may_begin and code.begins_function(at)):
                if at == goal:
                    reached.functions.add(at)
                break
            seen.add(at)
            found = code.decode(at, registers)
            if called and found.is_outside:
                break
            # Compilers put breakpoints between functions, and so after a call that does
            # not return. Anywhere else, kprobes or ftrace has set one.
            if found.is_breakpoint and not after_call:
                raise ValueError(f"a breakpoint is set at {at:#x}")
            after_call = found.call is not None
            called = after_call or (called and found.jump is None)
            reached.refers_to.update(found.refers_to)
            if found.makes is not None:
                made[at] = found.makes
            if found.takes is not None:
                taken.add(found.takes)
            reached.accesses.update(found.accesses)
            reached.writes.update(found.writes)
            if found.call is not None:
                reached.functions.add(found.call)
            if found.jump is not None:
                waiting.append((found.jump, dict(registers)))
            if not found.falls_through:
                break
            at = found.end
    # Paths may meet before what they have made is used, so it counts where it is made;
    # but not what others were made of. GCC makes the addresses of several objects from
    # one (-fsection-anchors).
    reached.refers_to.update(made[at] for at in made.keys() - taken)
    return reached


def followed(prog: Program, code: Code, start: int) -> Reached:
    """Return the same from a cache, as code does not change."""
    known: dict[int, Reached] = prog.cache.setdefault("drgn_veth.followed", {})
    try:
        return known[start]
    except KeyError:
        reached = known[start] = follow(code, start, ())
        return reached


def code_of(prog: Program) -> Code:
    """
    Return the code of a kernel.

    :raises NotImplementedError: if its architecture has no decoder
    """
    platform = prog.platform
    decoder = _DECODERS.get(platform.arch) if platform else None
    if decoder is None:
        name = platform.arch.name if platform else "an unknown architecture"
        known = " and ".join(arch.name for arch in _DECODERS)
        raise NotImplementedError(f"cannot decode code of {name}, only of {known}")
    return decoder(prog)


def _reached(prog: Program, function: IntegerLike) -> Reached:
    return followed(prog, code_of(prog), operator.index(function))


@takes_program_or_default
def code_constants(prog: Program, function: IntegerLike) -> frozenset[int]:
    """
    Return the 32-bit and 64-bit numbers in the code of a function itself, and the
    addresses that it refers to.

    :param function: Pointer to the function
    :return: As unsigned 64-bit numbers
    :raises FaultError: if its code cannot be read
    :raises ValueError: if its code does not end, or is not valid
    :raises NotImplementedError: if the architecture has no decoder
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
    :func:`code_accesses()`. On x86-64, it only knows instructions with a single opcode
    byte, which compilers use for all stores of integers.

    :param function: Pointer to the function
    """
    return frozenset(_reached(prog, function).writes)
