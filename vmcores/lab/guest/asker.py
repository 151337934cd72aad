#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ask the kernel for other things than an XDP attach, for every device in every network
namespace, and leave everything as it was.

Use: ``asker.py OUT``, after truth.py has recorded. OUT is JSON in ASCII, one answer a
line; names are written as truth.py writes them::

    {"format": "drgn-veth-asked/1", "seconds": 12.3,
     "skipped": [{"netns": INUM, "ifindex": 2, "name": "eth0", "question": "mtu 68",
       "reason": "..."}],
     "answers": [{"netns": INUM, "ifindex": 2, "name": "eth0", "before": [],
       "question": "mtu 68", "errno": 22, "message": "..."}]}

Questions are written as ``xdp_attach.py --then`` takes them. "before" has those that
the kernel had granted by then, and that were undone later. "names" are those that are
taken in the namespace that a "netns new" speaks of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import sys
import time

from answers import write_answers
from asking.device import About, Elsewhere, Masters
from asking.record import Record
from asking.sequences import ask_in_a_row
from devices import Device
from probing.kernel import Kernel, ProberError, expedited_rcu
from probing.loaded import Loaded

__all__ = ("ask_all", "main")

#: Pairs about which questions are asked in a row.
PAIRS = 16
IFF_UP = 1


def _has_uppers(devices: Mapping[int, Device], links: Mapping[int, int]) -> set[int]:
    """Return the devices that others lie on, or that have a master."""
    return {
        link
        for ifindex, link in links.items()
        if link and devices[ifindex].kind not in ("veth", "netkit")
    }


def ask_all(record: Record) -> None:
    """Ask about all devices, record the answers, and check that nothing changes.

    :raises ProberError: something changed
    """
    kernel = Kernel()
    before = kernel.state()
    loaded = Loaded(keep=False)
    about = About(kernel, loaded, record)
    assert loaded.plain.fd is not None
    elsewhere = Elsewhere()
    namespaces: dict[int, dict[int, Device]] = {}
    for (inum, ifindex), device in before.devices.items():
        namespaces.setdefault(inum, {})[ifindex] = device
    pairs = PAIRS
    for inum, devices in namespaces.items():
        kernel.enter(inum)
        here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        masters = Masters(kernel.route, loaded.plain.fd)
        links = {}
        for device in devices.values():
            about.of(inum, device)
            links[device.ifindex] = about.link.link or 0
        uppers = _has_uppers(devices, links)
        for device in devices.values():
            about.of(inum, device)
            busy = device.ifindex in uppers or about.link.master is not None
            about.all_channels()
            about.all_mtus(busy)
            about.all_masters(masters)
            about.all_namespaces(elsewhere, here)
            counts = about.counts()
            queues = (
                max((counts[w] for w in ("rx", "tx", "combined")), default=1)
                if counts
                else 1
            )
            about.all_binds(queues)
            about.all_devmaps()
        for device in devices.values():
            peer = devices.get(links[device.ifindex])
            if device.kind != "veth" or peer is None or peer.kind != "veth":
                continue
            about.of(inum, peer)
            free = about.link.master is None and links[peer.ifindex] == device.ifindex
            about.of(inum, device)
            free = free and about.link.master is None
            free = free and not {device.ifindex, peer.ifindex} & uppers
            # veth_set_channels() gives a carrier to an end whose peer is down.
            free = free and bool(device.flags & peer.flags & IFF_UP)
            if free and not device.xdp and not peer.xdp and pairs:
                pairs -= 1
                ask_in_a_row(about, device, peer, masters)
        kernel.enter(inum)
        masters.close()
        os.close(here)
    kernel.restore_features(before)
    elsewhere.close()
    about.close()
    kernel.must_become(before)
    kernel.leave()


def _write(path: str, record: Record, seconds: float) -> None:
    head = {
        "format": "drgn-veth-asked/1",
        "seconds": seconds,
        "skipped": record.skipped,
    }
    write_answers(path, head, record.answers)


def main(arguments: Sequence[str]) -> int:
    """Write the answers to the file named by the only argument."""
    if len(arguments) != 1:
        print("usage: asker.py OUT", file=sys.stderr)
        return 2
    start = time.monotonic()
    record = Record()
    try:
        with expedited_rcu():
            ask_all(record)
    except ProberError as e:
        print(f"asker.py: {e}", file=sys.stderr)
        _write(f"{arguments[0]}.failed", record, 0)
        return 1
    seconds = round(time.monotonic() - start, 1)
    _write(arguments[0], record, seconds)
    print(
        f"asker: {len(record.answers)} answers, {len(record.skipped)} skipped, "
        f"{seconds} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
