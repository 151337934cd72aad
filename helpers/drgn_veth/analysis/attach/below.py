# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What lower devices answer
-------------------------

A VLAN, macvlan or bridge has no native XDP. The devices below it may have: a program
there sees the same packets, and those of its other uppers.
"""

from typing import NamedTuple

from ...core.unreadable import Unreadable
from ...model import Device
from .predictor import Predictor
from .question import Answer

__all__ = ("Below", "answers_below")

#: Devices that take their packets from those below.
_KINDS = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "bridge")
_MOST = 64


class Below(NamedTuple):
    """A device below another one, and its answer."""

    device: Device
    answer: Answer


def answers_below(
    predictor: Predictor, device: Device, mode: str, frags: bool = False
) -> tuple[Below, ...]:
    """
    Return what the devices below one answer to an attach in driver mode, if the device
    itself has no native XDP and they see its packets. The first 64.

    :param mode: That was asked for; only driver mode is about what is below
    """
    if mode != "driver" or device.kind not in _KINDS:
        return ()
    if isinstance(device.lowers, Unreadable) or device.driver.ndo_bpf is not False:
        return ()
    by_address = predictor.questions.by_address
    return tuple(
        Below(lower, predictor.attach(lower, "driver", frags=frags))
        for ref in device.lowers[:_MOST]
        if (lower := by_address.get(ref.net_device)) is not None
    )
