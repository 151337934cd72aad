# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machine code of x86-64 that is made here, for what no kernel of the lab has."""

import struct
from typing import Optional

from drgn import Architecture, Platform, Program
from drgn_veth.disasm.follow import code_accesses, code_writes
from drgn_veth.disasm.instruction import Access, Write
from drgn_veth.disasm.veth_xmit import veth_xmit_records_rx_queue
from drgn_veth.disasm.xdp_messages import (
    driver_messages,
    messages_in,
    xdp_message_places,
)
import pytest

from tests.support.made_code import TEXT, add_types_of_veth_xmit, made

_TEXT = TEXT[Architecture.X86_64]
_FENTRY = b"\x0f\x1f\x44\x00\x00"
_RET = b"\xc3"


def _made(code: dict[int, bytes], **functions: int) -> Program:
    return made(Architecture.X86_64, code, **functions)


def _to(opcode: bytes, at: int, target: int) -> bytes:
    """Encode an instruction that has how far its target is from its end."""
    return opcode + struct.pack("<i", target - at - len(opcode) - 4)


_LEA = b"\x48\x8d\x05"
_CALL = b"\xe8"
_JUMP = b"\xe9"
_FAR = 0x3000


def test_relative_reference() -> None:
    code = _FENTRY + _to(_LEA, len(_FENTRY), _FAR) + _RET
    prog = _made({0: code, _FAR: b"one\0"}, f=0)
    assert messages_in(prog, "f", [b"one", b"on", b"ne"]) == {b"one"}
    # cmpb $1,...(%rip): relative to its end, behind another operand.
    compare = _FENTRY + b"\x80\x3d" + struct.pack("<i", _FAR - 12) + b"\x01" + _RET
    assert messages_in(_made({0: compare, _FAR: b"one\0"}, f=0), "f", [b"one"])


@pytest.mark.parametrize("offset", [15, 16])
def test_a_static_branch_that_is_off(offset: int) -> None:
    """It is the same nop as at the begin of a function, at any place."""
    start = (_FENTRY + b"\x90" * 16)[:offset] + _FENTRY
    code = start + _to(_LEA, len(start), _FAR) + _RET
    prog = _made({0: code, _FAR: b"one\0"}, f=0)
    assert messages_in(prog, "f", [b"one"]) == {b"one"}


@pytest.mark.parametrize(
    "before",
    [
        "c5 f8 77",  # vzeroupper
        "c5 fe 6f 07",  # vmovdqu (%rdi),%ymm0
        "c5 fd 70 c1 4e",  # vpshufd $0x4e,%ymm1,%ymm0
        "c4 e2 7d 00 47 08",  # vpshufb 0x8(%rdi),%ymm0,%ymm0
        "c4 e3 75 0f c2 04",  # vpalignr $0x4,%ymm2,%ymm1,%ymm0
        "c4 c1 7e 6f 84 24 80 00 00 00",  # vmovdqu 0x80(%r12),%ymm0
    ],
)
def test_length_of_vex_instructions(before: str) -> None:
    """What is behind it is read from its first byte."""
    code = _FENTRY + bytes.fromhex(before)
    code += _to(_LEA, len(code), _FAR) + _RET
    assert messages_in(_made({0: code, _FAR: b"one\0"}, f=0), "f", [b"one"]) == {b"one"}


def test_string_at_the_end_of_memory() -> None:
    end = (1 << 18) - len(b"one\0")
    prog = _made({0: _to(_LEA, 0, end) + _RET, end: b"one\0"}, f=0)
    assert messages_in(prog, "f", [b"one", b"two, which is longer"]) == {b"one"}


@pytest.mark.parametrize("leave", [_JUMP, _CALL])
def test_what_is_called_is_apart(leave: bytes) -> None:
    """As is what lies behind a call that does not return."""
    other = _FENTRY + _to(_LEA, 64 + len(_FENTRY), _FAR) + _RET
    memory = {0: _to(leave, 0, 64).ljust(64, b"\x90"), 64: other, _FAR: b"one\0"}
    assert messages_in(_made(memory, f=0), "f", [b"one"]) == set()
    assert messages_in(_made(memory, f=64), "f", [b"one"]) == {b"one"}
    assert driver_messages(_made(memory), _TEXT, [b"one"]) == {b"one"}


def test_traced_function_is_apart() -> None:
    """It begins with a call then, and only its symbol tells."""
    message = b"XDP program already attached"
    other = _to(_CALL, 64, 0x2000)
    other += _to(_LEA, 64 + len(other), _FAR) + _RET
    memory = {0: _to(_JUMP, 0, 64), 64: other, 0x2000: _RET, _FAR: message + b"\0"}
    places = xdp_message_places(_made(memory, dev_xdp_attach=0, dev_xdp_install=64))
    assert places == {"dev_xdp_attach": set(), "dev_xdp_install": {message}}


def test_part_of_a_function_belongs_to_it() -> None:
    part = _FENTRY + _to(_LEA, 64 + len(_FENTRY), _FAR) + _RET
    memory = {0: _to(_JUMP, 0, 64), 64: part, _FAR: b"one\0"}
    prog = _made(memory, **{"f": 0, "f.part.0": 64})
    assert messages_in(prog, "f", [b"one"]) == {b"one"}


@pytest.mark.parametrize(
    "code, access",
    [
        ("48 8b 45 18", Access(0x18, True)),  # mov 0x18(%rbp),%rax
        ("3b 45 28", Access(0x28, False)),  # cmp 0x28(%rbp),%eax
        ("8b 97 c8 02 00 00", Access(0x2C8, False)),  # mov 0x2c8(%rdi),%edx
        ("49 8b 44 24 18", Access(0x18, True)),  # mov 0x18(%r12),%rax
        ("48 8b 44 c8 18", Access(0x18, True)),  # mov 0x18(%rax,%rcx,8),%rax
        ("48 8b 00", Access(0, True)),  # mov (%rax),%rax
        ("48 63 45 28", Access(0x28, False)),  # movslq 0x28(%rbp),%rax
        ("0f b7 45 28", Access(0x28, False)),  # movzwl 0x28(%rbp),%eax
        ("ff 75 18", Access(0x18, True)),  # push 0x18(%rbp)
        ("48 8b 45 e8", Access(-0x18, True)),  # mov -0x18(%rbp),%rax
        ("48 89 45 18", Access(0x18, True, True)),  # mov %rax,0x18(%rbp)
        ("c7 45 18 01 00 00 00", Access(0x18, False, True)),  # movl $1,0x18(%rbp)
        ("83 45 18 01", Access(0x18, False)),  # addl $1,0x18(%rbp)
        ("48 8b 44 24 28", None),  # mov 0x28(%rsp),%rax
        ("65 48 8b 04 25 28 00 00 00", None),  # mov %gs:0x28,%rax
        ("48 8b 05 18 00 00 00", None),  # mov 0x18(%rip),%rax
        ("48 8d 45 18", None),  # lea 0x18(%rbp),%rax
        ("0f 1f 40 18", None),  # nopl 0x18(%rax)
        ("0f 18 48 18", None),  # prefetcht0 0x18(%rax)
        ("67 48 0f b9 3a", None),  # ud1 (%edx),%rdi
        ("48 89 e8", None),  # mov %rbp,%rax
    ],
)
def test_access(code: str, access: Optional[Access]) -> None:
    prog = _made({0: bytes.fromhex(code) + _RET})
    assert code_accesses(prog, _TEXT) == frozenset({access} - {None})


@pytest.mark.parametrize(
    "code, write",
    [
        ("66 89 4f 7c", Write(0x7C, 2)),  # mov %cx,0x7c(%rdi)
        ("66 c7 47 7c 01 00", Write(0x7C, 2)),  # movw $1,0x7c(%rdi)
        ("66 83 47 7c 01", Write(0x7C, 2)),  # addw $1,0x7c(%rdi)
        ("66 ff 47 7c", Write(0x7C, 2)),  # incw 0x7c(%rdi)
        ("66 01 4f 7c", Write(0x7C, 2)),  # add %cx,0x7c(%rdi)
        ("89 4f 7c", Write(0x7C, 4)),  # mov %ecx,0x7c(%rdi)
        ("48 89 4f 7c", Write(0x7C, 8)),  # mov %rcx,0x7c(%rdi)
        ("88 4f 7c", Write(0x7C, 1)),  # mov %cl,0x7c(%rdi)
        ("f0 48 ff 87 b0 06 00 00", Write(0x6B0, 8)),  # lock incq 0x6b0(%rdi)
        ("66 8b 4f 7c", None),  # mov 0x7c(%rdi),%cx
        ("66 39 4f 7c", None),  # cmp %cx,0x7c(%rdi)
        ("66 83 7f 7c 01", None),  # cmpw $1,0x7c(%rdi)
        ("66 f7 47 7c 01 00", None),  # testw $1,0x7c(%rdi)
        ("0f b7 4f 7c", None),  # movzwl 0x7c(%rdi),%ecx
        ("66 89 4c 24 7c", None),  # mov %cx,0x7c(%rsp)
        ("ff 77 7c", None),  # push 0x7c(%rdi)
    ],
)
def test_write(code: str, write: Optional[Write]) -> None:
    prog = _made({0: bytes.fromhex(code) + _RET})
    assert code_writes(prog, _TEXT) == frozenset({write} - {None})


# The part of veth_xmit() that chooses an RX queue, as GCC 12 compiles it: each packet
# gets its number (v5.12 to v5.16), only those to an RX queue with a program do (up to
# v5.11), none does.
_VETH_XMIT = {
    ("always", "-O2"): """
        53488b86a80600004885c074730fb7577c4889f389d13b90bc020000723231c931d24889fe4889c7
        e80000000085c07412488b83b00600004883c001488983b006000031c05bc3660f1f840000000000
        0fb7d283c1014869d208030000480390c0060000488bb2a000000066894f7c31c94885f60f95c1eb
        a90f1f8000000000e800000000ebbc""",
    ("always", "-Os"): """
        534c8b86a80600004d85c07507e800000000eb5f0fb7577c4889f389d0413b90bc02000073260fb7
        d24869d208030000490390c0060000488b8aa00000004885c90f95c1ffc06689477ceb0431c931d2
        4889fe0fb6c94c89c7e80000000085c07411488b83b006000048ffc0488983b006000031c05bc3""",
    ("with XDP", "-O2"): """
        53488b86a80600004885c074730fb7577c4889f389d13b90bc020000723231f631d289f14889fe48
        89c7e80000000085c07412488b83b00600004883c001488983b006000031c05bc30f1f8000000000
        0fb7d231f64869d208030000480390c00600004c8b82a80000004d85c074b383c101be0100000066
        894f7ceba50f1f00e800000000ebbe""",
    ("never", "-O2"): """
        53488b86a80600004885c074630fb74f7c4889f33b88bc020000722c31c931d24889fe4889c7e800
        00000085c07412488b83b00600004883c001488983b006000031c05bc30f1f004869d10803000048
        0390c0060000488b8aa00000004885c90f95c10fb6c9ebb80f1f840000000000e800000000ebca""",
    ("never", "-Os"): """
        53488b86a80600004885c07507e800000000eb530fb74f7c4889f33b88bc020000731d4869d10803
        0000480390c0060000488b8aa00000004885c90f95c1eb0431c931d24889fe0fb6c94889c7e80000
        000085c07411488b83b006000048ffc0488983b006000031c05bc3""",
}


@pytest.mark.parametrize(("when", "optimised"), list(_VETH_XMIT))
def test_veth_xmit(when: str, optimised: str) -> None:
    """When it writes the RX queue into a packet."""
    prog = _made({0: bytes.fromhex(_VETH_XMIT[when, optimised])})
    add_types_of_veth_xmit(prog, when != "with XDP")
    assert veth_xmit_records_rx_queue(prog, _TEXT).value == when


@pytest.mark.slow
def test_code_without_end() -> None:
    prog = _made({0: b"\x90" * (1 << 18)}, f=0)
    with pytest.raises(ValueError, match="continues for"):
        messages_in(prog, "f", [b"one"])
    many = b"".join(_to(_CALL, 5 * i, 0x2000 + i) for i in range(100))
    with pytest.raises(ValueError, match="calls 100 functions"):
        driver_messages(_made({0: many + _RET}), _TEXT, [b"one"])


def test_other_architecture() -> None:
    prog = Program(Platform(Architecture.S390X))
    with pytest.raises(NotImplementedError, match="S390X"):
        xdp_message_places(prog)
