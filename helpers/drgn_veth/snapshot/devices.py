# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The record of a device
----------------------

What was found of a device (:mod:`drgn_veth.snapshot.discover`) tells at once what it
does not have (XDP, XPS, an alias); what it has is asked of the readers.
"""

import functools
import operator
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from drgn import Object

from ..core.errors import attempt, is_read_error, reason
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..disasm.veth_poll import veth_rq_poll
from ..model import (
    Bond,
    Device,
    DeviceRef,
    Driver,
    Features,
    QueueCount,
    Queues,
    RpsQueue,
    StaleProgram,
    StoppedTxQueue,
    Veth,
    VirtioNet,
    Xdp,
    XdpProgram,
    XdpQueue,
    XpsQueue,
)
from ..readers import bpf
from ..readers.bonding import bond_mode, bond_xmit_policy, netdev_lowers, netdev_uppers
from ..readers.bpf_programs import bpf_prog_expected_attach_type
from ..readers.driver import (
    ethtool_op,
    netdev_driver_name,
    netdev_op,
    netdev_tcp_data_split,
)
from ..readers.netdev import (
    LinkState,
    flags_from,
    for_each_altname,
    netdev_alias,
    netdev_flag_names,
    operstate_from,
    read_address,
)
from ..readers.queues import checked_count
from ..readers.rps import rps_map_cpus, rx_queue_rps_flow_entries, rx_queue_rps_map
from ..readers.veth import veth_rqs
from ..readers.virtio_net import VIRTIO_NET_DRIVER, virtio_net_features
from ..readers.xdp import XdpMode, bpf_link_id, netdev_xdp_link, netdev_xdp_prog
from ..readers.xps import XPS_CPUS, XPS_RXQS, netdev_xps_queues
from .discover import NO_VETH, Discovery, Found, lift
from .layouts import Layouts
from .struct_layout import Layout

__all__ = ("DeviceRecords",)

# More of them that cannot be read are one thing that cannot be read.
_MOST_LOST_QUEUES = 256
# More queues are believed only if the last one can be looked at.
_MANY_QUEUES = 256
_MOST_QUEUES = 4096  # rtnl_create_link(), net/core/rtnetlink.c

# Functions whose code is looked at: driver, operation, what it is called.
_FUNCTIONS = (
    ("bond", "ndo_bpf", "bond_xdp"),
    ("virtio_net", "ndo_bpf", "virtnet_xdp"),
    ("veth", "ndo_start_xmit", "veth_xmit"),
)

_REG_STATE_REGISTERED = 1  # include/net/xdp.h
_NAPIF_STATE_SCHED = 1  # include/linux/netdevice.h, enum
_ETHTOOL_TCP_DATA_SPLIT_ENABLED = 2  # include/uapi/linux/ethtool.h, enum


# Many devices have the same: what is computed of numbers alone is computed once, and
# they share the records.


class _Shape(NamedTuple):
    # What a device has in common with many others.
    queues: Queues
    flags: Maybe[Tuple[str, ...]]
    operstate: Maybe[str]
    driver: Driver
    features: Features


def _queue_count(real: Maybe[int], allocated: Maybe[int], what: str) -> QueueCount:
    checked = lift(checked_count, real, allocated, what)
    if not isinstance(checked, Unreadable):
        return QueueCount(checked, allocated)
    return QueueCount(checked, lift(checked_count, allocated, allocated, what))


def _flags_and_operstate(
    flags: Maybe[int],
    gflags: Maybe[int],
    state: Maybe[int],
    operstate: Maybe[int],
    masks: LinkState,
) -> Tuple[Maybe[Tuple[str, ...]], Maybe[str]]:
    told = lift(flags_from, flags, gflags, state, operstate, masks)
    return (
        told if isinstance(told, Unreadable) else netdev_flag_names(told),
        lift(operstate_from, operstate, state, masks),
    )


@functools.lru_cache(maxsize=256)
def _no_rps(real: int) -> Tuple[RpsQueue, ...]:
    return tuple([RpsQueue(i, (), 0) for i in range(real)])


@functools.lru_cache(maxsize=256)
def _no_xps(real: int) -> Tuple[XpsQueue, ...]:
    return tuple([XpsQueue(i, (), ()) for i in range(real)])


def _is_registered(reg_state: int) -> bool:
    return reg_state == _REG_STATE_REGISTERED


def _is_scheduled(napi_state: int) -> bool:
    return bool(napi_state & _NAPIF_STATE_SCHED)


_IDLE_VETH = Veth(0, 0)


def _text_or_none(text: bytes) -> Optional[str]:
    return decode(text) if text else None


class DeviceRecords:
    """
    Makes the records of devices.

    :param discovery: Where they were found, and who names whom
    """

    def __init__(self, layouts: Layouts, discovery: Discovery) -> None:
        self._layouts = layouts
        self._prog = layouts.prog
        self._discovery = discovery
        self._rx_queue_pointer = self._prog.type("struct netdev_rx_queue *")
        self._programs: Dict[int, XdpProgram] = {}
        self._shapes: Dict[Tuple[Maybe[Optional[int]], ...], _Shape] = {}
        self._idle_xdp_queues: Dict[int, XdpQueue] = {}
        #: Functions of drivers that have devices, by name.
        self.functions: Dict[str, int] = {}
        #: Veths of which some queue has NAPI: their peers can wait for it.
        self.with_napi: List[int] = []
        #: Links that hold a program: struct bpf_link * and what it holds it on.
        self.links: Dict[int, Tuple[Object, DeviceRef]] = {}

    def _altnames(self, found: Found) -> Maybe[Tuple[str, ...]]:
        node = found.raw.name_node
        if isinstance(node, Unreadable):
            return node
        if not node or self._layouts.name_node is None:
            return ()
        if self._layouts.name_node.read(node).next == node + self._layouts.altnames:
            return ()
        dev = self._layouts.dev(found.address)
        return attempt(lambda: tuple([decode(name) for name in for_each_altname(dev)]))

    def _alias(self, found: Found) -> Maybe[Optional[str]]:
        dev = self._layouts.dev(found.address)
        return attempt(lambda: _text_or_none(netdev_alias(dev)))

    def _program(self, prog: Object, link: Optional[Object]) -> XdpProgram:
        address = prog.value_()
        try:
            program = self._programs[address]
        except KeyError:
            program = self._programs[address] = XdpProgram(
                id=attempt(bpf.bpf_prog_id, prog),
                name=attempt(lambda: decode(bpf.bpf_prog_name(prog))),
                tag=attempt(bpf.bpf_prog_tag, prog),
                via="netlink",
                link_id=None,
                jited=attempt(bpf.bpf_prog_jited, prog),
                frags=attempt(bpf.bpf_prog_has_frags, prog),
                load_time=attempt(bpf.bpf_prog_load_time, prog),
                uid=attempt(bpf.bpf_prog_uid, prog),
                expected_attach_type=attempt(bpf_prog_expected_attach_type, prog),
            )
        if link:
            return program._replace(via="link", link_id=attempt(bpf_link_id, link))
        return program

    def _xdp_mode(self, found: Found, mode: XdpMode) -> Optional[XdpProgram]:
        dev = self._layouts.dev(found.address)
        prog = netdev_xdp_prog(dev, mode)
        if not prog:
            return None
        link = netdev_xdp_link(dev, mode)
        if link:
            self.links[link.value_()] = (link, found.ref)
        return self._program(prog, link)

    def _xdp_queue(self, queue: int, raw: Any) -> XdpQueue:
        registered = lift(_is_registered, raw.reg_state)
        if not raw.xdp_prog and not raw.napi and not registered and not raw.tx_errors:
            return self._idle_xdp_queue(queue)
        prog_id: Maybe[Optional[int]] = None
        prog = raw.xdp_prog
        if isinstance(prog, Unreadable):
            prog_id = prog
        elif prog:
            program = Object(self._prog, self._prog.type("struct bpf_prog *"), prog)
            prog_id = self._program(program, None).id
        # As in veth_rq_has_napi().
        napi = raw.xdp_prog if raw.napi is None else raw.napi
        has_napi = napi if isinstance(napi, Unreadable) else napi != 0
        waiting: Maybe[bool] = False
        if has_napi is True:
            waiting = self._xdp_frame_waits(raw)
        return XdpQueue(
            queue,
            prog_id,
            has_napi,
            registered,
            raw.tx_errors,
            waiting,
            raw.rxq_index,
        )

    def _idle_xdp_queue(self, queue: int) -> XdpQueue:
        try:
            return self._idle_xdp_queues[queue]
        except KeyError:
            errors = 0 if self._layouts.counts_tx_errors else None
            idle = XdpQueue(queue, None, False, tx_errors=errors)
            self._idle_xdp_queues[queue] = idle
            return idle

    def _read_ring(self, head: int, size: int, ring: int) -> int:
        if not 0 <= head < size:
            raise ValueError(f"consumer_head is {head}, the ring has {size} entries")
        return self._prog.read_word(ring + head * self._layouts.pointer_size)

    def _next_in_ring(self, rq: Any) -> Maybe[int]:
        # ptr_ring: what is taken next, 0 if there is nothing. Only of a queue with
        # NAPI: another's pointer may lead to what was freed.
        return lift(self._read_ring, rq.consumer_head, rq.ring_size, rq.ring)

    def _xdp_frame_waits(self, rq: Any) -> Maybe[bool]:
        scheduled = lift(_is_scheduled, rq.napi_state)
        if scheduled is not False:
            return scheduled if isinstance(scheduled, Unreadable) else False
        # VETH_XDP_FLAG: an XDP frame, and not a packet.
        return lift(lambda entry: bool(entry & 1), self._next_in_ring(rq))

    def _queues(
        self, layout: Layout, first: Maybe[int], real: Maybe[int], dev: int
    ) -> Maybe[List[Any]]:
        # An array of queues, each of which names its device.
        if isinstance(first, Unreadable):
            return first
        if isinstance(real, Unreadable):
            return real
        if real == 1:  # The usual case.
            only = layout.read(first)
            if only.dev == dev:
                return [only]
        queues: List[Any] = []
        lost = 0
        for raw in layout.read_array(first, real):
            if isinstance(raw.dev, Unreadable):
                lost += 1
                if lost > _MOST_LOST_QUEUES:
                    return raw.dev
            elif raw.dev != dev:
                return Unreadable(
                    f"there are {real} queues, but number {len(queues)} is none of "
                    "this device's"
                )
            queues.append(raw)
        return queues

    def _veth_queues(
        self, found: Found, count: QueueCount
    ) -> Tuple[Maybe[Optional[List[Any]]], Maybe[Tuple[StaleProgram, ...]]]:
        # The queues in use, and the programs that are left in all others.
        rqs, (real, allocated) = found.veth_rqs, count
        if rqs is NO_VETH:
            return None, ()
        if rqs.__class__ is Unreadable:
            assert isinstance(rqs, Unreadable)
            return rqs, rqs
        layout = self._layouts.veth_rq
        if isinstance(real, Unreadable):
            return real, real
        if isinstance(allocated, Unreadable):
            return self._queues(layout, rqs, real, found.address), allocated
        if not 0 < real < allocated:
            return self._queues(layout, rqs, real, found.address), ()
        if allocated > _MOST_QUEUES:
            why = Unreadable(f"no veth has {allocated} queues")
            return self._queues(layout, rqs, real, found.address), why
        # All in one read: the others are few, and next to them.
        try:
            data = self._prog.read(rqs, layout.size * allocated)
            stale = self._stale_programs(layout, data, real)
        except Exception as e:
            if not is_read_error(e):
                raise
            why = Unreadable(reason(e))
            return self._queues(layout, rqs, real, found.address), why
        queues: List[Any] = []
        for i in range(real):
            raw = layout.decode(data, i * layout.size)
            if raw.dev != found.address:
                queues_or_why = self._queues(layout, rqs, real, found.address)
                if isinstance(queues_or_why, Unreadable):
                    return queues_or_why, queues_or_why
                return queues_or_why, stale
            queues.append(raw)
        return queues, stale

    @staticmethod
    def _stale_programs(
        layout: Layout, data: bytes, real: int
    ) -> Tuple[StaleProgram, ...]:
        if layout.is_zero("xdp_prog", data, real):
            return ()
        programs = layout.column("xdp_prog", data, real)
        return tuple(
            [StaleProgram(real + i, prog) for i, prog in enumerate(programs) if prog]
        )

    def _xdp(self, found: Found, raws: Maybe[Optional[List[Any]]]) -> Xdp:
        queues: Maybe[Optional[Tuple[XdpQueue, ...]]]
        if raws is None or isinstance(raws, Unreadable):
            queues = raws
        else:
            queues = tuple([self._xdp_queue(i, raw) for i, raw in enumerate(raws)])
            if any(queue.napi is True for queue in queues):
                self._add_napi(found, queues)
        no_xdp = self._layouts.no_xdp
        if no_xdp is not None and found.raw.xdp_state == no_xdp:
            return Xdp(None, None, None, queues)
        return Xdp(
            attempt(self._xdp_mode, found, XdpMode.SKB),
            attempt(self._xdp_mode, found, XdpMode.DRV),
            attempt(self._xdp_mode, found, XdpMode.HW),
            queues,
        )

    def _add_napi(self, found: Found, queues: Tuple[XdpQueue, ...]) -> None:
        self.with_napi.append(found.address)
        if "veth_poll" in self.functions:
            return
        first = next(queue.queue for queue in queues if queue.napi is True)
        dev = self._layouts.dev(found.address)
        poll = attempt(lambda: veth_rq_poll(veth_rqs(dev) + first))
        if not isinstance(poll, Unreadable):
            self.functions["veth_poll"] = poll

    def _rps_queue(self, i: int, raw: Any, first: int) -> RpsQueue:
        queue = Object(self._prog, self._rx_queue_pointer, first) + i
        return RpsQueue(
            i,
            attempt(lambda: rps_map_cpus(rx_queue_rps_map(queue))),
            attempt(rx_queue_rps_flow_entries, queue),
        )

    def _rx(
        self, found: Found, real: Maybe[int]
    ) -> Tuple[Maybe[Tuple[RpsQueue, ...]], Maybe[bool]]:
        # RPS of the RX queues, and whether one has a memory provider.
        first = found.raw.rx
        queues = self._queues(self._layouts.rx_queue, first, real, found.address)
        if isinstance(queues, Unreadable):
            return queues, queues
        provider: Maybe[bool] = False
        rps = False
        for raw in queues:
            # None, too: CONFIG_RPS=n, or before there were memory providers.
            if raw.mp_priv:
                bad = isinstance(raw.mp_priv, Unreadable)
                provider = raw.mp_priv if bad else True
            if raw.rps_map or raw.rps_flow_table:
                rps = True
        if not rps:
            return _no_rps(len(queues)), provider
        return tuple(
            [self._rps_queue(i, raw, first) for i, raw in enumerate(queues)]
        ), provider

    def _xps(self, found: Found, real: Maybe[int]) -> Maybe[Tuple[XpsQueue, ...]]:
        if isinstance(real, Unreadable):
            return real
        raw = found.raw
        if not raw.xps_cpus and not raw.xps_rxqs:  # None, too: CONFIG_XPS=n
            return _no_xps(real)
        dev = self._layouts.dev(found.address)
        cpus = attempt(netdev_xps_queues, dev, XPS_CPUS)
        rxqs = attempt(netdev_xps_queues, dev, XPS_RXQS)
        return tuple(
            [
                XpsQueue(
                    i,
                    cpus if isinstance(cpus, Unreadable) else cpus.get(i, ()),
                    rxqs if isinstance(rxqs, Unreadable) else rxqs.get(i, ()),
                )
                for i in range(real)
            ]
        )

    def _denied(
        self, layout: Layout, first: Maybe[int], count: int, dev: int
    ) -> Optional[Unreadable]:
        # Why a device cannot have as many queues: the last is none of its.
        if isinstance(first, Unreadable) or "dev" not in layout.offset or not count:
            return None
        last = first + (count - 1) * layout.size
        owner = attempt(self._prog.read_word, last + layout.offset["dev"])
        if owner == dev:
            return None
        if not isinstance(owner, Unreadable):
            return Unreadable(
                f"there are {count} queues, but the last one belongs to another device"
            )
        # An unreadable queue does not rule out an ordinary count.
        return owner if count > _MANY_QUEUES else None

    def _confirmed_count(
        self, layout: Layout, first: Maybe[int], count: QueueCount, dev: int
    ) -> QueueCount:
        real, allocated = count
        if isinstance(allocated, Unreadable):
            return count
        why = self._denied(layout, first, allocated, dev)
        if why is None:
            return count  # and with it the real ones, which are no more
        if not isinstance(real, Unreadable) and real != allocated:
            return QueueCount(self._denied(layout, first, real, dev) or real, why)
        return QueueCount(why, why)

    def _confirmed(self, found: Found, queues: Queues) -> Queues:
        # Counts are believed if the array of the queues does not deny them.
        raw, dev = found.raw, found.address
        rx = self._confirmed_count(self._layouts.rx_queue, raw.rx, queues.rx, dev)
        tx = self._confirmed_count(self._layouts.tx_queue, raw.tx, queues.tx, dev)
        if rx is queues.rx and tx is queues.tx:
            return queues
        return Queues(rx, tx)

    def _mac(self, raw: Any) -> Maybe[Optional[str]]:
        if not raw.addr_len:
            return None
        return lift(read_address, self._prog, raw.dev_addr, raw.addr_len, raw.type)

    def _driver(self, found: Found) -> Driver:
        dev = self._layouts.dev(found.address)
        name = attempt(netdev_driver_name, dev)
        ndo_bpf = attempt(lambda: netdev_op(dev, "ndo_bpf") != 0)
        if name == VIRTIO_NET_DRIVER and ndo_bpf is False:
            name = None  # net_failover is on the same parent.
        driver = Driver(
            name if name is None or isinstance(name, Unreadable) else decode(name),
            ndo_bpf,
            attempt(lambda: netdev_op(dev, "ndo_xdp_xmit") != 0),
            attempt(lambda: ethtool_op(dev, "set_channels") != 0),
        )
        for of_driver, op, function in _FUNCTIONS:
            if driver.name == of_driver:
                address = attempt(netdev_op, dev, op)
                if address and not isinstance(address, Unreadable):
                    self.functions[function] = address
        return driver

    def _shape(self, found: Found) -> _Shape:
        raw = found.raw
        key = (
            raw.real_rx,
            raw.num_rx,
            raw.real_tx,
            raw.num_tx,
            raw.flags,
            raw.gflags,
            raw.state,
            raw.operstate,
            raw.netdev_ops,
            raw.ethtool_ops,
            raw.rtnl_link_ops,
            # A device with a kind has it for its driver's name.
            0 if found.kind else raw.parent,
            raw.features,
            raw.wanted_features,
            raw.xdp_features,
        )
        try:
            return self._shapes[key]
        except KeyError:
            pass
        flags, operstate = _flags_and_operstate(
            raw.flags, raw.gflags, raw.state, raw.operstate, self._layouts.link_state
        )
        shape = self._shapes[key] = _Shape(
            Queues(
                _queue_count(raw.real_rx, raw.num_rx, "rx"),
                _queue_count(raw.real_tx, raw.num_tx, "tx"),
            ),
            flags,
            operstate,
            self._driver(found),
            Features(raw.features, raw.wanted_features, raw.xdp_features),
        )
        return shape

    def _references(
        self, walk: Callable[[Object], Iterable[Object]], found: Found
    ) -> Maybe[Tuple[DeviceRef, ...]]:
        dev = self._layouts.dev(found.address)
        addresses = attempt(lambda: [other.value_() for other in walk(dev)])
        if isinstance(addresses, Unreadable):
            return addresses
        references = []
        for address in addresses:
            reference = self._discovery.reference(address)
            if isinstance(reference, Unreadable):
                return reference
            if reference is None or address == found.address:
                return Unreadable("the list of its neighbours leads to none")
            references.append(reference)
        return tuple(references)

    def _veth(
        self, found: Found, stale: Maybe[Tuple[StaleProgram, ...]]
    ) -> Optional[Veth]:
        priv = found.veth
        if priv is None:
            if found.veth_rqs is NO_VETH:
                return None
            assert isinstance(found.veth_rqs, Unreadable)
            missing = found.veth_rqs
            return Veth(missing, missing, missing, missing)
        if not priv.dropped and not priv.xdp_prog and stale == ():
            return _IDLE_VETH
        return Veth(priv.dropped, priv.xdp_prog, stale)

    def _stopped_queue(self, queue: int, rq: Any) -> StoppedTxQueue:
        return StoppedTxQueue(
            queue,
            lift(operator.not_, self._next_in_ring(rq)),
            lift(_is_scheduled, rq.napi_state),
        )

    def stopped(
        self, device: Device, peer: Device
    ) -> Maybe[Tuple[StoppedTxQueue, ...]]:
        """
        Return the TX queues of a veth that wait for its peer's NAPI to wake them.

        :param peer: Its peer
        """
        real = device.queues.tx.real
        queues = peer.xdp.queues
        if isinstance(real, Unreadable) or real > _MOST_QUEUES:
            return ()
        if queues is None or isinstance(queues, Unreadable):
            return ()
        # A queue without NAPI has no ring.
        live = [queue.queue for queue in queues if queue.napi is True]
        if not live:
            return ()
        found = self._discovery.found[device.net_device]
        rqs = self._discovery.found[peer.net_device].veth_rqs
        first = found.raw.tx
        for value in (rqs, first):
            if isinstance(value, Unreadable):
                return value
        tx, rq = self._layouts.tx_queue, self._layouts.veth_rq
        try:
            states = tx.column("state", self._prog.read(first, tx.size * real))
        except Exception as e:
            if not is_read_error(e):
                raise
            return Unreadable(reason(e))
        return tuple(
            [
                self._stopped_queue(i, rq.read(rqs + i * rq.size))
                for i in live
                if i < real and states[i] & self._layouts.drv_xoff
            ]
        )

    def _bond(self, found: Found) -> Bond:
        dev = self._layouts.dev(found.address)
        return Bond(
            attempt(bond_mode, dev),
            attempt(bond_xmit_policy, dev),
            self._references(netdev_lowers, found),
        )

    def _tcp_data_split(self, found: Found) -> Maybe[bool]:
        dev = self._layouts.dev(found.address)
        # A driver that cannot be told so does not have it.
        if not ethtool_op(dev, "set_ringparam"):
            return False
        return netdev_tcp_data_split(dev) == _ETHTOOL_TCP_DATA_SPLIT_ENABLED

    def _of_driver(self, found: Found, device: Device) -> Device:
        # What only some drivers have, or only those of hardware.
        changes: Dict[str, Any] = {}
        if found.kind == b"bond":
            changes["bond"] = self._bond(found)
        elif device.driver.name == "virtio_net":
            dev = self._layouts.dev(found.address)
            changes["virtio_net"] = VirtioNet(attempt(virtio_net_features, dev))
        if device.driver.ndo_bpf is True:
            changes["tcp_data_split"] = attempt(self._tcp_data_split, found)
        return device._replace(**changes) if changes else device

    def device(self, found: Found) -> Device:
        """Return the record of a device."""
        raw = found.raw
        ref = found.ref
        kind = found.kind
        queues, flags, operstate, driver, features = self._shape(found)
        queues = rx, tx = self._confirmed(found, queues)
        rps, memory_provider = self._rx(found, rx.real)
        rqs, stale = self._veth_queues(found, rx)
        # By position, in the order of the record: with names this takes as long as
        # three of the values.
        device = Device(
            ref.netns,
            ref.ifindex,
            ref.name,
            self._altnames(found),
            self._alias(found) if raw.ifalias else None,
            found.address,
            kind if isinstance(kind, Unreadable) else _text_or_none(kind),
            flags,
            operstate,
            raw.mtu,
            raw.min_mtu,
            raw.max_mtu,
            self._mac(raw),
            self._discovery.reference(found.master),
            queues,
            self._discovery.reference(found.peer),
            self._xdp(found, rqs),
            rps,
            self._xps(found, tx.real),
            ref.off_list,
            driver,
            features,
            raw.hard_header_len,
            ()
            if raw.upper == found.address + self._layouts.upper
            else self._references(netdev_uppers, found),
            memory_provider,
            False,
            self._veth(found, stale),
        )
        if found.veth_rqs is NO_VETH:
            return self._of_driver(found, device)
        return device
