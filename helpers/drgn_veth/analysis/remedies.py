# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Remedies
--------

Commands that fix what was found, and their side effects. This is the one place that
decides which command fixes a state: the decisions of an XDP attach and the rules of
diagnosis both use it. Pure functions of a Snapshot.
"""

from collections.abc import Iterator, Sequence
from typing import (
    NamedTuple,
    Optional,
    Union,
)

from ..core.english import number_list
from ..core.uapi import IPV6_MIN_MTU
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, RpsQueue, Snapshot, XpsQueue
from .commands import Commands
from .limits import can_have_channels, can_have_mtu
from .mtu_followers import MOST_OVERHEAD, is_announced, mtu_followers, overhead
from .names import name_from

__all__ = ("ATTACHES_AGAIN", "Fixes", "Remedy", "lowers", "lowers_which")

#: The side effect of ``attach_again()``.
ATTACHES_AGAIN = "detaches the program for a moment and attaches it again"


_LOWERS = "lowers the MTU of "
_AND = " and of "


def lowers(names: Sequence[str]) -> str:
    """Return the side effect of lowering the MTU of devices."""
    return f"{_LOWERS}{_AND.join(names)}"


def lowers_which(effect: str) -> Optional[Sequence[str]]:
    """Return the devices of :func:`lowers()`, None if a side effect is another one."""
    if not effect.startswith(_LOWERS) or ", " in effect:
        return None
    return effect[len(_LOWERS) :].split(_AND)


class Remedy(NamedTuple):
    """Commands that fix something; none if no command does."""

    commands: tuple[str, ...] = ()
    effect: Optional[str] = None  # what they do besides, after "this "

    @property
    def fix_effect(self) -> Optional[str]:
        """The side effects to report: none without commands."""
        return self.effect if self.commands else None

    def and_then(self, other: "Remedy") -> "Remedy":
        """
        Return one command that runs all of these and, if they succeed, those of another
        remedy; none if one of the two has none.
        """
        effect = ", ".join(filter(None, (self.effect, other.effect))) or None
        if not self.commands or not other.commands:
            return Remedy((), effect)
        return Remedy((" && ".join((*self.commands, *other.commands)),), effect)


def _may_raise_rx(device: Device) -> bool:
    # Whether it is safe to give a veth more RX queues.
    if device.xdp.driver is not None:
        return False
    # A bond's program is in its slave's veth_priv alone.
    return device.veth is None or (device.veth.stale == () and device.veth.prog == 0)


def _lost(
    what: str,
    direction: str,
    queues: Maybe[Sequence[Union[RpsQueue, XpsQueue]]],
    real: Maybe[int],
    left: Optional[int],
) -> Iterator[str]:
    # The settings of the queues that go.
    if left is None or (not isinstance(real, Unreadable) and left >= real):
        return
    if isinstance(queues, Unreadable):
        yield f"any {what} settings of {direction}-{left} and above"
        return
    # The first member is the queue's number.
    lost = [queue.queue for queue in queues[left:] if any(queue[1:])]
    if lost:
        yield f"the {what} settings of {direction}-{number_list(lost)}"


def _has_ipv6(device: Device) -> bool:
    if isinstance(device.addresses, Unreadable):
        return True
    return any(":" in one for one in device.addresses)


class Fixes(Commands):
    """Makes remedies for the devices of a Snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot)
        self._by_address: dict[int, Device] = {
            device.net_device: device for device in snapshot.devices
        }

    ### Queues

    def set_channels(
        self,
        device: Device,
        seen_from: Device,
        rx: Optional[int] = None,
        tx: Optional[int] = None,
    ) -> Remedy:
        """
        Return the one command that sets queue counts; none if they cannot be set, if
        nothing changes, or if adding RX queues is dangerous.

        It does not add an RX queue that already has a program, nor RX queues under a
        native program, which they might not run: kernels with these bugs of
        veth_set_channels() (xdp-stale-program, xdp-queue-without-program) cannot be
        recognized.

        :param seen_from: The device that the finding is on
        """
        # Since Linux kernel commit 4752eeb3d891 ("veth: implement support for
        # set_channel ethtool op") (in v5.15). Before, queues are counted when a pair is
        # made.
        if device.driver.set_channels is not True:
            return Remedy()
        real_rx, real_tx = device.queues.rx.real, device.queues.tx.real
        raised = rx is not None and (isinstance(real_rx, Unreadable) or rx > real_rx)
        if raised and not _may_raise_rx(device):
            return Remedy()
        rx_word, tx_word = None if rx == real_rx else rx, None if tx == real_tx else tx
        commands = self.channels(device.ref, rx_word, tx_word)
        # What veth_set_channels() itself refuses may be well after a first command.
        if not can_have_channels(device, rx_word, tx_word):
            return Remedy()
        return Remedy(commands, self._lost_with_queues(device, seen_from, rx, tx))

    def _lost_with_queues(
        self, device: Device, seen_from: Device, rx: Optional[int], tx: Optional[int]
    ) -> Optional[str]:
        # A removed queue loses its settings: an RX queue its RPS mask and its RFS
        # table, a TX queue (netif_set_real_num_tx_queues(), net/core/dev.c) its XPS
        # maps.
        counts = device.queues
        lost = [
            *_lost("RPS", "rx", device.rps, counts.rx.real, rx),
            *_lost("XPS", "tx", device.xps, counts.tx.real, tx),
        ]
        if not lost:
            return None
        whose = "" if device is seen_from else f" of {name_from(device, seen_from)}"
        return f"also removes {' and '.join(lost)}{whose}"

    def more_rx_than_tx(self, device: Device, peer: Device) -> Remedy:
        """
        Return the command after which a veth has an RX queue for each TX queue of its
        peer, none if queues cannot be set. It adds RX queues if that is safe; otherwise
        it removes TX queues.
        """
        rx, tx = device.queues.rx, peer.queues.tx
        if isinstance(rx.real, Unreadable) or isinstance(tx.real, Unreadable):
            return Remedy()
        if device.driver.set_channels is not True:
            return Remedy()
        if not isinstance(rx.allocated, Unreadable) and tx.real <= rx.allocated:
            raised = self.set_channels(device, device, rx=tx.real)
            if raised.commands:
                return raised
        return self.set_channels(peer, device, tx=rx.real)

    ### MTU

    def _mtu_owner(self, device: Device) -> Optional[Device]:
        # The device whose MTU a device has: itself, or the bond or team that it is a
        # port of, which keeps its ports at its own; None if that is not known.
        if device.master is None:
            return device
        if isinstance(device.master, Unreadable):
            return None
        master = self._by_address.get(device.master.net_device)
        if master is None or isinstance(master.kind, Unreadable):
            return None
        return master if master.kind in ("bond", "team") else device

    def _to_lower(self, device: Device, mtu: int) -> Optional[Device]:
        # Whose MTU has to be lowered; None if it is not larger, or unknown.
        owner = self._mtu_owner(device)
        if owner is None or isinstance(owner.mtu, Unreadable) or owner.mtu <= mtu:
            return None
        return owner

    def _followers(self, owner: Device, mtu: int) -> Iterator[tuple[Device, bool]]:
        # What is lowered with a device, and whether that is sure.
        above = mtu_followers(
            owner, mtu, lambda ref: self._by_address.get(ref.net_device)
        )
        for upper, now in above:
            if isinstance(upper.mtu, Unreadable) or upper.mtu > mtu - overhead(upper):
                yield upper, not isinstance(now, Unreadable)

    def _can_lower(self, owner: Device, mtu: int) -> bool:
        # addrconf_notify() takes all IPv6 addresses of a device with a smaller MTU.
        if mtu < IPV6_MIN_MTU and _has_ipv6(owner):
            return False
        if mtu < IPV6_MIN_MTU + MOST_OVERHEAD:
            for one, _ in self._followers(owner, mtu):
                too_small = mtu - overhead(one) < IPV6_MIN_MTU
                if too_small and is_announced(one) and _has_ipv6(one):
                    return False
        return can_have_mtu(owner, mtu)

    def _lowered_with(self, owner: Device, mtu: int, seen_from: Device) -> list[str]:
        found = sorted(self._followers(owner, mtu), key=lambda one: not one[1])
        return [
            name_from(upper, seen_from) + ("" if sure else " unless it was set by hand")
            for upper, sure in found
        ]

    def lower_mtu(self, device: Device, mtu: int) -> Remedy:
        """
        Return the command that lowers the MTU of a device, or that of its bond or
        team; none if that has no larger one.
        """
        owner = self._to_lower(device, mtu)
        if owner is None or not self._can_lower(owner, mtu):
            return Remedy()
        names = [] if owner is device else [f"all ports of {name_from(owner, device)}"]
        names += self._lowered_with(owner, mtu, device)
        return Remedy(self.mtu(owner.ref, mtu), lowers(names) if names else None)

    def lower_both_mtus(
        self, device: Device, peer: Device, most: int, say_peer: bool = True
    ) -> Remedy:
        """
        Return the commands after which the MTU of the peer is *most* or less, and both
        ends have the same; none if one of them cannot be lowered.

        :param say_peer: Whether lowering only the peer's MTU counts as a side effect
        """
        # Different MTUs would lose packets in one direction: mtu-mismatch.
        wanted = most
        if not isinstance(device.mtu, Unreadable):
            wanted = min(most, device.mtu)
        commands = self.lower_mtu(peer, wanted).commands
        if commands and not isinstance(device.mtu, Unreadable) and device.mtu != wanted:
            first = self.lower_mtu(device, wanted).commands
            # One of them if both are ports of one bond.
            commands = tuple(dict.fromkeys((*first, *commands))) if first else ()
        lowered = self._lowered(device, peer, wanted)
        if lowered == [name_from(peer, device)] and not say_peer:
            return Remedy(commands)
        return Remedy(commands, lowers(lowered))

    def _lowered(self, device: Device, peer: Device, mtu: int) -> list[str]:
        names: list[str] = []
        for end in (device, peer):
            owner = self._to_lower(end, mtu)
            if owner is not None:
                name = name_from(owner, device)
                names.append(name if owner is end else f"{name} and all its ports")
                names += self._lowered_with(owner, mtu, device)
        return list(dict.fromkeys(names))
