# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loads and stores of arm64: where, how much, and which registers they change."""

from typing import Optional

from drgn_veth.disasm.arm64_memory import memory_of
import pytest

# What GNU as makes of it; base, offset, size, count, whether it loads, whether it
# stores, registers that it changes, and those that it stores.
_Expected = tuple[
    int, Optional[int], int, int, bool, bool, tuple[int, ...], tuple[int, ...]
]
KNOWN: "dict[str, tuple[int, _Expected]]" = {
    "ldr x1, [x2, #16]": (0xF9400841, (2, 16, 8, 1, True, False, (1,), ())),
    "str w1, [x2, #16]": (0xB9001041, (2, 16, 4, 1, False, True, (), (1,))),
    "ldrb w1, [x2, #1]": (0x39400441, (2, 1, 1, 1, True, False, (1,), ())),
    "ldrsw x1, [x2, #4]": (0xB9800441, (2, 4, 4, 1, True, False, (1,), ())),
    "ldur x1, [x2, #-8]": (0xF85F8041, (2, -8, 8, 1, True, False, (1,), ())),
    "ldr x1, [x2], #8": (0xF8408441, (2, 0, 8, 1, True, False, (1, 2), ())),
    "ldr x1, [x2, #8]!": (0xF8408C41, (2, 8, 8, 1, True, False, (1, 2), ())),
    "str x1, [x2], #8": (0xF8008441, (2, 0, 8, 1, False, True, (2,), (1,))),
    "str x1, [x2, #8]!": (0xF8008C41, (2, 8, 8, 1, False, True, (2,), (1,))),
    "ldr x1, [x2, x3]": (0xF8636841, (2, None, 8, 1, True, False, (1,), ())),
    "str x1, [x2, x3]": (0xF8236841, (2, None, 8, 1, False, True, (), (1,))),
    "prfm pldl1keep, [x2]": (0xF9800040, (2, 0, 0, 1, True, False, (), ())),
    "prfm pldl1keep, [x2, x0]": (0xF8A06840, (2, None, 0, 1, True, False, (), ())),
    "prfum pldl1keep, [x2]": (0xF8800040, (2, 0, 0, 1, True, False, (), ())),
    "ldr q1, [x2, #16]": (0x3DC00441, (2, 16, 16, 1, True, False, (), ())),
    "str q1, [x2, #16]": (0x3D800441, (2, 16, 16, 1, False, True, (), ())),
    "str d1, [x2, #16]": (0xFD000841, (2, 16, 8, 1, False, True, (), ())),
    "ldp x1, x3, [x2, #16]": (0xA9410C41, (2, 16, 8, 2, True, False, (1, 3), ())),
    "ldp w1, w3, [x2, #8]": (0x29410C41, (2, 8, 4, 2, True, False, (1, 3), ())),
    "stp x1, x3, [x2, #16]": (0xA9010C41, (2, 16, 8, 2, False, True, (), (1, 3))),
    "stp x1, x3, [x2, #-16]!": (0xA9BF0C41, (2, -16, 8, 2, False, True, (2,), (1, 3))),
    "ldp x1, x3, [x2], #16": (0xA8C10C41, (2, 0, 8, 2, True, False, (1, 3, 2), ())),
    "ldpsw x1, x3, [x2, #8]": (0x69410C41, (2, 8, 4, 2, True, False, (1, 3), ())),
    "stp q1, q3, [x2, #32]": (0xAD010C41, (2, 32, 16, 2, False, True, (), ())),
    "ldxr x1, [x2]": (0xC85F7C41, (2, 0, 8, 1, True, False, (1,), ())),
    "stxr w3, x1, [x2]": (0xC8037C41, (2, 0, 8, 1, False, True, (3,), (1,))),
    "ldar w1, [x2]": (0x88DFFC41, (2, 0, 4, 1, True, False, (1,), ())),
    "stlr w1, [x2]": (0x889FFC41, (2, 0, 4, 1, False, True, (), (1,))),
    "ldxp x1, x3, [x2]": (0xC87F0C41, (2, 0, 8, 2, True, False, (1, 3), ())),
    "stxp w4, w1, w3, [x2]": (0x88240C41, (2, 0, 4, 2, False, True, (4,), (1, 3))),
    "cas x1, x3, [x2]": (0xC8A17C43, (2, 0, 8, 1, True, True, (1,), (3,))),
    "casp x4, x5, x6, x7, [x2]": (
        *(0x48247C46, (2, 0, 8, 2, True, True, (4, 5), (6, 7))),
    ),
    "casp w4, w5, w6, w7, [x2]": (
        *(0x08247C46, (2, 0, 4, 2, True, True, (4, 5), (6, 7))),
    ),
    "ldadd x3, x1, [x2]": (0xF8230041, (2, 0, 8, 1, True, True, (1,), (3,))),
    "swp x3, x1, [x2]": (0xF8238041, (2, 0, 8, 1, True, True, (1,), (3,))),
    "ldadda x3, x1, [x2]": (0xF8A30041, (2, 0, 8, 1, True, True, (1,), (3,))),
    "swpa x3, x1, [x2]": (0xF8A38041, (2, 0, 8, 1, True, True, (1,), (3,))),
    "ldapr x1, [x2]": (0xF8BFC041, (2, 0, 8, 1, True, False, (1,), ())),
    "stlur w1, [x2, #-4]": (0x991FC041, (2, -4, 4, 1, False, True, (), (1,))),
    "stlur x1, [x2, #8]": (0xD9008041, (2, 8, 8, 1, False, True, (), (1,))),
    "ldapur x1, [x2, #8]": (0xD9408041, (2, 8, 8, 1, True, False, (1,), ())),
    "ldapursw x1, [x2, #-4]": (0x999FC041, (2, -4, 4, 1, True, False, (1,), ())),
    "ldapurb w1, [x2, #1]": (0x19401041, (2, 1, 1, 1, True, False, (1,), ())),
}


@pytest.mark.parametrize("instruction", KNOWN)
def test_what_it_does(instruction: str) -> None:
    word, expected = KNOWN[instruction]
    assert memory_of(word) == expected


@pytest.mark.parametrize(
    "word",
    [
        0x69010C41,  # stgp x1, x3, [x2, #16]: a tag, too
        0xF8200441,  # ldraa x1, [x2]
        0x4C407041,  # ld1 {v1.16b}, [x2]
        0xD9200841,  # stg x1, [x2]
        0x19010440,  # cpyfp [x0]!, [x1]!, x2!
        0x1D010440,  # cpyp [x0]!, [x1]!, x2!
    ],
)
def test_what_is_not_followed(word: int) -> None:
    assert memory_of(word) is None
