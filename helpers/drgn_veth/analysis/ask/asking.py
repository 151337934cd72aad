# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asking: a question of a Snapshot, and the kernel's answer."""

from typing import Callable, Optional

from ...core.unreadable import Unreadable
from ...model import Device, Snapshot
from ..attach.predictor import Predictor
from ..attach.question import Answer, refusal
from ..names import name_of
from ..need import CannotTell
from . import channels, devmap, enslave, mtu, netns, xsk_bind
from .asked import Asked
from .request import (
    Attach,
    Bind,
    Channels,
    Detach,
    Devmap,
    Enslave,
    Move,
    Mtu,
    Question,
    What,
)

__all__ = ("Asker", "ask")

_ASK: dict[type, Callable[[Asked], Answer]] = {
    Channels: channels.ask,
    Mtu: mtu.ask,
    Enslave: enslave.ask,
    Move: netns.ask,
    Bind: xsk_bind.ask,
    Devmap: devmap.ask,
}


class Asker:
    """
    Asks the kernel of one Snapshot.

    :raises TooOldError: if it is a kernel before v5.9
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.predictor = Predictor(snapshot)

    def device(self, question: Question) -> Device:
        """
        Return the device that a question is about.

        :raises LookupError: if the Snapshot does not have it
        :raises CannotTell: if it is a peer, and there is none
        """
        by_address = self.predictor.questions.by_address
        if question.device not in by_address:
            raise LookupError(f"the Snapshot has no device at {question.device:#x}")
        device = by_address[question.device]
        if not question.peer:
            return device
        peer = device.peer
        if peer is None or isinstance(peer, Unreadable):
            raise CannotTell(f"the peer of {name_of(device)} is not known")
        if peer.net_device not in by_address:
            raise CannotTell(f"{name_of(peer)} was not found in any namespace")
        return by_address[peer.net_device]

    def asked(self, question: Question) -> Asked:
        """Return what the decisions take: see :meth:`device()`."""
        device = self.device(question)
        return Asked(self.snapshot, self.predictor.questions, device, question.what)

    def ask(self, question: Question) -> Answer:
        """
        Return the answer to a question.

        :return: ``errno`` 0 if it is granted; None if the driver has the final say;
            Unreadable if a value is missing
        :raises LookupError: if the Snapshot does not have the device
        """
        what = question.what
        try:
            device = self.device(question)
            if isinstance(what, Attach):
                return self.predictor.attach(device, what.mode, what.via, what.frags)
            if isinstance(what, Detach):
                return self.predictor.detach(device, what.mode)
            gone = self._gone(device, what)
            if gone is not None:
                return gone
            return _ASK[type(what)](self.asked(question))
        except CannotTell as e:
            return Answer(Unreadable(str(e)), None, None, str(e))

    @staticmethod
    def _gone(device: Device, what: What) -> Optional[Answer]:
        if device.off_list is None:
            return None
        why = f"the kernel cannot find {name_of(device)} now: {device.off_list}"
        if isinstance(what, Devmap):
            return refusal("EINVAL", None, "__dev_map_alloc_node", why)
        return refusal("ENODEV", None, "__dev_get_by_index", why)


def ask(snapshot: Snapshot, question: Question) -> Answer:
    """
    Return what the kernel of a Snapshot would answer to a question.

    :raises LookupError: if the Snapshot does not have the device
    :raises TooOldError: if it is a kernel before v5.9
    """
    return Asker(snapshot).ask(question)
