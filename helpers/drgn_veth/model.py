# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The records of a Snapshot
-------------------------

Plain, immutable Python values: no drgn object gets in here, so that analysis
and renderers cannot touch the kernel. The members are those of the JSON
contract (docs/drgn-veth-1.schema.json), in its order.

They are named tuples because these are frozen and slotted on every Python that
drgn runs on, and are made several times faster than frozen dataclasses.
"""

from collections.abc import Iterator, Mapping
import enum
from typing import (
    NamedTuple,
    Optional,
)

from .core.unreadable import Maybe, Unreadable

__all__ = (
    "NOT_IN_JSON",
    "XDP_MODES",
    "Bond",
    "Device",
    "DeviceRef",
    "Driver",
    "Features",
    "Kernel",
    "LoadedProgram",
    "Namespace",
    "Pair",
    "QueueCount",
    "Queues",
    "RecordsRxQueue",
    "RpsQueue",
    "Snapshot",
    "StaleProgram",
    "StoppedTxQueue",
    "Target",
    "Task",
    "Veth",
    "VirtioNet",
    "Xdp",
    "XdpLink",
    "XdpProgram",
    "XdpQueue",
    "XpsQueue",
    "device_place",
    "unreadable_in",
)


class Target(NamedTuple):
    """What was looked at."""

    release: Maybe[str]
    kind: str  # kdump, elf, kcore, qemu
    arch: str
    types: str  # where the types came from: dwarf, btf, dwarf+btf
    possible_cpus: Maybe[int]
    online_cpus: Maybe[tuple[int, ...]]
    rps_sock_flow_entries: Maybe[int]


class Task(NamedTuple):
    """A task (``struct task_struct``)."""

    pid: Maybe[int]
    comm: Maybe[str]


class RecordsRxQueue(enum.Enum):
    """When veth_xmit() calls skb_record_rx_queue()."""

    NEVER = "never"
    #: Where the RX queue has a native program; it is not known whether elsewhere.
    WITH_XDP = "with XDP"
    ALWAYS = "always"


class Kernel(NamedTuple):
    """What the kernel's types, constants and code say about an XDP attach."""

    page_size: Maybe[int]
    skb_shared_info_size: Maybe[int]  # sizeof(struct skb_shared_info)
    max_skb_frags: Maybe[int]  # length of skb_shared_info.frags[]
    smp_cache_bytes: Maybe[int]
    net_ip_align: Maybe[int]
    nr_cpu_ids: Maybe[int]
    xdp_state: bool  # net_device.xdp_state, since v5.9
    xdp_frags: bool  # bpf_prog_aux.xdp_has_frags, since v5.18
    dev_bound: bool  # bpf_prog_aux.dev_bound, since v6.3
    # Messages of the core, and of the drivers that there are, by the function whose
    # text refers to them; a function that is not there has none.
    messages: Maybe[tuple[tuple[str, frozenset[str]], ...]]
    padded_vnet_hdr_size: Maybe[Optional[int]]  # sizeof(struct padded_vnet_hdr)
    # Who holds rtnl_mutex.
    rtnl_owner: Maybe[Optional[Task]]
    # What veth_poll() accesses to wake a TX queue: see drgn_veth.disasm.veth_poll.
    # None: no veth has NAPI.
    veth_poll: Maybe[Optional[frozenset[str]]] = None
    # When veth_xmit() writes the RX queue into a packet. None: there is no veth.
    records_rx_queue: Maybe[Optional[RecordsRxQueue]] = None


class Namespace(NamedTuple):
    """A network namespace (``struct net``)."""

    inum: Maybe[int]
    init: bool
    device_count: int
    # cleanup_net() has taken it off net_namespace_list; a peer led to it.
    dying: bool = False
    names: Maybe[tuple[str, ...]] = ()  # as `ip netns` has them
    mounts: Maybe[tuple[str, ...]] = ()  # paths that it is mounted at
    # A process in it; looked for only where nothing is mounted.
    process: Maybe[Optional[Task]] = None


class DeviceRef(NamedTuple):
    """A device as another one names it."""

    netns: Maybe[int]
    ifindex: Maybe[int]
    name: Maybe[str]
    net_device: int  # what tells it from all others, even in a damaged dump
    # Why it is on no list of its namespace, or its namespace on none.
    off_list: Optional[str] = None


class QueueCount(NamedTuple):
    real: Maybe[int]
    allocated: Maybe[int]


class Queues(NamedTuple):
    rx: QueueCount
    tx: QueueCount


class XdpProgram(NamedTuple):
    """An attached XDP program (``struct bpf_prog``) and how it is attached."""

    id: Maybe[int]
    name: Maybe[str]
    tag: Maybe[str]
    via: str  # netlink, link
    link_id: Maybe[Optional[int]]
    jited: Maybe[bool]
    frags: Maybe[bool]
    load_time: Maybe[int]  # ns since boot
    uid: Maybe[int]
    expected_attach_type: Maybe[int] = 0


class XdpQueue(NamedTuple):
    """The native XDP state of one real RX queue of a veth (``struct veth_rq``)."""

    queue: int
    prog_id: Maybe[Optional[int]]
    napi: Maybe[bool]
    # xdp_rxq.reg_state is REG_STATE_REGISTERED: by native XDP, not for GRO alone.
    registered: Maybe[bool] = False
    # stats.vs.xdp_tx_err; None: this kernel does not count them
    tx_errors: Maybe[Optional[int]] = 0
    # An XDP frame is in xdp_ring, and nobody has scheduled the NAPI to take it.
    waiting: Maybe[bool] = False
    rxq_index: Maybe[int] = 0  # xdp_rxq.queue_index: 0 until XDP has set it


#: The modes of XDP (``enum bpf_xdp_mode``), in the words of the JSON contract.
XDP_MODES = ("generic", "driver", "offload")


class Xdp(NamedTuple):
    """The XDP programs of a device, by mode, and what runs them."""

    generic: Maybe[Optional[XdpProgram]]
    driver: Maybe[Optional[XdpProgram]]
    offload: Maybe[Optional[XdpProgram]]
    queues: Maybe[Optional[tuple[XdpQueue, ...]]]  # None: not a veth


class RpsQueue(NamedTuple):
    """RPS and RFS of one real RX queue (``struct netdev_rx_queue``)."""

    queue: int
    cpus: Maybe[tuple[int, ...]]
    flow_entries: Maybe[int]


class XpsQueue(NamedTuple):
    """XPS of one real TX queue, as sysfs shows it: who chooses this queue."""

    queue: int
    cpus: Maybe[tuple[int, ...]]
    rx_queues: Maybe[tuple[int, ...]]


class Driver(NamedTuple):
    """
    The driver of a device, and which of its operations there are
    (``net_device.netdev_ops``, ``net_device.ethtool_ops``).
    """

    name: Maybe[Optional[str]]
    ndo_bpf: Maybe[bool]
    ndo_xdp_xmit: Maybe[bool]
    set_channels: Maybe[bool]


class Features(NamedTuple):
    """Masks of ``NETIF_F_*`` and ``NETDEV_XDP_ACT_*`` (``struct net_device``)."""

    features: Maybe[int]
    wanted: Maybe[int]
    xdp: Maybe[Optional[int]]  # None: before v6.3 there are none


class StaleProgram(NamedTuple):
    """A program in a ``struct veth_rq`` that is not in use."""

    queue: int
    prog: int  # struct bpf_prog *: it may be freed long since


class StoppedTxQueue(NamedTuple):
    """A TX queue of a veth whose peer would have to wake it."""

    queue: int
    peer_ring_empty: Maybe[bool]
    peer_napi_scheduled: Maybe[bool]


class Veth(NamedTuple):
    """What a veth keeps itself (``struct veth_priv``)."""

    dropped: Maybe[int]  # packets that it could not hand to its peer
    prog: Maybe[int]  # _xdp_prog, struct bpf_prog *; 0: none
    stale: Maybe[tuple[StaleProgram, ...]] = ()
    stopped: Maybe[tuple[StoppedTxQueue, ...]] = ()


class Bond(NamedTuple):
    """What a bond keeps itself (``struct bonding``)."""

    mode: Maybe[str]
    xmit_policy: Maybe[str]
    slaves: Maybe[tuple[DeviceRef, ...]]  # in the order of the kernel's list


class VirtioNet(NamedTuple):
    """What a virtio_net device negotiated."""

    features: Maybe[int]  # bits VIRTIO_NET_F_* and VIRTIO_F_*


class Device(NamedTuple):
    """A network device (``struct net_device``)."""

    netns: Maybe[int]
    ifindex: Maybe[int]
    name: Maybe[str]
    altnames: Maybe[tuple[str, ...]]
    alias: Maybe[Optional[str]]
    net_device: int
    kind: Maybe[Optional[str]]
    flags: Maybe[tuple[str, ...]]
    operstate: Maybe[str]
    mtu: Maybe[int]
    min_mtu: Maybe[int]
    max_mtu: Maybe[int]
    mac: Maybe[Optional[str]]
    master: Maybe[Optional[DeviceRef]]
    queues: Queues
    peer: Maybe[Optional[DeviceRef]]
    xdp: Xdp
    rps: Maybe[tuple[RpsQueue, ...]]
    xps: Maybe[tuple[XpsQueue, ...]]
    off_list: Optional[str] = None
    # What decides an XDP attach, and what the rules of diagnosis compare.
    driver: Driver = Driver(None, False, False, False)
    features: Features = Features(0, 0, None)
    hard_header_len: Maybe[int] = 0
    uppers: Maybe[tuple[DeviceRef, ...]] = ()  # adj_list.upper: one level
    memory_provider: Maybe[bool] = False  # of some real RX queue
    tcp_data_split: Maybe[bool] = False  # cfg.hds_config is ENABLED
    veth: Optional[Veth] = None
    bond: Optional[Bond] = None
    virtio_net: Optional[VirtioNet] = None

    @property
    def ref(self) -> DeviceRef:
        return DeviceRef(
            self.netns, self.ifindex, self.name, self.net_device, self.off_list
        )


class Pair(NamedTuple):
    """Two devices, each the other's peer; *a* is the one that sorts first."""

    kind: str
    a: DeviceRef
    b: DeviceRef


class XdpLink(NamedTuple):
    """A BPF link that holds a program on a device (``struct bpf_xdp_link``)."""

    id: Maybe[int]
    device: DeviceRef
    pins: Maybe[tuple[str, ...]]  # paths
    holders: Maybe[int]  # references that are not pins: files that processes have open
    here: bool = True  # the first process sees all pins by these paths


class LoadedProgram(NamedTuple):
    """A program of type XDP, attached or not (``struct bpf_prog``)."""

    id: Maybe[int]
    prog: int  # struct bpf_prog *
    name: Maybe[str]
    frags: Maybe[bool]
    expected_attach_type: Maybe[int]
    offload_requested: Maybe[bool]
    dev_bound: Maybe[bool]
    bound_to: Maybe[int]  # aux.offload.netdev, struct net_device *; 0: none
    # A DEVMAP or CPUMAP whose entries may have programs is among its maps.
    program_maps: Maybe[bool]


class Snapshot(NamedTuple):
    """All that one pass over the kernel found."""

    target: Target
    namespaces: tuple[Namespace, ...]
    devices: tuple[Device, ...]
    pairs: tuple[Pair, ...]
    # Walks that could not be finished, which no single value stands for.
    incomplete: tuple[tuple[str, str], ...] = ()
    kernel: Optional[Kernel] = None
    links: tuple[XdpLink, ...] = ()
    programs: Maybe[tuple[LoadedProgram, ...]] = ()


#: Members that the JSON leaves out: a finding that needs one says if it is missing.
NOT_IN_JSON: Mapping[type, frozenset[str]] = {
    Namespace: frozenset({"process"}),
    XdpProgram: frozenset({"expected_attach_type"}),
    XdpQueue: frozenset({"registered", "tx_errors", "waiting", "rxq_index"}),
    Device: frozenset(
        {
            "bond",
            "driver",
            "features",
            "hard_header_len",
            "memory_provider",
            "tcp_data_split",
            "uppers",
            "veth",
            "virtio_net",
        }
    ),
}


def _is_whole(value: tuple[object, ...], known: set[int]) -> bool:
    # Whether it has no Unreadable anywhere. Devices share many of their records:
    # *known* has the identities of those that are whole.
    if id(value) in known:
        return True
    for member in value:
        if isinstance(member, tuple):
            if not _is_whole(member, known):
                return False
        elif isinstance(member, Unreadable):
            return False
    known.add(id(value))
    return True


def _below(value: object, where: str, known: set[int]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Unreadable):
        yield where, value.reason
    elif isinstance(value, tuple) and not _is_whole(value, known):
        names = getattr(value, "_fields", None)
        untold = NOT_IN_JSON.get(type(value), frozenset())
        for i, member in enumerate(value):
            if names is None:
                yield from _below(member, f"{where}[{i}]", known)
            elif names[i] not in untold:
                yield from _below(member, f"{where}.{names[i]}", known)


def _number(value: Maybe[int]) -> str:
    return "?" if isinstance(value, Unreadable) else str(value)


def device_place(device: Device) -> str:
    """Return where a device is, in the terms of the JSON."""
    return f"devices[({_number(device.netns)}, {_number(device.ifindex)})]"


def unreadable_in(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield where a value is missing, in the terms of the JSON, and why."""
    known: set[int] = set()
    yield from snapshot.incomplete
    yield from _below(snapshot.target, "target", known)
    for i, namespace in enumerate(snapshot.namespaces):
        yield from _below(namespace, f"namespaces[{i}]", known)
    for device in snapshot.devices:
        yield from _below(device, device_place(device), known)
