# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Beyond the device
-----------------

What ``__netif_receive_skb_core()`` (net/core/dev.c) does with a packet: the generic
program, tc programs, VLANs, the receive handler of a master or a macvlan, and then the
IP stack. Some of them hand it to another device, for another round.
"""

from collections.abc import Sequence

from ...core.unreadable import Unreadable
from ...model import BridgePort, Device, Ipvlan, Macvlan, Vlan
from ..chains import MOST_LEVELS
from ..names import name_from, name_of
from .steering import has_steering, steer
from .tc import tc_programs
from .trail import Trail
from .xdp import generic

__all__ = ("receive_core",)

_MOST_NAMES = 8
#: What a port in such a state does with frames other than those of the protocol.
_CLOSED = ("disabled", "listening", "learning", "blocking")


def _down(device: Device) -> str:
    # vlan_do_receive(), macvlan_handle_frame(): they drop what is for it.
    return " (down: dropped)" if device.is_down else ""


def _names(devices: Sequence[Device], seen_from: Device) -> str:
    names = [
        f"{name_from(one, seen_from)}{_down(one)}" for one in devices[:_MOST_NAMES]
    ]
    more = len(devices) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _label(device: Device) -> str:
    if device.netns_label:
        return device.netns_label
    netns = device.netns
    return "an unknown namespace" if isinstance(netns, Unreadable) else f"net:{netns}"


def _stack(trail: Trail, device: Device, vrf: str = "") -> None:
    where = f"IP stack of {_label(device)}{vrf}"
    trail.add("stack", "deliver_skb", device, where)
    trail.ends = where


def _vlans(trail: Trail, device: Device) -> None:
    vlans = trail.topology.above(device, "vlan")
    if not vlans:
        return
    words = []
    for one in vlans[:_MOST_NAMES]:
        number = one.vlan.id if isinstance(one.vlan, Vlan) else None
        known = number if isinstance(number, int) else "?"
        words.append(f"{known} to {name_from(one, device)}{_down(one)}")
    if len(vlans) > _MOST_NAMES:
        words.append(f"{len(vlans) - _MOST_NAMES} more")
    trail.add(
        *("vlan", "vlan_do_receive", device),
        "an untagged packet goes on",
        alternatives=(f"with a tag: VLAN {', '.join(words)}; the rest happens there",),
        vlans=tuple(
            one.vlan.id if isinstance(one.vlan, Vlan) else None for one in vlans
        ),
    )


def _bridge(trail: Trail, device: Device, bridge: Device) -> None:
    port = device.bridge_port
    state = port.state if isinstance(port, BridgePort) else None
    if isinstance(port, Unreadable):
        state = port
    function = "br_handle_frame"
    name = name_from(bridge, device)
    if isinstance(state, str) and state in _CLOSED:
        text = f"port of bridge {name}, {state}: drops"
        trail.add("master", function, bridge, text, state=state)
        trail.ends = f"dropped: the port of {name} is {state}"
        return
    others = [
        one
        for one in trail.topology.ports(bridge)
        if one.net_device != device.net_device
        and not (
            isinstance(one.bridge_port, BridgePort) and one.bridge_port.state in _CLOSED
        )
    ]
    ports = f"out by another port: {_names(others, device)}" if others else ""
    text = f"port of bridge {name}: to its own address, or flooded"
    trail.add(
        *("master", function, bridge, text),
        alternatives=(ports,) if ports else (),
        state=state,
    )
    trail.forward(others)
    # br_pass_frame_up() calls netif_receive_skb(): RPS of the bridge.
    if has_steering(bridge):
        steer(trail, bridge, backlog=False)


def _datapath(trail: Trail, device: Device, master: Device) -> None:
    others = [
        one
        for one in trail.topology.ports(master)
        if one.net_device != device.net_device
    ]
    name = name_from(master, device)
    ports = f"other ports: {_names(others, device)}" if others else "no other port"
    trail.add(
        *("master", "netdev_frame_hook", master),
        f"port of {name}: the flows of Open vSwitch decide",
        alternatives=(ports,),
    )
    trail.forward(others)
    trail.ends = f"Open vSwitch ({name}) decides"


def _macvlans(trail: Trail, device: Device, found: Sequence[Device]) -> bool:
    # Returns whether the lower device keeps nothing for itself.
    words = _names(found, device)
    first = found[0]
    if first.kind in ("ipvlan", "ipvtap"):
        mode = first.ipvlan.mode if isinstance(first.ipvlan, Ipvlan) else None
        text = f"ipvlan: packets for other addresses than those of {words} go on here"
        if mode == "l3s":
            text = f"ipvlan l3s: all packets go on; IP gives {words} their own"
        trail.add(*("macvlan", "ipvlan_handle_frame", device, text), mode=mode)
        return False
    mode = first.macvlan.mode if isinstance(first.macvlan, Macvlan) else None
    if mode == "passthru":
        trail.add(
            *("macvlan", "macvlan_handle_frame", first),
            f"all goes to {words} (passthru)",
            mode=mode,
        )
        if first.is_down:
            trail.ends = f"dropped: {name_of(first)} is down"
        return True
    if mode == "source":
        text, other = "packets go on unless nodst is set", "what some MACs send: to "
    else:
        text, other = "packets for its own MAC go on", "by the MAC: to "
    trail.add(
        *("macvlan", "macvlan_handle_frame", device, text),
        alternatives=(other + words,),
        mode=mode,
    )
    return False


def _master(trail: Trail, device: Device) -> bool:
    # Returns whether the master gets another round.
    ref = device.master
    if ref is None:
        return False
    if isinstance(ref, Unreadable):
        trail.ends = f"the master of {name_of(device)} could not be read: {ref.reason}"
        return False
    master = trail.topology.device(ref)
    if isinstance(master, Unreadable):
        trail.ends = f"the master of {name_of(device)}: {master.reason}"
        return False
    kind = master.kind
    name = name_from(master, device)
    if kind == "bridge":
        _bridge(trail, device, master)
        return trail.ends is None
    if kind in ("bond", "team"):
        trail.add(
            *("master", f"{kind}_handle_frame", master, f"slave of {kind} {name}"),
            alternatives=("an inactive slave drops it",),
        )
        return True
    if kind == "openvswitch":
        _datapath(trail, device, master)
        return False
    if kind == "vrf":
        trail.add("master", "l3mdev_l3_rcv", master, f"VRF {name}: its routing table")
        _stack(trail, device, f", VRF {name}")
        return False
    said = "a device" if kind is None or isinstance(kind, Unreadable) else kind
    trail.add("master", "rx_handler", master, f"{said} {name} takes it")
    trail.ends = f"{name} decides"
    return False


def _handler(trail: Trail, device: Device) -> None:
    # The receive handler of a device that is neither a port nor under a macvlan.
    name = name_of(device)
    if device.kind in ("macvtap", "ipvtap"):
        trail.add(
            *("stack", "tap_handle_frame", device),
            f"the process that has the character device of {name} open reads it",
            alternatives=("if no process has it open, the IP stack gets it",),
        )
        trail.ends = f"the reader of {name}"
    elif device.traits.rx_handler is True:
        text = "its receive handler decides, such as that of a macsec device"
        trail.add("stack", "rx_handler", device, text)
        trail.ends = f"the receive handler of {name} decides"


def receive_core(trail: Trail, device: Device) -> None:
    """Add the steps from the generic program to the end."""
    met: set[int] = set()
    here = device
    while trail.ends is None:
        if here.net_device in met or len(met) > MOST_LEVELS:
            trail.ends = f"a loop: {name_of(here)} is above itself"
            return
        met.add(here.net_device)
        generic(trail, here, always=here is device)
        tc_programs(trail, here, "ingress")
        _vlans(trail, here)
        over = trail.topology.above(here, "macvlan", "macvtap", "ipvlan", "ipvtap")
        if over and _macvlans(trail, here, over):
            here = over[0]
            continue
        if _master(trail, here):
            assert not isinstance(here.master, Unreadable) and here.master is not None
            master = trail.topology.device(here.master)
            assert isinstance(master, Device)
            here = master
            continue
        if trail.ends is None and not over and here.master is None:
            _handler(trail, here)
        if trail.ends is None:
            _stack(trail, here)
