# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Members that the readers declare
--------------------------------

A Snapshot reads them by a layout. What that gives is what drgn's own objects give, and
what the readers beside the declarations say. On the recorded cores.
"""

from collections.abc import Iterator, Mapping
import functools
import struct
from typing import Any, Callable

from drgn import FaultError, Object, Program, TypeKind, container_of
import drgn_veth
from drgn_veth.core.errors import attempt
from drgn_veth.core.struct_layout import Kind, Layout, Member, Members, members_of
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.readers import (
    adjacent,
    bridge,
    driver,
    inet,
    inet6,
    link_state,
    link_stats,
    netdev,
    netdev_names,
    netns,
    priv_flags,
    qdisc,
    queues,
    reg_state,
    rps,
    tcx,
    veth,
    xdp,
    xps,
    xsk,
)
from drgn_veth.snapshot.addresses import Addresses
from drgn_veth.snapshot.bridge_ports import BridgePorts
from drgn_veth.snapshot.layouts import Layouts, NetDevice, RxQueue
from drgn_veth.snapshot.qdiscs import Qdiscs
import pytest

from tests.support.recorded import CORES, recorded_core
from tests.support.slow import slow_but

DECLARED = (
    *(driver.NetDeviceDriver, netdev.NetDeviceShown, netns.NetDeviceNetns),
    *(queues.NetDeviceQueues, xdp.NetDeviceXdp, xps.NetDeviceXps),
    link_stats.NetDeviceStats,
    *(driver.RxQueueMemory, queues.RxQueueOwner, rps.RxQueueRps, queues.TxQueue),
    *(netdev_names.NameNode, veth.VethPriv, veth.VethRq),
    *(qdisc.NetDeviceQdisc, inet.NetDeviceInet, inet6.NetDeviceInet6),
    *(bridge.NetDevicePort, bridge.NetBridgePort, qdisc.Qdisc),
    *(inet.InDevice, inet.InIfaddr, inet6.Inet6Dev, inet6.Inet6Ifaddr),
    *(tcx.NetDeviceTc, xsk.XdpSock, priv_flags.NetDevicePrivate, queues.RxQueuePool),
)


@pytest.fixture(scope="module", params=slow_but([CORES[0], CORES[-1]], CORES))
def prog(request: pytest.FixtureRequest) -> Program:
    return recorded_core(request.param).prog


def structs(
    prog: Program,
) -> Iterator[tuple[Layout[Any], type[Members], Object, Object]]:
    """Yield what a Snapshot reads: how, a pointer to it, and its device."""
    layouts = Layouts(prog)
    assert layouts.name_node is not None and layouts.veth_priv is not None
    devices = [
        dev
        for net in netns.for_each_net_bounded(prog)
        for dev in netns.for_each_netdev_bounded(net)
    ]
    for dev in devices:
        yield layouts.net_device, NetDevice, dev, dev
        yield layouts.name_node, netdev_names.NameNode, dev.name_node.read_(), dev
        for i in range(dev.real_num_rx_queues):
            yield layouts.rx_queue, RxQueue, dev._rx + i, dev
        yield layouts.tx_queue, queues.TxQueue, dev._tx.read_(), dev
        if drgn_veth.netdev_kind(dev) == b"veth":
            priv = drgn_veth.veth_priv(dev)
            yield layouts.veth_priv, veth.VethPriv, priv, dev
            for i in range(dev.real_num_rx_queues):
                yield layouts.veth_rq, veth.VethRq, priv.rq + i, dev


def of_addresses(prog: Program) -> Iterator[tuple[Any, type[Members], Object]]:
    """Yield what a Snapshot reads of qdiscs, addresses and ports of bridges."""
    addresses = Addresses(prog, {})
    qdiscs, ports = Qdiscs(prog, {}), BridgePorts(Layouts(prog))
    for net in netns.for_each_net_bounded(prog):
        for dev in netns.for_each_netdev_bounded(net):
            yield qdiscs.layout, qdisc.Qdisc, dev.qdisc.read_()
            in_dev, idev = inet.in_dev_get(dev), inet6.in6_dev_get(dev)
            if in_dev:
                yield addresses.in_device, inet.InDevice, in_dev
                for ifa in inet.in_dev_for_each_ifa(in_dev):
                    yield addresses.in_ifaddr, inet.InIfaddr, ifa
            if idev:
                yield addresses.inet6_dev, inet6.Inet6Dev, idev
                for ifa in inet6.in6_dev_for_each_ifa(idev):
                    yield addresses.inet6_ifaddr, inet6.Inet6Ifaddr, ifa
            port = bridge.br_port_get(dev)
            if port:
                yield ports.layout, bridge.NetBridgePort, port


def by_drgn(found_in: Object, member: Member) -> object:
    """Return a member as drgn's objects give it."""
    for path in member.paths:
        found = found_in
        try:
            for part in path.replace("[", ".[").split("."):
                index = part.startswith("[")
                found = found[int(part[1:-1])] if index else found.member_(part)
        except LookupError:
            continue
        if found.type_.unaliased_kind() == TypeKind.ARRAY:
            return found.to_bytes_()
        while found.type_.unaliased_kind() == TypeKind.STRUCT:  # atomic_long_t
            found = found.member_("counter")
        return found.value_()
    assert member.optional
    return None


def test_layouts_give_what_objects_give(prog: Program) -> None:
    compared = 0
    for layout, declared, pointer, _ in structs(prog):
        record = layout.read(pointer.value_())
        for name, member in members_of(declared).items():
            value = getattr(record, name)
            try:
                expected = by_drgn(pointer, member)
            except FaultError:  # The core has only what a report takes.
                assert isinstance(value, Unreadable)
                continue
            assert value == expected, (declared.__name__, name)
            compared += 1
    assert compared > 5000


def test_layouts_of_addresses(prog: Program) -> None:
    """Likewise, of the part of a struct that the Snapshot reads."""
    compared = dict.fromkeys(
        (qdisc.Qdisc, bridge.NetBridgePort, inet.InIfaddr, inet6.Inet6Ifaddr), 0
    )
    for layout, declared, place in of_addresses(prog):
        assert not isinstance(layout, Unreadable)
        record = layout.read_span(place.value_())
        for name, member in members_of(declared).items():
            assert getattr(record, name) == by_drgn(place, member)
        compared[declared] = compared.get(declared, 0) + 1
    assert all(compared.values())


Value = Any
#: What a reader of a struct or of its device gives, and what becomes of members that a
#: layout gives, to be the same: of ``net_device`` the device comes first.
Compared = tuple[Callable[[Object], Value], Callable[..., Value]]


def itself(_: Object, value: Value) -> Value:
    return value


def through(type: str, member: str) -> Callable[[Object, int], Value]:
    """Return what follows a pointer, a string or an address; None for NULL."""

    def follow(dev: Object, address: int) -> Value:
        if not address:
            return None
        found = Object(dev.prog_, f"{type} *", address).member_(member)
        is_text = found.type_.type.kind == TypeKind.INT
        return found.string_() if is_text else found.value_()

    return follow


def first_adjacent(which: str, dev: Object, first: int) -> Value:
    if first == dev.adj_list.member_(which).address_of_().value_():
        return None
    node = Object(dev.prog_, "struct list_head *", first)
    return container_of(node, "struct netdev_adjacent", "list").dev.value_()


def first_altname(dev: Object, name_node: int) -> Value:
    node = Object(dev.prog_, "struct netdev_name_node *", name_node)
    head = node.list.address_of_()
    if head.next == head:
        return None
    return container_of(head.next, node.type_.type, "list").name.string_()


def entities(dev: Object, state: bytes) -> list[tuple[int, int]]:
    """Return links, and the programs without one, by mode."""
    pairs = struct.iter_unpack("<QQ", state)
    return [(link, 0 if link else program) for program, link in pairs]


def entities_by_readers(dev: Object) -> list[tuple[int, int]]:
    links = [xdp.dev_xdp_link(dev, mode).value_() for mode in xdp.XdpMode]
    programs = [xdp.dev_xdp_prog(dev, mode).value_() for mode in xdp.XdpMode]
    return [(link, 0 if link else one) for link, one in zip(links, programs)]


def masks(dev: Object) -> link_state.LinkState:
    return link_state.link_state_masks(dev.prog_)


ON_DEVICE: Mapping[tuple[type[Members], tuple[str, ...]], Compared] = {
    (NetDevice, ("net",)): (netns.dev_net, itself),
    (NetDevice, ("rx",)): (lambda dev: queues.netdev_rx_queue(dev, 0), itself),
    (NetDevice, ("num_rx",)): (queues.netdev_num_rx_queues, itself),
    (NetDevice, ("real_rx",)): (queues.netdev_real_num_rx_queues, itself),
    (NetDevice, ("num_tx",)): (queues.netdev_num_tx_queues, itself),
    (NetDevice, ("real_tx",)): (queues.netdev_real_num_tx_queues, itself),
    (NetDevice, ("xps_cpus",)): (
        lambda dev: xps.netdev_xps_maps(dev, xps.XPS_CPUS),
        itself,
    ),
    (NetDevice, ("xps_rxqs",)): (
        lambda dev: xps.netdev_xps_maps(dev, xps.XPS_RXQS),
        itself,
    ),
    (NetDevice, ("flags", "gflags", "state", "operstate")): (
        link_state.dev_get_flags,
        lambda dev, flags, gflags, state, operstate: link_state.flags_from(
            flags, gflags, state, operstate, masks(dev)
        ),
    ),
    (NetDevice, ("operstate", "state")): (
        link_state.netdev_operstate,
        lambda dev, operstate, state: link_state.operstate_from(
            operstate, state, masks(dev)
        ),
    ),
    (NetDevice, ("dev_addr", "addr_len", "type")): (
        netdev.netdev_address,
        lambda dev, *values: netdev.read_address(dev.prog_, *values),
    ),
    (NetDevice, ("rtnl_link_ops",)): (
        netdev.netdev_kind,
        through("struct rtnl_link_ops", "kind"),
    ),
    (NetDevice, ("ifalias",)): (
        netdev_names.netdev_alias,
        through("struct dev_ifalias", "ifalias"),
    ),
    (NetDevice, ("name_node",)): (
        lambda dev: next(netdev_names.for_each_altname(dev), None),
        first_altname,
    ),
    (NetDevice, ("upper",)): (
        lambda dev: next(adjacent.netdev_for_each_upper_dev(dev), None),
        functools.partial(first_adjacent, "upper"),
    ),
    (NetDevice, ("lower",)): (
        lambda dev: next(adjacent.netdev_for_each_lower_dev(dev), None),
        functools.partial(first_adjacent, "lower"),
    ),
    (NetDevice, ("reg_state",)): (
        reg_state.netdev_reg_state,
        lambda dev, state: reg_state.reg_state_from(
            state, reg_state.reg_states(dev.prog_)
        ),
    ),
    (NetDevice, ("qdisc",)): (
        qdisc.netdev_qdisc_id,
        lambda dev, at: Object(dev.prog_, "struct Qdisc *", at).ops.id.string_(),
    ),
    (NetDevice, ("tcx_ingress",)): (
        lambda dev: tcx.netdev_tcx_entry(dev, False),
        itself,
    ),
    (NetDevice, ("tcx_egress",)): (
        lambda dev: tcx.netdev_tcx_entry(dev, True),
        itself,
    ),
    (NetDevice, ("ip_ptr",)): (inet.in_dev_get, itself),
    (NetDevice, ("ip6_ptr",)): (inet6.in6_dev_get, itself),
    (NetDevice, ("priv_flags", "rx_handler_data")): (
        bridge.br_port_get,
        lambda dev, flags, port: (
            port if flags & bridge.bridge_port_mask(dev.prog_) else 0
        ),
    ),
    (NetDevice, ("parent",)): (driver.netdev_parent, itself),
    (NetDevice, ("netdev_ops",)): (
        lambda dev: driver.netdev_op(dev, "ndo_bpf"),
        through("struct net_device_ops", "ndo_bpf"),
    ),
    (NetDevice, ("ethtool_ops",)): (
        lambda dev: driver.ethtool_op(dev, "set_channels"),
        through("struct ethtool_ops", "set_channels"),
    ),
    (NetDevice, ("xdp_state",)): (entities_by_readers, entities),
    (veth.VethPriv, ("peer",)): (veth.veth_peer, itself),
    (veth.VethPriv, ("rq",)): (veth.veth_rqs, itself),
    (veth.VethPriv, ("xdp_prog",)): (veth.veth_xdp_prog, itself),
}
ON_QUEUE: Mapping[tuple[type[Members], tuple[str, ...]], Compared] = {
    (RxQueue, ("rps_map",)): (rps.rx_queue_rps_map, itself),
    (RxQueue, ("rps_flow_table",)): (
        lambda queue: bool(rps.rx_queue_rps_flow_entries(queue)),
        lambda _, table: bool(table),
    ),
    (RxQueue, ("mp_priv",)): (driver.rx_queue_memory_provider, itself),
    (veth.VethRq, ("xdp_prog",)): (veth.veth_rq_xdp_prog, itself),
    (veth.VethRq, ("napi", "xdp_prog")): (
        veth.veth_rq_has_napi,
        lambda _, napi, program: bool(program if napi is None else napi),
    ),
}
#: Members that no reader gives.
NO_READER: Mapping[type[Members], set[str]] = {
    NetDevice: {
        *("ifindex", "name", "mtu", "min_mtu", "max_mtu"),
        *("hard_header_len", "features", "wanted_features", "xdp_features", "tx"),
        *("miniq_ingress", "miniq_egress"),  # netdev_miniq() may look elsewhere.
        *("next", "prev"),  # See test_devices_are_in_a_ring().
        "index_pprev",  # tests/vm/test_hostile.py; a slice has not where it leads.
        # dev_get_stats() gives what they lead to: tests/vm/test_counters.py.
        *("tstats", "stat_type", "core_stats"),
        *("rx_dropped", "tx_dropped", "rx_nohandler"),
        "rx_handler",  # rx_handler_busy() is of its address alone.
    },
    RxQueue: {"dev", "pool"},
    queues.TxQueue: {"dev", "pool", "state"},
    netdev_names.NameNode: {"next"},
    veth.VethPriv: {"dropped"},
    veth.VethRq: {
        *("dev", "napi_state", "reg_state", "rxq_index", "tx_errors"),
        *("consumer_head", "ring_size", "ring"),
    },
}


def test_layouts_give_what_readers_give(prog: Program) -> None:
    compared: dict[tuple[type[Members], tuple[str, ...]], int] = {}
    readers = {**ON_DEVICE, **ON_QUEUE}
    for layout, declared, found, dev in structs(prog):
        record = layout.read(found.value_())
        for key in [key for key in readers if key[0] is declared]:
            by_reader, of_members = readers[key]
            value = attempt(by_reader, dev if key in ON_DEVICE else found)
            theirs = value.value_() if isinstance(value, Object) else value
            values = [getattr(record, name) for name in key[1]]
            lost = [one for one in values if isinstance(one, Unreadable)]
            mine = lost[0] if lost else attempt(of_members, dev, *values)
            # What an old kernel does not have, some readers say to be NULL; and what a
            # device does not have is empty.
            assert mine == theirs or (mine is None and not theirs), key
            compared[key] = compared.get(key, 0) + 1
        if declared is NetDevice:
            programs = [xdp.dev_xdp_prog(found, mode) for mode in xdp.XdpMode]
            nothing = record.xdp_state == xdp.no_xdp_state(prog)
            assert nothing == (not any(programs))
    assert set(compared) == set(readers)


def test_what_no_reader_gives() -> None:
    """So that a new member is compared, or said to have no reader."""
    for declared, none in NO_READER.items():
        keys = [names for table, names in (*ON_DEVICE, *ON_QUEUE) if table is declared]
        given = {name for names in keys for name in names}
        assert not given & none
        assert given | none == set(members_of(declared))


def test_devices_are_in_a_ring(prog: Program) -> None:
    layout = Layouts(prog).net_device
    for net in netns.for_each_net_bounded(prog):
        head = net.dev_base_head.address_of_().value_()
        devices = list(netns.for_each_netdev_bounded(net))
        ring = [head, *(d.dev_list.address_of_().value_() for d in devices), head]
        for before, dev, after in zip(ring, devices, ring[2:]):
            record = layout.read(dev.value_())
            assert (record.prev, record.next) == (before, after)


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
        assert member.paths and member.kind in (
            Kind.NUMBER | Kind.POINTER | Kind.ARRAY | Kind.COUNTER
        )
