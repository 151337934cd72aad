# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each value of the devices and of the target is missing in turn."""

from collections.abc import Iterator
import json
from typing import Any

from drgn_veth.analysis.path import trace
from drgn_veth.model import (
    AfXdpSocket,
    Map,
    MapEntry,
    Netkit,
    Snapshot,
    XskRing,
)
from drgn_veth.render.json import path as as_json
from drgn_veth.render.path import path
import pytest

from tests.support.schemas import validate
from tests.support.slow import slow_but
from tests.support.snapshots import (
    BAD,
    BR0,
    NIC,
    PROGRAM,
    TARGET,
    native,
    pair,
    queues,
    rps,
    xps,
)

RING = XskRing(64, 8)
SOCKET = AfXdpSocket(0, "bound", False, RING, None, RING, None, None, 0, 0, 40, "xsk")
#: Members that are never missing: what tells devices from each other, and what is no
#: Maybe at all.
WHOLE = {
    *("net_device", "queues", "xdp", "bond", "off_list", "driver", "features", "veth"),
    *("virtio_net", "netns_label", "matched", "traits", "xsk_queues"),
    *("rx", "tx", "queue", "via", "fill", "rx_dropped", "rx_ring_full"),
}


def _whole() -> Snapshot:
    nic = NIC._replace(master=BR0.ref)
    entries = (MapEntry(0, nic.ref), MapEntry(1, nic.ref, socket=SOCKET))
    maps = (
        Map(4, "devmap", "to", 8, 2, entries),
        Map(5, "xskmap", "x", 8, 2, entries),
        Map(6, "cpumap", "c", 8, 1, (MapEntry(0, cpu=1, qsize=64),)),
    )
    program = PROGRAM._replace(maps=(4, 5, 6))
    return pair(
        {**queues(2, 2), **xps((0,), (1,)), "netkit": Netkit("l2", "forward", True)},
        {
            **{**queues(2, 2), **native(True, True, program=program)},
            **{**rps((0, 1), (1,), flows=16), "master": BR0.ref},
        },
        *(BR0, nic),
        maps=maps,
        target=TARGET._replace(rps_sock_flow_entries=64),
    )


def _damaged(record: Any, depth: int = 3) -> Iterator[tuple[str, Any]]:
    # The record with one member of it missing, and so on below.
    for name in record._fields:
        value = getattr(record, name)
        if name not in WHOLE:
            yield name, record._replace(**{name: BAD})
        if depth and hasattr(value, "_fields"):
            for below, one in _damaged(value, depth - 1):
                yield f"{name}.{below}", record._replace(**{name: one})
        elif depth and isinstance(value, tuple) and value:
            if hasattr(value[-1], "_fields"):
                for below, one in _damaged(value[-1], depth - 1):
                    changed = (*value[:-1], one)
                    yield f"{name}[].{below}", record._replace(**{name: changed})


def _look(whole: Snapshot) -> None:
    # The ends of the pair: what is damaged is on their way.
    for one in (whole.devices[0], whole.devices[-1]):
        found = trace(whole, one, follow=True)
        assert path(found)
        validate(json.loads("".join(as_json(found))), "drgn-veth-1-path")


DEVICES = [("veth", 0), ("veth", 1), ("veth", 3), ("netkit", 0), ("netkit", 3)]


@pytest.mark.parametrize("kind, at", slow_but(DEVICES[:1], DEVICES))
def test_devices(kind: str, at: int) -> None:
    whole = _whole()
    devices = [
        one._replace(kind=kind) if one.kind == "veth" else one for one in whole.devices
    ]
    for _, damaged in _damaged(devices[at]):
        there = (*devices[:at], damaged, *devices[at + 1 :])
        _look(whole._replace(devices=there))


def test_target_and_maps() -> None:
    whole = _whole()
    for name in ("possible_cpus", "online_cpus", "rps_sock_flow_entries"):
        changes: Any = {name: BAD}
        _look(whole._replace(target=whole.target._replace(**changes)))
    _look(whole._replace(kernel=None, cpus=BAD))
    for i, of in enumerate(whole.maps):
        for _, damaged in _damaged(of):
            maps = (*whole.maps[:i], damaged, *whole.maps[i + 1 :])
            _look(whole._replace(maps=maps))
