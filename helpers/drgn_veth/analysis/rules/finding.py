# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a rule of diagnosis reports."""

from typing import NamedTuple, Optional, Union

from ...core.unreadable import Maybe, Unreadable
from ...model import DeviceRef
from ..attach.question import Answer, errno_name
from ..remedies import Remedy

__all__ = (
    "ERROR",
    "INFO",
    "SEVERITIES",
    "WARNING",
    "WAY_IN",
    "Evidence",
    "Finding",
    "KernelAnswer",
    "Symptom",
    "Then",
    "Undo",
    "Value",
    "kernel_answer",
    "refused",
    "remedy",
    "severity_word",
)

ERROR = "error"  # something is broken now
WARNING = "warning"  # it will hurt traffic in the current setup
INFO = "info"  # it is worth knowing, but nothing is broken by it now

#: Worst first.
SEVERITIES = (ERROR, WARNING, INFO)


def severity_word(severity: str) -> str:
    """Return what people call a severity: ``info`` is a note; the JSON keeps it."""
    return "note" if severity == INFO else severity


#: A value that was compared: a number, a string, several of them; or unreadable.
Value = Union[Maybe[Union[int, str, None]], tuple[Union[int, str], ...]]
#: Names as in the kernel's structs; those of the peer begin with ``peer_``.
Evidence = tuple[tuple[str, Value], ...]


#: The name in the evidence of the command that enters a namespace; None: none does.
WAY_IN = "way in"


class KernelAnswer(NamedTuple):
    """What the kernel answers, or does, and where."""

    function: str
    errno: Optional[str] = None
    message: Optional[str] = None


class Undo(NamedTuple):
    """Commands that only undo a state, which may be intended."""

    effect: str  # after "to undo it, ": "which detaches the program"
    commands: tuple[str, ...]


class Then(NamedTuple):
    """Why a native attach still fails after the commands."""

    answer: KernelAnswer
    because: str


class Finding(NamedTuple):
    """Something that a rule found."""

    rule: str
    severity: str
    device: Optional[DeviceRef]  # None: it is about the kernel
    summary: str
    evidence: Evidence
    kernel: Optional[KernelAnswer]
    fix: tuple[str, ...]  # commands that cure it
    undecided: Optional[str] = None  # which value is missing to decide it, and why
    fix_effect: Optional[str] = None  # what they do besides, after "this "
    undo: Optional[Undo] = None
    then: Optional[Then] = None  # None: the attach would succeed, or this is unknown


class Symptom(NamedTuple):
    """What a rule reports about a device, or about the kernel."""

    summary: str
    evidence: Evidence
    kernel: Optional[KernelAnswer] = None
    fix: Remedy = Remedy()
    severity: Optional[str] = None  # None: the rule's
    undecided: Optional[str] = None
    undo: Optional[Undo] = None
    then: Optional[Then] = None
    everywhere: bool = False  # it is about the kernel, not about the device


def kernel_answer(answer: Answer) -> KernelAnswer:
    """Return the answer to an attach in the form that findings use."""
    errno = answer.errno
    name = errno_name(errno) if isinstance(errno, int) else None
    return KernelAnswer(answer.function or "", name, answer.message)


def refused(answer: Answer) -> Optional[Then]:
    """Return an answer if it is certainly a refusal, None otherwise."""
    errno = answer.errno
    if isinstance(errno, Unreadable) or not errno or answer.function is None:
        return None
    return Then(kernel_answer(answer), answer.because)


def remedy(answer: Answer) -> Remedy:
    """Return the remedy that changes an answer."""
    return Remedy(answer.fix, answer.fix_effect)
