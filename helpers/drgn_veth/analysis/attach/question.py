# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A question to the kernel about XDP, and its answer
--------------------------------------------------

What the decisions of :mod:`drgn_veth.analysis.attach.core` and
:mod:`drgn_veth.analysis.attach.drivers` take and return.
"""

from collections.abc import Iterable, Iterator, Mapping
import errno as _errno
from typing import (
    Any,
    NamedTuple,
    Optional,
)

from ...core.uapi import (
    XDP_FLAGS_DRV_MODE,
    XDP_FLAGS_HW_MODE,
    XDP_FLAGS_MODES,
    XDP_FLAGS_SKB_MODE,
)
from ...core.unreadable import Maybe, Unreadable
from ...model import XDP_MODES, Device, DeviceRef, Kernel, LoadedProgram, XdpProgram
from ..names import name_of
from ..need import CannotTell, need, need_of
from ..remedies import Fixes, Remedy

__all__ = (
    "DRV",
    "HW",
    "MODE_FLAGS",
    "SKB",
    "Answer",
    "Question",
    "errno_name",
    "refusal",
)

_NO_REMEDY = Remedy()

SKB = XDP_MODES[0]
DRV = XDP_MODES[1]
HW = XDP_MODES[2]

#: Bits of ``XDP_FLAGS_*`` by mode, in the words of the JSON contract.
MODE_FLAGS: Mapping[str, int] = {
    "default": 0,
    SKB: XDP_FLAGS_SKB_MODE,
    DRV: XDP_FLAGS_DRV_MODE,
    HW: XDP_FLAGS_HW_MODE,
}


class Answer(NamedTuple):
    """What the kernel would answer, and why."""

    errno: Maybe[Optional[int]]  #: 0: success; None: unknown
    message: Optional[str]  #: in the extended ACK; None: none
    function: Optional[str]  #: that decides
    because: str
    fix: tuple[str, ...] = ()  #: commands that would change the answer
    either: tuple["Answer", ...] = ()  #: all possible answers, if it is one of several
    #: What the kernel would answer after *fix*, unless that is success.
    then: Optional["Answer"] = None
    #: The decision, and the device that it is about.
    decision: Optional[tuple[str, int]] = None
    detaches: frozenset[tuple[int, str]] = frozenset()
    #: Side effects of *fix*, to be read after "this ".
    fix_effect: Optional[str] = None


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
    remedy: Remedy = _NO_REMEDY,
) -> Answer:
    """Return the answer of a kernel that refuses."""
    number: int = getattr(_errno, errno)
    return Answer(
        number,
        message,
        function,
        because,
        remedy.commands,
        fix_effect=remedy.fix_effect,
    )


class Question:
    """A request to the kernel: an attach or a detach."""

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
        passed: frozenset[tuple[str, int]] = frozenset(),
        gone: frozenset[tuple[int, str]] = frozenset(),
        above: tuple[int, ...] = (),
    ) -> None:
        self.kernel = kernel
        self.by_address = by_address
        self.fixes = fixes
        self.device = device
        self.via = via
        self.flags = flags
        self.program = program
        self.expected = expected
        #: Decisions that are assumed not to refuse.
        self.passed = passed
        #: Programs that are assumed to be detached: device, mode.
        self.gone = gone
        #: Devices, such as a bond, on whose behalf this one is asked.
        self.above = above
        self._mode: Optional[str] = None

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
        decisions: Iterable[tuple[str, int]],
        gone: frozenset[tuple[int, str]],
    ) -> "Question":
        """
        Return the same question, assuming that those decisions do not refuse.

        :param gone: Programs that are assumed to be detached: device, mode
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

    def need_program(self, member: str) -> Any:
        """
        Return a member of the program.

        :raises CannotTell: if it could not be read
        """
        return need(getattr(self.program, member), f"{member} of the program")

    @property
    def name(self) -> str:
        """The device's name."""
        return name_of(self.device)

    @property
    def driver_name(self) -> Optional[str]:
        """The driver's name, None if there is none."""
        return need_of(self.device, self.device.driver.name, "the driver")

    @property
    def mode(self) -> str:
        """The requested mode, as dev_xdp_mode() determines it."""
        if self._mode is None:
            self._mode = self._find_mode()
        return self._mode

    def _find_mode(self) -> str:
        if self.flags & MODE_FLAGS[HW]:
            return HW
        if self.flags & MODE_FLAGS[DRV]:
            return DRV
        if self.flags & MODE_FLAGS[SKB]:
            return SKB
        ndo_bpf = need_of(self.device, self.device.driver.ndo_bpf, "ndo_bpf")
        return DRV if ndo_bpf else SKB

    def current(self, mode: Optional[str] = None) -> Optional[XdpProgram]:
        """Return the program attached in a mode (by default, the requested mode)."""
        mode = mode or self.mode
        if (self.device.net_device, mode) in self.gone:
            return None
        return need_of(self.device, getattr(self.device.xdp, mode), f"{mode} program")

    def has_link(self) -> bool:
        """Return whether a BPF link holds the program in the requested mode."""
        current = self.current()
        return current is not None and current.via == "link"

    def is_current(self) -> bool:
        """Return whether the program is already attached."""
        current = self.current()
        if self.program is None or current is None:
            return self.program is None and current is None
        if not self.program.prog:
            return False
        return bool(need(current.id, "id of its program") == self.program.id)

    def program_count(self, device: Device) -> int:
        """
        Return dev_xdp_prog_count().

        :raises CannotTell: if a mode could not be read
        """
        count = 0
        for mode in XDP_MODES:
            if (device.net_device, mode) in self.gone:
                continue
            program = getattr(device.xdp, mode)
            count += need_of(device, program, f"{mode} program") is not None
        return count

    def detaches(self, mode: str) -> Remedy:
        """Return the command that detaches the program that is attached in a mode."""
        current = self.current(mode)
        if current is None:
            return Remedy()
        return Remedy(self.fixes.detach(self.device.ref, mode, current))

    def uppers(self, device: Optional[Device] = None) -> Iterator[Device]:
        """Yield the devices directly above one (by default, the one in question)."""
        device = device or self.device
        what = f"devices above {name_of(device)}"
        for ref in need(device.uppers, what):
            yield self.device_at(ref)

    def device_at(self, ref: DeviceRef) -> Device:
        """
        Return the device that another one refers to.

        :raises CannotTell: if it was not found
        """
        try:
            return self.by_address[ref.net_device]
        except KeyError:
            name = name_of(ref)
            raise CannotTell(f"{name} was not found in any namespace") from None

    @staticmethod
    def words(program: XdpProgram) -> str:
        """Return a program in words: ``program 4``."""
        number = "?" if isinstance(program.id, Unreadable) else program.id
        return f"program {number}"

    def accepted(self, function: str, because: str) -> Answer:
        """Return the answer of a kernel that accepts."""
        return Answer(0, None, function, because)

    def in_words(self, answer: Answer) -> Answer:
        """Return an answer that says which mode applies, if none was given."""
        if self.flags & XDP_FLAGS_MODES or answer.function is None:
            return answer
        meant = "has" if self.mode == DRV else "has no"
        mode = f"no mode means {self.mode} mode: its driver {meant} ndo_bpf"
        return answer._replace(because=f"{answer.because} ({mode})")
