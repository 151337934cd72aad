# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The record of a device
----------------------

What was found of a device (:mod:`drgn_veth.discovery`) tells at once what it does not
have (XDP, XPS, an alias); what it has is asked of the readers.
"""

import functools
from typing import Any, Dict, List, Optional, Tuple

from drgn import Object

from . import bpf
from .discovery import NO_VETH, Discovery, Found, lift
from .errors import attempt
from .layout import Layout
from .layouts import Layouts
from .model import (
    Device,
    Maybe,
    QueueCount,
    Queues,
    RpsQueue,
    Unreadable,
    Xdp,
    XdpProgram,
    XdpQueue,
    XpsQueue,
)
from .netdev import (
    LinkState,
    flags_from,
    for_each_altname,
    netdev_alias,
    netdev_flag_names,
    operstate_from,
    read_address,
)
from .queues import checked_count
from .rps import rps_map_cpus, rx_queue_rps_flow_entries, rx_queue_rps_map
from .text import decode
from .xdp import XdpMode, bpf_link_id, netdev_xdp_link, netdev_xdp_prog
from .xps import XPS_CPUS, XPS_RXQS, netdev_xps_queues

__all__ = ("DeviceRecords",)

# More of them that cannot be read are one thing that cannot be read.
_MOST_LOST_QUEUES = 256
# So many TX queues are looked for before they are believed.
_MANY_QUEUES = 256


# Many devices have the same: what is computed of numbers alone is computed once, and
# they share the records.


@functools.lru_cache(maxsize=4096)
def _queue_count(real: Maybe[int], allocated: Maybe[int], what: str) -> QueueCount:
    checked = lift(checked_count, real, allocated, what)
    if not isinstance(checked, Unreadable):
        return QueueCount(checked, allocated)
    return QueueCount(checked, lift(checked_count, allocated, allocated, what))


@functools.lru_cache(maxsize=4096)
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
        if not found.raw.ifalias:
            return None
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
            )
        if link:
            return program._replace(via="link", link_id=attempt(bpf_link_id, link))
        return program

    def _xdp_mode(self, found: Found, mode: XdpMode) -> Optional[XdpProgram]:
        dev = self._layouts.dev(found.address)
        prog = netdev_xdp_prog(dev, mode)
        if not prog:
            return None
        return self._program(prog, netdev_xdp_link(dev, mode))

    def _xdp_queue(self, queue: int, raw: Any) -> XdpQueue:
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
        return XdpQueue(queue, prog_id, has_napi)

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

    def _xdp_queues(
        self, found: Found, real: Maybe[int]
    ) -> Maybe[Optional[Tuple[XdpQueue, ...]]]:
        rqs = found.veth_rqs
        if rqs is NO_VETH:
            return None
        if isinstance(rqs, Unreadable):
            return rqs
        queues = self._queues(self._layouts.veth_rq, rqs, real, found.address)
        if isinstance(queues, Unreadable):
            return queues
        return tuple([self._xdp_queue(i, raw) for i, raw in enumerate(queues)])

    def _xdp(self, found: Found, real_rx: Maybe[int]) -> Xdp:
        queues = self._xdp_queues(found, real_rx)
        state = found.raw.xdp_state
        if state == self._layouts.no_xdp:
            return Xdp(None, None, None, queues)
        return Xdp(
            attempt(self._xdp_mode, found, XdpMode.SKB),
            attempt(self._xdp_mode, found, XdpMode.DRV),
            attempt(self._xdp_mode, found, XdpMode.HW),
            queues,
        )

    def _rps_queue(self, i: int, raw: Any, first: int) -> RpsQueue:
        queue = Object(self._prog, self._rx_queue_pointer, first) + i
        return RpsQueue(
            i,
            attempt(lambda: rps_map_cpus(rx_queue_rps_map(queue))),
            attempt(rx_queue_rps_flow_entries, queue),
        )

    def _rps(self, found: Found, real: Maybe[int]) -> Maybe[Tuple[RpsQueue, ...]]:
        first = found.raw.rx
        queues = self._queues(self._layouts.rx_queue, first, real, found.address)
        if isinstance(queues, Unreadable):
            return queues
        # None, too: CONFIG_RPS=n.
        if not any(raw.rps_map or raw.rps_flow_table for raw in queues):
            return _no_rps(len(queues))
        return tuple([self._rps_queue(i, raw, first) for i, raw in enumerate(queues)])

    def _xps(self, found: Found, real: Maybe[int]) -> Maybe[Tuple[XpsQueue, ...]]:
        if isinstance(real, Unreadable):
            return real
        raw = found.raw
        if real > _MANY_QUEUES:
            last = self._last_tx_queue(found, real)
            if last is not None:
                return last
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

    def _last_tx_queue(self, found: Found, real: int) -> Optional[Unreadable]:
        # Why there cannot be so many.
        first = found.raw.tx
        if isinstance(first, Unreadable):
            return first
        last = self._layouts.tx_queue.read(
            first + (real - 1) * self._layouts.tx_queue.size
        ).dev
        if isinstance(last, Unreadable):
            return last
        if last != found.address:
            return Unreadable(f"there are {real} queues, but the last is none of its")
        return None

    def _mac(self, raw: Any) -> Maybe[Optional[str]]:
        if not raw.addr_len:
            return None
        return lift(read_address, self._prog, raw.dev_addr, raw.addr_len, raw.type)

    def device(self, found: Found) -> Device:
        """Return the record of a device."""
        raw = found.raw
        ref = found.ref
        kind = found.kind
        rx = _queue_count(raw.real_rx, raw.num_rx, "rx")
        tx = _queue_count(raw.real_tx, raw.num_tx, "tx")
        flags, operstate = _flags_and_operstate(
            raw.flags, raw.gflags, raw.state, raw.operstate, self._layouts.link_state
        )
        # By position, in the order of the record: with names this takes as long as
        # three of the values.
        return Device(
            ref.netns,
            ref.ifindex,
            ref.name,
            self._altnames(found),
            self._alias(found),
            found.address,
            kind if isinstance(kind, Unreadable) else _text_or_none(kind),
            flags,
            operstate,
            raw.mtu,
            raw.min_mtu,
            raw.max_mtu,
            self._mac(raw),
            self._discovery.reference(found.master),
            Queues(rx, tx),
            self._discovery.reference(found.peer),
            self._xdp(found, rx.real),
            self._rps(found, rx.real),
            self._xps(found, tx.real),
            ref.off_list,
        )
