# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machine code of arm64 that is made here, for what no kernel of the lab has."""

import struct

from drgn import Architecture, Program
from drgn_veth.disasm.arm64 import Arm64Code
from drgn_veth.disasm.follow import code_accesses, code_constants, code_writes
from drgn_veth.disasm.instruction import Access, Registers, Write
from drgn_veth.disasm.veth_xmit import veth_xmit_records_rx_queue
from drgn_veth.disasm.xdp_messages import (
    driver_messages,
    messages_in,
    xdp_message_places,
)
import pytest

from tests.support.made_code import TEXT, add_types_of_veth_xmit, made

_TEXT = TEXT[Architecture.AARCH64]
_FAR = 0x3000

# What GNU as makes of it.
_NOP = 0xD503201F
_RET = 0xD65F03C0
_FTRACE = 0xAA1E03E9  # mov x9, x30
_BTI = 0xD503245F  # bti c
_ADRP_X1 = 0xF0000001  # adrp x1, .+0x3000
_ADD_X1 = 0x91000021  # add x1, x1, #0
_STR_X1 = 0xF9000001  # str x1, [x0]
_B_64 = 0x14000010  # b .+64
_BL_64 = 0x94000010  # bl .+64


def _words(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def _made(code: dict[int, bytes], **functions: int) -> Program:
    return made(Architecture.AARCH64, code, **functions)


def _add_x1(number: int) -> int:
    return _ADD_X1 | number << 10


def test_address_of_two_parts() -> None:
    code = _words(_ADRP_X1, _add_x1(0x10), _STR_X1, _RET)
    prog = _made({0: code, _FAR + 0x10: b"one\0"}, f=0)
    assert messages_in(prog, "f", [b"one", b"on", b"ne"]) == {b"one"}
    # The page alone is none.
    code = _words(_ADRP_X1, _STR_X1, _RET)
    assert not messages_in(_made({0: code, _FAR: b"one\0"}, f=0), "f", [b"one"])
    # adr x1, .+0x3000; and ldr x1, [x1, #16], of what adrp made.
    code = _words(0x10018001, _STR_X1, _RET)
    assert messages_in(_made({0: code, _FAR: b"one\0"}, f=0), "f", [b"one"])
    assert _TEXT + 0x3010 in code_constants(
        _made({0: _words(_ADRP_X1, 0xF9400821, _RET)}), _TEXT
    )


# As GCC 12 -O2 compiles it: "three" is part of the address of "four", "one" and "two".
#     if (a == 1) { e->msg = "one"; return -1; }
#     if (a == 2) { e->msg = "two"; return -2; }
#     h(a);
#     e->msg = a > 5 ? "three" : "four";
#     return 0;
# And behind it:
#     e->msg = "zero";
#     return 1;
# All paths of f() meet before the message is stored.
_ANCHORS = """
    fd7bbea9fd030091f35301a9f40300aa3f040071a0020054f303012a3f080071a0010054e003012af607
    0094010000f0210000917f1a00712220009141b0819a00008052810200f9f35341a9fd7bc2a8c0035fd6
    010000f0210000912160009120008012f8ffff17010000f0210000912140009100008012f3ffff171f20
    03d5e20300aa010000f0210000912000805221800091410000f9c0035fd6"""
_OBJECTS = b"three\0\0\0four\0\0\0\0one\0\0\0\0\0two\0\0\0\0\0zero\0"


def test_addresses_that_are_made_of_one() -> None:
    memory = {0: bytes.fromhex(_ANCHORS), _FAR: _OBJECTS, 0x2000: _words(_RET)}
    prog = _made(memory, f=0, other=0x80)
    words = [b"zero", b"one", b"two", b"three", b"four"]
    assert messages_in(prog, "f", words) == {b"one", b"two", b"three", b"four"}
    assert messages_in(prog, "other", words) == {b"zero"}
    # Without the selection of "three", nothing uses it.
    without = bytearray(memory[0])
    without[0x3C:0x40] = _words(0xAA0203E1)  # mov x1, x2
    prog = _made({**memory, 0: bytes(without)}, f=0)
    assert messages_in(prog, "f", words) == {b"one", b"two", b"four"}


def test_string_at_the_end_of_memory() -> None:
    end = (1 << 18) - len(b"one\0")
    page = 0x90000001 | (end >> 12 & 3) << 29 | end >> 14 << 5  # adrp x1
    prog = _made({0: _words(page, _add_x1(end & 0xFFF), _RET), end: b"one\0"}, f=0)
    assert messages_in(prog, "f", [b"one", b"two, which is longer"]) == {b"one"}


@pytest.mark.parametrize("leave", [_B_64, _BL_64])
@pytest.mark.parametrize("begin", [(_FTRACE, _NOP), (_BTI, _FTRACE, _NOP)])
def test_what_is_called_is_apart(leave: int, begin: tuple[int, ...]) -> None:
    """As is what lies behind a call that does not return."""
    other = _words(*begin, _ADRP_X1, _ADD_X1, _RET)
    memory = {0: _words(leave, *[_NOP] * 15), 64: other, _FAR: b"one\0"}
    assert messages_in(_made(memory, f=0), "f", [b"one"]) == set()
    assert messages_in(_made(memory, f=64), "f", [b"one"]) == {b"one"}
    assert driver_messages(_made(memory), _TEXT, [b"one"]) == {b"one"}


_POINTER = (0x80012345, 0xFFFF8000)  # to a struct ftrace_ops


@pytest.mark.parametrize(
    "behind",
    [
        (*_POINTER, _FTRACE, _NOP),
        (_NOP, _NOP, *_POINTER, _BTI, _FTRACE, _NOP),
        (0xD53CD042, 0xD53CD041, 0),  # mrs x2, tpidr_el2; ...; udf #0
        (0xD503233F,),  # paciasp
    ],
)
def test_what_is_behind_a_call_is_apart(behind: tuple[int, ...]) -> None:
    """The call does not return, and nobody calls what is behind it."""
    calls = 0x9400007F  # bl .+508
    code = _words(_NOP, calls, *behind, _ADRP_X1, _ADD_X1, _RET)
    memory = {0: code, 512: _words(_RET)}
    found = _made({**memory, _FAR: b"one\0"}, f=0)
    assert messages_in(found, "f", [b"one"]) == set()
    assert driver_messages(found, _TEXT, [b"one"]) == set()


# adrp x16, .+0; add x16, x16, #1024; br x16
_PLT = _words(0x90000010, 0x91100210, 0xD61F0200)


@pytest.mark.parametrize("called", [1024, 512], ids=["itself", "by the PLT"])
def test_call_that_does_not_return(called: int) -> None:
    """Behind it is another part of the function, for which registers hold others."""
    code = _words(
        0xF0000013,  # adrp x19, .+0x3000
        0x340000A0,  # cbz w0, the last part
        0xB0000013,  # adrp x19, .+0x1000
        0x37000020,  # tbnz w0, #0, the call
        0x94000000 | (called - 16) // 4,  # bl
        _NOP,
        0x91004260,  # add x0, x19, #16
        _RET,
    )
    memory = {0: code, 512: _PLT, 1024: _words(_RET), _FAR + 0x10: b"one\0"}
    memory[0x1010] = b"two\0"
    prog = _made(memory, f=0, __stack_chk_fail=1024)
    assert messages_in(prog, "f", [b"one", b"two"]) == {b"one"}


def test_calls_by_the_plt_are_far_away() -> None:
    """What a driver calls in the kernel is no part of the driver, however much."""
    plt = _words(0x90000010 | 8 << 5, *struct.unpack("<II", _PLT[4:]), _NOP)
    calls = [0x94000000 | (1024 + 12 * i) // 4 for i in range(100)]
    code = _words(*calls, _ADRP_X1, _ADD_X1, _RET)
    memory = {0: code, 1024: plt * 100, (8 << 14) + 1024: _words(_RET)}
    prog = _made({**memory, _FAR: b"one\0"})
    assert driver_messages(prog, _TEXT, [b"one"]) == {b"one"}


def test_traced_function_is_apart() -> None:
    """It is known where it is only by its symbol, if nothing is left at its start."""
    message = b"XDP program already attached"
    other = _words(_BL_64, _ADRP_X1, _ADD_X1, _RET)
    memory = {0: _words(_B_64), 64: other, 128: _words(_RET), _FAR: message + b"\0"}
    places = xdp_message_places(_made(memory, dev_xdp_attach=0, dev_xdp_install=64))
    assert places == {"dev_xdp_attach": set(), "dev_xdp_install": {message}}


@pytest.mark.parametrize(
    "branch",
    [
        0x34000200,  # cbz w0, .+64
        0xB5000200,  # cbnz x0, .+64
        0x37180200,  # tbnz w0, #3, .+64
        0x54000201,  # b.ne .+64
        _B_64,
    ],
)
def test_branches_are_followed(branch: int) -> None:
    memory = {
        0: _words(branch, _RET),
        64: _words(_ADRP_X1, _ADD_X1, _RET),
        _FAR: b"one\0",
    }
    assert messages_in(_made(memory, f=0), "f", [b"one"]) == {b"one"}


# The part that is added; a call or what else is between; whether the rest is known.
@pytest.mark.parametrize(
    ("between", "is_known"),
    [
        (_NOP, True),
        (_BL_64, False),  # x1 is the function's that is called
        (0xD63F0040, False),  # blr x2
        (0xF9400041, False),  # ldr x1, [x2]
        (0xA9400440, False),  # ldp x0, x1, [x2]
        (0xF8408C20, False),  # ldr x0, [x1, #8]!
        (0xF8408420, False),  # ldr x0, [x1], #8
        (0xC801FC40, False),  # stlxr w1, x0, [x2]
        (0xB8200041, False),  # ldadd w0, w1, [x2]
        (0x8B020021, False),  # add x1, x1, x2
        (0x9A9F17E1, False),  # cset x1, eq
        (0xD538D081, False),  # mrs x1, tpidr_el1
        (0x92400021, False),  # and x1, x1, #1
        (0xD3410421, False),  # ubfx x1, x1, #1, #1
        (0xF9000041, True),  # str x1, [x2]
        (0xA9000440, True),  # stp x0, x1, [x2]
        (0xFA410820, True),  # ccmp x1, #1, #0, eq
        (0xF100043F, True),  # cmp x1, #1
        (0xF9800021, True),  # prfm pldl1strm, [x1]
        (0xB5000201, True),  # cbnz x1, .+64
    ],
)
def test_what_changes_a_register(between: int, is_known: bool) -> None:
    code = _words(_ADRP_X1, between, _add_x1(0x10), _STR_X1, _RET)
    memory = {0: code, 64: _words(_RET), 68: _words(_RET), _FAR + 0x10: b"one\0"}
    assert (messages_in(_made(memory, f=0), "f", [b"one"]) == {b"one"}) == is_known


def test_kept_register() -> None:
    """What a function that is called leaves as it is."""
    code = _words(
        0xF0000013,  # adrp x19, .+0x3000
        _BL_64,
        0x91004260,  # add x0, x19, #16
        _RET,
    )
    memory = {0: code, 68: _words(_RET), _FAR + 0x10: b"one\0"}
    assert messages_in(_made(memory, f=0), "f", [b"one"]) == {b"one"}


@pytest.mark.parametrize(
    ("words", "constant"),
    [
        ((0x713FC03F,), 4080),  # cmp w1, #4080
        ((0x3100043F,), 0xFFFFFFFF),  # cmn w1, #1
        ((0xB100043F,), 0xFFFFFFFFFFFFFFFF),  # cmn x1, #1
        ((0x5287FE01,), 16368),  # mov w1, #16368
        ((0x128002A1,), 0xFFFFFFEA),  # mov w1, #-22
        ((0xB2103FE1,), 0xFFFF0000FFFF0000),  # mov x1, #0xffff0000ffff0000
        ((0x52824681, 0x72B02461), 0x81231234),  # mov w1, #0x1234; movk
        ((0xD2824681, 0xAA0103E2, 0xF2D00002), 0x800000001234),  # mov x2, x1; movk
    ],
)
def test_constant(words: tuple[int, ...], constant: int) -> None:
    assert constant in code_constants(_made({0: _words(*words, _RET)}), _TEXT)


def test_movk_of_an_unknown_number() -> None:
    prog = _made({0: _words(0xF2D00001, _RET)})  # movk x1, #0x8000, lsl #32
    assert code_constants(prog, _TEXT) == set()


@pytest.mark.parametrize(
    ("word", "accesses"),
    [
        (0xF9400C20, {Access(0x18, True)}),  # ldr x0, [x1, #0x18]
        (0xB9402820, {Access(0x28, False)}),  # ldr w0, [x1, #0x28]
        (0x79405020, {Access(0x28, False)}),  # ldrh w0, [x1, #0x28]
        (0x3940A020, {Access(0x28, False)}),  # ldrb w0, [x1, #0x28]
        (0x79C05020, {Access(0x28, False)}),  # ldrsh w0, [x1, #0x28]
        (0xB9802820, {Access(0x28, False)}),  # ldrsw x0, [x1, #0x28]
        (0xF85E8020, {Access(-0x18, True)}),  # ldur x0, [x1, #-0x18]
        (0xA9418820, {Access(0x18, True), Access(0x20, True)}),  # ldp x0, x2
        (0xA8418820, {Access(0x18, True), Access(0x20, True)}),  # ldnp x0, x2
        (0x29430820, {Access(0x18, False), Access(0x1C, False)}),  # ldp w0, w2
        (0xF9000C20, {Access(0x18, True, True)}),  # str x0, [x1, #0x18]
        (0xB900183F, {Access(0x18, False, True)}),  # str wzr, [x1, #0x18]
        (0xF8408420, {Access(0, True)}),  # ldr x0, [x1], #8
        (0xF8408C20, {Access(8, True)}),  # ldr x0, [x1, #8]!
        (0xC85F7C20, {Access(0, True)}),  # ldxr x0, [x1]
        (0xC8027C20, {Access(0, True, True)}),  # stxr w2, x0, [x1]
        (0xB8200022, {Access(0, False)}),  # ldadd w0, w2, [x1]
        (0xB8BFC020, {Access(0, False)}),  # ldapr w0, [x1]
        (0xC8E0FC22, {Access(0, True)}),  # casal x0, x2, [x1]
        (0x88DFFC20, {Access(0, False)}),  # ldar w0, [x1]
        (0xF9400FE0, set()),  # ldr x0, [sp, #0x18]
        (0xF9400FA0, set()),  # ldr x0, [x29, #0x18]
        (0xF8627820, set()),  # ldr x0, [x1, x2, lsl #3]
        (0xF9800C20, set()),  # prfm pldl1keep, [x1, #0x18]
        (0x58000200, set()),  # ldr x0, .+64
        (0x91006020, set()),  # add x0, x1, #0x18
    ],
)
def test_access(word: int, accesses: set[Access]) -> None:
    assert code_accesses(_made({0: _words(word, _RET)}), _TEXT) == accesses


@pytest.mark.parametrize(
    ("word", "writes"),
    [
        (0x7900F820, {Write(0x7C, 2)}),  # strh w0, [x1, #0x7c]
        (0xF9000C20, {Write(0x18, 8)}),  # str x0, [x1, #0x18]
        (0xA9018820, {Write(0x18, 8), Write(0x20, 8)}),  # stp x0, x2, [x1, #0x18]
        (0xC8027C20, {Write(0, 8)}),  # stxr w2, x0, [x1]
        (0x889FFC20, {Write(0, 4)}),  # stlr w0, [x1]
        (0xB8200022, {Write(0, 4)}),  # ldadd w0, w2, [x1]
        (0xC8E0FC22, {Write(0, 8)}),  # casal x0, x2, [x1]
        (0xB8BFC020, set()),  # ldapr w0, [x1]
        (0x79405020, set()),  # ldrh w0, [x1, #0x28]
        (0xF9000FE0, set()),  # str x0, [sp, #0x18]
    ],
)
def test_write(word: int, writes: set[Write]) -> None:
    assert code_writes(_made({0: _words(word, _RET)}), _TEXT) == writes


def test_access_to_a_member_of_a_member() -> None:
    """GCC puts part of an offset into a register of its own."""
    code = _words(
        0x910C0041,  # add x1, x2, #0x300
        0xB9400820,  # ldr w0, [x1, #8]
        0xAA0103E3,  # mov x3, x1
        0x7900F860,  # strh w0, [x3, #0x7c]
        _RET,
    )
    prog = _made({0: code})
    accesses = {Access(8, False), Access(0x308, False)}
    accesses |= {Access(0x7C, False, True), Access(0x37C, False, True)}
    assert code_accesses(prog, _TEXT) == accesses
    assert code_writes(prog, _TEXT) == {Write(0x7C, 2), Write(0x37C, 2)}


# The part of veth_xmit() that chooses an RX queue, as GCC 12 compiles it: see
# test_made_code.py.
_VETH_XMIT = {
    ("always", "-O2"): """
        3f2303d5fd7bbea9fd030091245443f9f30b00f9f30301aa240300b402f84079e10300aa80bc42b9
        1f00026b6801005403008052020080d2e00304aa0000009400020035f30b40f900008052fd7bc2a8
        bf2303d5c0035fd6806043f905618052430400114200a59b405040f923f800791f0000f1e3079f1a
        f0ffff1700000094605a43f900040091605a03f9f30b40f900008052fd7bc2a8bf2303d5c0035fd6
        """,
    ("always", "-Os"): """
        3f2303d5fd7bbea9fd030091255443f9f30b00f9f30301aac50000b500000094605a43f900040091
        605a03f912000014e40300aaa1bc42b900f840793f00006b49020054a16043f9026180520204a29b
        00040011415040f980f800793f0000f1e3079f1ae10304aae00305aa0000009480fdff35f30b40f9
        00008052fd7bc2a8bf2303d5c0035fd603008052020080d2f5ffff17""",
    ("with XDP", "-O2"): """
        3f2303d5fd7bbea9fd030091245443f9f30b00f9f30301aa440300b4e10300aa82bc42b900f84079
        5f00006b6801005403008052020080d2e00304aa0000009420020035f30b40f900008052fd7bc2a8
        bf2303d5c0035fd6856043f902618052030080520214a29b455440f965feffb40004001123008052
        20f80079efffff1700000094605a43f900040091605a03f9f30b40f900008052fd7bc2a8bf2303d5
        c0035fd6""",
    ("never", "-O2"): """
        3f2303d5fd7bbea9fd030091245443f9f30b00f9f30301aae40200b402f84079e10300aa80bc42b9
        1f00026b6801005403008052020080d2e00304aa00000094c0010035f30b40f900008052fd7bc2a8
        bf2303d5c0035fd6806043f9036180524200a39b405040f91f0000f1e3079f1af2ffff1700000094
        605a43f900040091605a03f9f30b40f900008052fd7bc2a8bf2303d5c0035fd6""",
    ("never", "-Os"): """
        3f2303d5fd7bbea9fd030091245443f9f30b00f9f30301aac40000b500000094605a43f900040091
        605a03f91000001402f84079e50300aa80bc42b91f00026b09020054806043f9016180524200a19b
        405040f91f0000f1e3079f1ae10305aae00304aa00000094c0fdff35f30b40f900008052fd7bc2a8
        bf2303d5c0035fd603008052020080d2f5ffff17""",
}


@pytest.mark.parametrize(("when", "optimised"), list(_VETH_XMIT))
def test_veth_xmit(when: str, optimised: str) -> None:
    """When it writes the RX queue into a packet."""
    prog = _made({0: bytes.fromhex(_VETH_XMIT[when, optimised])})
    add_types_of_veth_xmit(prog, when != "with XDP")
    assert veth_xmit_records_rx_queue(prog, _TEXT).value == when


def test_code_without_end() -> None:
    prog = _made({0: _words(_NOP) * (1 << 15)}, f=0)
    with pytest.raises(ValueError, match="continues for"):
        messages_in(prog, "f", [b"one"])
    many = b"".join(_words(0x94000400 + i) for i in range(100))
    with pytest.raises(ValueError, match="calls 100 functions"):
        driver_messages(_made({0: many + _words(_RET)}), _TEXT, [b"one"])


@pytest.mark.parametrize(
    "word",
    [
        0x04A0E3E0,  # an instruction of SVE
        0x927FFC21,  # and x1, x1, of no pattern
        0x32400021,  # mov of no pattern
        0x52C00001,  # movz w1, lsl #32
        0x32800001,  # no movn, movz or movk
        0xD4600000,  # an exception of no kind
        0xD6600000,  # a branch of no kind
    ],
)
def test_no_instruction(word: int) -> None:
    with pytest.raises(ValueError, match="no instruction at 0xffff800080010000"):
        messages_in(_made({0: _words(word)}, f=0), "f", [b"one"])


@pytest.mark.parametrize("word", [0xD4200080, 0])  # brk #4, udf #0
def test_breakpoint(word: int) -> None:
    with pytest.raises(ValueError, match="a breakpoint is set at 0xffff800080010004"):
        messages_in(_made({0: _words(_NOP, word)}, f=0), "f", [b"one"])
    with pytest.raises(ValueError, match="a breakpoint is set at 0xffff800080010008"):
        code = _words(_BL_64, 0x34000080, word)  # cbz w0
        messages_in(_made({0: code, 64: _words(_RET)}, f=0), "f", [b"one"])
    # That of BUG() and WARN() is the function's own.
    messages_in(_made({0: _words(0xD4210000, 0)}, f=0), "f", [b"one"])


def test_what_is_given_is_what_is_known() -> None:
    """Each instruction by itself knows of no other."""
    code = Arm64Code(_made({0: _words(_ADRP_X1, _add_x1(8))}))
    assert code.decode(_TEXT + 4).makes is None
    registers: Registers = {}
    code.decode(_TEXT, registers)
    assert code.decode(_TEXT + 4, registers).makes == _TEXT + 0x3008
