# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel would answer to an XDP attach
---------------------------------------------

The kernel's own decisions, in the kernel's order, as lists: one entry a decision. Pure
functions of a Snapshot; all numbers that are compared are the target's.

Follows do_setlink() (net/core/rtnetlink.c), bpf_xdp_link_attach(),
bpf_xdp_link_update(), dev_xdp_attach(), dev_xdp_install() and generic_xdp_install()
(net/core/dev.c); the drivers' own decisions are in :mod:`drgn_veth.attach_drivers`.
"""

import itertools
from typing import (
    Callable,
    Dict,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from .attach_drivers import decide_in_driver
from .attach_question import (
    DRV,
    HW,
    MODE_FLAGS,
    NOEXIST,
    REPLACE,
    SKB,
    XDP_FLAGS_MASK,
    XDP_FLAGS_MODES,
    Answer,
    CannotTell,
    Decision,
    Question,
    first,
    fix_tcp_data_split,
    memory_provider,
    refusal,
    tcp_data_split,
)
from .fixes import Fixes
from .model import (
    Device,
    Kernel,
    LoadedProgram,
    Maybe,
    Snapshot,
    Task,
    Unreadable,
)

__all__ = (
    "CHECKS",
    "CORE",
    "GENERIC",
    "INSTALL",
    "LINK",
    "MODES",
    "NETLINK",
    "NO_OPERATION",
    "UPDATE",
    "VIAS",
    "Predictor",
    "TooOldError",
    "fresh_program",
)

#: The ways to ask, in the words of the JSON contract.
MODES = ("default", "generic", "driver", "offload")
VIAS = ("netlink", "link")

_BPF_XDP_DEVMAP = 33
_BPF_XDP_CPUMAP = 35

# One behind the other: a bond may have many slaves.
_MOST_OBSTACLES = 16


class TooOldError(Exception):
    """A kernel before v5.9: it decides otherwise, and keeps no ``xdp_state``."""


def fresh_program(frags: bool = False) -> LoadedProgram:
    """Return a program that is attached nowhere, and was loaded for no device."""
    return LoadedProgram(0, 0, "", frags, 0, False, False, 0, False)


### do_setlink() and dev_change_xdp_fd(): only netlink comes this way.


def _unknown_flags(q: Question) -> Optional[str]:
    if q.flags & ~XDP_FLAGS_MASK:
        return f"flags {q.flags:#x} have bits beyond XDP_FLAGS_MASK"
    return None


def _many_modes(q: Question) -> Optional[str]:
    if bin(q.flags & XDP_FLAGS_MODES).count("1") > 1:
        return f"flags {q.flags:#x} name more than one mode"
    return None


def _replace_nothing(q: Question) -> Optional[str]:
    if q.flags & REPLACE and q.expected is None:
        return "XDP_FLAGS_REPLACE is set, and IFLA_XDP_EXPECTED_FD is not given"
    return None


def _offloaded_in_skb(q: Question) -> Optional[str]:
    if q.program and q.mode == SKB and q.need_program("offload_requested"):
        return "the program was loaded to be offloaded, and generic mode is asked for"
    return None


NETLINK: Tuple[Decision, ...] = (
    Decision("flags", "do_setlink", "EINVAL", None, _unknown_flags),
    Decision("flags-modes", "do_setlink", "EINVAL", None, _many_modes),
    Decision("flags-replace", "do_setlink", "EINVAL", None, _replace_nothing),
    Decision("offloaded", "bpf_prog_get_type_dev", "EINVAL", None, _offloaded_in_skb),
)

#: Decisions of bpf_xdp_link_attach() alone: it has none.
LINK: Tuple[Decision, ...] = ()

### dev_xdp_attach()


def _link_flags(q: Question) -> Optional[str]:
    if q.via == "link" and q.flags & ~XDP_FLAGS_MODES:
        return f"flags {q.flags:#x} of a link have bits that are no mode"
    return None


def _ambiguous(q: Question) -> Optional[str]:
    if q.flags & XDP_FLAGS_MODES:
        return None
    count = q.program_count(q.device)
    if count > 1:
        return f"no mode is given, and {q.name} has {count} programs"
    return None


def _link_in_place(q: Question) -> Optional[str]:
    current = q.current()
    if current is not None and current.via == "link":
        return f"{q.name} has {q.words(current)} in {q.mode} mode, held by a BPF link"
    return None


def _upper(q: Question) -> Optional[str]:
    for upper in q.uppers():
        count = q.program_count(upper)
        if count:
            return (
                f"{q.name_of(upper.ref)}, which is above {q.name}, has {count} XDP "
                f"program{'s' if count > 1 else ''}"
            )
    return None


def _fix_upper(q: Question) -> Tuple[str, ...]:
    commands: List[str] = []
    for upper in q.uppers():
        commands.extend(q.fixes.detach_all(upper))
    return tuple(commands)


def _program_in_place(q: Question) -> Optional[str]:
    current = q.current()
    if q.via == "link" and current is not None:
        return f"{q.name} has {q.words(current)} in {q.mode} mode, attached by netlink"
    return None


def _not_expected(q: Question) -> Optional[str]:
    if not q.flags & REPLACE:
        return None
    current = q.current()
    have = 0 if current is None else q.need(current.id, "id of its program")
    if have != q.expected:
        return f"{q.name} has program {have} in {q.mode} mode, not {q.expected}"
    return None


def _exists(q: Question) -> Optional[str]:
    current = q.current()
    if q.program and q.flags & NOEXIST and current is not None:
        return f"{q.name} has {q.words(current)} in {q.mode} mode"
    return None


def _fix_current(q: Question) -> Tuple[str, ...]:
    current = q.current()
    return () if current is None else q.fixes.detach(q.device.ref, q.mode, current)


CORE: Tuple[Decision, ...] = (
    Decision(
        "link-flags",
        "dev_xdp_attach",
        "EINVAL",
        "Invalid XDP flags for BPF link attachment",
        _link_flags,
    ),
    Decision(
        "one-mode",
        "dev_xdp_attach",
        "EINVAL",
        "Only one XDP mode flag can be set",
        _many_modes,
    ),
    Decision(
        "ambiguous",
        "dev_xdp_attach",
        "EINVAL",
        "More than one program loaded, unset mode is ambiguous",
        _ambiguous,
    ),
    Decision(
        "link-in-place",
        "dev_xdp_attach",
        "EBUSY",
        "Can't replace active BPF XDP link",
        _link_in_place,
        _fix_current,
    ),
    Decision(
        "upper",
        "dev_xdp_attach",
        "EEXIST",
        "Cannot attach when an upper device already has a program",
        _upper,
        _fix_upper,
    ),
    Decision(
        "program-in-place",
        "dev_xdp_attach",
        "EBUSY",
        "Can't replace active XDP program with BPF link",
        _program_in_place,
        _fix_current,
    ),
    Decision(
        "not-expected",
        "dev_xdp_attach",
        "EEXIST",
        "Active program does not match expected",
        _not_expected,
    ),
    Decision(
        "exists",
        "dev_xdp_attach",
        "EBUSY",
        "XDP program already attached",
        _exists,
        _fix_current,
    ),
)

### What is asked of a program: in dev_xdp_attach(), or in dev_xdp_install().


def _other_mode(q: Question) -> Optional[str]:
    if not q.program or q.mode == HW:
        return None
    other = DRV if q.mode == SKB else SKB
    current = q.current(other)
    if current is not None:
        return f"{q.name} has {q.words(current)} in {other} mode"
    return None


def _fix_other_mode(q: Question) -> Tuple[str, ...]:
    other = DRV if q.mode == SKB else SKB
    current = q.current(other)
    return () if current is None else q.fixes.detach(q.device.ref, other, current)


def _offload_without_hw(q: Question) -> Optional[str]:
    if q.program and q.mode != HW and q.need_program("offload_requested"):
        return f"the program was loaded to be offloaded, and {q.mode} mode is asked for"
    return None


def _other_device(q: Question) -> Optional[str]:
    if not q.program or not q.need_program("dev_bound"):
        return None
    bound_to = q.need_program("bound_to")
    if bound_to != q.device.net_device:
        there = q.by_address.get(bound_to)
        other = "a device that is gone" if there is None else q.name_of(there.ref)
        return f"the program was loaded for {other}, not for {q.name}"
    return None


def _bound_in_skb(q: Question) -> Optional[str]:
    if q.program and q.mode == SKB and q.need_program("dev_bound"):
        return "the program was loaded for one device, and generic mode is asked for"
    return None


def _devmap(q: Question) -> Optional[str]:
    if q.program and q.need_program("expected_attach_type") == _BPF_XDP_DEVMAP:
        return "the program's expected_attach_type is BPF_XDP_DEVMAP"
    return None


def _cpumap(q: Question) -> Optional[str]:
    if q.program and q.need_program("expected_attach_type") == _BPF_XDP_CPUMAP:
        return "the program's expected_attach_type is BPF_XDP_CPUMAP"
    return None


CHECKS: Tuple[Decision, ...] = (
    Decision(
        "other-mode",
        "dev_xdp_attach",
        "EEXIST",
        "Native and generic XDP can't be active at the same time",
        _other_mode,
        _fix_other_mode,
    ),
    # Since Linux kernel commit 2b3486bc2d23 ("bpf: Introduce device-bound XDP
    # programs") (in v6.3), a program may be bound to a device and not offloaded.
    # Before, the message is the first one, and says what is the second one now.
    Decision(
        "offload-without-hw-old",
        "dev_xdp_attach",
        "EINVAL",
        "Using device-bound program without HW_MODE flag is not supported",
        _offload_without_hw,
    ),
    Decision(
        "offload-without-hw",
        "dev_xdp_attach",
        "EINVAL",
        "Using offloaded program without HW_MODE flag is not supported",
        _offload_without_hw,
    ),
    Decision(
        "other-device",
        "dev_xdp_attach",
        "EINVAL",
        "Program bound to different device",
        _other_device,
    ),
    Decision(
        "bound-in-skb",
        "dev_xdp_attach",
        "EINVAL",
        "Can't attach device-bound programs in generic mode",
        _bound_in_skb,
    ),
    Decision(
        "devmap",
        "dev_xdp_attach",
        "EINVAL",
        "BPF_XDP_DEVMAP programs can not be attached to a device",
        _devmap,
    ),
    Decision(
        "cpumap",
        "dev_xdp_attach",
        "EINVAL",
        "BPF_XDP_CPUMAP programs can not be attached to a device",
        _cpumap,
    ),
)


def _no_operation(q: Question) -> Optional[str]:
    if q.mode != SKB and not q.need(q.device.driver.ndo_bpf, f"ndo_bpf of {q.name}"):
        driver = q.driver_name
        of_it = "its driver has" if driver is None else f"its driver {driver} has"
        return f"{of_it} no ndo_bpf; generic mode does not need it"
    return None


NO_OPERATION: Tuple[Decision, ...] = (
    Decision(
        "no-operation",
        "dev_xdp_attach",
        "EOPNOTSUPP",
        "Underlying driver does not support XDP in native mode",
        _no_operation,
    ),
)

### dev_xdp_install()


INSTALL: Tuple[Decision, ...] = (
    Decision(
        "tcp-data-split",
        "dev_xdp_install",
        "EBUSY",
        "unable to install XDP to device using tcp-data-split",
        tcp_data_split,
        fix_tcp_data_split,
    ),
    Decision(
        "memory-provider",
        "dev_xdp_install",
        "EBUSY",
        "unable to install XDP to device using memory provider",
        memory_provider,
    ),
)


def _program_maps(q: Question) -> Optional[str]:
    if q.program and q.need_program("program_maps"):
        return "the program uses a DEVMAP or CPUMAP whose entries may have programs"
    return None


#: generic_xdp_install(), up to v5.14.
GENERIC: Tuple[Decision, ...] = (
    Decision("program-maps", "generic_xdp_install", "EINVAL", None, _program_maps),
)

### bpf_xdp_link_update()


def _wrong_old_program(q: Question) -> Optional[str]:
    current = q.current()
    if q.expected is None or current is None:
        return None
    have = q.need(current.id, "id of its program")
    if have != q.expected:
        return f"the link holds program {have}, not {q.expected}"
    return None


def _other_type(q: Question) -> Optional[str]:
    current = q.current()
    if current is None or q.program is None:
        return None
    have = q.need(current.expected_attach_type, "expected_attach_type of its program")
    want = q.need_program("expected_attach_type")
    if have != want:
        return f"expected_attach_type is {want}, that of the link's program is {have}"
    return None


UPDATE: Tuple[Decision, ...] = (
    Decision(
        "wrong-old-program", "bpf_xdp_link_update", "EPERM", None, _wrong_old_program
    ),
    Decision("other-type", "bpf_xdp_link_update", "EINVAL", None, _other_type),
)

#: Decisions that not every kernel takes: those that it does not take are not in its
#: text. Of the others, only the place differs.
_NOT_EVERYWHERE = frozenset(
    {
        "ambiguous",
        "upper",
        "offload-without-hw-old",
        "offload-without-hw",
        "other-device",
        "bound-in-skb",
    }
)


class _Variant(NamedTuple):
    # What differs between kernels in code alone.
    install: FrozenSet[str]  # of CHECKS, what dev_xdp_install() does
    absent: FrozenSet[str]
    refuses_program_maps: bool


def _variants(kernel: Kernel) -> List[_Variant]:
    # All kernels that this one can be.
    checks = frozenset(decision.key for decision in CHECKS)
    messages = (
        None if isinstance(kernel.messages, Unreadable) else dict(kernel.messages)
    )
    if messages is not None and messages.get("dev_xdp_attach"):
        attach = messages["dev_xdp_attach"]
        install = messages.get("dev_xdp_install", frozenset())
        there = attach | install
        absent = frozenset(
            decision.key
            for decision in (*CORE, *CHECKS)
            if decision.key in _NOT_EVERYWHERE and decision.message not in there
        )
        late = frozenset(
            decision.key
            for decision in CHECKS
            if decision.message in install and decision.message not in attach
        )
        return [_Variant(late, absent, "upper" in absent)]
    variants = []
    # Kernels that know of programs that are bound and not offloaded have the new
    # message; all others neither it nor the two decisions about them.
    never = frozenset({"offload-without-hw-old"}) if kernel.dev_bound else _BOUND
    for in_install, upper, ambiguous in itertools.product((False, True), repeat=3):
        missing = {"upper": upper, "ambiguous": ambiguous}
        variants.append(
            _Variant(
                checks if in_install else frozenset(),
                never | {key for key, there in missing.items() if not there},
                # Generic XDP takes such maps since v5.15, when uppers were looked at.
                refuses_program_maps=not upper,
            )
        )
    return variants


_BOUND = frozenset({"offload-without-hw", "other-device", "bound-in-skb"})


def _only(decisions: Sequence[Decision], keys: Callable[[str], bool]) -> List[Decision]:
    return [decision for decision in decisions if keys(decision.key)]


class Predictor:
    """
    Answers for the kernel of a Snapshot.

    :raises TooOldError: if it is a kernel before v5.9
    """

    def __init__(self, snapshot: Snapshot) -> None:
        kernel = snapshot.kernel
        if kernel is None or not kernel.xdp_state:
            raise TooOldError(
                "this kernel has no net_device.xdp_state (it is older than v5.9), and "
                "decides in another way, which is not known here"
            )
        self._kernel = kernel
        self._by_address = {device.net_device: device for device in snapshot.devices}
        self._fixes = Fixes(snapshot)
        self._programs = (
            () if isinstance(snapshot.programs, Unreadable) else snapshot.programs
        )
        self._variants = _variants(kernel)
        self._fresh = {frags: fresh_program(frags) for frags in (False, True)}

    @property
    def blocked_by(self) -> Maybe[Optional[Task]]:
        """Who holds rtnl_mutex: the answer would come only after it lets go."""
        return self._kernel.rtnl_owner

    def _question(
        self,
        device: Device,
        via: str,
        flags: int,
        program: Optional[LoadedProgram],
        expected: Optional[int] = None,
    ) -> Question:
        return Question(
            self._kernel, self._by_address, self._fixes, device, via, flags, program,
            expected,
        )  # fmt: skip

    ### The order

    def _install(self, q: Question, variant: _Variant) -> Answer:
        late = _only(CHECKS, variant.install.__contains__)
        late = [decision._replace(function="dev_xdp_install") for decision in late]
        refused = first(q, [d for d in late if d.key not in variant.absent])
        if refused is None:
            refused = first(q, INSTALL)
        if refused is not None:
            return refused
        if q.mode != SKB:
            return decide_in_driver(q)
        if variant.refuses_program_maps:
            refused = first(q, GENERIC)
            if refused is not None:
                return refused
        return q.accepted(
            "generic_xdp_install", "generic mode asks nothing of a device"
        )

    def _attach(self, q: Question, variant: _Variant) -> Answer:
        early = [
            *CORE,
            *_only(CHECKS, lambda key: key not in variant.install),
        ]
        refused = first(q, [d for d in early if d.key not in variant.absent])
        if refused is not None:
            return refused
        if q.is_current():
            return q.accepted("dev_xdp_attach", "nothing changes, no driver is called")
        refused = first(q, NO_OPERATION)
        return self._install(q, variant) if refused is None else refused

    def _decide(
        self, q: Question, decide: Callable[[Question, _Variant], Answer]
    ) -> Answer:
        answer = self._decide_once(q, decide)
        if answer.fix and answer.decision and len(q.passed) < _MOST_OBSTACLES:
            then = self._decide(q.without(answer.decision), decide)
            if then.errno != 0:
                answer = answer._replace(then=then)
        return answer

    def _decide_once(
        self, q: Question, decide: Callable[[Question, _Variant], Answer]
    ) -> Answer:
        answers: Dict[Tuple[object, ...], Answer] = {}
        for variant in self._variants:
            try:
                answer = decide(q, variant)
            except CannotTell as e:
                answer = Answer(Unreadable(str(e)), None, None, str(e))
            answers.setdefault(answer[:3], answer)
        if len(answers) == 1:
            return next(iter(answers.values()))
        either = tuple(answers.values())
        why = "this kernel's code could not be read, which would tell"
        if isinstance(self._kernel.messages, Unreadable):
            why = f"{why}: {self._kernel.messages.reason}"
        return Answer(None, None, None, why, (), either)

    def ask(
        self,
        device: Device,
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
        q = self._question(device, via, flags, program, expected)
        if device.off_list is not None:
            function, errno = {
                "netlink": ("__dev_get_by_index", "ENODEV"),
                "link": ("bpf_xdp_link_attach", "EINVAL"),
            }[via]
            why = f"nobody can name {q.name} now: {device.off_list}"
            return refusal(errno, None, function, why)
        if program and program.frags is True and not self._kernel.xdp_frags:
            return refusal(
                "EINVAL",
                None,
                "bpf_prog_load",
                "this kernel does not know BPF_F_XDP_HAS_FRAGS: no such program can be "
                "loaded",
            )
        try:
            refused = first(q, NETLINK if via == "netlink" else LINK)
        except CannotTell as e:
            return Answer(Unreadable(str(e)), None, None, str(e))
        return self._decide(q, self._attach) if refused is None else refused

    def attach(
        self,
        device: Device,
        mode: str,
        via: str = "netlink",
        frags: bool = False,
        program: Optional[LoadedProgram] = None,
    ) -> Answer:
        """
        Return the answer to an attach that replaces nothing, as ``ip link set dev
        DEVICE xdp`` and ``bpf_program__attach_xdp()`` ask for it.

        :param mode: One of :data:`MODES`
        :param via: One of :data:`VIAS`
        :param frags: Whether the program takes fragments, if none is given
        :param program: The program; None: a fresh one
        """
        flags = MODE_FLAGS[mode] | (NOEXIST if via == "netlink" else 0)
        return self.ask(device, via, flags, program or self._fresh[frags])

    def replace(
        self,
        device: Device,
        mode: str,
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
        flags = MODE_FLAGS[mode] | (0 if expected is None else REPLACE)
        program = program or self._fresh[frags]
        return self.ask(device, "netlink", flags, program, expected)

    def detach(self, device: Device, mode: str) -> Answer:
        """
        Return the answer to a detach by netlink, as ``ip link set dev DEVICE xdp off``
        asks for it.
        """
        return self.ask(device, "netlink", MODE_FLAGS[mode], None)

    def update(
        self,
        device: Device,
        mode: str,
        frags: bool = False,
        program: Optional[LoadedProgram] = None,
        expected: Optional[int] = None,
        detached: bool = False,
    ) -> Answer:
        """
        Return the answer to BPF_LINK_UPDATE of the link that holds a program.

        :param mode: The link's, one of :data:`MODES`
        :param expected: Identifier of the program that is to be replaced, and no
            other (``BPF_F_REPLACE``)
        :param detached: The link was detached, or its device is gone
        :raises ValueError: if no link holds a program in this mode
        """
        program = program or self._fresh[frags]
        q = self._question(device, "link", MODE_FLAGS[mode], program, expected)
        if program.frags is True and not self._kernel.xdp_frags:
            return self.ask(device, "link", q.flags, program)
        if detached:
            why = "the link was detached from its device"
            return refusal("ENOLINK", None, "bpf_xdp_link_update", why)
        try:
            if not q.has_link():
                raise ValueError(f"{q.name} has no link in {mode} mode")
            refused = first(q, UPDATE)
            same = refused is None and q.is_current()
        except CannotTell as e:
            return Answer(Unreadable(str(e)), None, None, str(e))
        if refused is not None:
            return refused
        if same:
            return q.accepted("bpf_xdp_link_update", "nothing changes")
        return self._decide(q, self._install)

    def link_detach(self, device: Device, mode: str) -> Answer:
        """
        Return the answer to BPF_LINK_DETACH of the link that holds a program.

        :param mode: The link's, one of :data:`MODES`
        :raises ValueError: if no link holds a program in this mode
        """
        q = self._question(device, "link", MODE_FLAGS[mode], None)
        try:
            if not q.has_link():
                raise ValueError(f"{q.name} has no link in {mode} mode")
        except CannotTell as e:
            return Answer(Unreadable(str(e)), None, None, str(e))
        return self._decide(q, self._install)

    def answers(
        self,
        device: Device,
        op: str,
        modes: Sequence[str],
        vias: Sequence[str],
        kinds: Sequence[bool],
        program: Optional[LoadedProgram] = None,
    ) -> Iterator[Tuple[str, str, str, bool, Answer]]:
        """
        Yield the answers for a device: op, mode, via, frags, and the answer.

        :param op: ``attach``, ``replace`` or ``detach``
        :param kinds: Values of frags; of no matter if a program is given
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
            return self._question(device, "link", MODE_FLAGS[mode], None).has_link()
        except CannotTell:
            return False

    def programs(self) -> Mapping[int, LoadedProgram]:
        """Return the XDP programs that are loaded, by identifier."""
        return {
            program.id: program
            for program in self._programs
            if not isinstance(program.id, Unreadable) and program.id
        }
