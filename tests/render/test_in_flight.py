# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of packets in flight."""

from drgn_veth.core.unreadable import NOT_IN_SLICE, Unreadable
from drgn_veth.model import DeviceRef, PacketInFlight, QueueInFlight
from drgn_veth.render.in_flight import in_flight
from drgn_veth.render.plain import plain

VETH = DeviceRef(1, 5, "ve\x1bth", 0x1000, label="pod1")
OTHER = DeviceRef(1, 6, "other", 0x2000, label="pod1")
SKB = PacketInFlight("skb", VETH, 46, "0x0800")
FRAME = PacketInFlight("xdp_frame", None, 80)
RING = QueueInFlight(
    "veth-ring", 4, 2, 2, (SKB, SKB, FRAME, FRAME), device=VETH, queue=3, size=256
)


def test_table() -> None:
    header, *rows = in_flight([RING])
    row = " ".join(rows)
    assert header.split("  ")[0] == "QUEUE"
    assert "veth ring rx3" in row and "ve\\x1bth (pod1)" in row
    assert "4 of 256" in " ".join(row.split())
    text = "\n".join(in_flight([RING._replace(oldest=(SKB, SKB, FRAME))]))
    assert "2 x 46 IPv4" in text and "..." in text


def test_other_device_and_count_alone() -> None:
    backlog = QueueInFlight(
        "backlog", 1, 1, 0, (SKB._replace(device=OTHER),), cpu=3, part="process_queue"
    )
    netem = QueueInFlight("qdisc", 7, 7, 0, device=VETH, qdisc="netem", handle="1:")
    _, first, second = in_flight([backlog, netem])
    assert "CPU 3" in first and "46 IPv4 of other (pod1)" in first
    assert second.split() == ["netem", "1:", "ve\\x1bth", "(pod1)", "7"]


def test_slice_and_unreadable() -> None:
    missing = Unreadable(NOT_IN_SLICE)
    cut = RING._replace(skbs=missing, xdp_frames=missing, oldest=missing)
    lines = in_flight([cut])
    assert NOT_IN_SLICE in lines[1] and "only how many" in lines[-1]
    lost = Unreadable("gone")
    broken = QueueInFlight("backlog", lost, lost, lost, lost)
    assert in_flight([broken])[-1] == "?: gone"
    assert len(in_flight([])) == 1


def test_json() -> None:
    said = plain(RING)
    assert list(said) == [
        *("where", "device", "queue", "length", "size", "skbs", "xdp_frames"),
        "oldest",
    ]
    assert said["oldest"][0]["protocol"] == "0x0800"
    assert said["oldest"][2] == {"kind": "xdp_frame", "len": 80}
