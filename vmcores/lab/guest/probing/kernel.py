# SPDX-License-Identifier: LGPL-2.1-or-later
"""The devices of every namespace, and whether they are still as before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass
import os
import time

from devices import Device, Routing
import ethtool
from libc import setns
from namespaces import find_namespaces

__all__ = ("Kernel", "ProberError", "State", "expedited_rcu")

RCU_EXPEDITED = "/sys/kernel/rcu_expedited"
PATIENCE = 60.0


class ProberError(Exception):
    """The prober could not put something back."""


@dataclass(frozen=True)
class State:
    """What must be the same before and after, by namespace and ifindex."""

    devices: Mapping[tuple[int, int], Device]
    features: Mapping[tuple[int, int], bytes]
    channels: Mapping[tuple[int, int], bytes]


class Kernel:
    """All namespaces, and which of them the process is in."""

    def __init__(self) -> None:
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._namespaces = find_namespaces()
        self._routes: dict[int, Routing] = {}
        self.inum = 0

    def enter(self, inum: int) -> None:
        """Enter a namespace."""
        setns(self._namespaces[inum].fd)
        self.inum = inum
        if inum not in self._routes:
            self._routes[inum] = Routing()

    @property
    def route(self) -> Routing:
        """The routing socket of the current namespace."""
        return self._routes[self.inum]

    def leave(self) -> None:
        """Go back to the namespace in which the process started."""
        setns(self._home)

    def max_mtus(self) -> dict[tuple[int, int], int]:
        """Return max_mtu of all devices.

        A program on one veth limits the MTU of the other, wherever that is.
        """
        return {
            (inum, device.ifindex): device.max_mtu
            for inum, route in self._routes.items()
            for device in route.devices()
        }

    def state(self) -> State:
        """Return all that a question might change."""
        devices = {}
        features = {}
        channels = {}
        for inum in self._namespaces:
            self.enter(inum)
            for device in self.route.devices():
                key = inum, device.ifindex
                devices[key] = device
                features[key] = ethtool.features(device.name)
                channels[key] = ethtool.channels(device.name)
        return State(devices, features, channels)

    def restore_features(self, before: State) -> None:
        """Request the features that each device had."""
        for key, old in before.features.items():
            self.enter(key[0])
            name = before.devices[key].name
            if ethtool.features(name) != old:
                ethtool.want_features(name, old)

    def must_be(self, before: State) -> None:
        """Raise ProberError, with the differences, if the state has changed."""
        after = self.state()
        if before == after:
            return
        differences = []
        for name in ("devices", "features", "channels"):
            old, new = getattr(before, name), getattr(after, name)
            for key in sorted(old.keys() | new.keys()):
                if old.get(key) != new.get(key):
                    device = before.devices.get(key)
                    differences.append(
                        f"{key} {device.name if device else ''!r} {name}: "
                        f"{old.get(key)!r}, then {new.get(key)!r}"
                    )
        raise ProberError("not as before: " + "\n".join(differences))

    def must_become(self, before: State) -> None:
        """As :meth:`must_be()`, once what follows a carrier has followed it."""
        deadline = time.monotonic() + PATIENCE
        while self.state() != before and time.monotonic() < deadline:
            time.sleep(0.5)
        self.must_be(before)


@contextlib.contextmanager
def expedited_rcu() -> Iterator[None]:
    """Shorten the waits for RCU, which otherwise take most of the time of an attach."""
    with open(RCU_EXPEDITED, encoding="ascii") as f:
        before = f.read()
    try:
        with open(RCU_EXPEDITED, "w", encoding="ascii") as f:
            f.write("1")
        yield
    finally:
        with open(RCU_EXPEDITED, "w", encoding="ascii") as f:
            f.write(before)
