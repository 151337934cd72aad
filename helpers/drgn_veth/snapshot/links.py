# SPDX-License-Identifier: LGPL-2.1-or-later
"""The BPF links of a Snapshot, and who holds them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Callable, Optional

from drgn import Object, Program

from ..core.errors import attempt
from ..core.moving import CHANGING
from ..core.unreadable import Maybe, Unreadable
from ..model import DeviceRef, Holder, XdpLink
from ..readers.bpf_link import bpf_link_id, xdp_link_refs
from .link_pins import LinkPin, for_each_bpf_link_pin

__all__ = ("OpenLinks", "is_of_another", "record_links")

#: Finds which tasks have BPF links open: takes the addresses of ``struct bpf_link``,
#: returns the tasks of each that has some.
OpenLinks = Callable[[Collection[int]], Mapping[int, tuple[Holder, ...]]]


def _less(refs: int, files: int) -> int:
    if refs < files:
        raise ValueError(f"{refs} references, but {files} pins")
    return refs - files


def _with_tasks(
    records: Mapping[int, XdpLink], open_links: OpenLinks
) -> tuple[XdpLink, ...]:
    # To look costs a walk over the files of all tasks.
    held = {address for address, record in records.items() if record.holders != 0}
    found: Maybe[Mapping[int, tuple[Holder, ...]]] = {}
    if held:
        found = attempt(open_links, held)
    return tuple(
        record._replace(
            tasks=found if isinstance(found, Unreadable) else found.get(address, ())
        )
        for address, record in records.items()
    )


def is_of_another(link: Object, device: DeviceRef) -> bool:
    """
    Return whether a link does not lead back to a device that leads to it, as
    bpf_xdp_link_attach() makes it (net/core/dev.c).

    :param link: ``struct bpf_xdp_link *``
    """
    back = attempt(lambda: link.dev.value_())
    return not isinstance(back, Unreadable) and back != device.net_device


def _is_same(link: Object, record: XdpLink) -> bool:
    # In a running kernel, another link may have taken its memory.
    if is_of_another(link, record.device):
        return False
    return attempt(bpf_link_id, link) == record.id


def _changing(device: DeviceRef) -> XdpLink:
    return XdpLink(CHANGING, device, CHANGING, CHANGING, tasks=CHANGING)


def record_links(
    prog: Program,
    links: Iterable[tuple[Object, DeviceRef]],
    open_links: Optional[OpenLinks] = None,
) -> tuple[XdpLink, ...]:
    """
    Return the records of links.

    :param links: ``struct bpf_xdp_link *``, and the device that it is attached to
    :param open_links: Called once, for the links that a process has open; by default,
        they are not looked for
    """
    # The address of a member takes no read.
    by_address = {
        link.link.address_of_().value_(): (link, device) for link, device in links
    }
    if not by_address:
        return ()
    pins = attempt(lambda: list(for_each_bpf_link_pin(prog, set(by_address))))
    # One file may have several paths, or none any more.
    files: dict[int, list[LinkPin]] = {address: [] for address in by_address}
    for pin in () if isinstance(pins, Unreadable) else pins:
        files[pin.link].append(pin)
    records = []
    for address, (link, device) in by_address.items():
        ident = attempt(bpf_link_id, link)
        if isinstance(pins, Unreadable):
            records.append(XdpLink(ident, device, pins, pins))
            continue
        paths = tuple(sorted(path for pin in files[address] for path in pin.paths))
        here = all(pin.here for pin in files[address])
        holders = attempt(_less, attempt(xdp_link_refs, link), len(files[address]))
        records.append(XdpLink(ident, device, paths, holders, here))
    found = tuple(records)
    if open_links is not None:
        found = _with_tasks(dict(zip(by_address, records)), open_links)
    return tuple(
        record if _is_same(link, record) else _changing(record.device)
        for record, (link, _) in zip(found, by_address.values())
    )
