# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may be an XDP frame."""

from drgn_veth.readers.xdp_frame import check_xdp_frame, is_cpumap_skb
import pytest

from tests.support.toy import BASE, Toy

HEADROOM = 200


@pytest.mark.parametrize(
    ("behind", "valid"), [(-1, False), (0, True), (255, True), (256, False)]
)
def test_data_follow_the_headroom(behind: int, valid: bool) -> None:
    toy = Toy()
    size = toy.struct("xdp_frame", data="void *", len="int", headroom="int").size
    data = BASE + (size or 0) + HEADROOM + behind
    if valid:
        check_xdp_frame(toy.prog, BASE, data, HEADROOM)
        return
    with pytest.raises(ValueError, match="no XDP frame"):
        check_xdp_frame(toy.prog, BASE, data, HEADROOM)


def test_socket_buffers_have_the_lowest_bit() -> None:
    assert is_cpumap_skb(BASE + 1)
    assert not is_cpumap_skb(BASE)
    assert not is_cpumap_skb(BASE + 2)
