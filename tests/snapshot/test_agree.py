# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows that refer to each other agree, and what is read after a row goes with it."""

from typing import Any

from drgn_veth.core.moving import CHANGING
from drgn_veth.model import (
    Bond,
    Device,
    LinkStats,
    Map,
    MapEntry,
    QueueInFlight,
    Snapshot,
    Veth,
)
from drgn_veth.snapshot.agree import agreed, with_true_masters, without_traffic_of
import pytest

from tests.support.snapshots import BAD, BOND, BR0, HOST, device, pair


def _ports(*masters: Any) -> list[Device]:
    """Ports, each of a bridge, or of none."""
    return [
        device(HOST, 20 + i, f"port{i}", master=master, uppers=(master,))
        if master is not None
        else device(HOST, 20 + i, f"port{i}")
        for i, master in enumerate(masters)
    ]


# Peers


def test_peers_that_point_to_each_other_stay() -> None:
    ends = pair().devices
    assert tuple(agreed(ends)) == ends
    # The name is that of the row.
    a, b = ends
    renamed = b._replace(name="new", ifindex=77)
    told, other = agreed((a, renamed))
    assert (told.peer, other) == (renamed.ref, renamed)


def test_peers_that_deny_each_other_are_changing() -> None:
    a, b = pair().devices
    third = device(HOST, 30, "third")
    for denies, said in ((None, None), (third.ref, CHANGING), (BAD, BAD)):
        told, other, _ = agreed((a, b._replace(peer=denies), third))
        assert told == a._replace(peer=CHANGING)
        assert other == b._replace(peer=said)
    assert agreed((a,)) == [a._replace(peer=CHANGING)]


# Those above


def test_names_above_are_those_of_their_rows() -> None:
    (port,) = _ports(BR0.ref)
    renamed = BR0._replace(name="br9", lowers=(port.ref,))
    told, bridge = agreed((port, renamed))
    assert told == port._replace(master=renamed.ref, uppers=(renamed.ref,))
    assert bridge == renamed
    # Of one without the other, what is known is told.
    told, _ = agreed((port._replace(uppers=BAD), renamed))
    assert (told.master, told.uppers) == (renamed.ref, BAD)
    told, _ = agreed((port._replace(master=BAD), renamed))
    assert (told.master, told.uppers) == (BAD, (renamed.ref,))


def test_a_device_above_that_has_no_row_is_changing() -> None:
    (port,) = _ports(BR0.ref)
    gone = port._replace(master=CHANGING, uppers=CHANGING)
    assert agreed((port,)) == [gone]
    assert agreed((port._replace(uppers=()),)) == [gone]
    # One of two is missing.
    both = port._replace(uppers=(BR0.ref, BOND._replace(net_device=1).ref))
    bridge = BR0._replace(lowers=(port.ref,))
    told, emptied = agreed((both, bridge))
    assert told == gone
    assert emptied == bridge._replace(lowers=())


# Those below


def test_a_master_lists_those_that_say_so() -> None:
    """In its order, and then those that it does not list yet."""
    ports = _ports(BR0.ref, BR0.ref, None, BR0.ref)
    one, two, free, late = ports
    away = device(HOST, 40, "away")
    listed = (two.ref, free.ref, away.ref, one.ref)
    *_, bridge = agreed((*ports, BR0._replace(lowers=listed)))
    assert bridge.lowers == (two.ref, one.ref, late.ref)
    *_, bridge = agreed((*ports, BR0))
    assert bridge.lowers == (one.ref, two.ref, late.ref)
    *_, bridge = agreed((free, BR0._replace(lowers=listed)))
    assert bridge.lowers == ()
    *_, bridge = agreed((*ports, BR0._replace(lowers=BAD)))
    assert bridge.lowers == BAD


def test_slaves_of_a_bond_are_those_below() -> None:
    one, two = _ports(BOND.ref, BOND.ref)
    bond = BOND._replace(bond=Bond("802.3ad", "layer2", (one.ref,)))
    *_, told = agreed((one, two, bond))
    assert told.bond == Bond("802.3ad", "layer2", (one.ref, two.ref))
    # Nothing is below: nothing is said of it.
    alone = bond._replace(bond=Bond("802.3ad", "layer2", BAD))
    assert agreed((alone,)) == [alone]


def test_a_master_that_does_not_list_a_port_is_none() -> None:
    port, other = _ports(BR0.ref, BR0.ref)
    told, kept, _ = with_true_masters((port, other, BR0._replace(lowers=(other.ref,))))
    assert told.master is not None and told.master != port.master
    assert told._replace(master=port.master) == port and kept == other
    # It has no row, or its ports were not read.
    for there in ((), (BR0._replace(lowers=BAD),)):
        assert with_true_masters((port, *there))[0] == port


# What is read after a row


def _busy() -> Snapshot:
    """Counters, queues and maps of both ends of a pair."""
    stats = LinkStats(*[1] * 23)
    own: Any = {"veth": Veth(1, 2), "stats": stats, "queue_stats": (), "af_xdp": ()}
    whole = pair(own, own, BR0)
    a, _, b = whole.devices
    entries = (MapEntry(0, a.ref, ifindex=3), MapEntry(1, b.ref, ifindex=2))
    flight = tuple(
        QueueInFlight("veth-ring", 1, 1, 0, (), ref) for ref in (a.ref, b.ref, None)
    )
    return whole._replace(
        maps=(
            Map(1, "devmap", "to", 4, 4, (*entries, MapEntry(2, BAD), MapEntry(3))),
            Map(2, "devmap", "to", 4, 1, BAD),
        ),
        in_flight=flight,
    )


def test_what_was_read_of_a_device_that_went() -> None:
    """Exactly that is changing: the rest is as it was."""
    whole = _busy()
    a, bridge, b = whole.devices
    assert isinstance(a.veth, Veth)
    lost = dict.fromkeys(
        ("stats", "queue_stats", "qdisc_stats", "af_xdp", "tc"), CHANGING
    )
    gone: Any = {**lost, "veth": a.veth._replace(stopped=CHANGING)}
    ports, unread = whole.maps
    assert isinstance(ports.entries, tuple) and isinstance(whole.in_flight, tuple)
    entry, *entries = ports.entries
    ring, *flight = whole.in_flight
    there = ring._replace(
        length=CHANGING, skbs=CHANGING, xdp_frames=CHANGING, oldest=CHANGING
    )
    assert without_traffic_of({a.net_device}, whole) == whole._replace(
        devices=(a._replace(**gone), bridge, b),
        maps=(
            ports._replace(
                entries=(entry._replace(device=CHANGING, ifindex=CHANGING), *entries)
            ),
            unread,
        ),
        in_flight=(there, *flight),
    )
    # A device of another kind has nothing else.
    told = without_traffic_of({bridge.net_device}, whole)
    changed: Any = lost
    assert told == whole._replace(devices=(a, bridge._replace(**changed), b))


@pytest.mark.parametrize("flight", [None, BAD])
def test_nothing_went(flight: Any) -> None:
    whole = _busy()._replace(in_flight=flight)
    assert without_traffic_of((), whole) == whole
    assert without_traffic_of({0x77}, whole) == whole
