# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The Snapshot
------------

One pass over all namespaces into plain records (:mod:`drgn_veth.model`). A value
that cannot be read becomes an :class:`~drgn_veth.model.Unreadable` in its place
and nothing else is lost.

Each struct is read once, by its :class:`~drgn_veth.layout.Layout`. That tells at
once what most devices do not have (XDP, XPS, a master, an alias); what a device
has is left to the readers.
"""

import contextlib
import functools
import gc
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    TypeVar,
    Union,
)

from drgn import Object, Program, Type, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from . import bpf
from .errors import READ_ERRORS, attempt, is_read_error, reason
from .layout import Layout
from .model import (
    Device,
    DeviceRef,
    Maybe,
    Namespace,
    Pair,
    QueueCount,
    Queues,
    RpsQueue,
    Snapshot,
    Unreadable,
    Xdp,
    XdpProgram,
    XdpQueue,
    XpsQueue,
    device_place,
)
from .netdev import (
    LinkState,
    flags_from,
    for_each_altname,
    link_state_masks,
    netdev_alias,
    netdev_flag_names,
    netdev_kind,
    netdev_master,
    operstate_from,
    read_address,
)
from .netns import (
    for_each_net_bounded,
    net_inum,
    net_is_dying,
    net_is_init,
    netdev_net,
)
from .peer import netdev_peer
from .queues import checked_count
from .rps import rps_map_cpus, rx_queue_rps_flow_entries, rx_queue_rps_map
from .target import read_target
from .text import decode
from .veth import VETH_KIND, veth_peer, veth_priv
from .walk import bounded_list
from .xdp import XdpMode, bpf_link_id, netdev_xdp_link, netdev_xdp_prog
from .xps import XPS_CPUS, XPS_RXQS, netdev_xps_queues

__all__ = ("take_snapshot",)

T = TypeVar("T")

# Peers that are on no list can lead to more of their kind; a dump that is
# damaged must not make us follow chains of them.
_MAX_OFF_LIST = 1 << 16

_REG_STATES = {
    0: "not registered yet",
    2: "unregistering",
    3: "unregistered",
    4: "released",
    5: "a dummy",
}
_NETREG_REGISTERED = 1

_NET_DEVICE: Mapping[str, Union[str, Sequence[str]]] = {
    "next": "dev_list.next",
    "prev": "dev_list.prev",
    "net": "nd_net.net",
    "ifindex": "ifindex",
    "name": "name",
    "name_node": "name_node",
    "ifalias": "ifalias",
    "rtnl_link_ops": "rtnl_link_ops",
    "flags": "flags",
    "gflags": "gflags",
    "state": "state",
    "operstate": "operstate",
    "reg_state": "reg_state",
    "mtu": "mtu",
    "min_mtu": "min_mtu",
    "max_mtu": "max_mtu",
    "type": "type",
    "addr_len": "addr_len",
    "dev_addr": "dev_addr",
    "upper": "adj_list.upper.next",
    "rx": "_rx",
    "tx": "_tx",
    "num_rx": "num_rx_queues",
    "real_rx": "real_num_rx_queues",
    "num_tx": "num_tx_queues",
    "real_tx": "real_num_tx_queues",
    "xdp_state": "xdp_state",
    # As in drgn_veth.xps.
    "xps_cpus": ("xps_maps[0]", "xps_cpus_map"),
    "xps_rxqs": ("xps_maps[1]", "xps_rxqs_map"),
}
_RX_QUEUE = {
    "dev": "dev",
    "rps_map": "rps_map",
    "rps_flow_table": "rps_flow_table",
}
_TX_QUEUE = {"dev": "dev"}
_VETH_PRIV = {"peer": "peer", "rq": "rq"}
_VETH_RQ = {"dev": "dev", "xdp_prog": "xdp_prog", "napi": "napi"}
_NAME_NODE = {"next": "list.next"}

# More of them that cannot be read are one thing that cannot be read.
_MOST_LOST_QUEUES = 256
# So many TX queues are looked for before they are believed.
_MANY_QUEUES = 256

# Why a veth's queues are not asked of other devices; never shown.
_NO_VETH = Unreadable("not a veth")


class _Found(NamedTuple):
    # A device that some walk or pointer led to, and all that its own memory
    # says: read at once, while its page is at hand.
    address: int
    raw: Any  # _NET_DEVICE
    ref: DeviceRef
    kind: Maybe[bytes]
    peer: Maybe[int]
    master: Maybe[int]
    veth_rqs: Maybe[int]


def _lift(function: Callable[..., T], *values: Any) -> Maybe[T]:
    # What a function gives, or why one of its arguments could not be read.
    for value in values:
        if value.__class__ is Unreadable:
            return value
    return attempt(function, *values)


# Many devices have the same: what is computed of numbers alone is computed once, and
# they share the records.


@functools.lru_cache(maxsize=4096)
def _queue_count(real: Maybe[int], allocated: Maybe[int], what: str) -> QueueCount:
    checked = _lift(checked_count, real, allocated, what)
    if not isinstance(checked, Unreadable):
        return QueueCount(checked, allocated)
    return QueueCount(checked, _lift(checked_count, allocated, allocated, what))


@functools.lru_cache(maxsize=4096)
def _flags_and_operstate(
    flags: Maybe[int],
    gflags: Maybe[int],
    state: Maybe[int],
    operstate: Maybe[int],
    masks: LinkState,
) -> Tuple[Maybe[Tuple[str, ...]], Maybe[str]]:
    told = _lift(flags_from, flags, gflags, state, operstate, masks)
    return (
        told if isinstance(told, Unreadable) else netdev_flag_names(told),
        _lift(operstate_from, operstate, state, masks),
    )


@functools.lru_cache(maxsize=256)
def _no_rps(real: int) -> Tuple[RpsQueue, ...]:
    return tuple([RpsQueue(i, (), 0) for i in range(real)])


@functools.lru_cache(maxsize=256)
def _no_xps(real: int) -> Tuple[XpsQueue, ...]:
    return tuple([XpsQueue(i, (), ()) for i in range(real)])


def _string(array: bytes) -> str:
    return decode(array.partition(b"\0")[0])


def _text_or_none(text: bytes) -> Optional[str]:
    return decode(text) if text else None


def _sort_key(ref: Union[DeviceRef, Device]) -> Tuple[bool, int, bool, int]:
    netns, ifindex = ref.netns, ref.ifindex
    return (
        isinstance(netns, Unreadable),
        0 if isinstance(netns, Unreadable) else netns,
        isinstance(ifindex, Unreadable),
        0 if isinstance(ifindex, Unreadable) else ifindex,
    )


def _type_layout(prog: Program, type: Type, members: Mapping[str, Any]) -> Layout:
    # Types that are not the same object may still be of one name: a program can
    # get more symbols while it is looked at.
    key = f"drgn_veth.layout.{type.type_name()}.{type.size}"
    try:
        return prog.cache[key]
    except KeyError:
        layout = prog.cache[key] = Layout(prog, type, members)
        return layout


@contextlib.contextmanager
def _without_gc() -> Iterator[None]:
    # Thousands of records and not one cycle: the collector would go over all of
    # them again and again.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Pass:
    """One pass: what it has found, and what it need not ask twice."""

    def __init__(self, prog: Program) -> None:
        self.prog = prog
        self.found: Dict[int, _Found] = {}
        self.incomplete: List[Tuple[str, str]] = []
        # Namespaces whose list of devices could not be walked in whole.
        self._broken: Set[int] = set()
        # Pointers to what is no device, and why not.
        self._astray: Dict[int, Unreadable] = {}
        self._kinds: Dict[int, Maybe[bytes]] = {}
        self._programs: Dict[int, XdpProgram] = {}
        net_device = prog.type("struct net_device")
        self._pointer = prog.pointer_type(net_device)
        self._net_pointer = prog.type("struct net *")
        self._net_device = self._layout(net_device, _NET_DEVICE)
        self._node = offsetof(net_device, "dev_list")
        self._upper = offsetof(net_device, "adj_list.upper")
        rx_queue = prog.type("struct netdev_rx_queue")
        self._rx_queue_pointer = prog.pointer_type(rx_queue)
        self._rx_queue = self._layout(rx_queue, _RX_QUEUE)
        tx_queue = prog.type("struct netdev_queue")
        self._tx_queue = self._layout(tx_queue, _TX_QUEUE)
        self._masks = link_state_masks(prog)
        self._no_xdp = b""
        with contextlib.suppress(LookupError):  # Before v5.9.
            self._no_xdp = bytes(sizeof(net_device.member("xdp_state").type))
        self._name_node: Optional[Layout] = None
        self._altnames_node = 0
        # Since Linux kernel commit ff92741270bf ("net: introduce name_node
        # struct to be used in hashlist") (in v5.5). Before, no altnames.
        try:
            name_node = prog.type("struct netdev_name_node")
        except LookupError:
            pass
        else:
            self._name_node = self._layout(name_node, _NAME_NODE)
            self._altnames_node = offsetof(name_node, "list")
        self._veth_priv: Optional[Layout] = None
        self._no_veth_priv = Unreadable("")
        self._whole = self._net_device.size
        no_device = self._dev(0)
        try:
            priv = veth_priv(no_device)
            self._rq = self._layout(prog.type("struct veth_rq"), _VETH_RQ)
        except READ_ERRORS as e:
            self._no_veth_priv = Unreadable(reason(e))
        else:
            self._veth_priv = self._layout(priv.type_.type, _VETH_PRIV)
            self._priv_offset = priv.value_()
            # Read together: the private data begins where the device ends.
            self._whole = self._priv_offset + self._veth_priv.size

    def _layout(self, type: Type, members: Mapping[str, Any]) -> Layout:
        return _type_layout(self.prog, type, members)

    def _dev(self, address: int) -> Object:
        return Object(self.prog, self._pointer, address)

    # Finding devices

    def _walk(self, what: str, walk: Iterable[T]) -> Iterator[T]:
        # The exception comes after all that could be reached.
        try:
            yield from walk
        except Exception as e:
            if not is_read_error(e):
                raise
            self.incomplete.append((what, reason(e)))

    def _read_device(self, address: int) -> Tuple[Any, Any]:
        # The device, and the private data behind it if it is a veth's.
        try:
            data = self.prog.read(address, self._whole)
        except Exception:  # Whatever it was, it will be said of each member.
            return self._net_device.read(address), None
        raw = self._net_device.decode(data)
        if self._veth_priv is None or self._kind(raw, address) != VETH_KIND:
            return raw, None
        return raw, self._veth_priv.decode(data, self._priv_offset)

    def _read_node(
        self, node: int, owner: int
    ) -> Tuple[Maybe[int], Maybe[int], Tuple[int, Any, Any]]:
        address = node - self._node
        raw, priv = self._read_device(address)
        item = (address, raw, priv)
        # On a live kernel a device may be moved under the walk, and the list then
        # goes on in its new namespace.
        if isinstance(raw.net, int) and raw.net != owner:
            astray = Unreadable(
                f"the list leads into another namespace at {address:#x}"
            )
            return astray, astray, item
        return raw.next, raw.prev, item

    def _devices_of(
        self, net: Object, inum: Maybe[int], off_list: Optional[str]
    ) -> int:
        where = "?" if isinstance(inum, Unreadable) else str(inum)
        what = f"devices of namespace {where}"
        count = 0
        owner = net.value_()
        head = net.dev_base_head
        walk = bounded_list(
            head.address_of_().value_(),
            attempt(lambda: head.next.value_()),
            attempt(lambda: head.prev.value_()),
            lambda node: self._read_node(node, owner),
        )
        problems = len(self.incomplete)
        for address, raw, priv in self._walk(what, walk):
            if address not in self.found:
                self._add(address, raw, priv, inum, off_list)
                count += 1
        if len(self.incomplete) > problems:
            self._broken.add(owner)
        return count

    def _kind(self, raw: Any, address: int) -> Maybe[bytes]:
        ops = raw.rtnl_link_ops
        try:
            return self._kinds[ops]
        except KeyError:
            kind = attempt(netdev_kind, self._dev(address))
            self._kinds[ops] = kind
            return kind

    def _veth(self, address: int, priv: Any) -> Tuple[Maybe[int], Maybe[int]]:
        # Peer and receive queues of a veth.
        if self._veth_priv is None:
            dev = self._dev(address)
            peer = attempt(lambda: veth_peer(dev).value_())
            return peer, self._no_veth_priv
        if priv is None:
            priv = self._veth_priv.read(address + self._priv_offset)
        return priv.peer, priv.rq

    def _add(
        self,
        address: int,
        raw: Any,
        priv: Any,
        inum: Maybe[int],
        off_list: Optional[str],
    ) -> None:
        name = _lift(_string, raw.name)
        ref = DeviceRef(inum, raw.ifindex, name, address, off_list)
        kind = self._kind(raw, address)
        peer: Maybe[int] = 0
        master: Maybe[int] = 0
        rqs: Maybe[int] = _NO_VETH
        if isinstance(kind, Unreadable):
            peer = kind
        elif kind == VETH_KIND:
            peer, rqs = self._veth(address, priv)
        elif kind:
            peer = attempt(lambda: netdev_peer(self._dev(address), kind).value_())
        if raw.upper != address + self._upper:
            master = attempt(lambda: netdev_master(self._dev(address)).value_())
        self.found[address] = _Found(address, raw, ref, kind, peer, master, rqs)

    def namespaces(self) -> List[Namespace]:
        """Find all namespaces, and all devices in them or tied to these."""
        listed: Dict[int, Maybe[int]] = {}
        namespaces = []
        for net in self._walk("namespaces", for_each_net_bounded(self.prog)):
            inum = attempt(net_inum, net)
            listed[net.value_()] = inum
            count = self._devices_of(net, inum, None)
            init = attempt(net_is_init, net)
            namespaces.append(Namespace(inum, init is True, count))
        # A peer may be where no list leads; and it may lead further.
        limit = len(self.found) + _MAX_OFF_LIST
        unseen = list(self.found.values())
        while unseen and len(self.found) <= limit:
            before = len(self.found)
            for found in unseen:
                peer = found.peer
                if isinstance(peer, int) and peer and peer not in self.found:
                    self._follow(found, peer, listed, namespaces)
            unseen = list(self.found.values())[before:]
        return namespaces

    def _follow(
        self,
        found: _Found,
        peer: int,
        listed: Dict[int, Maybe[int]],
        namespaces: List[Namespace],
    ) -> None:
        raw, priv = self._read_device(peer)
        # A stray pointer makes no device: a peer has this one for its peer, and is of
        # its kind; unless that is what cannot be read.
        back = attempt(lambda: netdev_peer(self._dev(peer)).value_())
        ops = raw.rtnl_link_ops
        lost = isinstance(ops, Unreadable) or ops == found.raw.rtnl_link_ops
        if back != found.address and not (lost and isinstance(back, Unreadable)):
            self._astray[peer] = Unreadable(
                f"what is at {peer:#x} does not have this device for its peer"
            )
            return
        net = attempt(netdev_net, self._dev(peer))
        if isinstance(net, Unreadable) or net is None:
            return
        owner = net.value_()
        if owner not in listed:
            inum = attempt(net_inum, net)
            dying = attempt(net_is_dying, net) is True
            off_list = "netns is dying" if dying else "netns is on no list"
            listed[owner] = inum
            count = self._devices_of(net, inum, off_list)
            namespaces.append(Namespace(inum, False, count, dying))
        if peer not in self.found:
            state = raw.reg_state
            if owner in self._broken:
                off_list = "on a broken list"
            elif isinstance(state, Unreadable) or state == _NETREG_REGISTERED:
                off_list = "on no list, as while it is moved"
            else:
                off_list = _REG_STATES.get(state, f"reg_state is {state}")
            self._add(peer, raw, priv, listed[owner], off_list)

    # Asking one device

    def _reference(self, address: Maybe[int]) -> Maybe[Optional[DeviceRef]]:
        # A device as another one names it.
        if isinstance(address, Unreadable):
            return address
        if not address:
            return None
        try:
            return self.found[address].ref
        except KeyError:
            pass
        if address in self._astray:
            return self._astray[address]
        # On no list, and nothing of ours led to it as a peer: a master, or a peer
        # whose namespace cannot be read.
        raw = self._net_device.read(address)
        if isinstance(raw.ifindex, Unreadable):
            return raw.ifindex
        inum: Maybe[int] = Unreadable("it names no network namespace")
        if isinstance(raw.net, int) and raw.net:
            inum = attempt(net_inum, Object(self.prog, self._net_pointer, raw.net))
        return DeviceRef(
            inum,
            raw.ifindex,
            _lift(_string, raw.name),
            address,
            "on no list",
        )

    def _altnames(self, found: _Found) -> Maybe[Tuple[str, ...]]:
        node = found.raw.name_node
        if isinstance(node, Unreadable):
            return node
        if not node or self._name_node is None:
            return ()
        if self._name_node.read(node).next == node + self._altnames_node:
            return ()
        dev = self._dev(found.address)
        return attempt(lambda: tuple([decode(name) for name in for_each_altname(dev)]))

    def _alias(self, found: _Found) -> Maybe[Optional[str]]:
        if not found.raw.ifalias:
            return None
        dev = self._dev(found.address)
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

    def _xdp_mode(self, found: _Found, mode: XdpMode) -> Optional[XdpProgram]:
        dev = self._dev(found.address)
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
            program = Object(self.prog, self.prog.type("struct bpf_prog *"), prog)
            prog_id = self._program(program, None).id
        # As in veth_rq_has_napi().
        napi = raw.xdp_prog if raw.napi is None else raw.napi
        return XdpQueue(queue, prog_id, _lift(bool, napi))

    def _queues(
        self, layout: Layout, first: Maybe[int], real: Maybe[int], dev: int
    ) -> Maybe[List[Any]]:
        # An array of queues, each of which names its device.
        if isinstance(first, Unreadable):
            return first
        if isinstance(real, Unreadable):
            return real
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
        self, found: _Found, real: Maybe[int]
    ) -> Maybe[Optional[Tuple[XdpQueue, ...]]]:
        rqs = found.veth_rqs
        if rqs is _NO_VETH:
            return None
        if isinstance(rqs, Unreadable):
            return rqs
        queues = self._queues(self._rq, rqs, real, found.address)
        if isinstance(queues, Unreadable):
            return queues
        return tuple([self._xdp_queue(i, raw) for i, raw in enumerate(queues)])

    def _xdp(self, found: _Found, real_rx: Maybe[int]) -> Xdp:
        queues = self._xdp_queues(found, real_rx)
        state = found.raw.xdp_state
        if state == self._no_xdp:
            return Xdp(None, None, None, queues)
        return Xdp(
            attempt(self._xdp_mode, found, XdpMode.SKB),
            attempt(self._xdp_mode, found, XdpMode.DRV),
            attempt(self._xdp_mode, found, XdpMode.HW),
            queues,
        )

    def _rps_queue(self, i: int, raw: Any, first: int) -> RpsQueue:
        queue = Object(self.prog, self._rx_queue_pointer, first) + i
        return RpsQueue(
            i,
            attempt(lambda: rps_map_cpus(rx_queue_rps_map(queue))),
            attempt(rx_queue_rps_flow_entries, queue),
        )

    def _rps(self, found: _Found, real: Maybe[int]) -> Maybe[Tuple[RpsQueue, ...]]:
        first = found.raw.rx
        queues = self._queues(self._rx_queue, first, real, found.address)
        if isinstance(queues, Unreadable):
            return queues
        # None, too: CONFIG_RPS=n.
        if not any(raw.rps_map or raw.rps_flow_table for raw in queues):
            return _no_rps(len(queues))
        return tuple([self._rps_queue(i, raw, first) for i, raw in enumerate(queues)])

    def _xps(self, found: _Found, real: Maybe[int]) -> Maybe[Tuple[XpsQueue, ...]]:
        if isinstance(real, Unreadable):
            return real
        raw = found.raw
        if real > _MANY_QUEUES:
            last = self._last_tx_queue(found, real)
            if last is not None:
                return last
        if not raw.xps_cpus and not raw.xps_rxqs:  # None, too: CONFIG_XPS=n
            return _no_xps(real)
        dev = self._dev(found.address)
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

    def _last_tx_queue(self, found: _Found, real: int) -> Optional[Unreadable]:
        # Why there cannot be so many.
        first = found.raw.tx
        if isinstance(first, Unreadable):
            return first
        last = self._tx_queue.read(first + (real - 1) * self._tx_queue.size).dev
        if isinstance(last, Unreadable):
            return last
        if last != found.address:
            return Unreadable(f"there are {real} queues, but the last is none of its")
        return None

    def _mac(self, raw: Any) -> Maybe[Optional[str]]:
        if not raw.addr_len:
            return None
        return _lift(read_address, self.prog, raw.dev_addr, raw.addr_len, raw.type)

    def device(self, found: _Found) -> Device:
        """Return the record of a device."""
        raw = found.raw
        ref = found.ref
        kind = found.kind
        rx = _queue_count(raw.real_rx, raw.num_rx, "rx")
        tx = _queue_count(raw.real_tx, raw.num_tx, "tx")
        flags, operstate = _flags_and_operstate(
            raw.flags, raw.gflags, raw.state, raw.operstate, self._masks
        )
        return Device(
            netns=ref.netns,
            ifindex=ref.ifindex,
            name=ref.name,
            altnames=self._altnames(found),
            alias=self._alias(found),
            net_device=found.address,
            kind=kind if isinstance(kind, Unreadable) else _text_or_none(kind),
            flags=flags,
            operstate=operstate,
            mtu=raw.mtu,
            min_mtu=raw.min_mtu,
            max_mtu=raw.max_mtu,
            mac=self._mac(raw),
            master=self._reference(found.master),
            queues=Queues(rx, tx),
            peer=self._reference(found.peer),
            xdp=self._xdp(found, rx.real),
            rps=self._rps(found, rx.real),
            xps=self._xps(found, tx.real),
            off_list=ref.off_list,
        )


def _pairs(
    devices: List[Device], found: Mapping[int, _Found]
) -> Tuple[List[Pair], List[Tuple[str, str]]]:
    # Devices are in order, so that the first end of a pair is met first.
    pairs: List[Pair] = []
    halves: List[Tuple[str, str]] = []
    done: Set[Tuple[int, int]] = set()
    for device in devices:
        peer = device.peer
        if not isinstance(peer, DeviceRef) or not isinstance(device.kind, str):
            continue
        address = device.net_device
        other = found.get(peer.net_device)
        back = Unreadable("") if other is None else other.peer
        if isinstance(back, int) and (back != address or address == peer.net_device):
            # veth_newlink() and veth_dellink() leave half a pair for a moment.
            where = device_place(device)
            halves.append((f"{where}.peer", "its peer does not have it for a peer"))
        elif (peer.net_device, address) not in done:
            done.add((address, peer.net_device))
            pairs.append(Pair(device.kind, device.ref, peer))
    return pairs, halves


@takes_program_or_default
def take_snapshot(prog: Program) -> Snapshot:
    """
    Read all network namespaces and devices of a kernel.

    :return: Namespaces by inode number, devices by (namespace, ifindex)
    :raises LookupError: if the kernel's types or symbols are not there at all
    """
    # Without these nothing can be read; let their absence be one error.
    prog["net_namespace_list"]
    prog.type("struct net")
    prog.type("struct net_device")
    a_pass = _Pass(prog)
    with _without_gc():
        namespaces = a_pass.namespaces()
        # What was allocated together lies together: by address, a page of the dump
        # is unpacked once and not once for each end of a pair.
        found = sorted(a_pass.found.values(), key=lambda found: found.address)
        devices = [a_pass.device(one) for one in found]
    devices.sort(key=_sort_key)
    namespaces.sort(
        key=lambda n: (True, 0) if isinstance(n.inum, Unreadable) else (False, n.inum)
    )
    pairs, halves = _pairs(devices, a_pass.found)
    return Snapshot(
        read_target(prog),
        tuple(namespaces),
        tuple(devices),
        tuple(pairs),
        (*a_pass.incomplete, *halves),
    )
