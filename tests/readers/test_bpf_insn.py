# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which functions of the kernel a program calls, of programs made of a few bytes."""

import struct

from drgn import (
    FaultError,
    Object,
    Symbol,
    SymbolBinding,
    SymbolIndex,
    SymbolKind,
    offsetof,
)
from drgn_veth.readers.bpf_insn import (
    bpf_prog_calls,
    bpf_prog_has_tail_calls,
    bpf_prog_may_call,
)
import pytest

from tests.support.toy import Toy

_BASE, _REDIRECT = 0xFFFFFFFF81200000, 0xFFFFFFFF81A00000
MOST = 1 << 20
_NAMES = {"__bpf_call_base": _BASE, "bpf_xdp_redirect": _REDIRECT}


def _insn(code: int, registers: int = 0, imm: int = 0) -> bytes:
    return struct.pack("<BBhi", code, registers, 0, imm)


_CALL = _insn(0x85, 0, _REDIRECT - _BASE)
_EXIT = _insn(0x95)


def _program(*code: bytes, length: int = 0, **more: int) -> Object:
    toy = Toy()
    names = {**_NAMES, **{f"{name}.cfi_jt": at for name, at in more.items()}}
    symbols = [
        Symbol(name, at, 16, SymbolBinding.GLOBAL, SymbolKind.FUNC)
        for name, at in names.items()
    ]
    toy.prog.register_symbol_finder("toy", SymbolIndex(symbols), enable_index=0)
    u8 = toy.prog.int_type("u8", 1, False)
    u32 = toy.prog.int_type("u32", 4, False)
    insn = toy.struct("bpf_insn", code=u8, registers=u8, imm=u32)
    toy.struct("bpf_prog", len=u32, insnsi=toy.prog.array_type(insn, 8))
    at = toy.place("struct bpf_prog")
    toy.set("struct bpf_prog", at, len=length or len(code))
    where = at + offsetof(toy.prog.type("struct bpf_prog"), "insnsi")
    toy.put(where, f"{8 * len(code)}B", *b"".join(code))
    return Object(toy.prog, "struct bpf_prog *", at)


@pytest.mark.parametrize(
    ("code", "calls", "jumps"),
    [
        ((_CALL, _EXIT), True, False),
        ((_EXIT, _EXIT, _CALL), True, False),
        ((_EXIT,), False, False),
        # A call of another function, and of a subprogram.
        ((_insn(0x85, 0, _REDIRECT - _BASE + 8), _EXIT), False, False),
        ((_insn(0x85, 0x10, _REDIRECT - _BASE), _EXIT), False, False),
        # Behind what is not one, of which it is a part.
        ((_insn(0, 0, 0x85), _insn(0), _insn(0), _CALL, _EXIT), True, False),
        # Half of one instruction and half of the next.
        ((_insn(0, 0, 0x85), _insn(0x00, 0x00), _EXIT), False, False),
        ((_insn(0xF5), _EXIT), False, True),
        ((_insn(0xB7, 0, 0xF5), _EXIT), False, False),
    ],
)
def test_calls(code: tuple[bytes, ...], calls: bool, jumps: bool) -> None:
    program = _program(*code)
    assert bpf_prog_calls(program, "bpf_xdp_redirect") is calls
    assert bpf_prog_has_tail_calls(program) is jumps
    assert bpf_prog_may_call(program, "bpf_xdp_redirect") is (calls or jumps)


def test_length_is_not_believed() -> None:
    with pytest.raises(ValueError, match=r"bpf_prog\.len is"):
        bpf_prog_calls(_program(_EXIT, length=1 << 30), "bpf_xdp_redirect")
    with pytest.raises(ValueError, match=r"bpf_prog\.len is 1048577"):
        bpf_prog_calls(_program(_EXIT, length=MOST + 1), "bpf_xdp_redirect")
    # That many may be there.
    with pytest.raises(FaultError):
        bpf_prog_calls(_program(_EXIT, length=MOST), "bpf_xdp_redirect")


def test_unknown_function() -> None:
    with pytest.raises(LookupError):
        bpf_prog_calls(_program(_EXIT), "bpf_nothing")


def test_addresses_of_a_jump_table() -> None:
    """The distance of its entries is in a program, not that of the functions."""
    base, redirect = 0xFFFFFFFF82000000, 0xFFFFFFFF82000008
    table = {"__bpf_call_base": base, "bpf_xdp_redirect": redirect}
    call = _insn(0x85, 0, redirect - base)
    assert bpf_prog_calls(_program(call, _EXIT, **table), "bpf_xdp_redirect")
    assert not bpf_prog_calls(_program(_CALL, _EXIT, **table), "bpf_xdp_redirect")
    for name, at in table.items():
        with pytest.raises(LookupError, match="one alone is in a jump table"):
            bpf_prog_calls(_program(call, _EXIT, **{name: at}), "bpf_xdp_redirect")
