# SPDX-License-Identifier: LGPL-2.1-or-later
"""The BPF links of a Snapshot, and who holds them."""

from collections.abc import Iterable

from drgn import Object, Program

from ..core.errors import attempt
from ..core.unreadable import Unreadable
from ..model import DeviceRef, XdpLink
from ..readers.bpf_link import bpf_link_id, xdp_link_refs
from .link_pins import LinkPin, for_each_bpf_link_pin

__all__ = ("record_links",)


def _less(refs: int, files: int) -> int:
    if refs < files:
        raise ValueError(f"{refs} references, but {files} pins")
    return refs - files


def record_links(
    prog: Program, links: Iterable[tuple[Object, DeviceRef]]
) -> tuple[XdpLink, ...]:
    """
    Return the records of links.

    :param links: ``struct bpf_xdp_link *``, and the device that it is attached to
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
    return tuple(records)
