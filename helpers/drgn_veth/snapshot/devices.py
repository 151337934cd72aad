# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The record of a device
----------------------

The discovery (:mod:`drgn_veth.snapshot.discover`) has read the members of each device.
They show which features a device does not use (XDP, XPS, an alias): only for the others
are the readers called.
"""

from collections.abc import Collection, Sequence
import functools
from typing import NamedTuple, Optional

from drgn import Object

from ..core.errors import attempt
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import (
    Device,
    Driver,
    Features,
    QueueCount,
    Queues,
    RpsQueue,
    StaleProgram,
    Veth,
    Xdp,
    XdpQueue,
    XpsQueue,
)
from ..readers.adjacent import netdev_for_each_lower_dev, netdev_for_each_upper_dev
from ..readers.link_state import (
    LinkState,
    flags_from,
    netdev_flag_names,
    operstate_from,
)
from ..readers.netdev import read_address
from ..readers.netdev_names import for_each_altname, netdev_alias
from ..readers.queues import checked_count
from ..readers.reg_state import reg_state_from
from ..readers.rps import rps_map_cpus, rx_queue_rps_flow_entries, rx_queue_rps_map
from ..readers.unregister import (
    NETREG_UNREGISTERED,
    NETREG_UNREGISTERING,
    netdev_refcnt_read,
)
from ..readers.veth import VethRq, veth_rq_poll, veth_rqs
from ..readers.xdp import XdpMode
from ..readers.xps import XPS_CPUS, XPS_RXQS, netdev_xps_queues
from .addresses import Addresses
from .bridge_ports import BridgePorts
from .discover import Discovery
from .driver import Drivers
from .found import NO_VETH, Found
from .layouts import Layouts, NetDevice, RxQueue
from .qdiscs import Qdiscs
from .queue_arrays import confirmed_count, confirmed_queues
from .traits import traits, xsk_queues
from .veth_queues import VethQueues
from .xdp_programs import XdpPrograms

__all__ = ("DeviceRecords",)

# Many devices have the same numbers. What depends on numbers alone is computed once,
# and these devices share the record.


class _Shape(NamedTuple):
    # What a device has in common with many others.
    queues: Queues
    flags: Maybe[tuple[str, ...]]
    operstate: Maybe[str]
    reg_state: Maybe[str]
    driver: Driver
    features: Features


def _queue_count(real: Maybe[int], allocated: Maybe[int], what: str) -> QueueCount:
    checked = attempt(checked_count, real, allocated, what)
    if not isinstance(checked, Unreadable):
        return QueueCount(checked, allocated)
    return QueueCount(checked, attempt(checked_count, allocated, allocated, what))


def _flags_and_operstate(
    flags: Maybe[int],
    gflags: Maybe[int],
    state: Maybe[int],
    operstate: Maybe[int],
    masks: LinkState,
) -> tuple[Maybe[tuple[str, ...]], Maybe[str]]:
    told = attempt(flags_from, flags, gflags, state, operstate, masks)
    return (
        told if isinstance(told, Unreadable) else netdev_flag_names(told),
        attempt(operstate_from, operstate, state, masks),
    )


@functools.lru_cache(maxsize=256)
def _no_rps(real: int) -> tuple[RpsQueue, ...]:
    return tuple([RpsQueue(i, (), 0) for i in range(real)])


@functools.lru_cache(maxsize=256)
def _no_xps(real: int) -> tuple[XpsQueue, ...]:
    return tuple([XpsQueue(i, (), ()) for i in range(real)])


_FREED_NAMES = (NETREG_UNREGISTERING, NETREG_UNREGISTERED)

_IDLE_VETH = Veth(0, 0)


def _text_or_none(text: bytes) -> Optional[str]:
    return decode(text) if text else None


class DeviceRecords:
    """
    Makes the records of devices.

    :param discovery: Where they were found, and which devices refer to which
    """

    def __init__(self, layouts: Layouts, discovery: Discovery) -> None:
        self._layouts = layouts
        self._prog = layouts.prog
        self._discovery = discovery
        self._rx_queue_pointer = self._prog.type("struct netdev_rx_queue *")
        self._shapes: dict[tuple[object, ...], _Shape] = {}
        #: The attached programs, and the links that hold them.
        self.programs = XdpPrograms(self._prog)
        self._veth_queues = VethQueues(layouts, self.programs)
        self._drivers = Drivers(layouts)
        self._addresses = Addresses(self._prog, discovery.found)
        self._bridge_ports = BridgePorts(layouts)
        self._qdiscs = Qdiscs(self._prog, discovery.found)
        self._as_found = self._addresses, self._qdiscs
        #: Functions of drivers that have devices, by name.
        self.functions = self._drivers.functions
        #: Veths with NAPI on some queue: their peers can wait for it.
        self.with_napi: list[int] = []

    def again(self, changed: Optional[Sequence[Found]]) -> None:
        """
        Prepare for making the records of some devices of a running kernel.

        :param changed: What was read of them last, if they are not as they were found:
            nothing that is known of them counts any longer
        """
        # Another program may be at an address now.
        self.programs.forget()
        if changed is None:
            self._addresses, self._qdiscs = self._as_found
            return
        found = {one.address: one for one in changed}
        self.programs.forget_links(found)
        self._addresses = self._as_found[0].of_these(found)
        self._qdiscs = Qdiscs(self._prog, found)

    def distrust(self) -> None:
        """Forget what devices have in common: one changed while it was read."""
        self._shapes.clear()

    def keep(self, addresses: Collection[int]) -> None:
        """Forget what is known of all devices but some."""
        self.programs.keep_links(addresses)
        self.with_napi[:] = [
            at for at in dict.fromkeys(self.with_napi) if at in addresses
        ]

    def _altnames(self, found: Found) -> Maybe[tuple[str, ...]]:
        names = self._altnames_there(found)
        # unregister_netdevice_many() frees them before anything else leaves the device.
        if isinstance(names, Unreadable) and found.raw.reg_state in _FREED_NAMES:
            return ()
        return names

    def _altnames_there(self, found: Found) -> Maybe[tuple[str, ...]]:
        node = found.raw.name_node
        if isinstance(node, Unreadable):
            return node
        if not node or self._layouts.name_node is None:
            return ()
        ring = node + self._layouts.altnames
        if attempt(self._prog.read_word, ring) == ring:
            return ()
        dev = self._layouts.dev(found.address)
        return attempt(lambda: tuple([decode(name) for name in for_each_altname(dev)]))

    def _alias(self, found: Found) -> Maybe[Optional[str]]:
        dev = self._layouts.dev(found.address)
        return attempt(lambda: _text_or_none(netdev_alias(dev)))

    def _xdp(self, found: Found, raws: Maybe[Optional[list[VethRq]]]) -> Xdp:
        queues: Maybe[Optional[tuple[XdpQueue, ...]]]
        if raws is None or isinstance(raws, Unreadable):
            queues = raws
        else:
            record = self._veth_queues.record
            queues = tuple([record(i, raw) for i, raw in enumerate(raws)])
            for queue in queues:
                if queue.napi is True:
                    self._add_napi(found, queue.queue)
                    break
        no_xdp = self._layouts.no_xdp
        if no_xdp is not None and found.raw.xdp_state == no_xdp:
            return Xdp(None, None, None, queues)
        dev = self._layouts.dev(found.address)
        generic, driver, offload = (
            attempt(self.programs.attached, dev, mode, found.ref) for mode in XdpMode
        )
        return Xdp(generic, driver, offload, queues)

    def _add_napi(self, found: Found, queue: int) -> None:
        self.with_napi.append(found.address)
        if "veth_poll" in self.functions:
            return
        dev = self._layouts.dev(found.address)
        poll = attempt(lambda: veth_rq_poll(veth_rqs(dev) + queue).value_())
        if not isinstance(poll, Unreadable):
            self.functions["veth_poll"] = poll

    def _rps_queue(self, first: Object, i: int) -> RpsQueue:
        queue = first + i
        return RpsQueue(
            i,
            attempt(lambda: rps_map_cpus(rx_queue_rps_map(queue))),
            attempt(rx_queue_rps_flow_entries, queue),
        )

    def _rx(
        self, first: Maybe[int], queues: Maybe[list[RxQueue]]
    ) -> tuple[Maybe[tuple[RpsQueue, ...]], Maybe[bool]]:
        # RPS of the RX queues, and whether one has a memory provider.
        if isinstance(queues, Unreadable):
            return queues, queues
        provider: Maybe[bool] = False
        rps = False
        for raw in queues:
            # None, too: CONFIG_RPS=n, or before there were memory providers.
            if raw.mp_priv:
                provider = raw.mp_priv if isinstance(raw.mp_priv, Unreadable) else True
            if raw.rps_map or raw.rps_flow_table:
                rps = True
        if not rps:
            return _no_rps(len(queues)), provider
        array = Object(self._prog, self._rx_queue_pointer, first)
        return tuple([self._rps_queue(array, i) for i in range(len(queues))]), provider

    def _xps(self, found: Found, real: Maybe[int]) -> Maybe[tuple[XpsQueue, ...]]:
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

    def _mac(self, raw: NetDevice) -> Maybe[Optional[str]]:
        if not raw.addr_len:
            return None
        return attempt(read_address, self._prog, raw.dev_addr, raw.addr_len, raw.type)

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
            raw.reg_state,
            raw.netdev_ops,
            raw.ethtool_ops,
            raw.rtnl_link_ops,
            # If a device has a kind, that is the name of its driver.
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
            attempt(reg_state_from, raw.reg_state, self._layouts.reg_states),
            self._drivers.record(found),
            Features(raw.features, raw.wanted_features, raw.xdp_features),
        )
        return shape

    def _veth(
        self, found: Found, stale: Maybe[tuple[StaleProgram, ...]]
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

    def device(self, found: Found) -> Device:
        """Return the record of a device."""
        raw = found.raw
        ref = found.ref
        kind = found.kind
        queues, flags, operstate, reg_state, driver, features = self._shape(found)
        # Counts are believed if the array of the queues does not deny them.
        layouts, address = self._layouts, found.address
        rx, rx_queues = confirmed_queues(layouts.rx_queue, raw.rx, queues.rx, address)
        tx = confirmed_count(layouts.tx_queue, raw.tx, queues.tx, address)
        if rx is not queues.rx or tx is not queues.tx:
            queues = Queues(rx, tx)
        rps, memory_provider = self._rx(raw.rx, rx_queues)
        rqs, stale = self._veth_queues.read(found, rx)
        device = Device(
            netns=ref.netns,
            ifindex=ref.ifindex,
            name=ref.name,
            altnames=self._altnames(found),
            alias=self._alias(found) if raw.ifalias else None,
            net_device=address,
            kind=kind if isinstance(kind, Unreadable) else _text_or_none(kind),
            flags=flags,
            operstate=operstate,
            reg_state=reg_state,
            mtu=raw.mtu,
            min_mtu=raw.min_mtu,
            max_mtu=raw.max_mtu,
            mac=self._mac(raw),
            qdisc=self._qdiscs.id(raw.qdisc),
            addresses=self._addresses.of(address),
            master=self._discovery.reference(found.master),
            lowers=()
            if raw.lower == address + layouts.lower
            else self._discovery.references(netdev_for_each_lower_dev, found),
            uppers=()
            if raw.upper == address + layouts.upper
            else self._discovery.references(netdev_for_each_upper_dev, found),
            queues=queues,
            peer=self._discovery.reference(found.peer),
            xdp=self._xdp(found, rqs),
            rps=rps,
            xps=self._xps(found, tx.real),
            bridge_port=self._bridge_ports.record(address, raw),
            off_list=ref.off_list,
            driver=driver,
            features=features,
            hard_header_len=raw.hard_header_len,
            memory_provider=memory_provider,
            netns_label=ref.label,
            type=raw.type,
            veth=self._veth(found, stale),
            refcount=None
            if ref.off_list is None
            else attempt(netdev_refcnt_read, layouts.dev(address)),
            traits=traits(layouts, raw, address),
            xsk_queues=xsk_queues(layouts, raw, queues, rx_queues),
        )
        if found.veth_rqs is NO_VETH:
            return self._drivers.complete(found, device)
        return device
