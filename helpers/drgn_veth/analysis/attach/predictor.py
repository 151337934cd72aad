# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The predictor
-------------

Asks the decisions of :mod:`drgn_veth.analysis.attach.core` and
:mod:`drgn_veth.analysis.attach.drivers` in the order of the Snapshot's kernel, or, if
that is not known, of all kernels that it may be. Pure functions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import copy
from typing import (
    Callable,
    Optional,
    Union,
)

from ...core.uapi import XDP_FLAGS_REPLACE, XDP_FLAGS_UPDATE_IF_NOEXIST
from ...core.unreadable import Maybe, Unreadable
from ...core.xdp_modes import mode_named
from ...model import XDP_MODES, Device, LoadedProgram, Snapshot, Task
from ..need import CannotTell
from . import core
from .ask import HasAddress, Questions
from .decision import first
from .drivers import decide_in_driver
from .question import MODE_FLAGS, SKB, Answer, Question, refusal
from .variants import Variant, variants

__all__ = ("MODES", "VIAS", "Predictor", "TooOldError")

#: The ways to ask, in the words of the JSON contract.
MODES = ("default", *XDP_MODES)
VIAS = ("netlink", "link")

# Refusals in a row that have a fix: a bond may have many slaves.
_MOST_OBSTACLES = 16


class TooOldError(Exception):
    """A kernel before v5.9: it decides differently, and has no ``xdp_state``."""


def _unknown(error: CannotTell) -> Answer:
    return Answer(Unreadable(str(error)), None, None, str(error))


### The order

#: What a kernel answers to a question.
_Decide = Callable[[Question, Variant], Answer]


# Whether it is a detach.
_GENERIC = {
    False: "generic mode has no device requirements",
    True: "generic mode never refuses a detach",
}


def _install(q: Question, variant: Variant) -> Answer:
    refused = first(q, variant.install)
    if refused is None and q.mode != SKB:
        return decide_in_driver(q)
    return (
        refused
        or first(q, variant.generic)
        or q.accepted("generic_xdp_install", _GENERIC[q.program is None])
    )


def _attach(q: Question, variant: Variant) -> Answer:
    refused = first(q, variant.attach)
    if refused is None and q.is_current():
        return q.accepted("dev_xdp_attach", "nothing changes; no driver is called")
    return refused or first(q, core.NO_OPERATION) or _install(q, variant)


_Device = Union[Device, HasAddress]


def _flags(mode: Union[str, int]) -> int:
    # Also XdpMode.
    if not isinstance(mode, int):
        return MODE_FLAGS[mode_named(mode)]
    if not 0 <= mode < len(XDP_MODES):
        raise ValueError(f"no XDP mode is {mode}; the modes are {', '.join(MODES)}")
    return MODE_FLAGS[XDP_MODES[mode]]


class Predictor:
    """
    Answers for the kernel of a Snapshot.

    :raises TooOldError: if it is a kernel before v5.9
    """

    def __init__(self, snapshot: Snapshot) -> None:
        if not isinstance(snapshot, Snapshot):
            raise TypeError(
                f"expected a Snapshot, not {type(snapshot).__name__}; take_snapshot() "
                "returns one"
            )
        kernel = snapshot.kernel
        if kernel is None or not kernel.xdp_state:
            raise TooOldError(
                "this kernel has no net_device.xdp_state: it is older than v5.9, which "
                "is not supported"
            )
        self.questions = Questions(snapshot)
        self._kernel = kernel
        programs = snapshot.programs
        self._programs: dict[int, LoadedProgram] = {
            program.id: program
            for program in (() if isinstance(programs, Unreadable) else programs)
            if not isinstance(program.id, Unreadable) and program.id
        }
        self._variants = variants(kernel)

    def with_devices(self, devices: Mapping[int, Device]) -> "Predictor":
        """Return one with other records of some devices, by their address."""
        other = copy.copy(self)
        other.questions = self.questions.with_devices(devices)
        return other

    @property
    def blocked_by(self) -> Maybe[Optional[Task]]:
        """
        The task that holds rtnl_mutex: the attach would wait until it releases the
        mutex.
        """
        return self._kernel.rtnl_owner

    def _decide(self, q: Question, decide: _Decide) -> Answer:
        answer = self._decide_once(q, decide)
        if answer.fix and answer.decision and len(q.passed) < _MOST_OBSTACLES:
            other = q.without((answer.decision,), answer.detaches)
            then = self._decide(other, decide)
            if then.errno != 0:
                answer = answer._replace(then=then)
        return answer if q.passed else self._in_words(q, answer)

    @staticmethod
    def _in_words(q: Question, answer: Answer) -> Answer:
        try:
            return q.in_words(answer)
        except CannotTell:
            return answer

    def _decide_once(self, q: Question, decide: _Decide) -> Answer:
        if len(self._variants) == 1:
            try:
                return decide(q, self._variants[0])
            except CannotTell as e:
                return _unknown(e)
        answers: dict[tuple[object, ...], Answer] = {}
        for variant in self._variants:
            try:
                answer = decide(q, variant)
            except CannotTell as e:
                answer = _unknown(e)
            answers.setdefault((answer.errno, answer.message), answer)
        if len(answers) == 1:
            return next(iter(answers.values()))
        either = tuple(answers.values())
        why = "this depends on the kernel's code, which could not be read"
        if isinstance(self._kernel.messages, Unreadable):
            why = f"{why}: {self._kernel.messages.reason}"
        return Answer(None, None, None, why, (), either)

    def ask(
        self,
        device: _Device,
        via: str,
        flags: int,
        program: Optional[LoadedProgram],
        expected: Optional[int] = None,
    ) -> Answer:
        """
        Return the answer to RTM_SETLINK with IFLA_XDP, or to BPF_LINK_CREATE.

        :param via: ``netlink`` or ``link``
        :param flags: Mask of ``XDP_FLAGS_*``
        :param program: None to detach
        :param expected: Identifier of the program of ``IFLA_XDP_EXPECTED_FD``
        """
        device = self.questions.record(device)
        if via not in VIAS:
            raise ValueError(f"no way to attach is called {via!r}: {' or '.join(VIAS)}")
        q = self.questions.question(device, via, flags, program, expected)
        if device.off_list is not None:
            function, errno = {
                "netlink": ("__dev_get_by_index", "ENODEV"),
                "link": ("bpf_xdp_link_attach", "EINVAL"),
            }[via]
            why = f"the kernel cannot find {q.name} by name now: {device.off_list}"
            return refusal(errno, None, function, why)
        if program and program.frags is True and not self._kernel.xdp_frags:
            return refusal(
                "EINVAL",
                None,
                "bpf_prog_load",
                "this kernel does not support BPF_F_XDP_HAS_FRAGS: no such program can "
                "be loaded",
            )
        try:
            # bpf_xdp_link_attach() decides nothing of its own.
            refused = first(q, core.NETLINK) if via == "netlink" else None
        except CannotTell as e:
            return _unknown(e)
        return self._decide(q, _attach) if refused is None else refused

    def attach(
        self,
        device: _Device,
        mode: Union[str, int],
        via: str = "netlink",
        frags: bool = False,
        program: Optional[LoadedProgram] = None,
    ) -> Answer:
        """
        Return the answer to an attach that replaces nothing, as ``ip link set dev
        DEVICE xdp`` and ``bpf_program__attach_xdp()`` ask for it.

        >>> snapshot = take_snapshot()
        >>> device = next(d for d in snapshot.devices if d.name == "q24b")
        >>> Predictor(snapshot).attach(device, "driver").message
        'veth: XDP expects number of rx queues not less than peer tx queues'

        :param device: Its record in the Snapshot, or its ``struct net_device *``
        :param mode: One of :data:`MODES`, or any other name of them
        :param via: One of :data:`VIAS`
        :param frags: Whether the program supports fragments, if none is given
        :param program: The program; None: a fresh one
        :raises TypeError: if it is no device
        :raises LookupError: if the device is not in the Snapshot
        :raises ValueError: if the mode or the way is unknown
        """
        flags = _flags(mode) | (XDP_FLAGS_UPDATE_IF_NOEXIST if via == "netlink" else 0)
        return self.ask(device, via, flags, program or self.questions.fresh[frags])

    def attach_after(
        self,
        device: Device,
        mode: str,
        mended: Iterable[tuple[str, int]] = (),
        gone: frozenset[tuple[int, str]] = frozenset(),
        program: Optional[LoadedProgram] = None,
    ) -> Answer:
        """
        Return the answer to an attach by netlink after some fixes, without the answer
        after its own fix.

        :param mended: Decisions that no longer refuse: key, device
        :param gone: Programs that were detached: device, mode
        """
        program = program or self.questions.fresh[False]
        q = self.questions.question(
            device, "netlink", _flags(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST, program
        ).without(mended, gone)
        return self._decide_once(q, _attach)

    def then(self, device: Device, mode: str, refused: Answer) -> Answer:
        """
        Return the answer to an attach after the fix for one refusal.

        :param refused: The refusal: see :meth:`.ask.Questions.refusal()`
        """
        mended = () if refused.decision is None else (refused.decision,)
        return self.attach_after(device, mode, mended, refused.detaches)

    def replace(
        self,
        device: _Device,
        mode: Union[str, int],
        frags: bool = False,
        program: Optional[LoadedProgram] = None,
        expected: Optional[int] = None,
    ) -> Answer:
        """
        Return the answer to an attach by netlink that may replace a program, as
        ``ip -force link set dev DEVICE xdp`` asks for it.

        :param expected: Identifier of the program that is to be replaced, and no
            other (``XDP_FLAGS_REPLACE``)
        """
        flags = _flags(mode) | (0 if expected is None else XDP_FLAGS_REPLACE)
        program = program or self.questions.fresh[frags]
        return self.ask(device, "netlink", flags, program, expected)

    def detach(self, device: _Device, mode: Union[str, int]) -> Answer:
        """
        Return the answer to a detach by netlink, as ``ip link set dev DEVICE xdp off``
        asks for it.
        """
        return self.ask(device, "netlink", _flags(mode), None)

    def update(
        self,
        device: _Device,
        mode: Union[str, int],
        frags: bool = False,
        program: Optional[LoadedProgram] = None,
        expected: Optional[int] = None,
        detached: bool = False,
    ) -> Answer:
        """
        Return the answer to BPF_LINK_UPDATE of the link that holds a program.

        :param mode: The link's, one of :data:`MODES`
        :param program: The program; None: a fresh one that was loaded with the same
            ``expected_attach_type`` as the link's
        :param expected: Identifier of the program that is to be replaced, and no
            other (``BPF_F_REPLACE``)
        :param detached: The link was detached, or its device is gone
        :raises ValueError: if no link holds a program in this mode
        """
        device = self.questions.record(device)
        flags = _flags(mode)
        if program is None:
            program = self._like_current(device, flags, self.questions.fresh[frags])
        q = self.questions.question(device, "link", flags, program, expected)
        if program.frags is True and not self._kernel.xdp_frags:
            return self.ask(device, "link", q.flags, program)
        if detached:
            why = "the link was detached from its device"
            return refusal("ENOLINK", None, "bpf_xdp_link_update", why)
        try:
            if not q.has_link():
                raise ValueError(f"{q.name} has no link in {mode} mode")
            refused = first(q, core.UPDATE)
            same = refused is None and q.is_current()
        except CannotTell as e:
            return _unknown(e)
        if refused is not None:
            return refused
        if same:
            return q.accepted("bpf_xdp_link_update", "nothing changes")
        return self._decide(q, _install)

    def _like_current(
        self, device: Device, flags: int, program: LoadedProgram
    ) -> LoadedProgram:
        # libbpf loads with BPF_XDP, bpf(2) alone with 0. Whoever attached a program by
        # a link loads the next one as he did this one.
        try:
            current = self.questions.question(device, "link", flags, None).current()
        except CannotTell:
            return program
        if current is None:
            return program
        return program._replace(expected_attach_type=current.expected_attach_type)

    def link_detach(self, device: _Device, mode: Union[str, int]) -> Answer:
        """
        Return the answer to BPF_LINK_DETACH of the link that holds a program.

        :param mode: The link's, one of :data:`MODES`
        :raises ValueError: if no link holds a program in this mode
        """
        device = self.questions.record(device)
        q = self.questions.question(device, "link", _flags(mode), None)
        try:
            if not q.has_link():
                raise ValueError(f"{q.name} has no link in {mode} mode")
        except CannotTell as e:
            return _unknown(e)
        # bpf_xdp_link_release() ignores an error of dev_xdp_install().
        return q.accepted("bpf_xdp_link_detach", "this always succeeds")

    def answers(
        self,
        device: Device,
        op: str,
        modes: Sequence[str],
        vias: Sequence[str],
        kinds: Sequence[bool],
        program: Optional[LoadedProgram] = None,
    ) -> Iterator[tuple[str, str, str, bool, Answer]]:
        """
        Yield the answers for a device: op, mode, via, frags, and the answer.

        :param op: ``attach``, ``replace`` or ``detach``
        :param kinds: Values of frags; ignored if a program is given
        """
        for mode in modes:
            for via in vias:
                if op == "detach":
                    if via == "netlink":
                        yield op, mode, via, False, self.detach(device, mode)
                    continue
                for frags in kinds:
                    what = op
                    if op == "attach":
                        answer = self.attach(device, mode, via, frags, program)
                    elif via == "netlink":
                        answer = self.replace(device, mode, frags, program)
                    elif self._has_link(device, mode):
                        what = "update"
                        answer = self.update(device, mode, frags, program)
                    else:
                        what = "attach"
                        answer = self.attach(device, mode, via, frags, program)
                    yield what, mode, via, frags, answer

    def _has_link(self, device: Device, mode: str) -> bool:
        try:
            return self.questions.question(
                device, "link", _flags(mode), None
            ).has_link()
        except CannotTell:
            return False

    def programs(self) -> Mapping[int, LoadedProgram]:
        """Return the loaded XDP programs, by identifier."""
        return self._programs
