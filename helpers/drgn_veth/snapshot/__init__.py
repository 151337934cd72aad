# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The Snapshot
------------

One pass over all namespaces into plain records (:mod:`drgn_veth.model`). An
:class:`~drgn_veth.core.unreadable.Unreadable` takes the place of a value that cannot be
read, and nothing else is lost.

It reads each struct of a dump once, by its layout (:mod:`drgn_veth.snapshot.layouts`).
A running kernel changes meanwhile: there, it looks again at what it has read
(:mod:`drgn_veth.snapshot.rows`).

It finds all devices (:mod:`drgn_veth.snapshot.discover`) before it records any
(:mod:`drgn_veth.snapshot.devices`), since they refer to each other.
"""

from collections.abc import Iterator, Mapping
import contextlib
import functools
import gc

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.budget import shared_budget
from ..core.errors import attempt
from ..core.moving import moves
from ..core.unreadable import Unreadable
from ..model import (
    Device,
    DeviceRef,
    Namespace,
    Pair,
    Snapshot,
    device_place,
    unreadable_in,
)
from .af_xdp import XdpSockets
from .agree import with_true_masters, without_traffic_of
from .device_index import tell_apart
from .devices import DeviceRecords
from .discover import Discovery
from .found import Found
from .kernel import read_kernel
from .layouts import Layouts
from .link_holders import open_bpf_links
from .links import record_links
from .loaded_programs import read_programs
from .namespaces import name_namespaces
from .open_files import OpenFiles
from .ref_tasks import add_ref_tasks
from .rows import MovingRows
from .stopped import add_stopped
from .target import read_target
from .traffic import add_traffic
from .user_half import hide_user_half

__all__ = ("UnreadTargetError", "take_snapshot", "take_something")


class UnreadTargetError(Exception):
    """There is nothing to make a report from."""


def _sort_key(ref: Device) -> tuple[bool, int, bool, int]:
    netns, ifindex = ref.netns, ref.ifindex
    return (
        isinstance(netns, Unreadable),
        0 if isinstance(netns, Unreadable) else netns,
        isinstance(ifindex, Unreadable),
        0 if isinstance(ifindex, Unreadable) else ifindex,
    )


def _inum_key(namespace: Namespace) -> tuple[bool, int]:
    inum = namespace.inum
    return (True, 0) if isinstance(inum, Unreadable) else (False, inum)


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


def _pairs(
    devices: list[Device], found: Mapping[int, Found]
) -> tuple[list[Pair], list[tuple[str, str]]]:
    # Devices are in order, so that the first end of a pair is met first.
    pairs: list[Pair] = []
    halves: list[tuple[str, str]] = []
    partner: dict[int, int] = {}
    for device in devices:
        peer = device.peer
        if not isinstance(peer, DeviceRef) or not isinstance(device.kind, str):
            continue
        address, at = device.net_device, peer.net_device
        if partner.get(at) == address:
            continue  # Met before, from its other end.
        other = found.get(at)
        back = Unreadable("") if other is None else other.peer
        if isinstance(back, int) and (back != address or address == at):
            # veth_newlink() and veth_dellink() leave half a pair for a moment.
            where = device_place(device)
            halves.append((f"{where}.peer", "its peer does not point back to it"))
        else:
            partner[address] = at
            pairs.append(Pair(device.kind, device.ref, peer))
    return pairs, halves


@takes_program_or_default
def take_snapshot(prog: Program, traffic: bool = True) -> Snapshot:
    """
    Read all network namespaces and devices of a kernel.

    >>> snapshot = take_snapshot()
    >>> device = next(d for d in snapshot.devices if d.name == "veth_xxx0")
    >>> device.peer.name, device.queues.rx
    ('veth_yyy0', QueueCount(real=14, allocated=14))

    :param traffic: Also read where packets go: counters, maps, AF_XDP sockets, programs
        of tc, and what is in flight
    :return: Namespaces by inode number, devices by (namespace, ifindex)
    :raises LookupError: if the kernel's types or symbols are missing
    """
    # Without these nothing can be read; let their absence be one error.
    prog["net_namespace_list"]
    prog.type("struct net")
    prog.type("struct net_device")
    hide_user_half(prog)
    with _without_gc(), shared_budget(prog):
        return _take(prog, traffic)


def _rows(discovery: Discovery, records: DeviceRecords) -> list[Device]:
    # What was allocated together lies together: by address, a page of the dump is
    # unpacked once and not once for each end of a pair.
    addresses = sorted(discovery.found)
    return [records.device(discovery.found[at]) for at in addresses]


def _take(prog: Program, traffic: bool) -> Snapshot:
    layouts = Layouts(prog)
    discovery = Discovery(layouts)
    records = DeviceRecords(layouts, discovery)
    open_files = OpenFiles(prog)
    nets = discovery.namespaces()
    moving = MovingRows(layouts, discovery, records) if moves(prog) else None
    if moving is None:
        tell_apart(prog, layouts.index_hlist, discovery.found)
    sockets = None
    if traffic:
        sockets = XdpSockets(prog, [net for net, _ in nets], open_files)
    namespaces, untold = name_namespaces(prog, nets, open_files)
    namespaces.sort(key=_inum_key)
    discovery.label(namespaces)
    if moving is None:
        devices = _rows(discovery, records)
    else:
        devices, namespaces = moving.all(namespaces)
    devices = with_true_masters(devices)
    add_stopped(layouts, discovery, devices, records.with_napi)
    devices.sort(key=_sort_key)
    devices = add_ref_tasks(layouts, devices)
    pairs, halves = _pairs(devices, discovery.found)
    kernel = read_kernel(prog, records.functions)
    snapshot = Snapshot(
        read_target(prog)._replace(rtnl_owner=kernel.rtnl_owner),
        tuple(namespaces),
        tuple(devices),
        tuple(pairs),
        (*discovery.incomplete, *halves, *untold),
        kernel,
        record_links(
            prog,
            records.programs.links.values(),
            functools.partial(open_bpf_links, open_files),
        ),
        attempt(read_programs, prog),
    )
    if traffic:
        snapshot = add_traffic(prog, layouts, snapshot, discovery.found, sockets)
    if moving is None:
        return snapshot
    return without_traffic_of(moving.gone(), snapshot)


def take_something(prog: Program, traffic: bool = True) -> Snapshot:
    """
    Read all network namespaces and devices of a kernel, at least one namespace.

    :param traffic: See :func:`take_snapshot()`
    :raises UnreadTargetError: if there is nothing to read; its text is one line
    """
    snapshot = attempt(take_snapshot, prog, traffic)
    if isinstance(snapshot, Unreadable):
        raise UnreadTargetError(
            f"the kernel's types or symbols are missing: {snapshot.reason}"
        )
    if not snapshot.namespaces:
        _, why = next(unreadable_in(snapshot))
        raise UnreadTargetError(f"no network namespace could be read: {why}")
    return snapshot
