# SPDX-License-Identifier: LGPL-2.1-or-later
"""Link layer addresses, by their length."""

from drgn_veth.readers.netdev import read_address
import pytest

from tests.support.toy import NOWHERE, Toy

ETHER, TUNNEL, TUNNEL6 = 1, 768, 769


def test_addresses() -> None:
    toy = Toy()
    at = toy.text(bytes(range(1, 40)))
    for length, type, said in (
        (0, ETHER, ""),
        (6, ETHER, "01:02:03:04:05:06"),
        (4, TUNNEL, "1.2.3.4"),
        (4, ETHER, "01:02:03:04"),
        (16, TUNNEL6, "102:304:506:708:90a:b0c:d0e:f10"),
    ):
        assert read_address(toy.prog, at, length, type) == said
    assert len(read_address(toy.prog, at, 32, ETHER)) == 32 * 3 - 1


def test_address_that_is_too_long() -> None:
    """It is not read, wherever it is."""
    for length in (33, 255):
        with pytest.raises(ValueError, match=f"^addr_len is {length}, more than MAX_"):
            read_address(Toy().prog, NOWHERE, length, ETHER)
