# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions about the devices of a Snapshot, and what one decision says about them."""

from collections import ChainMap
from collections.abc import Mapping, MutableMapping
import copy
from typing import Optional, Protocol, Union

from ...core.uapi import XDP_FLAGS_UPDATE_IF_NOEXIST
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, Kernel, LoadedProgram, Snapshot
from ..remedies import Fixes
from . import core
from .decision import Decision, first
from .drivers import DRIVERS
from .question import DRV, MODE_FLAGS, Answer, Question

__all__ = ("HasAddress", "Questions", "decision", "fresh_program")

_NOT_READ = Unreadable("the kernel's constants were not read")
_UNKNOWN = Kernel(
    _NOT_READ, _NOT_READ, _NOT_READ, _NOT_READ, _NOT_READ, _NOT_READ, False, False,
    False, Unreadable("the kernel's code was not read"), _NOT_READ, None,
)  # fmt: skip


def fresh_program(frags: bool = False) -> LoadedProgram:
    """Return a program that is not attached, and was loaded for no device."""
    return LoadedProgram(0, 0, "", frags, 0, False, False, 0, False)


def decision(key: str) -> Decision:
    """
    Return a decision of the core or of a driver.

    :raises KeyError: if there is none
    """
    return _DECISIONS[key]


_DECISIONS: Mapping[str, Decision] = {
    decision.key: decision
    for decisions in (
        core.CORE,
        core.CHECKS,
        core.NO_OPERATION,
        core.INSTALL,
        *(driver.decisions for driver in DRIVERS.values()),
    )
    for decision in decisions
}


class HasAddress(Protocol):
    """What is known by its address, such as a ``struct net_device *`` of drgn."""

    def value_(self) -> int:
        """Return the address."""


class Questions:
    """Makes questions to the kernel of a Snapshot, and asks single decisions."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.kernel = _UNKNOWN if snapshot.kernel is None else snapshot.kernel
        self.by_address: MutableMapping[int, Device] = {
            device.net_device: device for device in snapshot.devices
        }
        self.fixes = Fixes(snapshot)
        messages = self.kernel.messages
        self._messages: Maybe[Mapping[str, frozenset[str]]] = (
            messages if isinstance(messages, Unreadable) else dict(messages)
        )
        #: A program that is not attached, by whether it supports fragments.
        self.fresh = {frags: fresh_program(frags) for frags in (False, True)}

    def with_devices(self, devices: Mapping[int, Device]) -> "Questions":
        """
        Return these with other records of some devices.

        :param devices: By their address
        """
        other = copy.copy(self)
        other.by_address = ChainMap(dict(devices), self.by_address)
        return other

    def record(self, device: Union[Device, HasAddress]) -> Device:
        """
        Return the record of a device, which may be a record already.

        :raises TypeError: if it is no device
        :raises LookupError: if it is not in the Snapshot
        """
        if isinstance(device, Device):
            return device
        if not hasattr(device, "value_"):
            raise TypeError(
                "expected a Device of the Snapshot or a struct net_device *, not "
                f"{type(device).__name__}; find_netdev() returns one"
            )
        address = device.value_()
        try:
            return self.by_address[address]
        except (KeyError, TypeError):
            where = f"{address:#x}" if isinstance(address, int) else "this address"
            raise LookupError(f"the Snapshot has no device at {where}") from None

    def question(
        self,
        device: Device,
        via: str,
        flags: int,
        program: Optional[LoadedProgram],
        expected: Optional[int] = None,
    ) -> Question:
        """Return a question; see :meth:`.predictor.Predictor.ask()`."""
        return Question(
            self.kernel, self.by_address, self.fixes, device, via, flags, program,
            expected,
        )  # fmt: skip

    def has_message(self, function: str, message: Optional[str]) -> Maybe[bool]:
        """Return whether a function of this kernel refers to a message."""
        if isinstance(self._messages, Unreadable):
            return self._messages
        there = self._messages.get(function)
        if there is None:
            return Unreadable(f"the code of {function}() was not searched for messages")
        return message in there

    def has_decision(self, key: str) -> Maybe[bool]:
        """Return whether this kernel makes a decision, as its code shows."""
        made = decision(key)
        return made.everywhere or self.has_message(made.function, made.message)

    def refusal(self, device: Device, key: str, mode: str = DRV) -> Optional[Answer]:
        """
        Return how one decision refuses an attach that replaces nothing, as if no other
        decision came before it; None if it does not refuse.

        :param key: Of the decision
        :param mode: ``generic``, ``driver`` or ``offload``
        :raises CannotTell: if a value is missing
        """
        made = decision(key)
        flags = MODE_FLAGS[mode] | XDP_FLAGS_UPDATE_IF_NOEXIST
        q = self.question(device, "netlink", flags, self.fresh[False])
        refused = first(q, (made,))
        # Some kernels make this decision in dev_xdp_install().
        if refused and self.has_message("dev_xdp_install", made.message) is True:
            return refused._replace(function="dev_xdp_install")
        return refused
