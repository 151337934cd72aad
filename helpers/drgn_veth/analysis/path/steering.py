# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Steering
--------

On which CPU a received packet goes on: ``get_rps_cpu()`` (net/core/dev.c), and the
queue mapping that it reads.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Optional, Union

from ...core.english import count, cpu_words
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, Macvlan, RecordsRxQueue, RpsQueue
from .counted import cpus_counted
from .records import Slot, Value
from .trail import Trail

__all__ = (
    "ANOTHER_ROUND",
    "first_skipped",
    "has_steering",
    "is_recorded",
    "mapping_after_veth",
    "rps_queue",
    "rx_index",
    "steer",
    "steered_by_own_rps",
    "used_count",
    "uses_own_rps",
)

#: They get packets in another round of __netif_receive_skb_core(), which has asked for
#: RPS before; by kind, the function that hands a packet over.
ANOTHER_ROUND: Mapping[str, str] = {
    "vlan": "vlan_do_receive",
    "macvlan": "macvlan_handle_frame",
    "macvtap": "macvlan_handle_frame",
    "ipvlan": "ipvlan_handle_frame",
    "ipvtap": "ipvlan_handle_frame",
    "bond": "bond_handle_frame",
    "team": "team_handle_frame",
}
#: netif_rx(), which asks for RPS, gets some packets of them all the same.
_COPIES = "only broadcast and multicast"
_OF_OTHERS = "only broadcast, multicast, and what other ipvlan devices send"
_SOME: Mapping[str, str] = {
    "macvlan": _COPIES,
    "macvtap": _COPIES,
    "ipvlan": _OF_OTHERS,  # ipvlan_rcv_frame()
    "ipvtap": _OF_OTHERS,
}


def is_recorded(
    records: Maybe[Optional[RecordsRxQueue]],
    device: Device,
    queue: Optional[int] = None,
) -> Maybe[bool]:
    """
    Return whether ``veth_xmit()`` writes the RX queue into what a device receives.

    :param records: When the kernel does
    :param queue: A real RX queue, None for all
    """
    if records is None:
        return Unreadable("the code was not read")
    if isinstance(records, Unreadable):
        return records
    if records is not RecordsRxQueue.WITH_XDP:
        return records is RecordsRxQueue.ALWAYS
    queues = device.xdp.queues
    if isinstance(queues, tuple) and queues:
        asked = [q for q in queues if queue is None or q.queue == queue]
        if asked and all(isinstance(q.prog_id, int) for q in asked):
            return True
    return Unreadable("it is called for RX queues with a program, possibly for all")


def mapping_after_veth(tx: int, rx: int, recorded: bool) -> int:
    """
    Return ``skb->queue_mapping`` behind ``veth_xmit()``.

    :param tx: The TX queue that the sender chose
    :param rx: How many real RX queues the receiver has
    :param recorded: Whether veth_xmit() calls skb_record_rx_queue()
    """
    # It records only an RX queue that there is. Nothing else on the way through veth
    # resets queue_mapping, and the sender writes the TX queue counted from 0.
    return tx + 1 if recorded and tx < rx else tx


def rx_index(mapping: int) -> Optional[int]:
    """
    Return the RX queue that a receiver takes ``skb->queue_mapping`` for, None if it
    takes it for not recorded: ``skb_rx_queue_recorded()``, ``skb_get_rx_queue()``.
    """
    return mapping - 1 if mapping else None


def rps_queue(mapping: int, rx: int) -> Optional[int]:
    """
    Return the RX queue whose RPS applies, None if ``get_rps_cpu()`` gives up.

    :param rx: How many real RX queues the receiver has
    """
    index = rx_index(mapping) or 0
    return index if index < rx else None


def first_skipped(rx: int) -> int:
    """
    Return the first TX queue of a veth whose packets RPS and RFS of its peer skip.

    :param rx: Real RX queues of the peer
    """
    # TX queue N is taken for rx-(N-1). Those that veth_xmit() records are below rx.
    return rx + 1


def used_count(rx: int, tx: int) -> int:
    """
    Return how many RX queues of a veth have masks that steer anything, where
    ``veth_xmit()`` does not record the RX queue.

    :param rx: Real RX queues
    :param tx: Real TX queues of the peer
    """
    # TX queue 0 is taken for rx-0, as if none was recorded, TX queue N for rx-(N-1).
    return max(1, min(rx, tx - 1))


def has_steering(device: Device) -> bool:
    """Return whether some RX queue has RPS or RFS, or may have it."""
    if isinstance(device.rps, Unreadable):
        return True
    return any(queue.cpus or queue.flow_entries for queue in device.rps)


def steered_by_own_rps(device: Device) -> Optional[str]:
    """Return what the RPS of a device steers, None if that is all that it receives."""
    kind = device.kind
    if not isinstance(kind, str) or kind not in ANOTHER_ROUND:
        return None
    if isinstance(device.macvlan, Macvlan) and device.macvlan.mode == "source":
        return None  # macvlan_forward_source_one() calls netif_rx().
    return _SOME.get(kind, "nothing")


def uses_own_rps(device: Device) -> bool:
    """Return whether the masks of a device are those of unicast packets."""
    return steered_by_own_rps(device) in (None, _OF_OTHERS)


def _online(trail: Trail, cpus: Sequence[int]) -> Maybe[tuple[int, ...]]:
    online = trail.topology.target.online_cpus
    if isinstance(online, Unreadable):
        return online
    there = set(online)
    return tuple(cpu for cpu in cpus if cpu in there)


def _rps(trail: Trail, device: Device, queue: RpsQueue, index: Value) -> Value:
    # Returns the CPUs that the map gives.
    cpus = queue.cpus
    which = Slot("queue", "rx")
    numbers: dict[str, Value] = {
        "cpus": cpus or None,
        "index": index,
        "queue": queue.queue,
        "skipped": False,
    }
    if isinstance(cpus, Unreadable):
        unread = ("RPS of ", which, f" could not be read: {cpus.reason}")
        trail.put("rps", "get_rps_cpu", device, unread, numbers)
        return cpus
    if not cpus:
        trail.put("rps", "get_rps_cpu", device, ("no RPS on ", which), numbers)
        return None
    online = _online(trail, cpus)
    words: list[Union[str, Slot]] = ["RPS of ", which, f" -> {cpu_words(cpus)}"]
    alternatives: tuple[str, ...] = ()
    if isinstance(online, Unreadable):
        words.append(f": which are online could not be read: {online.reason}")
        online = cpus
    gone = tuple(cpu for cpu in cpus if cpu not in online)
    if gone:
        numbers["offline"] = gone
        if online:
            words.append(f"; {cpu_words(gone)} offline")
            stays = f"the share of {cpu_words(gone)} stays on the CPU that it is on"
            alternatives = (stays,)
        else:
            words.append(": all offline, so packets stay on the CPU they are on")
    trail.put("rps", "get_rps_cpu", device, tuple(words), numbers, alternatives)
    return online or None


def _rfs(trail: Trail, device: Device, queue: RpsQueue) -> bool:
    # Returns whether RFS may choose another CPU.
    entries = trail.topology.target.rps_sock_flow_entries
    flows = queue.flow_entries
    if not flows:
        return False
    numbers: dict[str, Value] = {"flow_entries": flows, "sock_flow_entries": entries}
    works = True
    if isinstance(entries, Unreadable) or isinstance(flows, Unreadable):
        why = entries if isinstance(entries, Unreadable) else flows
        assert isinstance(why, Unreadable)
        text = f"RFS may choose the CPU: a table could not be read: {why.reason}"
    elif not entries:
        works = False
        text = (
            f"RFS does nothing: {flows} flow entries here, but "
            "net.core.rps_sock_flow_entries is 0"
        )
    else:
        text = (
            "RFS: a flow that was read lately goes to the CPU of its reader, any other "
            "as RPS says"
        )
    trail.put("rfs", "get_rps_cpu", device, (text,), numbers)
    return works


def _cpu(
    trail: Trail,
    device: Device,
    cpus: Value,
    rfs: bool,
    function: str,
) -> None:
    # Where the rest happens.
    isolated = trail.topology.isolated_cpus()
    numbers: dict[str, Value] = {}
    alternatives: list[str] = []
    if isinstance(cpus, tuple):
        known = tuple(cpu for cpu in cpus if isinstance(cpu, int))
        words = f"{cpu_words(known)}: backlog of {'it' if len(known) == 1 else 'each'}"
        numbers["cpus"] = known
        trail.cpu = known[0] if len(known) == 1 and not rfs else None
        apart = [cpu for cpu in known if cpu in isolated]
        if apart:
            numbers["isolated"] = tuple(apart)
            alternatives.append(f"also: {cpu_words(apart)} isolated")
        function = "enqueue_to_backlog"
    elif isinstance(cpus, Unreadable):
        words = "CPU unknown"
        numbers["cpus"] = cpus
        trail.cpu = None
    else:
        here = "the CPU that it is on" if trail.cpu is None else f"CPU {trail.cpu}"
        words = f"stays on {here}"
        numbers["cpus"] = None if trail.cpu is None else (trail.cpu,)
        if function == "enqueue_to_backlog":
            words += ": its backlog"
    if rfs:
        alternatives.append("the CPU that RFS chooses")
    alternatives += cpus_counted(trail.topology, numbers["cpus"])
    trail.add(
        "cpu", function, device, words, alternatives=tuple(alternatives), **numbers
    )


def steer(trail: Trail, device: Device, backlog: bool) -> None:
    """
    Add the steps of RPS, RFS and the CPU.

    :param backlog: Whether netif_rx() has the packet, which queues it in any case
    """
    function = "enqueue_to_backlog" if backlog else "netif_receive_skb_list_internal"
    queues = device.rps
    rx = device.queues.rx.real
    mapping = trail.mapping
    rps = functools.partial(trail.add, "rps", "get_rps_cpu", device)
    if isinstance(queues, Unreadable):
        text = f"RPS could not be read: {queues.reason}"
        rps(text, cpus=queues, skipped=False)
        _cpu(trail, device, queues, False, function)
        return
    if not has_steering(device):
        # rps_needed may be off: get_rps_cpu() is not even called.
        index = None if isinstance(mapping, Unreadable) else rx_index(mapping)
        rps("no RPS on any RX queue", cpus=None, index=index, skipped=False)
        _cpu(trail, device, None, False, function)
        return
    if isinstance(mapping, Unreadable):
        text = f"which RX queue's RPS applies is unknown: {mapping.reason}"
        rps(text, cpus=mapping, index=mapping, skipped=False)
        _cpu(trail, device, mapping, False, function)
        return
    index = rx_index(mapping)
    if isinstance(rx, Unreadable):
        rx = len(queues)
    queue = rps_queue(mapping, rx)
    if queue is None:
        rps(
            "RPS skipped: queue index ",
            Slot("index"),
            # veth_xmit() leaves the number of the TX queue where get_rps_cpu() expects
            # that of an RX queue, counted from 1.
            " (TX queue - 1)" * (device.kind == "veth"),
            f" >= {count(rx, 'real RX queue')}",
            alternatives=(
                ("also: the kernel warns of it, once per boot",) if rx > 1 else ()
            ),
            cpus=None,
            index=index,
            skipped=True,
            real_num_rx_queues=rx,
        )
        _cpu(trail, device, None, False, function)
        return
    found = next((one for one in queues if one.queue == queue), None)
    if found is None:
        rps(f"rx-{queue} was not found", cpus=None, index=index, skipped=False)
        _cpu(trail, device, None, False, function)
        return
    rfs = _rfs(trail, device, found)
    cpus = _rps(trail, device, found, index)
    _cpu(trail, device, cpus, rfs, function)
