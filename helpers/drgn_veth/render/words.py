# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Words
-----

How tables and CSV files show a value, or a few that belong together.
"""

from typing import Optional

from ..analysis.chains import Chain
from ..core.english import number_list, per_queue
from ..core.unreadable import Maybe, Unreadable
from ..model import (
    XDP_MODES,
    BridgePort,
    Device,
    DeviceRef,
    Ipvlan,
    Macvlan,
    Netkit,
    QueueCount,
    Vlan,
    XdpProgram,
)
from .escape import for_terminal

__all__ = (
    "UNKNOWN",
    "af_xdp",
    "bond",
    "bridge_port",
    "cell",
    "chain",
    "ipvlan",
    "macvlan",
    "netkit",
    "netns",
    "queue_count",
    "reference",
    "rfs",
    "rps",
    "state",
    "vlan",
    "xdp",
)

UNKNOWN = "?"


def cell(value: object, none: str = "") -> str:
    """
    Return one value, ``?`` if it could not be read.

    >>> cell(1500), cell("br\\n0"), cell(Unreadable("gone")), cell(None, "-")
    ('1500', 'br\\\\x0a0', '?', '-')
    """
    if value is None:
        return none
    if isinstance(value, Unreadable):
        return UNKNOWN
    return for_terminal(value) if isinstance(value, str) else str(value)


def queue_count(count: QueueCount) -> str:
    """
    Return real/allocated queues.

    >>> queue_count(QueueCount(14, 48)), queue_count(QueueCount(Unreadable("gone"), 48))
    ('14/48', '?/48')
    """
    return f"{cell(count.real)}/{cell(count.allocated)}"


def state(device: Device) -> str:
    """Return whether a device is up and has a carrier, as ``ip link`` shows it."""
    flags = device.flags
    if isinstance(flags, Unreadable):
        return UNKNOWN
    if "UP" not in flags:
        return "DOWN"
    return "UP" if "RUNNING" in flags else "NO-CARRIER"


def netns(ref: DeviceRef) -> str:
    """Return the label of a device's namespace, or else its inode number."""
    return cell(ref.label) if ref.label else cell(ref.netns)


def reference(ref: Maybe[Optional[DeviceRef]]) -> str:
    """
    Return how another device refers to one: by its name and namespace.

    >>> eth0 = DeviceRef(4026532309, 7, "eth0", 0xFFFF888000000000, label="pod1")
    >>> reference(eth0), reference(eth0._replace(name=Unreadable("gone")))
    ('eth0 (pod1)', '? (pod1, ifindex 7)')
    """
    if ref is None or isinstance(ref, Unreadable):
        return cell(ref)
    # Names are unique among the devices of a namespace that are on its list.
    known = isinstance(ref.name, str) and ref.name and ref.off_list is None
    number = "" if known else f", ifindex {cell(ref.ifindex)}"
    return f"{cell(ref.name)} ({netns(ref)}{number})"


def vlan(device: Device) -> str:
    """Return the VLAN of a device: its ID, and its protocol if that is not 802.1Q."""
    vlan = device.vlan
    if not isinstance(vlan, Vlan):
        return cell(vlan)
    return " ".join(map(cell, vlan[:1] if vlan.protocol == "802.1Q" else vlan))


def macvlan(device: Device) -> str:
    """Return the mode of a macvlan device."""
    macvlan = device.macvlan
    return cell(macvlan.mode if isinstance(macvlan, Macvlan) else macvlan)


def ipvlan(device: Device) -> str:
    """Return the mode of an ipvlan device, and its flags."""
    ipvlan = device.ipvlan
    if not isinstance(ipvlan, Ipvlan):
        return cell(ipvlan)
    flags = ipvlan.flags
    known = (flags,) if isinstance(flags, Unreadable) else flags
    return " ".join(map(cell, (ipvlan.mode, *known)))


def bond(device: Device) -> str:
    """Return the mode of a bond."""
    return "" if device.bond is None else cell(device.bond.mode)


def bridge_port(device: Device) -> str:
    """Return the state of a port of a bridge."""
    port = device.bridge_port
    return cell(port.state if isinstance(port, BridgePort) else port)


def netkit(device: Device) -> str:
    """Return the mode of a netkit device, its policy, and which end it is."""
    netkit = device.netkit
    if not isinstance(netkit, Netkit):
        return cell(netkit)
    primary = netkit.primary
    end: object = primary
    if not isinstance(primary, Unreadable):
        end = "primary" if primary else "peer"
    return " ".join(map(cell, (netkit.mode, netkit.policy, end)))


def chain(chain: Chain, device: Device) -> str:
    """
    Return a chain of devices, without the first: those in another namespace with that.

    :param device: The first
    """
    names = [
        cell(ref.name)
        if ref.netns == device.netns
        else f"{cell(ref.name)} ({netns(ref)})"
        for ref in chain.devices
    ]
    return " < ".join([*names, "..."] if chain.cut else names)


def _program(mode: str, program: Maybe[Optional[XdpProgram]]) -> Optional[str]:
    if program is None:
        return None
    if isinstance(program, Unreadable):
        return f"{mode} {UNKNOWN}"
    link = "" if program.via == "netlink" else " link"
    frags = " frags" if program.frags is True else ""
    return f"{mode} {cell(program.name)}#{cell(program.id)}{link}{frags}"


def xdp(device: Device) -> list[str]:
    """Return the XDP programs of a device, one per line, with their mode."""
    lines = (_program(mode, getattr(device.xdp, mode)) for mode in XDP_MODES)
    return [line for line in lines if line is not None]


def af_xdp(device: Device) -> list[str]:
    """Return how many AF_XDP sockets a device has, in a line; none if it has none."""
    sockets = device.af_xdp
    if isinstance(sockets, Unreadable):
        return [f"AF_XDP {UNKNOWN}"]
    return [f"{len(sockets)} AF_XDP"] if sockets else []


def rps(device: Device) -> str:
    """
    Return the CPUs that RPS steers to: ``0-3`` if all queues have the same,
    ``rx0:0-1 rx2-3:3`` otherwise, ``""`` if RPS is off.
    """
    if isinstance(device.rps, Unreadable):
        return UNKNOWN
    return per_queue(
        (
            queue.queue,
            UNKNOWN if isinstance(queue.cpus, Unreadable) else number_list(queue.cpus),
        )
        for queue in device.rps
    )


def rfs(device: Device) -> str:
    """Return the sizes of the RFS flow tables, in the form of :func:`rps()`."""
    queues = device.rps
    if isinstance(queues, Unreadable):
        return UNKNOWN
    return per_queue(
        (queue.queue, cell(queue.flow_entries) if queue.flow_entries else "")
        for queue in queues
    )
