# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A question to the kernel about XDP, and its answer
--------------------------------------------------

What the decisions of :mod:`drgn_veth.analysis.attach.core` and
:mod:`drgn_veth.analysis.attach.drivers` look at, and what they say.
"""

import errno as _errno
from typing import (
    Any,
    Callable,
    FrozenSet,
    Iterable,
    Iterator,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, DeviceRef, Kernel, LoadedProgram, XdpProgram
from ..remedies import Fixes

__all__ = (
    "DRV",
    "HW",
    "MODE_FLAGS",
    "NOEXIST",
    "REPLACE",
    "SKB",
    "XDP_FLAGS_MASK",
    "XDP_FLAGS_MODES",
    "Answer",
    "CannotTell",
    "Decision",
    "Question",
    "errno_name",
    "first",
    "fix_tcp_data_split",
    "memory_provider",
    "refusal",
    "tcp_data_split",
)

T = TypeVar("T")

# enum bpf_xdp_mode, in the words of the JSON contract.
SKB = "generic"
DRV = "driver"
HW = "offload"

# include/uapi/linux/if_link.h
NOEXIST = 1  # XDP_FLAGS_UPDATE_IF_NOEXIST
REPLACE = 16  # XDP_FLAGS_REPLACE
MODE_FLAGS: Mapping[str, int] = {"default": 0, SKB: 2, DRV: 4, HW: 8}
XDP_FLAGS_MODES = 0xE
XDP_FLAGS_MASK = 0x1F


class CannotTell(Exception):
    """A value that a decision takes could not be read."""


class Answer(NamedTuple):
    """What the kernel would answer, and why."""

    errno: Maybe[Optional[int]]  #: 0: success; None: it cannot be told
    message: Optional[str]  #: of the extended acknowledgement; None: none
    function: Optional[str]  #: that decides
    because: str
    fix: Tuple[str, ...] = ()  #: commands that would change the answer
    either: Tuple["Answer", ...] = ()  #: all that are possible, if it is one of them
    #: What it would answer when *fix* was done, unless that is success.
    then: Optional["Answer"] = None
    #: The decision, and the device that it is about.
    decision: Optional[Tuple[str, int]] = None
    detaches: FrozenSet[Tuple[int, str]] = frozenset()


class Decision(NamedTuple):
    """
    One decision of the kernel.

    *holds* returns why it would refuse, None if it would not; *fix* returns commands
    after which it would not, *detaches* which programs these detach.
    """

    key: str
    function: str
    errno: str
    message: Optional[str]
    holds: Callable[["Question"], Optional[str]]
    fix: Callable[["Question"], Tuple[str, ...]] = lambda q: ()
    #: Programs that *fix* detaches: device, mode.
    detaches: Callable[["Question"], Iterable[Tuple[int, str]]] = lambda q: ()


def errno_name(errno: int) -> str:
    """Return the name of an error number: ``ENOSPC``."""
    # Linux has the name twice.
    if errno == _errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return _errno.errorcode.get(errno, str(errno))


def refusal(
    errno: str,
    message: Optional[str],
    function: str,
    because: str,
    fix: Tuple[str, ...] = (),
) -> Answer:
    """Return the answer of a kernel that refuses."""
    number: int = getattr(_errno, errno)
    return Answer(number, message, function, because, fix)


def first(q: "Question", decisions: Sequence[Decision]) -> Optional[Answer]:
    """
    Return the answer of the first decision that refuses, None if none does.

    :raises CannotTell: if a value is missing before one does
    """
    for decision in decisions:
        key = (decision.key, q.device.net_device)
        because = None if key in q.passed else decision.holds(q)
        if because is not None:
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


class Question:
    """An attach or a detach that the kernel is asked for."""

    def __init__(
        self,
        kernel: Kernel,
        by_address: Mapping[int, Device],
        fixes: Fixes,
        device: Device,
        via: str,
        flags: int,
        program: Optional[LoadedProgram],
        expected: Optional[int] = None,
        passed: FrozenSet[Tuple[str, int]] = frozenset(),
        gone: FrozenSet[Tuple[int, str]] = frozenset(),
        above: Tuple[int, ...] = (),
    ) -> None:
        self.kernel = kernel
        self.by_address = by_address
        self.fixes = fixes
        self.device = device
        self.via = via
        self.flags = flags
        self.program = program
        self.expected = expected
        #: Decisions that are taken to be in favour.
        self.passed = passed
        #: Programs that are taken to be detached: device, mode.
        self.gone = gone
        #: Devices for whose sake this one is asked.
        self.above = above

    def about(self, device: Device) -> "Question":
        """Return the same question about another device, in driver mode."""
        return Question(
            self.kernel,
            self.by_address,
            self.fixes,
            device,
            self.via,
            MODE_FLAGS[DRV],
            self.program,
            None,
            self.passed,
            self.gone,
            (*self.above, self.device.net_device),
        )

    def without(
        self,
        decisions: Iterable[Tuple[str, int]],
        gone: FrozenSet[Tuple[int, str]],
    ) -> "Question":
        """
        Return the same question where those decisions are in favour.

        :param gone: Programs that are detached for it: device, mode
        """
        return Question(
            self.kernel,
            self.by_address,
            self.fixes,
            self.device,
            self.via,
            self.flags,
            self.program,
            self.expected,
            self.passed.union(decisions),
            self.gone | gone,
            self.above,
        )

    @staticmethod
    def need(value: Maybe[T], what: str) -> T:
        """
        Return a value.

        :raises CannotTell: if it could not be read
        """
        if isinstance(value, Unreadable):
            raise CannotTell(f"{what} could not be read: {value.reason}")
        return value

    def need_program(self, member: str) -> Any:
        """Return a member of the program: see :meth:`need()`."""
        return self.need(getattr(self.program, member), f"{member} of the program")

    @staticmethod
    def name_of(ref: DeviceRef) -> str:
        """Return the name of a device, or the best there is."""
        if not isinstance(ref.name, Unreadable):
            return ref.name
        return f"the device at {ref.net_device:#x}"

    @property
    def name(self) -> str:
        """The device's name."""
        return self.name_of(self.device.ref)

    @property
    def driver_name(self) -> Optional[str]:
        """The driver's name, None if there is none."""
        return self.need(self.device.driver.name, f"the driver of {self.name}")

    @property
    def mode(self) -> str:
        """The mode that is meant, as dev_xdp_mode() finds it."""
        if self.flags & MODE_FLAGS[HW]:
            return HW
        if self.flags & MODE_FLAGS[DRV]:
            return DRV
        if self.flags & MODE_FLAGS[SKB]:
            return SKB
        ndo_bpf = self.need(self.device.driver.ndo_bpf, f"ndo_bpf of {self.name}")
        return DRV if ndo_bpf else SKB

    def current(self, mode: Optional[str] = None) -> Optional[XdpProgram]:
        """Return the program that is attached in a mode (by default, in that meant)."""
        mode = mode or self.mode
        if (self.device.net_device, mode) in self.gone:
            return None
        return self.need(
            getattr(self.device.xdp, mode), f"{mode} program of {self.name}"
        )

    def has_link(self) -> bool:
        """Return whether a BPF link holds the program in the mode that is meant."""
        current = self.current()
        return current is not None and current.via == "link"

    def is_current(self) -> bool:
        """Return whether the program is the one that is attached already."""
        current = self.current()
        if self.program is None or current is None:
            return self.program is None and current is None
        if not self.program.prog:
            return False
        return bool(self.need(current.id, "id of its program") == self.program.id)

    def program_count(self, device: Device) -> int:
        """Return dev_xdp_prog_count()."""
        count = 0
        for mode in (SKB, DRV, HW):
            if (device.net_device, mode) in self.gone:
                continue
            program = getattr(device.xdp, mode)
            what = f"{mode} program of {self.name_of(device.ref)}"
            count += self.need(program, what) is not None
        return count

    def uppers(self, device: Optional[Device] = None) -> Iterator[Device]:
        """Yield the devices directly above one (by default, the one in question)."""
        device = device or self.device
        what = f"devices above {self.name_of(device.ref)}"
        for ref in self.need(device.uppers, what):
            yield self.device_at(ref)

    def device_at(self, ref: DeviceRef) -> Device:
        """
        Return the device that another one names.

        :raises CannotTell: if it was not found
        """
        try:
            return self.by_address[ref.net_device]
        except KeyError:
            name = self.name_of(ref)
            raise CannotTell(f"{name} was not found in any namespace") from None

    @staticmethod
    def words(program: XdpProgram) -> str:
        """Return which program it is, in words."""
        number = "?" if isinstance(program.id, Unreadable) else program.id
        return f"program {number}"

    def accepted(self, function: str, because: str) -> Answer:
        """Return the answer of a kernel that does what is asked."""
        return Answer(0, None, function, because)

    def in_words(self, answer: Answer) -> Answer:
        """Return an answer that says which mode was meant, if none was given."""
        if self.flags & XDP_FLAGS_MODES or answer.function is None:
            return answer
        meant = "has" if self.mode == DRV else "has no"
        mode = f"no mode means {self.mode}, since its driver {meant} ndo_bpf"
        return answer._replace(because=f"{answer.because} ({mode})")


def tcp_data_split(q: Question) -> Optional[str]:
    """Whether the core refuses for tcp-data-split (a decision's *holds*)."""
    if not q.program or q.need_program("frags"):
        return None
    if q.need(q.device.tcp_data_split, f"tcp-data-split of {q.name}"):
        return f"tcp-data-split of {q.name} is on; the program does not take fragments"
    return None


def fix_tcp_data_split(q: Question) -> Tuple[str, ...]:
    """Return the command that switches tcp-data-split off (a decision's *fix*)."""
    return q.fixes.tcp_data_split_off(q.device.ref)


def memory_provider(q: Question) -> Optional[str]:
    """Whether the core refuses for a memory provider (a decision's *holds*)."""
    if q.need(q.device.memory_provider, f"memory provider of {q.name}"):
        return f"an RX queue of {q.name} has a memory provider"
    return None
