# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counters on the screen of a device and in JSON, and what a ring holds."""

from drgn_veth.core.driver_counters import no_driver_counters
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import (
    CpuStats,
    LinkStats,
    QdiscStats,
    Snapshot,
    VethQueueStats,
    VethRing,
)
from drgn_veth.render import counters
from drgn_veth.render.json import document
from drgn_veth.render.one_device import devices_in_full

from tests.support.schemas import validate
from tests.support.snapshots import HOST, device, snapshot

STATS = LinkStats(*([0] * 23))
QUEUE = VethQueueStats(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
CPU = CpuStats(0, 5, 0, 0, None, None, 0)


def taken(**changes: object) -> Snapshot:
    return snapshot(device(HOST, 2, "veth0", **changes))


def test_what_is_not_zero_is_shown() -> None:
    queues = (
        QUEUE._replace(xdp_drops=3, ring=VethRing(256, 7), napi_scheduled=True),
        QUEUE._replace(queue=1, ring=VethRing(256, 0)),
        QUEUE._replace(queue=2, xdp_packets=Unreadable("a hole")),
    )
    whole = taken(
        stats=STATS._replace(rx_packets=2, rx_bytes=90, tx_dropped=4, rx_nohandler=1),
        queue_stats=queues,
        qdisc_stats=QdiscStats(1, 400, 2),
    )
    (veth,) = whole.devices
    assert counters.link(veth) == [
        *("rx 2 packets, 90 bytes", "tx_dropped 4", "rx_nohandler 1"),
    ]
    assert counters.queues(veth) == [
        "rx0: xdp_drops 3, ring 7 of 256, NAPI scheduled",
        "rx2: xdp_packets ?",
    ]
    assert counters.qdisc(veth) == "1 drop, holds 2 packets, 400 bytes"
    late = veth._replace(qdisc_stats=QdiscStats(0, 0, 1))
    assert counters.qdisc(late) == "holds 1 packet, 0 bytes"
    text = devices_in_full(whole.devices, whole, ())
    assert "rx 2 packets, 90 bytes" in text


def test_nothing_is_shown_of_nothing() -> None:
    read = taken(stats=STATS, queue_stats=(QUEUE,), qdisc_stats=QdiscStats(0, 0, 0))
    for whole in (read, taken()):
        (veth,) = whole.devices
        assert [*counters.link(veth), *counters.queues(veth)] == []
        assert counters.qdisc(veth) == ""


def test_what_only_a_driver_knows() -> None:
    lost = Unreadable(no_driver_counters("mlx5_core"))
    (nic,) = taken(stats=lost, queue_stats=lost, qdisc_stats=lost).devices
    assert counters.link(nic) == ["only the driver mlx5_core knows what it has counted"]
    assert (counters.queues(nic), counters.qdisc(nic)) == (["?"], "?")
    told = document(taken(stats=lost))
    assert told["devices"][0]["stats"] == {"unreadable": lost.reason}
    assert told["unreadable"] == []
    (nic,) = taken(stats=Unreadable("a hole")).devices
    assert counters.link(nic) == ["?"]


def test_in_json() -> None:
    """What a kernel does not count, and what was not read, is absent."""
    whole = taken(
        stats=STATS, queue_stats=(QUEUE,), qdisc_stats=QdiscStats(0, 0, 0)
    )._replace(cpus=(CPU,))
    told = document(whole)
    validate(told)
    (veth,) = told["devices"]
    assert "rx_nohandler" not in veth["stats"]
    assert "ring" not in veth["queue_stats"][0]
    assert "received_rps" not in told["cpus"][0]
    told = document(taken())
    validate(told)
    assert "cpus" not in told
    assert not told["devices"][0].keys() & {"stats", "queue_stats", "qdisc_stats"}
    lost = Unreadable("a hole")
    told = document(
        taken(stats=lost, queue_stats=lost, qdisc_stats=lost)._replace(cpus=lost)
    )
    validate(told)
    assert [one["what"].rpartition(".")[2] for one in told["unreadable"]] == [
        *("stats", "queue_stats", "qdisc_stats", "cpus"),
    ]
