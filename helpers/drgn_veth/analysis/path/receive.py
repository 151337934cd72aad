# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a device receives
----------------------

From its driver on, for devices that have no peer: NICs, tap, bridges, VLANs.
"""

from typing import Optional

from ...core.english import count
from ...core.unreadable import Unreadable
from ...model import Device
from ..names import name_of
from .beyond import receive_core
from .gro import gro
from .records import Slot
from .steering import has_steering, steer
from .topology import Topology
from .trail import Trail
from .xdp import generic, native_of_driver

__all__ = ("receives",)

#: They get packets in another round of __netif_receive_skb_core(), which has asked for
#: RPS before; by kind, the function that hands a packet over.
_ANOTHER_ROUND = {
    "vlan": "vlan_do_receive",
    "macvlan": "macvlan_handle_frame",
    "macvtap": "macvlan_handle_frame",
    "ipvlan": "ipvlan_handle_frame",
    "ipvtap": "ipvlan_handle_frame",
    "bond": "bond_handle_frame",
    "team": "team_handle_frame",
}


def _another_round(trail: Trail, device: Device, function: str) -> None:
    lowers = device.lowers
    below = "the device below"
    if isinstance(lowers, tuple) and lowers:
        below = ", ".join(name_of(ref) for ref in lowers[:4])
    text = f"from {below}, on the same CPU"
    trail.add("receive", function, device, text, via="another_round")
    if has_steering(device):
        trail.add(
            *("rps", "get_rps_cpu", device),
            f"its own RPS steers nothing: the kernel asks that of {below}",
            cpus=None,
            skipped=True,
        )
    receive_core(trail, device)


def _bridge(trail: Trail, device: Device) -> None:
    # The packet keeps the queue mapping that it has at the port.
    rx = device.queues.rx.real
    alternatives: tuple[str, ...] = ()
    if has_steering(device) and isinstance(rx, int):
        alternatives = (f"RPS skips it if its queue index at the port is {rx} or more",)
    trail.add(
        *("receive", "br_pass_frame_up", device),
        "from a port: to its own address, or flooded",
        alternatives=alternatives,
        via="netif_receive_skb",
    )
    steer(trail, device, backlog=False)
    receive_core(trail, device)


def _received(trail: Trail, device: Device, queue: int) -> None:
    kind = device.kind
    if isinstance(device.flags, tuple) and "UP" not in device.flags:
        trail.add(
            "receive", "netif_running", device, "down: receives nothing", via=None
        )
        trail.ends = f"dropped: {name_of(device)} is down"
        return
    if isinstance(device.flags, tuple) and "LOWER_UP" not in device.flags:
        text = "no carrier: nothing arrives now"
        trail.add("receive", "netif_carrier_ok", device, text, via=None)
    if kind == "dummy":
        trail.add("receive", "dummy_xmit", device, "a dummy receives nothing", via=None)
        trail.ends = "nothing arrives: a dummy drops what is sent to it"
        return
    if isinstance(kind, str) and kind in _ANOTHER_ROUND:
        _another_round(trail, device, _ANOTHER_ROUND[kind])
        return
    if kind == "bridge":
        _bridge(trail, device)
        return
    if isinstance(device.flags, tuple) and "LOOPBACK" in device.flags:
        text = "what was sent on it"
        trail.add("receive", "loopback_xmit", device, text, via="netif_rx")
        steer(trail, device, backlog=True)
        receive_core(trail, device)
        return
    rx = device.queues.rx.real
    many = isinstance(rx, int) and rx > 1
    driver = device.driver.name
    function = driver if isinstance(driver, str) else "the driver"
    trail.add(
        "receive",
        function,
        device,
        Slot("rx_queue", "rx"),
        via="driver",
        rx_queue=queue,
    )
    # skb_record_rx_queue() of a driver with several RX queues.
    trail.mapping = queue + 1 if many else 0
    native_of_driver(trail, device, queue)
    if kind == "tun":
        # tun_get_user() runs the generic program itself.
        generic(trail, device)
        steer(trail, device, backlog=False)
        receive_core(trail, device, ran_generic=True)
        return
    gro(trail, device)
    steer(trail, device, backlog=False)
    receive_core(trail, device)


def receives(
    topology: Topology, device: Device, queue: Optional[int], cpu: Optional[int]
) -> list[tuple[int, Trail]]:
    """
    Return the trails of what a device receives, by RX queue.

    :param queue: Only this RX queue
    :param cpu: The CPU that receives, None for any
    """
    rx = device.queues.rx.real
    if isinstance(rx, Unreadable) or not rx:
        trail = Trail(topology, cpu)
        if isinstance(rx, Unreadable):
            trail.ends = f"which RX queues there are could not be read: {rx.reason}"
        else:
            trail.ends = f"{name_of(device)} has {count(0, 'RX queue')}"
        return [(-1, trail)]
    found = []
    for one in range(rx) if queue is None else (queue,):
        trail = Trail(topology, cpu)
        _received(trail, device, one)
        found.append((one, trail))
    return found
