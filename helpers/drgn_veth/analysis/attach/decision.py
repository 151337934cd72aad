# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Decisions of the kernel about an XDP attach
-------------------------------------------

A decision is data: its name, the function that makes it, its answer, and a pure
function of a :class:`~drgn_veth.analysis.attach.question.Question` that says whether it
refuses.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, NamedTuple, Optional

from ...model import XDP_MODES, Device, Kernel
from ..need import need_of
from ..remedies import Remedy
from .question import Answer, Question, refusal

__all__ = (
    "Decision",
    "all_modes",
    "first",
    "fix_tcp_data_split",
    "memory_provider",
    "tcp_data_split",
)


def _always(kernel: Kernel) -> Optional[bool]:
    return True


class Decision(NamedTuple):
    """
    One decision of the kernel.

    *holds* returns why it would refuse, None if it would not; *fix* returns the remedy
    after which it would not; *detaches* returns the programs that this remedy detaches.
    """

    key: str
    function: str
    errno: str
    message: Optional[str]
    #: Takes a Question, or an Asked of :mod:`drgn_veth.analysis.ask`.
    holds: Callable[[Any], Optional[str]]
    fix: Callable[[Any], Remedy] = lambda q: Remedy()
    #: Programs that *fix* detaches: device, mode.
    detaches: Callable[[Question], Iterable[tuple[int, str]]] = lambda q: ()
    #: Whether a kernel makes it, as its types show; None if they do not. If its code
    #: is known, the message shows it instead. By default, every kernel makes it.
    in_kernel: Callable[[Kernel], Optional[bool]] = _always
    #: A kernel makes only one of a driver's decisions that have the same word here: the
    #: one whose message is in the driver's code.
    one_of: Optional[str] = None
    #: Whether kernels without this message make the decision too, and say nothing.
    may_be_silent: bool = False
    #: Whether only kernels make it whose driver's code has the message.
    only_if_said: bool = False
    #: What it compares, in words that follow "It looks at".
    compares: str = ""
    #: How to resolve it.
    mend: str = ""
    #: Which kernels make it, as far as that is known.
    kernels: str = "all since v5.9"
    #: The modes in which it can refuse; none are named: all that reach it.
    modes: tuple[str, ...] = ()

    @property
    def everywhere(self) -> bool:
        """Whether every kernel makes it."""
        return self.in_kernel is _always


def first(q: Question, decisions: Sequence[Decision]) -> Optional[Answer]:
    """
    Return the answer of the first decision that refuses, None if none does.

    :raises CannotTell: if a value is missing before one does
    """
    passed, device = q.passed, q.device.net_device
    for decision in decisions:
        if passed and (decision.key, device) in passed:
            continue
        because = decision.holds(q)
        if because is not None:
            key = (decision.key, device)
            answer = refusal(
                decision.errno,
                decision.message,
                decision.function,
                because,
                decision.fix(q),
            )
            gone = frozenset(decision.detaches(q))
            return answer._replace(decision=key, detaches=gone)
    return None


def all_modes(device: Device) -> Iterator[tuple[int, str]]:
    """Yield all programs that a device may have: device, mode."""
    for mode in XDP_MODES:
        yield device.net_device, mode


### What the core asks of each device that a program is installed on.


def tcp_data_split(q: Question) -> Optional[str]:
    """Whether the core refuses for tcp-data-split (a decision's *holds*)."""
    if not q.program or q.need_program("frags"):
        return None
    if need_of(q.device, q.device.tcp_data_split, "tcp-data-split"):
        return (
            f"tcp-data-split of {q.name} is on, and the program does not support "
            "fragments"
        )
    return None


def fix_tcp_data_split(q: Question) -> Remedy:
    """Return the command that disables tcp-data-split (a decision's *fix*)."""
    return Remedy(q.fixes.tcp_data_split_off(q.device.ref))


def memory_provider(q: Question) -> Optional[str]:
    """Whether the core refuses for a memory provider (a decision's *holds*)."""
    if need_of(q.device, q.device.memory_provider, "memory provider"):
        return f"an RX queue of {q.name} has a memory provider"
    return None
