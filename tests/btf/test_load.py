# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the kernel's BTF is."""

from typing import Optional

from drgn_veth.btf.load import read_vmlinux_btf
from drgn_veth.btf.parse import MAX_BTF_SIZE, BtfError
import pytest

from tests.support.toy import BASE, NOWHERE, Toy


@pytest.mark.parametrize(
    ("start", "stop", "why"),
    [
        (None, None, "the kernel has no BTF"),
        (BASE, None, "the kernel has no BTF"),
        (None, BASE, "the kernel has no BTF"),
        (BASE, BASE, "the kernel's BTF has 0 bytes"),
        (BASE + 1, BASE, "the kernel's BTF has -1 bytes"),
        (BASE, BASE + MAX_BTF_SIZE + 1, f"has {MAX_BTF_SIZE + 1} bytes"),
        (NOWHERE, NOWHERE + 8, "the kernel's BTF cannot be read"),
    ],
)
def test_there_is_none(start: Optional[int], stop: Optional[int], why: str) -> None:
    there = {"__start_BTF": start, "__stop_BTF": stop}
    with pytest.raises(BtfError, match=why):
        read_vmlinux_btf(Toy().prog, there.get)


def test_it_is_between_two_symbols() -> None:
    toy = Toy()
    assert toy.text(b"blob") == BASE
    there = {"__start_BTF": BASE, "__stop_BTF": BASE + 4}
    assert read_vmlinux_btf(toy.prog, there.get) == b"blob"
