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

from typing import Iterator, NamedTuple, Optional, Tuple, TypeVar, Union

__all__ = (
    "Device",
    "DeviceRef",
    "Maybe",
    "Namespace",
    "Pair",
    "QueueCount",
    "Queues",
    "RpsQueue",
    "Snapshot",
    "Target",
    "Unreadable",
    "Xdp",
    "XdpProgram",
    "XdpQueue",
    "XpsQueue",
    "device_place",
    "unreadable_in",
)

T = TypeVar("T")


class Unreadable:
    """A value that could not be read, and why."""

    __slots__ = ("reason",)

    reason: str

    def __init__(self, reason: str) -> None:
        object.__setattr__(self, "reason", reason)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Unreadable is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unreadable) and self.reason == other.reason

    def __hash__(self) -> int:
        return hash(("Unreadable", self.reason))

    def __repr__(self) -> str:
        return f"Unreadable({self.reason!r})"


Maybe = Union[T, Unreadable]


class Target(NamedTuple):
    """What was looked at."""

    release: Maybe[str]
    kind: str  # kdump, elf, kcore, qemu
    arch: str
    types: str  # where the types came from: dwarf, btf, dwarf+btf
    possible_cpus: Maybe[int]
    online_cpus: Maybe[Tuple[int, ...]]
    rps_sock_flow_entries: Maybe[int]


class Namespace(NamedTuple):
    """A network namespace (``struct net``)."""

    inum: Maybe[int]
    init: bool
    device_count: int
    # cleanup_net() has taken it off net_namespace_list; a peer led to it.
    dying: bool = False


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


class XdpQueue(NamedTuple):
    """The native XDP state of one real RX queue of a veth (``struct veth_rq``)."""

    queue: int
    prog_id: Maybe[Optional[int]]
    napi: Maybe[bool]


class Xdp(NamedTuple):
    generic: Maybe[Optional[XdpProgram]]
    driver: Maybe[Optional[XdpProgram]]
    offload: Maybe[Optional[XdpProgram]]
    queues: Maybe[Optional[Tuple[XdpQueue, ...]]]  # None: not a veth


class RpsQueue(NamedTuple):
    """RPS and RFS of one real RX queue (``struct netdev_rx_queue``)."""

    queue: int
    cpus: Maybe[Tuple[int, ...]]
    flow_entries: Maybe[int]


class XpsQueue(NamedTuple):
    """XPS of one real TX queue, as sysfs shows it: who chooses this queue."""

    queue: int
    cpus: Maybe[Tuple[int, ...]]
    rx_queues: Maybe[Tuple[int, ...]]


class Device(NamedTuple):
    """A network device (``struct net_device``)."""

    netns: Maybe[int]
    ifindex: Maybe[int]
    name: Maybe[str]
    altnames: Maybe[Tuple[str, ...]]
    alias: Maybe[Optional[str]]
    net_device: int
    kind: Maybe[Optional[str]]
    flags: Maybe[Tuple[str, ...]]
    operstate: Maybe[str]
    mtu: Maybe[int]
    min_mtu: Maybe[int]
    max_mtu: Maybe[int]
    mac: Maybe[Optional[str]]
    master: Maybe[Optional[DeviceRef]]
    queues: Queues
    peer: Maybe[Optional[DeviceRef]]
    xdp: Xdp
    rps: Maybe[Tuple[RpsQueue, ...]]
    xps: Maybe[Tuple[XpsQueue, ...]]
    off_list: Optional[str] = None

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


class Snapshot(NamedTuple):
    """All that one pass over the kernel found."""

    target: Target
    namespaces: Tuple[Namespace, ...]
    devices: Tuple[Device, ...]
    pairs: Tuple[Pair, ...]
    # Walks that could not be finished, which no single value stands for.
    incomplete: Tuple[Tuple[str, str], ...] = ()


def _below(value: object, where: str) -> Iterator[Tuple[str, str]]:
    if value.__class__ is Unreadable:
        yield where, value.reason
    elif isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        for i, member in enumerate(value):
            # Most members are plain numbers and strings.
            if isinstance(member, (tuple, Unreadable)):
                place = f"{where}[{i}]" if names is None else f"{where}.{names[i]}"
                yield from _below(member, place)


def _number(value: Maybe[int]) -> str:
    return "?" if isinstance(value, Unreadable) else str(value)


def device_place(device: Device) -> str:
    """Return where a device is, in the terms of the JSON."""
    return f"devices[({_number(device.netns)}, {_number(device.ifindex)})]"


def unreadable_in(snapshot: Snapshot) -> Iterator[Tuple[str, str]]:
    """Yield where a value is missing, in the terms of the JSON, and why."""
    yield from snapshot.incomplete
    yield from _below(snapshot.target, "target")
    for i, namespace in enumerate(snapshot.namespaces):
        yield from _below(namespace, f"namespaces[{i}]")
    for device in snapshot.devices:
        yield from _below(device, device_place(device))
