# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions in a row, about both ends of a veth pair that has no program."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import time

from devices import Device

from .device import About, Masters

__all__ = ("ask_in_a_row",)

ATTACHED = ("attach driver",)


@contextlib.contextmanager
def _of(about: About, device: Device, peer: Device) -> Iterator[None]:
    """Ask about the peer for a while."""
    inum = about.inum
    about.of(inum, peer)
    about.whose = device
    yield
    about.whose = None
    about.of(inum, device)


def ask_in_a_row(about: About, device: Device, peer: Device, masters: Masters) -> None:
    """Ask about a device, with each question after one that was granted."""
    time.sleep(0.5)  # The kernel lets go of the queues of closed sockets.
    _after_attach(about, device, peer, masters)
    _after_mtu(about, device, peer)
    counts = about.counts()
    if counts:
        _after_channels(about, device, peer, counts)
        _after_bind(about, counts)


def _after_attach(about: About, device: Device, peer: Device, masters: Masters) -> None:
    if not about.attach("driver"):
        return
    counts = about.counts()
    with _of(about, device, peer):
        other = about.counts()
        now = about.kernel.route.device(peer.ifindex)
        about.mtu(now.max_mtu + 1, ATTACHED)
        if peer.mtu <= now.max_mtu and about.mtu(now.max_mtu, ATTACHED):
            about.put_mtu_back()
        if other and other["max tx"] > counts["rx"]:
            about.channels({"tx": counts["rx"] + 1}, ATTACHED)
        if about.attach("driver", ATTACHED):
            about.detach("driver")
    about.attach("generic", ATTACHED)
    about.attach("driver", ATTACHED)
    if other and other["tx"] > 1:
        about.channels({"rx": other["tx"] - 1}, ATTACHED)
    about.mtu(65536, ATTACHED)
    about.let_go(0, about.bind(0, ("copy",), ATTACHED))
    about.bind(0, ("zerocopy",), ATTACHED)
    if "new bridge" in masters.there:
        if about.enslave("new bridge", masters.there["new bridge"], ATTACHED):
            about.free()
    about.detach("driver")


def _after_mtu(about: About, device: Device, peer: Device) -> None:
    if peer.mtu > peer.max_mtu:
        return  # It could not be put back.
    for mtu in (3506, 3507, 9000):
        with _of(about, device, peer):
            granted = mtu != peer.mtu and about.mtu(mtu)
        if granted:
            if about.attach("driver", (f"peer mtu {mtu}",)):
                about.detach("driver")
            with _of(about, device, peer):
                about.put_mtu_back()


def _after_channels(
    about: About, device: Device, peer: Device, counts: dict[str, int]
) -> None:
    wanted = counts["rx"] + 1
    with _of(about, device, peer):
        other = about.counts()
        granted = (
            bool(other)
            and other["tx"] < wanted <= other["max tx"]
            and about.channels({"tx": wanted})
        )
    if granted:
        if about.attach("driver", (f"peer channels tx {wanted}",)):
            about.detach("driver")
        with _of(about, device, peer):
            about.set_channels(other)


def _after_bind(about: About, counts: dict[str, int]) -> None:
    last = max(counts["rx"], counts["tx"]) - 1
    made = about.bind(last, ("copy",))
    before = (f"bind queue {last} copy",)
    if made is None:
        return
    again = about.bind(last, ("copy",), before)
    if again is not None:
        about.let_go(last, again)
    if last:
        # Some kernels grant the second: no RX queue goes away.
        for wanted in {"rx": 1, "tx": 1}, {"tx": last}:
            if about.channels(wanted, before):
                about.set_channels(counts)
    if about.attach("driver", before):
        about.detach("driver")
    about.let_go(last, made)
