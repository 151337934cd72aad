# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A case of each rule
-------------------

A Snapshot on which it fires, near twins on which it is silent, and some where it cannot
tell; a file for each file of the rules.
"""

from drgn_veth.analysis.rules.finding import Finding

from tests.support.rules import (
    hooks,
    leaked,
    lost,
    mtu,
    pair,
    poll,
    queues,
    rps,
    rps_online,
    rps_unset,
    unregister,
    virtio,
    xdp,
    xdp_gro,
    xdp_packet,
    xdp_reach,
)
from tests.support.rules.case import Case, found

__all__ = ("CASES", "one")

CASES: dict[str, Case] = {
    **queues.CASES,
    **poll.CASES,
    **rps.CASES,
    **rps_online.CASES,
    **rps_unset.CASES,
    **xdp.CASES,
    **xdp_gro.CASES,
    **xdp_packet.CASES,
    **xdp_reach.CASES,
    **mtu.CASES,
    **pair.CASES,
    **hooks.CASES,
    **leaked.CASES,
    **unregister.CASES,
    **virtio.CASES,
    **lost.CASES,
}


def one(rule: str) -> Finding:
    (finding,) = found(rule, CASES[rule].fires)
    return finding
