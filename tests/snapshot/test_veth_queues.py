# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queues of veths in a state that no recorded core has."""

from drgn_veth.model import Snapshot
from drgn_veth.readers.veth import veth_rqs

from tests.support.damage import at, devices_of, take
from tests.support.memory import Altered


def test_a_program_without_napi(altered: Altered, whole: Snapshot) -> None:
    """The XDP program of a queue runs in NAPI: this one does not."""
    dev = devices_of(altered.original)["xmixa"]
    before = at(whole, dev).xdp.queues
    assert isinstance(before, tuple) and before[0].napi is True
    altered.write_pointer(veth_rqs(dev)[0].napi, 0)
    now = at(take(altered), dev).xdp.queues
    assert isinstance(now, tuple)
    assert now[0] == before[0]._replace(napi=False)
