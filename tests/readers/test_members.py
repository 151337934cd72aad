# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Members that the readers declare
--------------------------------

A Snapshot reads them by a layout. What that gives is what drgn's own objects give, and
what the readers beside the declarations say. On the recorded cores.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Callable

from drgn import FaultError, Object, Program, TypeKind
import drgn_veth
from drgn_veth.core.errors import attempt
from drgn_veth.core.struct_layout import Kind, Layout, Member, Members, members_of
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.readers import driver, netdev, netns, queues, rps, veth, xdp, xps
from drgn_veth.snapshot.layouts import Layouts, NetDevice, RxQueue
import pytest

from tests.support.recorded import CORES, recorded_core

DECLARED = (
    *(driver.NetDeviceDriver, netdev.NetDeviceShown, netns.NetDeviceNetns),
    *(queues.NetDeviceQueues, xdp.NetDeviceXdp, xps.NetDeviceXps),
    *(driver.RxQueueMemory, queues.RxQueueOwner, rps.RxQueueRps, queues.TxQueue),
    *(netdev.NameNode, veth.VethPriv, veth.VethRq),
)


@pytest.fixture(scope="module", params=CORES)
def prog(request: pytest.FixtureRequest) -> Program:
    return recorded_core(request.param).prog


def structs(prog: Program) -> Iterator[tuple[Layout[Any], type[Members], Object]]:
    """Yield what a Snapshot reads: how, and a pointer to it."""
    layouts = Layouts(prog)
    assert layouts.name_node is not None and layouts.veth_priv is not None
    devices = [
        dev
        for net in netns.for_each_net_bounded(prog)
        for dev in netns.for_each_netdev_bounded(net)
    ]
    for dev in devices:
        yield layouts.net_device, NetDevice, dev
        yield layouts.name_node, netdev.NameNode, dev.name_node.read_()
        for i in range(dev.real_num_rx_queues):
            yield layouts.rx_queue, RxQueue, dev._rx + i
        yield layouts.tx_queue, queues.TxQueue, dev._tx.read_()
        if drgn_veth.netdev_kind(dev) == b"veth":
            priv = drgn_veth.veth_priv(dev)
            yield layouts.veth_priv, veth.VethPriv, priv
            for i in range(dev.real_num_rx_queues):
                yield layouts.veth_rq, veth.VethRq, priv.rq + i


def by_drgn(struct: Object, member: Member) -> object:
    """Return a member as drgn's objects give it."""
    for path in member.paths:
        found = struct
        try:
            for part in path.replace("[", ".[").split("."):
                index = part.startswith("[")
                found = found[int(part[1:-1])] if index else found.member_(part)
        except LookupError:
            continue
        if found.type_.unaliased_kind() == TypeKind.ARRAY:
            return found.to_bytes_()
        return found.value_()
    assert member.optional
    return None


def test_layouts_give_what_objects_give(prog: Program) -> None:
    compared = 0
    for layout, declared, struct in structs(prog):
        record = layout.read(struct.value_())
        for name, member in members_of(declared).items():
            value = getattr(record, name)
            try:
                expected = by_drgn(struct, member)
            except FaultError:  # The core has only what a report takes.
                assert isinstance(value, Unreadable)
                continue
            assert value == expected, (declared.__name__, name)
            compared += 1
    assert compared > 5000


#: What readers give for what a layout gives, as an address or a number.
READERS: Mapping[tuple[type[Members], str], Callable[[Object], Any]] = {
    (NetDevice, "net"): netns.dev_net,
    (NetDevice, "rx"): lambda dev: queues.netdev_rx_queue(dev, 0),
    (NetDevice, "num_rx"): queues.netdev_num_rx_queues,
    (NetDevice, "real_rx"): queues.netdev_real_num_rx_queues,
    (NetDevice, "num_tx"): queues.netdev_num_tx_queues,
    (NetDevice, "real_tx"): queues.netdev_real_num_tx_queues,
    (NetDevice, "xps_cpus"): lambda dev: xps.netdev_xps_maps(dev, xps.XPS_CPUS),
    (NetDevice, "xps_rxqs"): lambda dev: xps.netdev_xps_maps(dev, xps.XPS_RXQS),
    (RxQueue, "rps_map"): rps.rx_queue_rps_map,
    (RxQueue, "mp_priv"): driver.rx_queue_memory_provider,
    (veth.VethPriv, "rq"): lambda priv: priv.rq.read_(),
    (veth.VethRq, "xdp_prog"): veth.veth_rq_xdp_prog,
}


def test_layouts_give_what_readers_give(prog: Program) -> None:
    compared: dict[tuple[type[Members], str], int] = {}
    for layout, declared, struct in structs(prog):
        record = layout.read(struct.value_())
        for key in [key for key in READERS if key[0] is declared]:
            value = attempt(READERS[key], struct)
            theirs = value.value_() if isinstance(value, Object) else value
            mine = getattr(record, key[1])
            # What an old kernel does not have, some readers say to be NULL.
            assert mine == theirs or (mine is None and theirs == 0), key
            compared[key] = compared.get(key, 0) + 1
        if declared is NetDevice:
            programs = [xdp.dev_xdp_prog(struct, mode) for mode in xdp.XdpMode]
            nothing = record.xdp_state == xdp.no_xdp_state(prog)
            assert nothing == (not any(programs))
    assert set(compared) == set(READERS)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.__name__)
def test_members_are_declared_in_whole(declared: type[Members]) -> None:
    """Each belongs to what a Snapshot reads, and nothing is declared twice."""
    assert declared.__doc__
    found = members_of(declared)
    assert found
    for composed in (NetDevice, RxQueue):
        parts = [part for part in composed.__mro__ if part in DECLARED]
        names: list[str] = [name for part in parts for name in vars(part)]
        named = [name for name in names if not name.startswith("__")]
        assert sorted(named) == sorted(members_of(composed))
    for member in found.values():
        assert member.paths and member.kind in Kind.NUMBER | Kind.POINTER | Kind.ARRAY
