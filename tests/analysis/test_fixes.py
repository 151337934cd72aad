# SPDX-License-Identifier: LGPL-2.1-or-later
"""No fix that is printed is one that the kernel would refuse."""

from drgn_veth.analysis.remedies import Fixes
import pytest

from tests.support.asked_fixes import all_fixes, refused_fixes
from tests.support.recorded import Recorded
from tests.support.snapshots import pair, queues


def test_recorded_fixes(recorded: Recorded) -> None:
    asked, refused = refused_fixes(recorded.snapshot, all_fixes(recorded.snapshot))
    assert refused == []
    assert asked > 5


@pytest.mark.parametrize(("taken", "printed"), [((), 1), ((3,), 0), ((0,), 1)])
def test_no_fix_takes_a_queue_away_from_af_xdp(
    taken: tuple[int, ...], printed: int
) -> None:
    """One RX queue against four TX queues: fewer TX queues would do, if no AF_XDP
    socket had one of them."""
    whole = pair(queues(1, 4, 1, 4), {**queues(4, 4, 4, 4), "xsk_queues": taken})
    near, far = whole.devices
    assert len(Fixes(whole).more_rx_than_tx(near, far).commands) == printed


def test_no_fix_lowers_an_mtu_below_the_minimum() -> None:
    whole = pair({"mtu": 9000, "min_mtu": 2000}, {})
    fixes, device = Fixes(whole), whole.devices[0]
    assert fixes.lower_mtu(device, 2000).commands
    assert not fixes.lower_mtu(device, 1999).commands
