# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Instructions of BPF programs
----------------------------

Which helpers a program calls. Follows fixup_bpf_calls() and do_misc_fixups()
(kernel/bpf/verifier.c): the verifier leaves in a call how far its function is from
``__bpf_call_base``. A program keeps these instructions when it is compiled.

Upstream: all.
"""

import struct

from drgn import Object, Program, sizeof

from ..core.byte_order import byteorder, struct_order
from ..core.errors import attempt
from ..core.unreadable import Unreadable

__all__ = ("bpf_prog_calls", "bpf_prog_has_tail_calls", "bpf_prog_may_call")

_CALL = b"\x85\0\0\0"  # BPF_JMP | BPF_CALL of a helper: no registers, no offset
_TAIL_CALL = 0xF5  # BPF_JMP | BPF_TAIL_CALL
_INSN_SIZE = 8
_MAX_INSNS = 1 << 20  # BPF_COMPLEXITY_LIMIT_INSNS is a million


def _code(prog: Object) -> bytes:
    count = prog.len.value_()
    if count > _MAX_INSNS:
        raise ValueError(f"bpf_prog.len is {count}")
    size = sizeof(prog.insnsi.type_.type)
    if size != _INSN_SIZE:
        raise ValueError(f"sizeof(struct bpf_insn) is {size}")
    at = prog.insnsi.address_of_().value_()
    return prog.prog_.read(at, count * _INSN_SIZE)


def _jumps(code: bytes) -> bool:
    return _TAIL_CALL in code[::_INSN_SIZE]


def _distance(program: Program, function: str) -> int:
    # How far a function is from __bpf_call_base, for who takes their addresses in C.
    # Each program is asked for it, and drgn goes over all symbols for one that is not
    # there.
    key = f"drgn_veth.call_distance.{function}"
    try:
        known: int = program.cache[key]
    except KeyError:
        known = program.cache[key] = _read_distance(program, function)
    return known


def _read_distance(program: Program, function: str) -> int:
    names = (function, "__bpf_call_base")
    # With CONFIG_CFI_CLANG from v5.13 to v6.0, these are addresses of a jump table.
    entries = [attempt(program.symbol, f"{name}.cfi_jt") for name in names]
    known = [entry for entry in entries if not isinstance(entry, Unreadable)]
    if len(known) == 1:
        raise LookupError(f"of {' and '.join(names)}, one alone is in a jump table")
    one, base = known or [program.symbol(name) for name in names]
    return one.address - base.address


def _calls(program: Program, code: bytes, function: str) -> bool:
    distance = _distance(program, function)
    imm = struct.pack(f"{struct_order(byteorder(program))}I", distance & 0xFFFFFFFF)
    at = code.find(_CALL + imm)
    while at >= 0 and at % _INSN_SIZE:
        at = code.find(_CALL + imm, at + 1)
    return at >= 0


def bpf_prog_has_tail_calls(prog: Object) -> bool:
    """
    Return whether a program jumps into another one (``bpf_tail_call()``).

    :param prog: ``struct bpf_prog *``
    :raises ValueError: if the program is longer than any
    """
    return _jumps(_code(prog))


def bpf_prog_calls(prog: Object, function: str) -> bool:
    """
    Return whether a program calls a function of the kernel, itself or in one of its
    subprograms. That says nothing of programs that it jumps into.

    :param prog: ``struct bpf_prog *``
    :param function: Such as ``bpf_xdp_redirect``, which is ``bpf_redirect()`` of XDP
    :raises LookupError: if the kernel has no such symbol
    :raises ValueError: if the program is longer than any
    """
    return _calls(prog.prog_, _code(prog), function)


def bpf_prog_may_call(prog: Object, function: str) -> bool:
    """
    Return whether a program calls a function of the kernel, or may do so in a program
    that it jumps into.

    :param prog: ``struct bpf_prog *``
    :param function: As for :func:`bpf_prog_calls()`
    :raises LookupError: if the kernel has no such symbol
    :raises ValueError: if the program is longer than any
    """
    code = _code(prog)
    return _calls(prog.prog_, code, function) or _jumps(code)
