# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Commands that change what was found
-----------------------------------

Command lines for a shell of the host, each with the network namespace that it has to
run in. Pure functions of a Snapshot.
"""

import os
import re
import shlex
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef, Namespace, Snapshot, Task, XdpProgram

__all__ = ("Fixes", "may_raise_rx", "rps_mask", "shell_quote")

_NETNS_RUN = ("/run/netns/", "/var/run/netns/")

# ip's word for each mode.
_IP_MODE = {"generic": "xdpgeneric", "driver": "xdpdrv", "offload": "xdpoffload"}


def shell_quote(word: str) -> str:
    """
    Return a word as any POSIX shell takes it, with no byte that a terminal obeys.

    Names from kernel memory have bytes that are not UTF-8 as ``\\xNN``; printf makes
    bytes of them again.
    """
    if word.isprintable() and word.isascii() and "\\" not in word:
        return shlex.quote(word)
    escaped = "".join(
        c if c.isprintable() and c.isascii() and c not in "'\\%" else _octal(c)
        for c in re.sub(r"\\x([89a-f][0-9a-f])", _lone_byte, word)
    )
    return f"\"$(printf -- '{escaped}')\""


def _lone_byte(match: "re.Match[str]") -> str:
    return chr(0xDC00 + int(match.group(1), 16))


def _octal(c: str) -> str:
    data = c.encode("utf-8", "surrogateescape")
    return "".join(f"\\{byte:03o}" for byte in data)


def _known(value: Maybe[Optional[str]]) -> Optional[str]:
    return None if isinstance(value, Unreadable) else value


def rps_mask(cpus: Iterable[int]) -> str:
    """Return a mask of CPUs as the kernel's bitmap_parse() takes it: ``2,00000009``."""
    mask = sum(1 << cpu for cpu in set(cpus))
    groups: List[str] = []
    while mask or not groups:
        groups.insert(0, f"{mask & 0xFFFFFFFF:08x}")
        mask >>= 32
    groups[0] = groups[0].lstrip("0") or "0"
    return ",".join(groups)


def may_raise_rx(device: Device) -> bool:
    """Return whether it is safe to give a veth more RX queues."""
    if device.driver.set_channels is not True or device.xdp.driver is not None:
        return False
    # A bond's program is in its slave's veth_priv alone.
    return device.veth is None or (device.veth.stale == () and device.veth.prog == 0)


class Fixes:
    """Makes commands for the devices of a Snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._namespaces: Dict[Maybe[int], Namespace] = {
            namespace.inum: namespace for namespace in snapshot.namespaces
        }
        self._by_address: Dict[int, Device] = {
            device.net_device: device for device in snapshot.devices
        }

    def _way_in(self, namespace: Optional[Namespace]) -> Optional[Sequence[str]]:
        # The command that runs another one in a namespace; None if there is no way.
        if namespace is None or namespace.dying:
            return None
        if namespace.init:
            return ()
        if not isinstance(namespace.mounts, Unreadable):
            for path in namespace.mounts:
                folder, name = os.path.split(path)
                if f"{folder}/" in _NETNS_RUN:
                    return ("ip", "netns", "exec", name)
            for path in namespace.mounts:
                return ("nsenter", f"--net={path}")
        process = namespace.process
        if isinstance(process, Task) and not isinstance(process.pid, Unreadable):
            return ("nsenter", f"--net=/proc/{process.pid}/ns/net")
        return None

    def command(self, device: DeviceRef, *argv: str) -> Tuple[str, ...]:
        """
        Return a command line that runs where a device is, in a tuple; an empty one if
        nothing is known that leads there.

        :param argv: Command and arguments
        """
        if device.off_list is not None or isinstance(device.netns, Unreadable):
            return ()
        way = self._way_in(self._namespaces.get(device.netns))
        if way is None:
            return ()
        return (" ".join(shell_quote(word) for word in (*way, *argv)),)

    def _named(self, device: DeviceRef, *argv: str) -> Tuple[str, ...]:
        # A "{}" in argv is the device's name.
        name = _known(device.name)
        if not name:
            return ()
        return self.command(device, *(name if word == "{}" else word for word in argv))

    def channels(
        self, device: DeviceRef, rx: Optional[int] = None, tx: Optional[int] = None
    ) -> Tuple[str, ...]:
        """Return the one command that sets the numbers of RX and TX queues."""
        counts = [
            word
            for direction, number in (("rx", rx), ("tx", tx))
            if number is not None
            for word in (direction, str(number))
        ]
        if not counts:
            return ()
        return self._named(device, "ethtool", "-L", "{}", *counts)

    def more_rx_than_tx(self, device: Device, peer: Device) -> Tuple[str, ...]:
        """
        Return the command after which a veth has an RX queue for each TX queue of its
        peer, none if queues cannot be set.

        RX queues are added rather than TX queues taken away. They are not added where
        one that comes into use names a program already, nor under a native program,
        which they might not run: kernels with these bugs of veth_set_channels()
        (xdp-stale-program, xdp-queue-without-program) cannot be told from others.
        """
        rx, tx = device.queues.rx, peer.queues.tx
        if isinstance(rx.real, Unreadable) or isinstance(tx.real, Unreadable):
            return ()
        # Since Linux kernel commit 4752eeb3d891 ("veth: implement support for
        # set_channel ethtool op") (in v5.15). Before, queues are counted when a pair is
        # made. Both ends have the same driver.
        if device.driver.set_channels is not True:
            return ()
        commands: Tuple[str, ...] = ()
        if (
            may_raise_rx(device)
            and not isinstance(rx.allocated, Unreadable)
            and tx.real <= rx.allocated
        ):
            commands = self.channels(device.ref, rx=tx.real)
        return commands or self.channels(peer.ref, tx=rx.real)

    def mtu(self, device: DeviceRef, mtu: int) -> Tuple[str, ...]:
        """Return the command that sets the MTU."""
        return self._named(device, "ip", "link", "set", "dev", "{}", "mtu", str(mtu))

    def mtu_owner(self, device: Device) -> Optional[Device]:
        """
        Return the device whose MTU a device has: itself, or the bond or team that it
        is a port of, which keeps its ports at its own; None if that is not known.
        """
        if device.master is None:
            return device
        if isinstance(device.master, Unreadable):
            return None
        master = self._by_address.get(device.master.net_device)
        if master is None or isinstance(master.kind, Unreadable):
            return None
        return master if master.kind in ("bond", "team") else device

    def lower_mtu(self, device: Device, mtu: int) -> Tuple[str, ...]:
        """
        Return the command that lowers the MTU of a device, or that of its bond or
        team; none if that has no larger one.
        """
        owner = self.mtu_owner(device)
        if owner is None or isinstance(owner.mtu, Unreadable) or owner.mtu <= mtu:
            return ()
        return self.mtu(owner.ref, mtu)

    def lower_both_mtus(
        self, device: Device, peer: Device, most: int
    ) -> Tuple[str, ...]:
        """
        Return the commands after which the MTU of the peer is *most* or less, and both
        ends have the same; none if one of them cannot be lowered.
        """
        # With different ones, one way would be too large: mtu-mismatch.
        wanted = most
        if not isinstance(device.mtu, Unreadable):
            wanted = min(most, device.mtu)
        commands = self.lower_mtu(peer, wanted)
        if not commands or isinstance(device.mtu, Unreadable) or device.mtu == wanted:
            return commands
        first = self.lower_mtu(device, wanted)
        # One of them if both are ports of one bond.
        return tuple(dict.fromkeys((*first, *commands))) if first else ()

    def up(self, device: DeviceRef) -> Tuple[str, ...]:
        """Return the command that sets a device up."""
        return self._named(device, "ip", "link", "set", "dev", "{}", "up")

    def tcp_data_split_off(self, device: DeviceRef) -> Tuple[str, ...]:
        """Return the command that switches tcp-data-split off."""
        return self._named(device, "ethtool", "-G", "{}", "tcp-data-split", "off")

    def no_master(self, device: DeviceRef) -> Tuple[str, ...]:
        """Return the command that takes a device from its master."""
        return self._named(device, "ip", "link", "set", "dev", "{}", "nomaster")

    def ethtool_feature(
        self, device: DeviceRef, name: str, on: bool
    ) -> Tuple[str, ...]:
        """Return the command that switches an offload such as ``gro``."""
        return self._named(device, "ethtool", "-K", "{}", name, "on" if on else "off")

    def rps(
        self, device: DeviceRef, queue: int, cpus: Iterable[int]
    ) -> Tuple[str, ...]:
        """Return the command that sets the RPS mask of an RX queue."""
        name = _known(device.name)
        if not name:
            return ()
        path = f"/sys/class/net/{name}/queues/rx-{queue}/rps_cpus"
        return self._in_sysfs(device, f'echo {rps_mask(cpus)} >"$0"', path)

    def detach(
        self, device: DeviceRef, mode: str, program: XdpProgram
    ) -> Tuple[str, ...]:
        """
        Return the command that detaches an XDP program.

        :param mode: ``generic``, ``driver`` or ``offload``
        """
        if program.via == "link":
            if isinstance(program.link_id, Unreadable) or not program.link_id:
                return ()
            # Links are in no namespace.
            return (f"bpftool link detach id {program.link_id}",)
        return self._named(
            device, "ip", "link", "set", "dev", "{}", _IP_MODE[mode], "off"
        )

    def detach_all(self, device: Device) -> Tuple[str, ...]:
        """Return the commands that detach all XDP programs of a device."""
        commands: List[str] = []
        for mode in ("generic", "driver", "offload"):
            program = getattr(device.xdp, mode)
            if isinstance(program, XdpProgram):
                commands.extend(self.detach(device.ref, mode, program))
        return tuple(commands)

    def _in_sysfs(self, device: DeviceRef, script: str, path: str) -> Tuple[str, ...]:
        # A script, and a path in sysfs that is its $0: the script's shell need not know
        # how a name is quoted.
        if isinstance(device.netns, Unreadable):
            return ()
        way = self._way_in(self._namespaces.get(device.netns))
        # /sys shows the namespace that it was mounted in. ip mounts it anew.
        if not way or way[0] == "ip":
            return self.command(device, "sh", "-c", script, path)
        script = f"mount -t sysfs sysfs /sys && {script}"
        return self.command(device, "unshare", "--mount", "sh", "-c", script, path)

    def rps_all(self, device: DeviceRef, cpus: Iterable[int]) -> Tuple[str, ...]:
        """Return the command that gives all RX queues the same RPS mask."""
        name = _known(device.name)
        if not name:
            return ()
        script = f'for f in "$0"/rx-*/rps_cpus; do echo {rps_mask(cpus)} >"$f"; done'
        return self._in_sysfs(device, script, f"/sys/class/net/{name}/queues")

    def attach_again(
        self,
        device: DeviceRef,
        mode: str,
        program: XdpProgram,
        between: Tuple[str, ...] = (),
    ) -> Tuple[str, ...]:
        """
        Return the command that detaches a program and attaches the same one again, with
        a pin that keeps it in between; none if a link holds it.

        It is one command: if a step fails, the next one is not taken. If that is the
        attach, the program is kept by its pin.

        :param between: Commands that are to be run while it is detached
        """
        name = _known(device.name)
        ident = program.id
        if program.via == "link" or isinstance(ident, Unreadable) or not name:
            return ()
        xdp = _IP_MODE[mode]
        off = self.command(device, "bpftool", "net", "detach", xdp, "dev", name)
        on = self.command(
            device, "bpftool", "net", "attach", xdp, "id", str(ident), "dev", name
        )
        if not off or not on:
            return ()
        pin = f"/sys/fs/bpf/drgn-veth-{ident}"
        again = on[0]
        if between:
            # It is attached again even if these fail.
            again = f"{{ {'; '.join((*between, *on))}; }}"
        steps = (f"bpftool prog pin id {ident} {pin}", *off, again, f"rm {pin}")
        return (" && ".join(steps),)
