# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The Snapshot
------------

One pass over all namespaces into plain records (:mod:`drgn_veth.model`). Each
``struct net_device`` is read once; a value that cannot be read becomes an
:class:`~drgn_veth.model.Unreadable` in its place and nothing else is lost.
"""

from typing import (
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    TypeVar,
    Union,
)

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

from . import bpf
from .errors import READ_ERRORS, attempt, reason
from .flex import read_array
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
)
from .netdev import (
    for_each_altname,
    netdev_address,
    netdev_alias,
    netdev_flag_names,
    netdev_flags,
    netdev_kind,
    netdev_master,
    netdev_operstate,
)
from .netns import (
    for_each_net_bounded,
    for_each_netdev_read,
    net_inum,
    net_is_dying,
    net_is_init,
    netdev_net,
)
from .peer import netdev_peer
from .queues import (
    netdev_num_rx_queues,
    netdev_num_tx_queues,
    netdev_real_num_rx_queues,
    netdev_real_num_tx_queues,
)
from .rps import rps_map_cpus, rx_queue_rps_flow_entries, rx_queue_rps_map
from .target import read_target
from .text import decode
from .veth import VETH_KIND, veth_rq, veth_rq_has_napi, veth_rq_xdp_prog
from .walk import read_struct
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


class _Found(NamedTuple):
    # A device that some walk or pointer led to.
    ptr: Object
    dev: Object  # the struct, read in whole where possible
    ref: DeviceRef


def _integer(dev: Object, member: str) -> int:
    return dev.member_(member).value_()


def _name(dev: Object) -> str:
    return decode(dev.name.string_())


def _flags(dev: Object) -> Tuple[str, ...]:
    return netdev_flag_names(netdev_flags(dev))


def _altnames(dev: Object) -> Tuple[str, ...]:
    return tuple([decode(name) for name in for_each_altname(dev)])


def _text_or_none(text: bytes) -> Optional[str]:
    return decode(text) if text else None


def _alias(dev: Object) -> Optional[str]:
    return _text_or_none(netdev_alias(dev))


def _mac(dev: Object) -> Optional[str]:
    return netdev_address(dev) or None


def _sort_key(ref: Union[DeviceRef, Device]) -> Tuple[bool, int, bool, int]:
    netns, ifindex = ref.netns, ref.ifindex
    return (
        isinstance(netns, Unreadable),
        0 if isinstance(netns, Unreadable) else netns,
        isinstance(ifindex, Unreadable),
        0 if isinstance(ifindex, Unreadable) else ifindex,
    )


class _Pass:
    """One pass: what it has found, and what it need not ask twice."""

    def __init__(self, prog: Program) -> None:
        self.prog = prog
        self.found: Dict[int, _Found] = {}
        self.incomplete: List[Tuple[str, str]] = []
        self._kinds: Dict[int, Maybe[bytes]] = {}
        self._programs: Dict[int, XdpProgram] = {}

    # Finding devices

    def _walk(self, what: str, walk: Iterable[T]) -> Iterator[T]:
        # The exception comes after all that could be reached.
        try:
            yield from walk
        except READ_ERRORS as e:
            self.incomplete.append((what, reason(e)))

    def _devices_of(
        self, net: Object, inum: Maybe[int], off_list: Optional[str]
    ) -> int:
        where = "?" if isinstance(inum, Unreadable) else str(inum)
        what = f"devices of namespace {where}"
        count = 0
        address = net.value_()
        for ptr, dev in self._walk(what, for_each_netdev_read(net)):
            key = ptr.value_()
            if key in self.found:
                continue
            owner = attempt(netdev_net, dev)
            if isinstance(owner, Object) and owner.value_() != address:
                self.incomplete.append(
                    (what, f"the list leads into another namespace at {key:#x}")
                )
                break
            self._add(ptr, dev, inum, off_list)
            count += 1
        return count

    def _add(
        self, ptr: Object, dev: Object, inum: Maybe[int], off_list: Optional[str]
    ) -> _Found:
        ref = DeviceRef(
            inum, attempt(_integer, dev, "ifindex"), attempt(_name, dev), off_list
        )
        found = self.found[ptr.value_()] = _Found(ptr, dev, ref)
        return found

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
        unseen = list(self.found.values())
        while unseen and len(self.found) < len(listed) + _MAX_OFF_LIST + len(unseen):
            before = len(self.found)
            for found in unseen:
                self._follow_peer(found, listed, namespaces)
            unseen = list(self.found.values())[before:]
        return namespaces

    def _follow_peer(
        self,
        found: _Found,
        listed: Dict[int, Maybe[int]],
        namespaces: List[Namespace],
    ) -> None:
        peer = attempt(self._peer, found)
        if isinstance(peer, Unreadable) or not peer or peer.value_() in self.found:
            return
        net = attempt(netdev_net, peer)
        if isinstance(net, Unreadable) or net is None:
            # The pointer leads nowhere: reading the peer's fields will say so.
            return
        address = net.value_()
        if address not in listed:
            inum = attempt(net_inum, net)
            dying = attempt(net_is_dying, net)
            if dying is not True:
                why = (
                    dying.reason
                    if isinstance(dying, Unreadable)
                    else "it has references"
                )
                self.incomplete.append(
                    (
                        f"namespace of the device at {peer.value_():#x}",
                        f"not on net_namespace_list, yet not dying: {why}",
                    )
                )
            listed[address] = inum
            count = self._devices_of(net, inum, "its network namespace is dying")
            namespaces.append(Namespace(inum, False, count, True))
        if peer.value_() not in self.found:
            dev = read_struct(peer)
            state = attempt(_integer, dev, "reg_state")
            if isinstance(state, Unreadable) or state == _NETREG_REGISTERED:
                off_list = "it is on no list of its namespace, as while it is moved"
            else:
                off_list = f"it is {_REG_STATES.get(state, f'in reg_state {state}')}"
            self._add(peer, dev, listed[address], off_list)

    # Asking one device

    def _kind(self, dev: Object) -> Maybe[bytes]:
        ops = attempt(_integer, dev, "rtnl_link_ops")
        if isinstance(ops, Unreadable):
            return ops
        try:
            return self._kinds[ops]
        except KeyError:
            kind = self._kinds[ops] = attempt(netdev_kind, dev)
            return kind

    def _peer(self, found: _Found) -> Object:
        kind = self._kind(found.dev)
        if isinstance(kind, Unreadable):
            raise ValueError(kind.reason)
        return netdev_peer(found.ptr, kind)

    def _reference(self, ptr: Object) -> Optional[DeviceRef]:
        # A device as another one names it.
        address = ptr.value_()
        if not address:
            return None
        try:
            return self.found[address].ref
        except KeyError:
            pass
        dev = read_struct(ptr)
        # Nothing of it in the dump: one reason says it all.
        ifindex = _integer(dev, "ifindex")
        return DeviceRef(
            Unreadable("its network namespace cannot be read"),
            ifindex,
            attempt(_name, dev),
            "it is on no list",
        )

    def _peer_reference(self, found: _Found) -> Optional[DeviceRef]:
        return self._reference(self._peer(found))

    def _master_reference(self, found: _Found) -> Optional[DeviceRef]:
        return self._reference(netdev_master(found.ptr))

    def _program(self, prog: Object, link: Object) -> XdpProgram:
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
        prog = netdev_xdp_prog(found.dev, mode)
        if not prog:
            return None
        return self._program(prog, netdev_xdp_link(found.dev, mode))

    def _rq(self, rq: Object, queue: int) -> XdpQueue:
        prog = attempt(veth_rq_xdp_prog, rq)
        prog_id: Maybe[Optional[int]]
        if isinstance(prog, Unreadable):
            prog_id = prog
        elif prog:
            prog_id = self._program(prog, None).id
        else:
            prog_id = None
        return XdpQueue(queue, prog_id, attempt(veth_rq_has_napi, rq))

    def _xdp_queues(self, found: _Found) -> Tuple[XdpQueue, ...]:
        count = netdev_real_num_rx_queues(found.dev)
        if not count:
            return ()
        first = veth_rq(found.ptr, 0).read_()
        return tuple([self._rq(first[i], i) for i in range(count)])

    def _xdp(self, found: _Found, kind: Maybe[bytes]) -> Xdp:
        queues: Maybe[Optional[Tuple[XdpQueue, ...]]] = None
        if kind == VETH_KIND:
            queues = attempt(self._xdp_queues, found)
        return Xdp(
            attempt(self._xdp_mode, found, XdpMode.SKB),
            attempt(self._xdp_mode, found, XdpMode.DRV),
            attempt(self._xdp_mode, found, XdpMode.HW),
            queues,
        )

    @staticmethod
    def _rps(dev: Object) -> Tuple[RpsQueue, ...]:
        count = netdev_real_num_rx_queues(dev)
        if not count:
            return ()
        queues = read_array(dev._rx, count)
        return tuple(
            [
                RpsQueue(
                    i,
                    attempt(_rps_cpus, queues[i]),
                    attempt(rx_queue_rps_flow_entries, queues[i]),
                )
                for i in range(count)
            ]
        )

    @staticmethod
    def _xps(dev: Object) -> Tuple[XpsQueue, ...]:
        count = netdev_real_num_tx_queues(dev)
        cpus = attempt(netdev_xps_queues, dev, XPS_CPUS)
        rxqs = attempt(netdev_xps_queues, dev, XPS_RXQS)
        return tuple(
            [
                XpsQueue(
                    i,
                    cpus if isinstance(cpus, Unreadable) else cpus.get(i, ()),
                    rxqs if isinstance(rxqs, Unreadable) else rxqs.get(i, ()),
                )
                for i in range(count)
            ]
        )

    def device(self, found: _Found) -> Device:
        """Return the record of a device."""
        dev = found.dev
        ref = found.ref
        kind = self._kind(dev)
        return Device(
            netns=ref.netns,
            ifindex=ref.ifindex,
            name=ref.name,
            altnames=attempt(_altnames, dev),
            alias=attempt(_alias, dev),
            net_device=found.ptr.value_(),
            kind=kind if isinstance(kind, Unreadable) else _text_or_none(kind),
            flags=attempt(_flags, dev),
            operstate=attempt(netdev_operstate, dev),
            mtu=attempt(_integer, dev, "mtu"),
            min_mtu=attempt(_integer, dev, "min_mtu"),
            max_mtu=attempt(_integer, dev, "max_mtu"),
            mac=attempt(_mac, dev),
            master=attempt(self._master_reference, found),
            queues=Queues(
                QueueCount(
                    attempt(netdev_real_num_rx_queues, dev),
                    attempt(netdev_num_rx_queues, dev),
                ),
                QueueCount(
                    attempt(netdev_real_num_tx_queues, dev),
                    attempt(netdev_num_tx_queues, dev),
                ),
            ),
            peer=attempt(self._peer_reference, found),
            xdp=self._xdp(found, kind),
            rps=attempt(self._rps, dev),
            xps=attempt(self._xps, dev),
            off_list=ref.off_list,
        )


def _rps_cpus(queue: Object) -> Tuple[int, ...]:
    return rps_map_cpus(rx_queue_rps_map(queue))


def _pairs(devices: List[Device]) -> Tuple[Pair, ...]:
    pairs: Dict[Tuple[DeviceRef, DeviceRef], Pair] = {}
    for device in devices:
        peer = device.peer
        if not isinstance(peer, DeviceRef) or not isinstance(device.kind, str):
            continue
        a, b = sorted((device.ref, peer), key=_sort_key)
        pairs.setdefault((a, b), Pair(device.kind, a, b))
    return tuple(pairs.values())


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
    namespaces = a_pass.namespaces()
    devices = [a_pass.device(found) for found in a_pass.found.values()]
    devices.sort(key=_sort_key)
    namespaces.sort(
        key=lambda n: (True, 0) if isinstance(n.inum, Unreadable) else (False, n.inum)
    )
    return Snapshot(
        read_target(prog),
        tuple(namespaces),
        tuple(devices),
        _pairs(devices),
        tuple(a_pass.incomplete),
    )
