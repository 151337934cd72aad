# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The sender
----------

From ``__dev_queue_xmit()`` to the driver: tc programs, which TX queue, and the qdisc
(net/core/dev.c).
"""

from collections.abc import Sequence
from typing import Optional

from ...core.english import count, cpu_words, number_list
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, XpsQueue
from .counted import qdisc_counted
from .records import Value
from .tc import tc_programs
from .trail import Trail

__all__ = ("chosen_queues", "enter", "forwarded_queues")

_MOST_QUEUES = 8  # JSON has all, in the report


def _of_cpu(xps: Sequence[XpsQueue], cpu: int) -> tuple[int, ...]:
    return tuple(
        queue.queue
        for queue in xps
        if isinstance(queue.cpus, tuple) and cpu in queue.cpus
    )


def _mapped(device: Device, cpu: Optional[int], tx: int) -> tuple[int, ...]:
    # The TX queues among which get_xps_queue() may choose; none: it chooses none.
    every, xps = tuple(range(tx)), device.xps
    if isinstance(xps, Unreadable):
        return every
    if any(isinstance(queue.cpus, Unreadable) for queue in xps):
        return every
    if cpu is None:
        return every if any(queue.cpus for queue in xps) else ()
    return _of_cpu(xps, cpu)


def chosen_queues(device: Device, cpu: Optional[int], tx: int) -> tuple[int, ...]:
    """
    Return the TX queues that ``netdev_core_pick_tx()`` may choose.

    :param cpu: The CPU that sends, None for any
    :param tx: How many real TX queues there are
    """
    every = tuple(range(tx))
    # Without a map for this CPU, skb_tx_hash() chooses among all.
    return every if tx <= 1 else _mapped(device, cpu, tx) or every


def forwarded_queues(
    device: Device, mapping: Maybe[int], cpu: Optional[int]
) -> Maybe[tuple[int, ...]]:
    """
    Return the TX queues that a forwarded packet may be sent on.

    :param mapping: Its ``skb->queue_mapping``
    """
    tx = device.queues.tx.real
    if isinstance(tx, Unreadable):
        return tx
    if tx <= 1 or isinstance(mapping, Unreadable):
        return tuple(range(tx))
    if not mapping:
        return chosen_queues(device, cpu, tx)
    # skb_tx_hash() takes the recorded RX queue, which is the mapping less one.
    return _mapped(device, cpu, tx) or ((mapping - 1) % tx,)


def _xps(trail: Trail, device: Device, tx: int, chosen: Sequence[int]) -> None:
    number = count(tx, "real TX queue")
    if tx <= 1:
        text = f"{number}: queue 0"
        trail.add("xps", "netdev_core_pick_tx", device, text, real_num_tx_queues=tx)
        return
    alternatives: tuple[str, ...] = ("a socket keeps the queue that it had",)
    xps = device.xps
    if isinstance(xps, Unreadable):
        text = f"XPS could not be read: {xps.reason}"
        trail.add(
            *("xps", "get_xps_queue", device, text),
            alternatives=alternatives,
            xps=xps,
            real_num_tx_queues=tx,
        )
        return
    if any(queue.rx_queues for queue in xps):
        alternatives += ("the queue that XPS has for the RX queue of its socket",)
    if not any(queue.cpus for queue in xps):
        text = f"no XPS: each flow has one of {number}, by its hash"
        if tx != len(chosen):
            text = f"no XPS: tx {number_list(chosen)} of {number}"
        trail.add(
            *("xps", "skb_tx_hash", device, text),
            alternatives=(
                *alternatives,
                "a forwarded packet keeps the number of its RX queue",
            ),
            real_num_tx_queues=tx,
        )
        return
    cpu = trail.xps_cpu
    words = []
    for queue in xps:
        if isinstance(queue.cpus, Unreadable):
            words.append(f"tx-{queue.queue}: {queue.cpus.reason}")
        elif (
            queue.cpus and queue.queue in chosen and (cpu is None or cpu in queue.cpus)
        ):
            words.append(f"tx-{queue.queue} from {cpu_words(queue.cpus)}")
    if len(words) > _MOST_QUEUES:
        words[_MOST_QUEUES:] = ["..."]
    others = f"tx {number_list(chosen)} of {number}" if tx != len(chosen) else "by hash"
    text = "XPS: " + (", ".join(words) or f"no map for this CPU, so {others}")
    trail.add(
        *("xps", "get_xps_queue", device, text),
        alternatives=alternatives,
        real_num_tx_queues=tx,
    )


def _qdisc(trail: Trail, device: Device) -> None:
    flags = device.flags
    qdisc = device.qdisc
    name = "none" if qdisc is None else qdisc
    if isinstance(flags, Unreadable):
        text = f"whether it is up could not be read: {flags.reason}"
        trail.add("qdisc", "__dev_queue_xmit", device, text, qdisc=name)
        return
    if "UP" not in flags:
        trail.add("qdisc", "noop_enqueue", device, "down: it sends nothing", qdisc=name)
        trail.ends = "dropped: the sender is down"
        return
    if "LOWER_UP" not in flags:
        # linkwatch_do_dev() calls dev_deactivate().
        text = "no carrier: its queues have the noop qdisc, which drops"
        trail.add("qdisc", "noop_enqueue", device, text, qdisc=name)
        trail.ends = "dropped: the sender has no carrier"
        return
    if isinstance(name, Unreadable):
        text = f"qdisc could not be read: {name.reason}"
        trail.add("qdisc", "__dev_queue_xmit", device, text, qdisc=name)
    elif name in ("noqueue", "none"):
        text = f"{name}: straight to the driver"
        trail.add("qdisc", "dev_hard_start_xmit", device, text, qdisc=name)
    else:
        text = f"{name}: queues or drops what the driver does not take"
        counted = tuple(qdisc_counted(device))
        numbers: dict[str, Value] = {"qdisc": name}
        trail.put("qdisc", "__dev_xmit_skb", device, (text,), numbers, counted)


def enter(trail: Trail, device: Device, chosen: Sequence[int]) -> None:
    """
    Add the steps up to the driver.

    :param chosen: The TX queues that come into question
    """
    tc_programs(trail, device, "egress")
    tx = device.queues.tx.real
    if isinstance(tx, Unreadable):
        text = f"the number of TX queues could not be read: {tx.reason}"
        trail.add("xps", "netdev_core_pick_tx", device, text, real_num_tx_queues=tx)
    else:
        _xps(trail, device, tx, chosen)
    _qdisc(trail, device)
