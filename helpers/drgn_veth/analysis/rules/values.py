# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values of a device that several rules read."""

from collections.abc import Sequence
from typing import Optional, TypeVar

from ...core.english import number_list, per_queue
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, RpsQueue
from ..need import need

__all__ = ("is_up", "napi_queues", "of_code", "real_queues", "rps_words", "same")


T = TypeVar("T")


def _is_known(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_known, value))
    return not isinstance(value, Unreadable)


def same(one: object, other: object) -> bool:
    """
    Return whether two values are known to be equal. Two unreadable values are not, even
    for the same reason.
    """
    return one == other and _is_known(one)


def of_code(
    value: Maybe[Optional[T]], otherwise: str = "the code was not read"
) -> Maybe[T]:
    """
    Return what the kernel's code says.

    :param otherwise: Why that is not known, if the code was not looked at
    """
    return Unreadable(otherwise) if value is None else value


def is_up(device: Device, whose: str = "") -> bool:
    """Return whether a device is up, as IFF_UP says."""
    return "UP" in need(device.flags, f"{whose}flags")


def real_queues(device: Device, peer: Device) -> tuple[int, int]:
    """Return the real RX queues of a device, and the real TX queues of its peer."""
    return (
        need(device.queues.rx.real, "real_num_rx_queues"),
        need(peer.queues.tx.real, "peer_real_num_tx_queues"),
    )


def napi_queues(device: Device, whose: str = "") -> tuple[int, ...]:
    """Return the RX queues of a veth that have a NAPI context."""
    queues = need(device.xdp.queues, f"{whose}rq") or ()
    return tuple(q.queue for q in queues if need(q.napi, f"{whose}rq[].napi"))


def _cpus(queue: RpsQueue) -> str:
    return "?" if isinstance(queue.cpus, Unreadable) else number_list(queue.cpus)


def rps_words(queues: Maybe[Sequence[RpsQueue]]) -> Maybe[str]:
    """Return where RPS steers the packets that RX queues receive."""
    if isinstance(queues, Unreadable):
        return queues
    return per_queue((queue.queue, _cpus(queue)) for queue in queues)
