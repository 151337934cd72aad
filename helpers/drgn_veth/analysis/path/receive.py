# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a device receives
----------------------

From its driver on, for devices that have no peer: NICs, tap, bridges, VLANs.
"""

from collections.abc import Mapping
from typing import Callable, Optional

from ...core.english import count
from ...core.unreadable import Unreadable
from ...model import Device, Ipvlan, Macvlan
from ..names import name_of
from .beyond import receive_core
from .gro import gro
from .records import Slot
from .steering import ANOTHER_ROUND, has_steering, steer, steered_by_own_rps
from .topology import Topology
from .trail import Trail
from .xdp import native_of_driver, native_of_slaves

__all__ = ("receives",)


def _below(device: Device) -> str:
    lowers = device.lowers
    if isinstance(lowers, tuple) and lowers:
        return ", ".join(name_of(ref) for ref in lowers[:4])
    return "the device below"


def _another_round(trail: Trail, device: Device, function: str) -> None:
    below = _below(device)
    text = f"from {below}, on the same CPU"
    native_of_slaves(trail, device)
    trail.add("receive", function, device, text, via="another_round")
    if has_steering(device):
        steers = steered_by_own_rps(device) or "all"
        trail.add(
            *("rps", "get_rps_cpu", device),
            f"its own RPS steers {steers}: the kernel looks at the masks of {below}",
            cpus=None,
            skipped=True,
        )
    receive_core(trail, device)


def _l3s(trail: Trail, device: Device) -> None:
    # IP has it: neither generic XDP nor tc of this device sees it.
    text = f"from the IP stack of {_below(device)} (l3s)"
    trail.add("receive", "ipvlan_l3_rcv", device, text, via="l3mdev")
    trail.ends = f"IP stack of {device.netns_label or 'its namespace'} (l3s)"


def _vrf(trail: Trail, device: Device) -> None:
    # vrf_ip_rcv() makes it the device of a packet that IP has already.
    text = f"from the IP stack of {_below(device)}"
    trail.add("receive", "vrf_ip_rcv", device, text, via="l3mdev")
    trail.ends = f"IP stack of {device.netns_label or 'its namespace'} (vrf)"


def _openvswitch(trail: Trail, device: Device) -> None:
    text = "from another port of its datapath"
    trail.add("receive", "internal_dev_recv", device, text, via="netif_rx")
    steer(trail, device, backlog=True)
    receive_core(trail, device)


def _source(trail: Trail, device: Device) -> None:
    trail.add(
        *("receive", "macvlan_forward_source_one", device),
        f"a copy of what its source MACs send to {_below(device)}",
        alternatives=_by_mapping_below(device),
        via="netif_rx",
    )
    steer(trail, device, backlog=True)
    receive_core(trail, device)


def _by_mapping_below(
    device: Device, below: str = "the device below"
) -> tuple[str, ...]:
    # The packet keeps the queue mapping that it has there.
    rx = device.queues.rx.real
    if not has_steering(device) or not isinstance(rx, int):
        return ()
    return (f"RPS skips it if its queue index at {below} is {rx} or more",)


def _bridge(trail: Trail, device: Device) -> None:
    trail.add(
        *("receive", "br_pass_frame_up", device),
        "from a port: to its own address, or flooded",
        alternatives=_by_mapping_below(device, "the port"),
        via="netif_receive_skb",
    )
    steer(trail, device, backlog=False)
    receive_core(trail, device)


# Those that call skb_record_rx_queue() with one RX queue, too: receive_buf()
# (drivers/net/virtio_net.c), tun_get_user() (drivers/net/tun.c).
_RECORDING = ("virtio_net", "tun")

#: Kinds that get their packets from no NAPI of a driver.
_WITHOUT_NAPI: Mapping[str, Callable[[Trail, Device], None]] = {
    "bridge": _bridge,
    "openvswitch": _openvswitch,
    "vrf": _vrf,
}


def _received(trail: Trail, device: Device, queue: int) -> None:
    kind = device.kind
    if device.is_down:
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
    if isinstance(device.macvlan, Macvlan) and device.macvlan.mode == "source":
        _source(trail, device)
        return
    if isinstance(device.ipvlan, Ipvlan) and device.ipvlan.mode == "l3s":
        _l3s(trail, device)
        return
    if isinstance(kind, str) and kind in ANOTHER_ROUND:
        _another_round(trail, device, ANOTHER_ROUND[kind])
        return
    if isinstance(kind, str) and kind in _WITHOUT_NAPI:
        _WITHOUT_NAPI[kind](trail, device)
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
    trail.mapping = queue + 1 if many or driver in _RECORDING else 0
    native_of_driver(trail, device, queue)
    if kind != "tun":  # tun_get_user() calls netif_receive_skb().
        gro(trail, device)
    steer(trail, device, backlog=False)
    receive_core(trail, device)


def _trail(topology: Topology, device: Device, cpu: Optional[int]) -> Trail:
    if device.kind in _WITHOUT_NAPI or device.kind in ANOTHER_ROUND:
        return Trail(topology, cpu, None)  # Any CPU sent it to the device below.
    trail = Trail(topology, cpu)
    trail.unsent = not (isinstance(device.flags, tuple) and "LOOPBACK" in device.flags)
    return trail


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
        trail = _trail(topology, device, cpu)
        if isinstance(rx, Unreadable):
            trail.ends = f"which RX queues there are could not be read: {rx.reason}"
        else:
            trail.ends = f"{name_of(device)} has {count(0, 'RX queue')}"
        return [(-1, trail)]
    found = []
    for one in range(rx) if queue is None else (queue,):
        trail = _trail(topology, device, cpu)
        _received(trail, device, one)
        found.append((one, trail))
    return found
