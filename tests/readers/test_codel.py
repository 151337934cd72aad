# SPDX-License-Identifier: LGPL-2.1-or-later
"""When packets came to a qdisc of the CoDel family. The clock has 32 bits."""

from drgn_veth.readers.fq_codel import codel_enqueue_time
import pytest

from tests.support.toy import Toy

HALF = 1 << 31


@pytest.mark.parametrize(
    ("at", "now", "time"),
    [
        (7, 0, 7),
        (5, 7, -2),
        (HALF - 1, 0, HALF - 1),
        (HALF, 0, -HALF),  # before or after: both are as near
        (2, 2 * HALF - 3, 5),  # the clock began again
        (2 * HALF - 3, 2, -5),
    ],
)
def test_before_and_after(at: int, now: int, time: int) -> None:
    toy = Toy()
    toy.struct("qdisc_skb_cb", pkt_len="long", data="long")
    toy.struct("sk_buff", next="void *", cb=toy.struct("", a="long", b="long"))
    skb = toy.place("struct sk_buff")
    toy.put(skb + 16, "I", at)
    if now:
        assert codel_enqueue_time(toy.prog, skb, now) == time
    else:
        assert codel_enqueue_time(toy.prog, skb) == time
