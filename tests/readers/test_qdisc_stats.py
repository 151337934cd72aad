# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counters of a root qdisc that has one for each TX queue."""

from drgn_veth import find_netdev
from drgn_veth.readers.qdisc_stats import netdev_qdisc_stats
from drgn_veth.readers.queues import MAX_QUEUES
import pytest

from tests.support.damage import NEWEST
from tests.support.memory import altered_core
from tests.support.recorded import recorded_core


def test_no_device_has_so_many_queues() -> None:
    altered = altered_core(recorded_core(NEWEST))
    dev = find_netdev(altered.prog, "host", "mqa")
    assert netdev_qdisc_stats(dev) is not None
    for count in (0, MAX_QUEUES + 1, 0xFFFFFFFF):
        altered.write(dev.num_tx_queues.address_ or 0, count.to_bytes(4, "little"))
        with pytest.raises(ValueError, match=f"^there are {count} TX queues$"):
            netdev_qdisc_stats(dev)
