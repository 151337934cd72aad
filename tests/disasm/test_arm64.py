# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the code of arm64 goes on after an instruction."""

from typing import Optional

from drgn import Architecture
from drgn_veth.disasm.arm64 import Arm64Code
from drgn_veth.disasm.instruction import Held
import pytest

from tests.support.made_code import TEXT, made

AT = TEXT[Architecture.AARCH64]


@pytest.mark.parametrize(
    ("word", "falls_through", "jump", "call", "what"),
    [
        (0xD61F0000, False, None, None, "br x0"),
        (0xD71F0801, False, None, None, "braa x0, x1"),
        (0xD63F0000, True, None, None, "blr x0"),
        (0xD73F0801, True, None, None, "blraa x0, x1"),
        (0xD65F03C0, False, None, None, "ret"),
        (0xD65F0BFF, False, None, None, "retaa"),
        (0xD69F03E0, False, None, None, "eret"),
        (0xD6BF03E0, False, None, None, "drps"),
        (0x14000002, False, 8, None, "b"),
        (0x17FFFFFF, False, -4, None, "b back"),
        (0x94000002, True, None, 8, "bl"),
        (0x54000040, True, 8, None, "b.eq"),
        (0xB4000040, True, 8, None, "cbz x0"),
        (0xB5000040, True, 8, None, "cbnz x0"),
        (0x36000040, True, 8, None, "tbz w0, #0"),
        (0x37000040, True, 8, None, "tbnz w0, #0"),
        (0xD503201F, True, None, None, "nop"),
        (0xD4000001, True, None, None, "svc #0"),
    ],
)
def test_where_it_goes_on(
    word: int, falls_through: bool, jump: Optional[int], call: Optional[int], what: str
) -> None:
    prog = made(Architecture.AARCH64, {0: word.to_bytes(4, "little")}, f=0)
    found = Arm64Code(prog).decode(AT)
    assert found.end == AT + 4
    assert found.falls_through is falls_through, what
    assert found.jump == (None if jump is None else AT + jump), what
    assert found.call == (None if call is None else AT + call), what


@pytest.mark.parametrize("word", [0xD67F03C0, 0xD6DF03E0, 0xD6FF03E0, 0xD77F0801])
def test_what_is_no_branch(word: int) -> None:
    """Their opcodes are not allocated."""
    prog = made(Architecture.AARCH64, {0: word.to_bytes(4, "little")}, f=0)
    with pytest.raises(ValueError, match="no instruction"):
        Arm64Code(prog).decode(AT)


@pytest.mark.parametrize(
    ("word", "kept", "what"),
    [
        (0xFA420025, True, "ccmp x1, x2, #5, eq"),
        (0x3A00082D, True, "setf8 w1"),
        (0x3A00482D, True, "setf16 w1"),
        (0xBA008425, True, "rmif x1, #1, #5"),
        (0x9A020025, False, "adc x5, x1, x2"),
        (0x9A820025, False, "csel x5, x1, x2, eq"),
    ],
)
def test_what_only_sets_flags(word: int, kept: bool, what: str) -> None:
    """It has a number where others have the register that they write."""
    prog = made(Architecture.AARCH64, {0: word.to_bytes(4, "little")}, f=0)
    known = {word & 31: Held(AT)}
    Arm64Code(prog).decode(AT, known)
    assert (known == {word & 31: Held(AT)}) is kept, what
