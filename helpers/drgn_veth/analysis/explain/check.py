# SPDX-License-Identifier: LGPL-2.1-or-later
"""A check on the path of an XDP attach, as it is explained."""

from typing import NamedTuple, Optional

from ..attach.decision import Decision
from ..attach.predictor import MODES

__all__ = ("Check", "check_from")


class Check(NamedTuple):
    """A check, in words."""

    key: str  #: of its decision, if it has one
    errno: str
    message: Optional[str]  #: in the extended ACK
    function: str
    place: str  #: ``the core``, or which driver
    compares: str  #: what it looks at
    mend: str  #: how to resolve it
    kernels: str = "all since v5.9"  #: which have it
    modes: tuple[str, ...] = MODES  #: in which it can refuse
    via: Optional[str] = None  #: ``netlink`` or ``link``, if only one reaches it
    predicted: bool = True  #: whether the predictor gives it
    decision: Optional[Decision] = None
    ndo_bpf: Optional[str] = None  #: of its driver


def check_from(
    decision: Decision,
    place: str,
    via: Optional[str] = None,
    ndo_bpf: Optional[str] = None,
) -> Check:
    """Return the check that a decision is."""
    return Check(
        decision.key,
        decision.errno,
        decision.message,
        decision.function,
        place,
        decision.compares,
        decision.mend,
        decision.kernels,
        decision.modes or MODES,
        via,
        decision=decision,
        ndo_bpf=ndo_bpf,
    )
