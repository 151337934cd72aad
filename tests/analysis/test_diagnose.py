# SPDX-License-Identifier: LGPL-2.1-or-later
"""Findings: their order, and which of them a filter keeps."""

from drgn_veth.analysis.diagnose import diagnose, has_error, keep_findings
from drgn_veth.analysis.filters import Wanted, keep

from tests.support.snapshots import BR0, generic, pair, rps, sick


def test_order() -> None:
    found = diagnose(sick())
    rank = {"error": 0, "warning": 1, "info": 2}
    keys = [(rank[f.severity], f.rule) for f in found]
    assert keys == sorted(keys)
    assert len({f.severity for f in found}) > 1


def test_filters() -> None:
    whole = pair({"mtu": 3000}, None, BR0._replace(**generic(), **rps((0,))))
    found = diagnose(whole)
    assert {f.device.name for f in found if f.device} == {"veth0", "br0"}
    other_end = keep_findings(found, keep(whole, Wanted(names=["eth0"])))
    assert {f.device.name for f in other_end if f.device} == {"veth0"}
    bridge = keep_findings(found, keep(whole, Wanted(kinds=["bridge"])))
    assert {f.device.name for f in bridge if f.device} == {"br0"}
    alone = pair({"peer": None})._replace(pairs=())
    broken = diagnose(alone)
    assert has_error(broken)
    assert not has_error(keep_findings(broken, keep(alone, Wanted(names=["eth0"]))))
