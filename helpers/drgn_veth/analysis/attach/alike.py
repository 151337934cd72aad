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

__all__ = ("DECISIVE", "Answered", "OwnAnswers", "answers_alike", "likeness")

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


# In no name, nor in a sentence.
_SELF = "\0self\0"
_PEER = "\0peer\0"


def _is_for_all(answer: Answer) -> bool:
    # Whether those that are alike have it but for names. A command depends on the
    # namespace, and where there is another one, it stands behind a name.
    bare = answer._replace(errno=0, message=None, function=None, because="")
    return bare == Answer(0, None, None, "") and "netns" not in answer.because


def _named(one: Answered, device: Device, peer: Optional[Device]) -> Answered:
    because = one.answer.because
    if "\0" not in because:
        return one
    for mark, end in ((_SELF, device), (_PEER, peer)):
        if end is not None and isinstance(end.name, str):
            because = because.replace(mark, end.name)
    return one._replace(answer=one.answer._replace(because=because))


class OwnAnswers:
    """
    The answers for each device, in its own words. What is the same for all that are
    alike, but for the names of the two ends, is asked once.

    :param op: ``attach``, ``replace`` or ``detach``
    :param kinds: Values of frags; ignored if a program is given
    :param program: A loaded one, which may be bound to a device; then each is asked
    """

    def __init__(
        self,
        predictor: Predictor,
        op: str,
        modes: Sequence[str],
        vias: Sequence[str],
        kinds: Sequence[bool],
        program: Optional[LoadedProgram] = None,
    ) -> None:
        self._predictor = predictor
        self._op = op
        self._modes = modes
        self._vias = vias
        self._kinds = kinds
        self._program = program
        # With marks for names; whether it is so for all. Empty: of one device so far.
        self._known: dict[Hashable, list[tuple[Answered, bool]]] = {}

    def of(self, device: Device) -> tuple[Answered, ...]:
        """Return the answers for a device."""
        by_address = self._predictor.questions.by_address
        key = None if self._program is not None else likeness(device, by_address)
        peer: Optional[Device] = None
        if isinstance(device.peer, DeviceRef):
            peer = by_address.get(device.peer.net_device)
        named = [isinstance(end.name, str) for end in (device, peer) if end is not None]
        if key is None or not all(named):
            return tuple(self._asked(self._predictor, device))
        known = self._known.get(key)
        if known is None:
            self._known[key] = []
            return tuple(self._asked(self._predictor, device))
        if not known:
            known = self._known[key] = self._with_marks(device, peer)
        return tuple(
            [
                _named(one, device, peer) if for_all else self._again(device, one)
                for one, for_all in known
            ]
        )

    def _asked(self, predictor: Predictor, device: Device) -> Iterator[Answered]:
        for one in predictor.answers(
            device, self._op, self._modes, self._vias, self._kinds, self._program
        ):
            yield Answered(*one)

    def _with_marks(
        self, device: Device, peer: Optional[Device]
    ) -> list[tuple[Answered, bool]]:
        marked = device._replace(name=_SELF)
        ends = {device.net_device: marked}
        if peer is not None:
            ends[peer.net_device] = peer._replace(name=_PEER)
        predictor = self._predictor.with_devices(ends)
        return [
            (one, _is_for_all(one.answer)) for one in self._asked(predictor, marked)
        ]

    def _again(self, device: Device, one: Answered) -> Answered:
        (own,) = self._predictor.answers(
            device, self._op, (one.mode,), (one.via,), (one.frags,)
        )
        return Answered(*own)
