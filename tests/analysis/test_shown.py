# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which pairs a screen shows if it has no room for all."""

import re

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.netns_names import FilterError
from drgn_veth.analysis.shown import marks, rules_like, shown
from drgn_veth.model import AfXdpSocket, RpsQueue, Snapshot, Veth
from drgn_veth.render.report import report
import pytest

from tests.support.snapshots import (
    BAD,
    BR0,
    HOST,
    NO_XDP,
    device,
    generic,
    node,
    pair,
)


def _node(**changes: object) -> Snapshot:
    """Ten plain pairs, one of which has changes at its first end."""
    whole = node(10)
    devices = tuple(
        d._replace(rps=(), flags=("UP", "RUNNING"))._replace(
            **changes if d.name == "veth4" else {}  # type: ignore[arg-type]
        )
        for d in whole.devices
    )
    return whole._replace(devices=devices)


def _names(whole: Snapshot, most: int) -> list[object]:
    seen = shown(whole, diagnose(whole), most)
    return [end.name for row in seen.rows for end in row]


def test_all_of_a_few() -> None:
    whole = _node()
    seen = shown(whole, (), 20)
    assert (len(seen.rows), seen.more, seen.plain) == (10, 0, 0)
    assert all(len(row) == 2 for row in seen.rows)
    assert shown(whole, (), None) == seen
    seen = shown(whole, (), 19)
    assert (seen.rows, seen.more, seen.plain) == ((), 0, 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"mtu": 9000, "veth": Veth(1, 0)},
        generic(),
        {"xdp": NO_XDP._replace(driver=BAD)},
        {"rps": BAD},
        {"off_list": "on no list"},
    ],
    ids=["finding", "XDP", "unreadable", "RPS", "off list"],
)
def test_what_there_is_something_to_say_about(changes: dict[str, object]) -> None:
    assert _names(_node(**changes), 4) == ["veth4", "eth0"]


def test_the_worst_come_first() -> None:
    whole = node(100)
    devices = list(whole.devices)
    i = next(i for i, d in enumerate(devices) if d.name == "veth98")
    devices[i] = devices[i]._replace(mtu=9000, veth=Veth(1, 0))
    whole = whole._replace(devices=tuple(devices))
    found = diagnose(whole)
    assert set(marks(found)) == {devices[i].net_device}
    seen = shown(whole, found, 6)
    # In the order of the report, though.
    names = [row[0].name for row in seen.rows]
    assert names == ["veth0", "veth3", "veth98"]
    assert (seen.more, seen.plain) == (32, 65)


def test_single_devices() -> None:
    """Those with a program, a mask or a finding, and those that a filter matches."""
    plain = BR0._replace(ifindex=10, net_device=10)
    for other in (
        BR0._replace(**generic()),
        BR0._replace(xdp=NO_XDP._replace(driver=BAD)),
        BR0._replace(rps=(RpsQueue(0, (1,), 0),)),
        BR0._replace(matched=True),
    ):
        seen = shown(pair(None, None, other, plain), ())
        assert seen.others == 1
        assert [[end.name for end in row] for row in seen.rows] == [
            ["veth0", "eth0"],
            ["br0"],
        ]
    orphan = device(HOST, 9, "veth9")
    whole = pair(None, None, orphan)
    assert [row for row in shown(whole, diagnose(whole)).rows if len(row) == 1] == [
        (orphan,)
    ]


def test_loopback_with_a_program_is_shown() -> None:
    """Also among so many pairs that not all are: a program there meets all of lo."""
    lo = device(HOST, 1, "lo", kind=None, **generic())
    whole = node(100)
    whole = whole._replace(devices=(lo, *whole.devices))
    assert (lo,) in shown(whole, diagnose(whole), 6).rows
    text = report(whole, whole, diagnose(whole))
    assert re.search(r"^  \S+ +lo .* generic", text, re.MULTILINE), text


def test_rules() -> None:
    assert "xdp-peer-mtu" in rules_like(("xdp-*",))
    assert rules_like(("no-peer",)) == {"no-peer"}
    for given, said in (
        ("mtu-mismatched", "is called 'mtu-mismatched'; nearest: mtu-mismatch"),
        ("leaked", "is called 'leaked'; nearest: netns-leaked"),
        ("netns-leakd*", "matches 'netns-leakd*'; nearest: netns-leaked"),
        ("%%%", "is called '%%%'"),
    ):
        with pytest.raises(FilterError, match=f"^no rule {re.escape(said)}$"):
            rules_like(("mtu-mismatch", given))
    with pytest.raises(FilterError, match="nearest: .*xdp-native-queues"):
        rules_like(("xdp",))


def test_a_device_with_sockets_is_shown() -> None:
    """Also one that is in no pair."""
    ring = None
    socket = AfXdpSocket(0, "bound", True, ring, ring, ring, ring, None, 0, 0)
    whole = node(10)
    nic = device(HOST, 99, "nic0")
    for af_xdp, there in (((socket,), True), ((), False)):
        more = whole._replace(devices=(*whole.devices, nic._replace(af_xdp=af_xdp)))
        seen = shown(more, ())
        assert any(row[0].name == "nic0" for row in seen.rows) is there
    # It comes before plain pairs.
    more = whole._replace(devices=(*whole.devices, nic._replace(af_xdp=(socket,))))
    assert any(row[0].name == "nic0" for row in shown(more, (), 2).rows)
