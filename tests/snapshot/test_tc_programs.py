# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs of tcx and clsact of which something is lost."""

from drgn_veth.core.unreadable import Unreadable
import pytest

from tests.support.damage import at, devices_of, take
from tests.support.memory import Altered
from tests.support.slow import slow_but


@pytest.mark.parametrize(
    "member", slow_but(["tcx_ingress"], ["tcx_ingress", "tcx_egress"])
)
def test_nothing_leads_to_them(altered: Altered, member: str) -> None:
    dev = devices_of(altered.original)["xmixa"]
    altered.lose(dev.member_(member).address_ or 0, 1)
    snapshot = take(altered)
    assert isinstance(at(snapshot, dev).tc, Unreadable)
    lost = [one.name for one in snapshot.devices if isinstance(one.tc, Unreadable)]
    assert lost == ["xmixa"]
