# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices that the kernel answers alike
-------------------------------------

Of 10,000 pairs, most are the same but for their names. What the decisions read of a
device and of its peer tells which: one of them is asked for all. Their answers are the
same but for names, numbers of devices and commands.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

from ...model import Device, DeviceRef, LoadedProgram
from .predictor import Predictor
from .question import Answer

__all__ = ("DECISIVE", "Answered", "answers_alike", "likeness")

#: What the decisions read of a device without upper devices and slaves, or of a peer.
DECISIVE = (
    "driver",
    "hard_header_len",
    "memory_provider",
    "mtu",
    "off_list",
    "queues",
    "tcp_data_split",
    "virtio_net",
    "xdp",
)


class Answered(NamedTuple):
    """An attach that was asked for, and the answer."""

    op: str
    mode: str
    via: str
    frags: bool
    answer: Answer


def _members(device: Device) -> tuple[Hashable, ...]:
    return tuple(getattr(device, member) for member in DECISIVE)


def likeness(device: Device, by_address: Mapping[int, Device]) -> Optional[Hashable]:
    """
    Return what all devices have in common that the kernel answers like this one; None
    if it depends on others than its peer.

    :param by_address: All devices
    """
    if device.uppers != () or device.bond is not None:
        return None
    peer: Optional[Device] = None
    if isinstance(device.peer, DeviceRef):
        peer = by_address.get(device.peer.net_device)
        if peer is None:
            return None
    elif device.peer is not None:
        return None
    return _members(device), None if peer is None else _members(peer)


def answers_alike(
    predictor: Predictor,
    devices: Iterable[Device],
    op: str,
    modes: Sequence[str],
    vias: Sequence[str],
    kinds: Sequence[bool],
    program: Optional[LoadedProgram] = None,
) -> Iterator[tuple[Device, tuple[Answered, ...]]]:
    """
    Yield each device with its answers, as those of one that is like it.

    :param op: ``attach``, ``replace`` or ``detach``
    :param kinds: Values of frags; ignored if a program is given
    :param program: A loaded one, which may be bound to a device; then each is asked
    """
    known: dict[Hashable, tuple[Answered, ...]] = {}
    for device in devices:
        key = likeness(device, predictor.questions.by_address)
        if program is not None:
            key = None
        answers = None if key is None else known.get(key)
        if answers is None:
            answers = tuple(
                Answered(*one)
                for one in predictor.answers(device, op, modes, vias, kinds, program)
            )
            if key is not None:
                known[key] = answers
        yield device, answers
