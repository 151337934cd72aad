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
    "BridgePort",
    "Container",
    "Device",
    "DeviceRef",
    "Driver",
    "Features",
    "Holder",
    "Ipvlan",
    "Kernel",
    "LoadedProgram",
    "Macvlan",
    "Namespace",
    "NetTask",
    "Netkit",
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
    "Vlan",
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
    path: Optional[str] = None  # name of the file
    # Seconds since 1970 at the crash; None: it did not crash.
    time: Maybe[Optional[int]] = None
    rtnl_owner: Maybe[Optional["Task"]] = None  # who holds rtnl_mutex


class Task(NamedTuple):
    """A task (``struct task_struct``)."""

    pid: Maybe[int]
    comm: Maybe[str]


class RefTracker(NamedTuple):
    """References that were taken in one place (``struct ref_tracker``)."""

    references: int
    functions: Maybe[tuple[str, ...]]  # innermost first; (): the kernel did not keep it


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


class NetTask(NamedTuple):
    """A process in a network namespace (``struct task_struct``)."""

    pid: Maybe[int]  # of the thread group, in the initial PID namespace
    comm: Maybe[str]
    container: Maybe[Optional[str]]  # Container.id
    # The thread that is there, None if it is the first, whose id is the PID.
    thread: Maybe[Optional[int]] = None


#: Runtimes whose identifiers of containers are names.
_RUNTIMES_WITH_NAMES = ("lxc", "systemd-nspawn")


class Container(NamedTuple):
    """A container, as the cgroup of its tasks says."""

    id: str
    runtime: Optional[str]  # docker, containerd, cri-o, podman, lxc, ...
    pod: Optional[str]  # UID of a Kubernetes pod
    cgroup: str  # path of the container's cgroup
    within: tuple[str, ...] = ()  # Container.id of those around it, outermost first

    @property
    def label(self) -> str:
        """What it is called: ``docker:9f86d081884c``, ``lxc:web``."""
        named = self.runtime in _RUNTIMES_WITH_NAMES
        return f"{self.runtime or 'container'}:{self.id if named else self.id[:12]}"


class Holder(NamedTuple):
    """What keeps a network namespace alive that has neither task nor mount."""

    kind: str  # fd: an open nsfs file; socket; kernel
    pid: Maybe[Optional[int]] = None
    comm: Maybe[Optional[str]] = None
    fd: Maybe[Optional[int]] = None


class Namespace(NamedTuple):
    """A network namespace (``struct net``)."""

    inum: Maybe[int]
    init: bool
    device_count: int
    # Nothing holds it any longer: cleanup_net() has begun with it, or will.
    dying: bool = False
    names: Maybe[tuple[str, ...]] = ()  # as `ip netns` has them
    mounts: Maybe[tuple[str, ...]] = ()  # paths that it is mounted at
    net: int = 0  # address of the struct net: what tells it from all others
    label: str = ""  # what every screen calls it
    # Paths in other mount namespaces; looked for only where there is no other.
    other_mounts: Maybe[tuple[str, ...]] = ()
    nsid: Maybe[Optional[int]] = None  # as init_net numbers it
    hostname: Maybe[Optional[str]] = None  # of the first of its tasks
    # Processes that have a thread in it; None: nobody looked.
    task_count: Maybe[Optional[int]] = None
    tasks: Maybe[Optional[tuple[NetTask, ...]]] = None  # those with the lowest PIDs
    containers: Maybe[Optional[tuple[Container, ...]]] = None  # of all its tasks
    # What keeps it alive; looked for only without a task and a mount. The first ten.
    holders: Maybe[Optional[tuple[Holder, ...]]] = None
    holder_count: Maybe[Optional[int]] = None
    worker: Maybe[Optional[Task]] = None  # the task that runs cleanup_net() for it
    matched: bool = False  # a filter names it


class DeviceRef(NamedTuple):
    """A device as another one names it."""

    netns: Maybe[int]
    ifindex: Maybe[int]
    name: Maybe[str]
    net_device: int  # what tells it from all others, even in a damaged dump
    # Why it is on no list of its namespace, or its namespace on none.
    off_list: Optional[str] = None
    label: str = ""  # of its namespace


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


class Vlan(NamedTuple):
    """What a VLAN device keeps itself (``struct vlan_dev_priv``)."""

    id: Maybe[int]
    protocol: Maybe[str]  # 802.1Q, 802.1ad


class Macvlan(NamedTuple):
    """What a macvlan or macvtap device keeps itself (``struct macvlan_dev``)."""

    mode: Maybe[str]  # private, vepa, bridge, passthru, source


class Ipvlan(NamedTuple):
    """What all ipvlan devices on one device share (``struct ipvl_port``)."""

    mode: Maybe[str]  # l2, l3, l3s
    flags: Maybe[tuple[str, ...]]  # private, vepa; none: what ip calls "bridge"


class BridgePort(NamedTuple):
    """What a bridge keeps of a port (``struct net_bridge_port``)."""

    state: Maybe[str]  # disabled, listening, learning, forwarding, blocking


class Netkit(NamedTuple):
    """What a netkit device keeps itself (``struct netkit``)."""

    mode: Maybe[str]  # l2, l3
    policy: Maybe[str]  # forward, blackhole: without a program
    primary: Maybe[bool]


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
    reg_state: Maybe[str]
    mtu: Maybe[int]
    min_mtu: Maybe[int]
    max_mtu: Maybe[int]
    mac: Maybe[Optional[str]]
    qdisc: Maybe[Optional[str]]  # None: not set up yet
    addresses: Maybe[tuple[str, ...]]  # as `ip address` has them: IPv4, then IPv6
    master: Maybe[Optional[DeviceRef]]
    lowers: Maybe[tuple[DeviceRef, ...]]  # adj_list.lower: one level
    uppers: Maybe[tuple[DeviceRef, ...]]  # adj_list.upper: one level, a master first
    queues: Queues
    peer: Maybe[Optional[DeviceRef]]
    xdp: Xdp
    rps: Maybe[tuple[RpsQueue, ...]]
    xps: Maybe[tuple[XpsQueue, ...]]
    # Of devices of some kinds. Unreadable: the types of the module are missing.
    vlan: Maybe[Optional[Vlan]] = None
    macvlan: Maybe[Optional[Macvlan]] = None
    ipvlan: Maybe[Optional[Ipvlan]] = None
    bond: Optional[Bond] = None
    bridge_port: Maybe[Optional[BridgePort]] = None
    netkit: Maybe[Optional[Netkit]] = None
    off_list: Optional[str] = None
    # What decides an XDP attach, and what the rules of diagnosis compare.
    driver: Driver = Driver(None, False, False, False)
    features: Features = Features(0, 0, None)
    hard_header_len: Maybe[int] = 0
    memory_provider: Maybe[bool] = False  # of some real RX queue
    tcp_data_split: Maybe[bool] = False  # cfg.hds_config is ENABLED
    veth: Optional[Veth] = None
    virtio_net: Optional[VirtioNet] = None
    netns_label: str = ""
    matched: bool = False  # a filter matches it, not only its peer
    # For a device that is on no list of its namespace, or whose namespace is on none:
    refcount: Maybe[Optional[int]] = None  # netdev_refcnt_read()
    # Tasks with its address on their kernel stack; looked for only if netdev_run_todo()
    # waits for its references.
    ref_tasks: Maybe[Optional[tuple[Task, ...]]] = None
    # Who took these references; None unless CONFIG_NET_DEV_REFCNT_TRACKER.
    ref_trackers: Maybe[Optional[tuple[RefTracker, ...]]] = None

    @property
    def ref(self) -> DeviceRef:
        return DeviceRef(
            self.netns,
            self.ifindex,
            self.name,
            self.net_device,
            self.off_list,
            self.netns_label,
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
    # Tasks that have it open, of those that hold it. None: nobody has looked.
    tasks: Maybe[Optional[tuple[Holder, ...]]] = None


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
    Namespace: frozenset({"net"}),
    NetTask: frozenset({"thread"}),
    XdpProgram: frozenset({"expected_attach_type"}),
    XdpQueue: frozenset({"registered", "tx_errors", "waiting", "rxq_index"}),
    Bond: frozenset({"xmit_policy", "slaves"}),
    Device: frozenset(
        {
            "driver",
            "features",
            "hard_header_len",
            "memory_provider",
            "tcp_data_split",
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
