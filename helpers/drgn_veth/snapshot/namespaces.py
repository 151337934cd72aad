# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the namespaces and the links of a Snapshot are called, and who holds them."""

from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from drgn import Object, Program

from ..core.errors import attempt, is_read_error, reason
from ..core.unreadable import Maybe, Unreadable
from ..model import DeviceRef, Namespace, Task, XdpLink
from ..readers.nsfs import net_mounts, net_processes, netns_name
from ..readers.xdp import bpf_link_id
from ..readers.xdp_links import LinkPin, for_each_bpf_link_pin, xdp_link_refs
from .discover import lift

__all__ = ("name_namespaces", "record_links")


def _task(
    processes: Maybe[Mapping[int, Tuple[int, str]]], net: int
) -> Maybe[Optional[Task]]:
    if isinstance(processes, Unreadable):
        return processes
    found = processes.get(net)
    return None if found is None else Task(*found)


def _names(paths: Tuple[str, ...]) -> Tuple[str, ...]:
    return tuple(sorted({name for name in map(netns_name, paths) if name is not None}))


def name_namespaces(
    prog: Program, found: Sequence[Tuple[int, Namespace]]
) -> List[Namespace]:
    """
    Return namespaces with their names.

    :param found: Address of each ``struct net``, and what is known of it
    """
    mounts = attempt(net_mounts, prog)
    if isinstance(mounts, Unreadable):
        return [
            namespace._replace(names=mounts, mounts=mounts) for _, namespace in found
        ]

    def mounts_of(namespace: Namespace) -> Maybe[Tuple[str, ...]]:
        inum = namespace.inum
        return inum if isinstance(inum, Unreadable) else mounts.get(inum, ())

    # Nobody names these but by a process.
    nameless = {
        net
        for net, namespace in found
        if not (namespace.init or namespace.dying)
        and (isinstance(paths := mounts_of(namespace), Unreadable) or not paths)
    }
    processes: Maybe[Dict[int, Tuple[int, str]]] = {}
    if nameless:
        processes = attempt(net_processes, prog, nameless)
    named = []
    for net, namespace in found:
        paths = mounts_of(namespace)
        named.append(
            namespace._replace(
                names=lift(_names, paths), mounts=paths, process=_task(processes, net)
            )
        )
    return named


def record_links(
    prog: Program, links: Iterable[Tuple[Object, DeviceRef]]
) -> Tuple[XdpLink, ...]:
    """
    Return the records of links.

    :param links: ``struct bpf_xdp_link *``, and what it holds a program on
    """
    # The address of a member takes no read.
    by_address = {
        link.link.address_of_().value_(): (link, device) for link, device in links
    }
    if not by_address:
        return ()
    # One file may have several paths, or none any more.
    pins: Dict[int, List[LinkPin]] = {address: [] for address in by_address}
    try:
        for pin in for_each_bpf_link_pin(prog, set(by_address)):
            pins[pin.link].append(pin)
    except Exception as e:
        if not is_read_error(e):
            raise
        why = Unreadable(reason(e))
        return tuple(
            [
                XdpLink(attempt(bpf_link_id, link), device, why, why)
                for link, device in by_address.values()
            ]
        )
    records = []
    for address, (link, device) in by_address.items():
        files = pins[address]
        paths = tuple(sorted(path for pin in files for path in pin.paths))
        here = all(pin.here for pin in files)
        holders = lift(_less, attempt(xdp_link_refs, link), len(files))
        ident = attempt(bpf_link_id, link)
        records.append(XdpLink(ident, device, paths, holders, here))
    return tuple(records)


def _less(refs: int, files: int) -> int:
    if refs < files:
        raise ValueError(f"{refs} references, and {files} pins")
    return refs - files
