# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Commands
--------

Command lines for a shell on the host; each one enters the network namespace that it has
to run in. Pure functions of a Snapshot.
"""

from collections.abc import Iterable, Mapping, Sequence
import os
from typing import Optional, TypeVar

from ..core.unreadable import Maybe, Unreadable
from ..core.xdp_modes import IP_LINK
from ..model import XDP_MODES, Device, DeviceRef, Namespace, Snapshot, XdpProgram
from .held import way_in
from .shell import rps_mask, shell_quote

__all__ = ("Commands",)

_NETNS_RUN = ("/run/netns/", "/var/run/netns/")

T = TypeVar("T")


def _known(value: Maybe[Optional[T]]) -> Optional[T]:
    return None if isinstance(value, Unreadable) else value


class Commands:
    """
    Makes commands for the devices of a Snapshot; none for a device that cannot be
    reached.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._namespaces: dict[Maybe[int], Namespace] = {
            namespace.inum: namespace for namespace in snapshot.namespaces
        }

    def _way_in(self, namespace: Optional[Namespace]) -> Optional[Sequence[str]]:
        # The command that runs another one in a namespace; None if none can.
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
        for task in _known(namespace.tasks) or ():
            # /proc has all threads, but lists only processes.
            ident = task.pid if task.thread is None else task.thread
            if not isinstance(ident, Unreadable):
                return ("nsenter", f"--net=/proc/{ident}/ns/net")
        return way_in(_known(namespace.holders) or ())

    def command(self, device: DeviceRef, *argv: str) -> tuple[str, ...]:
        """
        Return a command line that runs in a device's namespace, in a tuple; an empty
        tuple if it cannot be entered.

        :param argv: Command and arguments
        """
        if device.off_list is not None or isinstance(device.netns, Unreadable):
            return ()
        way = self._way_in(self._namespaces.get(device.netns))
        if way is None:
            return ()
        return (" ".join(shell_quote(word) for word in (*way, *argv)),)

    def _named(self, device: DeviceRef, *argv: str) -> tuple[str, ...]:
        # A "{}" in argv is the device's name.
        name = _known(device.name)
        if not name:
            return ()
        return self.command(device, *(name if word == "{}" else word for word in argv))

    def channels(
        self, device: DeviceRef, rx: Optional[int] = None, tx: Optional[int] = None
    ) -> tuple[str, ...]:
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

    def mtu(self, device: DeviceRef, mtu: int) -> tuple[str, ...]:
        """Return the command that sets the MTU."""
        return self._named(device, "ip", "link", "set", "dev", "{}", "mtu", str(mtu))

    def up(self, device: DeviceRef) -> tuple[str, ...]:
        """Return the command that sets a device up."""
        return self._named(device, "ip", "link", "set", "dev", "{}", "up")

    def tcp_data_split_off(self, device: DeviceRef) -> tuple[str, ...]:
        """Return the command that disables tcp-data-split."""
        return self._named(device, "ethtool", "-G", "{}", "tcp-data-split", "off")

    def no_master(self, device: DeviceRef) -> tuple[str, ...]:
        """Return the command that removes a device from its master."""
        return self._named(device, "ip", "link", "set", "dev", "{}", "nomaster")

    def ethtool_feature(
        self, device: DeviceRef, name: str, on: bool
    ) -> tuple[str, ...]:
        """Return the command that enables or disables an offload such as ``gro``."""
        return self._named(device, "ethtool", "-K", "{}", name, "on" if on else "off")

    def attach(self, device: DeviceRef, mode: str) -> tuple[str, ...]:
        """
        Return the command that attaches the XDP program in a file ``FILE``.

        :param mode: ``default``, ``generic``, ``driver`` or ``offload``
        """
        xdp = IP_LINK[mode]
        return self._named(device, "ip", "link", "set", "dev", "{}", xdp, "obj", "FILE")

    def detach(
        self, device: DeviceRef, mode: str, program: XdpProgram
    ) -> tuple[str, ...]:
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
            device, "ip", "link", "set", "dev", "{}", IP_LINK[mode], "off"
        )

    def detach_all(self, device: Device) -> tuple[str, ...]:
        """
        Return the commands that detach all XDP programs of a device, none if one of
        them cannot be detached.
        """
        commands: list[str] = []
        for mode in XDP_MODES:
            program = getattr(device.xdp, mode)
            if isinstance(program, XdpProgram):
                detach = self.detach(device.ref, mode, program)
                if not detach:
                    return ()
                commands.extend(detach)
        return tuple(commands)

    def _in_sysfs(self, device: DeviceRef, script: str, path: str) -> tuple[str, ...]:
        # The path in sysfs is the script's $0, so that the script need not quote it.
        if isinstance(device.netns, Unreadable):
            return ()
        way = self._way_in(self._namespaces.get(device.netns))
        # /sys shows the namespace in which it was mounted. ip mounts it again.
        if not way or way[0] == "ip":
            return self.command(device, "sh", "-c", script, path)
        script = f"mount -t sysfs sysfs /sys && {script}"
        return self.command(device, "unshare", "--mount", "sh", "-c", script, path)

    def rps_all(self, device: DeviceRef, cpus: Iterable[int]) -> tuple[str, ...]:
        """Return the command that gives all RX queues the same RPS mask."""
        name = _known(device.name)
        if not name:
            return ()
        script = f'for f in "$0"/rx-*/rps_cpus; do echo {rps_mask(cpus)} >"$f"; done'
        return self._in_sysfs(device, script, f"/sys/class/net/{name}/queues")

    def rps_each(
        self, device: DeviceRef, masks: Mapping[int, Iterable[int]]
    ) -> tuple[str, ...]:
        """
        Return the command that writes RPS masks.

        :param masks: CPUs, by number of the RX queue; other queues keep their masks
        """
        name = _known(device.name)
        if not name or not masks:
            return ()
        script = " && ".join(
            f'echo {rps_mask(cpus)} >"$0"/rx-{queue}/rps_cpus'
            for queue, cpus in masks.items()
        )
        return self._in_sysfs(device, script, f"/sys/class/net/{name}/queues")

    def attach_again(
        self,
        device: DeviceRef,
        mode: str,
        program: XdpProgram,
        between: tuple[str, ...] = (),
    ) -> tuple[str, ...]:
        """
        Return the command that detaches a program and attaches the same one again, with
        a pin that keeps it in between; none if a link holds it.

        It is one command: if a step fails, the shell skips the rest. If the attach
        fails, the pin keeps the program.

        :param between: Commands to run while it is detached
        """
        name = _known(device.name)
        ident = program.id
        if program.via == "link" or isinstance(ident, Unreadable) or not name:
            return ()
        xdp = IP_LINK[mode]
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
