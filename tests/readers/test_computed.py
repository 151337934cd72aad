# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel computes from members of a device."""

from drgn_veth.readers.link_state import (
    LinkState,
    flags_from,
    netdev_flag_names,
    operstate_from,
)
from drgn_veth.readers.queues import checked_count
import pytest

MASKS = LinkState(START=1, NOCARRIER=4, DORMANT=16)


@pytest.mark.parametrize(
    "flags, gflags, state, operstate, names",
    [
        (0x1003, 0, 1, 6, "BROADCAST MULTICAST UP RUNNING LOWER_UP"),
        (0x1003, 0, 1 | 4, 2, "BROADCAST MULTICAST UP"),
        (0x1003, 0, 1 | 16, 5, "BROADCAST MULTICAST UP LOWER_UP DORMANT"),
        (0x1002, 0, 0, 6, "BROADCAST MULTICAST"),
        # A bridge makes its ports promiscuous, which is not told; a user's wish is.
        (0x1103, 0, 1, 6, "BROADCAST MULTICAST UP RUNNING LOWER_UP"),
        (0x1103, 0x100, 1, 6, "BROADCAST MULTICAST PROMISC UP RUNNING LOWER_UP"),
        (0x49, 0, 1, 0, "LOOPBACK UP RUNNING LOWER_UP"),
    ],
)
def test_flags(flags: int, gflags: int, state: int, operstate: int, names: str) -> None:
    told = flags_from(flags, gflags, state, operstate, MASKS)
    assert " ".join(netdev_flag_names(told)) == names


def test_operstate() -> None:
    assert operstate_from(6, 1, MASKS) == "UP"
    assert operstate_from(6, 0, MASKS) == "DOWN"
    with pytest.raises(ValueError, match="operstate is 9"):
        operstate_from(9, 1, MASKS)


def test_queue_counts() -> None:
    assert checked_count(14, 48, "rx") == 14
    with pytest.raises(ValueError, match="real_num_rx_queues is 49, more than"):
        checked_count(49, 48, "rx")
    with pytest.raises(ValueError, match="num_tx_queues is 70000, more than any"):
        checked_count(1, 70000, "tx")
