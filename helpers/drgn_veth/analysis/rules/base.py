# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a rule of diagnosis is made of
-----------------------------------

A rule looks at one device at a time, with its peer, and finds something or not. What
several rules ask for is computed once, in a :class:`Context`.
"""

import contextlib
from typing import (
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    TypeVar,
    Union,
)

from ...core.english import number_list, per_queue
from ...core.unreadable import Maybe, Unreadable
from ...model import (
    Device,
    DeviceRef,
    Kernel,
    RpsQueue,
    Snapshot,
    Task,
    XdpLink,
    XdpProgram,
    XpsQueue,
)
from ..attach.core import CHECKS, CORE
from ..attach.drivers import NETKIT, VETH, veth_max_mtu
from ..attach.predictor import Past, Predictor, TooOldError, fresh_program
from ..attach.question import DRV, Answer, Decision, errno_name
from ..remedies import Fixes, may_raise_rx

__all__ = (
    "ALL_TSO",
    "ATTACHES_AGAIN",
    "ERROR",
    "INFO",
    "SEVERITIES",
    "WARNING",
    "Context",
    "End",
    "Evidence",
    "Finding",
    "KernelAnswer",
    "Rule",
    "Symptom",
    "Then",
    "Undecidable",
    "Undo",
    "count",
    "cpu_words",
    "decision",
    "is_up",
    "name_of",
    "napi_queues",
    "need",
    "need_of_kernel",
    "real_queues",
    "refused",
    "rps_words",
    "same",
    "where",
)

T = TypeVar("T")

ERROR = "error"  # something is broken now
WARNING = "warning"  # it will hurt the traffic that is set up now
INFO = "info"  # it matters once somebody wants it

# NETIF_F_TSO, TSO_ECN, TSO_MANGLEID, TSO6 (include/linux/netdev_features.h).
ALL_TSO = 1 << 16 | 1 << 18 | 1 << 19 | 1 << 20

#: What :meth:`Context.attach_again()` does besides.
ATTACHES_AGAIN = "detaches the program for a moment and attaches it again"

#: Worst first.
SEVERITIES = (ERROR, WARNING, INFO)

#: A value that was compared: a number, a text, several of them; or not to be had.
Value = Union[Maybe[Union[int, str, None]], Tuple[Union[int, str], ...]]
#: Names as in the kernel's structs; those of the peer begin with ``peer_``.
Evidence = Tuple[Tuple[str, Value], ...]


class KernelAnswer(NamedTuple):
    """What the kernel answers, or does, and where."""

    function: str
    errno: Optional[str] = None
    message: Optional[str] = None


class Undo(NamedTuple):
    """Commands that only undo a state, which may be just what somebody wanted."""

    effect: str  # after "to undo it, ": "which detaches the program"
    commands: Tuple[str, ...]


class Then(NamedTuple):
    """Why a native attach still fails, once the commands were run."""

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
    fix: Tuple[str, ...]  # commands that cure it
    undecided: Optional[str] = None  # which value is missing to decide it, and why
    fix_effect: Optional[str] = None  # what they do besides, after "this "
    undo: Optional[Undo] = None
    then: Optional[Then] = None  # None: the attach is taken, or that cannot be told


class Symptom(NamedTuple):
    """What a rule says of a device."""

    summary: str
    evidence: Evidence
    kernel: Optional[KernelAnswer] = None
    fix: Tuple[str, ...] = ()
    severity: Optional[str] = None  # None: the rule's
    undecided: Optional[str] = None
    fix_effect: Optional[str] = None
    undo: Optional[Undo] = None
    then: Optional[Then] = None


class End(NamedTuple):
    """A device and its peer."""

    device: Device
    peer: Maybe[Optional[Device]]


class Undecidable(Exception):
    """
    A value that a rule needs could not be read.

    :param everywhere: Whether it is missing for all devices alike
    """

    def __init__(self, name: str, value: Unreadable, everywhere: bool = False) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value
        self.everywhere = everywhere


def need(value: Maybe[T], name: str) -> T:
    """
    Return a value.

    :raises Undecidable: if it could not be read
    """
    if value.__class__ is Unreadable:
        assert isinstance(value, Unreadable)
        raise Undecidable(name, value)
    return value  # type: ignore[return-value]


def need_of_kernel(value: Maybe[T], name: str) -> T:
    """
    Return a value that is the same for all devices.

    :raises Undecidable: if it could not be read
    """
    if isinstance(value, Unreadable):
        raise Undecidable(name, value, everywhere=True)
    return value


def _is_known(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_known, value))
    return not isinstance(value, Unreadable)


def same(one: object, other: object) -> bool:
    """
    Return whether two values are known to be equal. Two that could not be read for the
    same reason are not.
    """
    return one == other and _is_known(one)


def count(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def cpu_words(cpus: Sequence[int]) -> str:
    """Return CPUs as a text has them."""
    return f"CPU{'' if len(cpus) == 1 else 's'} {number_list(cpus)}"


def where(device: Device) -> str:
    """Return a device with all that tells it from those of the same name."""
    netns, ifindex = (
        "?" if isinstance(number, Unreadable) else number
        for number in (device.netns, device.ifindex)
    )
    return f"{name_of(device)} (netns {netns}, ifindex {ifindex})"


def name_of(device: Device) -> str:
    """Return the name of a device, or the best there is."""
    if isinstance(device.name, Unreadable):
        return f"at {device.net_device:#x}"
    return device.name


def is_up(device: Device, whose: str = "") -> bool:
    """Return whether a device is up, as IFF_UP says."""
    return "UP" in need(device.flags, f"{whose}flags")


def real_queues(device: Device, peer: Device) -> Tuple[int, int]:
    """Return the real RX queues of a device, and the real TX queues of its peer."""
    return (
        need(device.queues.rx.real, "real_num_rx_queues"),
        need(peer.queues.tx.real, "peer_real_num_tx_queues"),
    )


def napi_queues(device: Device, whose: str = "") -> Tuple[int, ...]:
    """Return the RX queues of a veth that have a NAPI context."""
    queues = need(device.xdp.queues, f"{whose}rq") or ()
    return tuple(q.queue for q in queues if need(q.napi, f"{whose}rq[].napi"))


def _cpus(queue: RpsQueue) -> str:
    return "?" if isinstance(queue.cpus, Unreadable) else number_list(queue.cpus)


def rps_words(queues: Maybe[Sequence[RpsQueue]]) -> Maybe[str]:
    """Return where RPS steers the packets that RX queues receive."""
    if isinstance(queues, Unreadable):
        return queues
    return per_queue((queue.queue, _cpus(queue)) for queue in queues)


_DECISIONS = {decision.key: decision for decision in (*CORE, *CHECKS, *VETH, *NETKIT)}


def decision(key: str) -> Decision:
    """Return a decision of :mod:`drgn_veth.analysis.attach.core`."""
    return _DECISIONS[key]


class Context:
    """
    A Snapshot as rules look at it.

    What is being torn down or moved is left out: a device that is on no list of its
    namespace, and pairs with one.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.target = snapshot.target
        self.fixes = Fixes(snapshot)
        #: What tells how the kernel answers an attach, None for one before v5.9.
        self.predictor: Optional[Predictor] = None
        with contextlib.suppress(TooOldError):
            self.predictor = Predictor(snapshot)
        self.by_address: Dict[int, Device] = {
            device.net_device: device for device in snapshot.devices
        }
        self.first_ends: Set[int] = {pair.a.net_device for pair in snapshot.pairs}
        #: Pairs of any kind, each from both ends; and those of veths.
        self.paired: List[End] = []
        self.veths: List[End] = []
        #: veths that have no peer.
        self.orphans: List[End] = []
        #: veths with a native program, and those where it cannot be told.
        self.native: List[End] = []
        #: Devices of any kind with a program, with some RPS or RFS, with uppers.
        self.programmed: List[End] = []
        self.steered: List[End] = []
        self.lowers: List[End] = []
        #: Whether some veth has a TX queue that is stopped.
        self.has_stopped = False
        for device in snapshot.devices:
            if device.off_list is None:
                self._add(device)
        self.links: Dict[int, List[XdpLink]] = {}
        for link in snapshot.links:
            self.links.setdefault(link.device.net_device, []).append(link)
        self._native_in: Optional[Dict[int, FrozenSet[int]]] = None
        self._max_mtu: Dict[Tuple[int, bool], Maybe[int]] = {}
        self._netns_names: Dict[int, str] = {
            namespace.inum: namespace.names[0]
            for namespace in snapshot.namespaces
            if isinstance(namespace.inum, int)
            and isinstance(namespace.names, tuple)
            and namespace.names
        }
        kernel = snapshot.kernel
        messages = (
            Unreadable("the kernel's code was not read")
            if kernel is None
            else kernel.messages
        )
        self._messages: Maybe[Dict[str, FrozenSet[str]]] = (
            messages if isinstance(messages, Unreadable) else dict(messages)
        )

    def _peer(self, device: Device) -> Maybe[Optional[Device]]:
        ref = device.peer
        if ref is None or isinstance(ref, Unreadable):
            return ref
        return self.by_address.get(ref.net_device) or Unreadable(
            "it was not found in any namespace"
        )

    def _add(self, device: Device) -> None:
        kind = device.kind
        peer = None if device.peer is None else self._peer(device)
        end = End(device, peer)
        going = isinstance(peer, Device) and peer.off_list is not None
        if kind == "veth" and peer is None:
            self.orphans.append(end)
        elif peer is not None and not going:
            self.paired.append(end)
            if kind == "veth":
                self.veths.append(end)
        if device.veth is not None and isinstance(device.veth.stopped, tuple):
            self.has_stopped |= bool(device.veth.stopped)
        xdp = device.xdp
        if not (xdp.driver is None and xdp.generic is None and xdp.offload is None):
            self.programmed.append(end)
        if kind == "veth" and peer is not None and not going:
            if xdp.driver is not None or self._bond_program(device):
                self.native.append(end)
        rps = device.rps
        # One that could not be read counts.
        if isinstance(rps, Unreadable) or any(q.cpus or q.flow_entries for q in rps):
            self.steered.append(end)
        if device.uppers:
            self.lowers.append(end)

    def _bond_program(self, device: Device) -> Maybe[int]:
        # bond_xdp_set() gives the bond's program to its slaves' drivers, and leaves
        # their xdp_state empty.
        master = device.master
        if master is None or isinstance(master, Unreadable) or device.veth is None:
            return 0
        bond = self.by_address.get(master.net_device)
        if bond is None or bond.kind != "bond" or bond.xdp.driver is None:
            return 0
        return device.veth.prog

    def native_in(self, netns: Maybe[int]) -> FrozenSet[int]:
        """Return the addresses of the devices of a namespace that have a native
        program."""
        if self._native_in is None:
            found: Dict[int, Set[int]] = {}
            for end in self.programmed:
                place = end.device.netns
                if end.device.xdp.driver is None or isinstance(place, Unreadable):
                    continue
                found.setdefault(place, set()).add(end.device.net_device)
            self._native_in = {key: frozenset(ones) for key, ones in found.items()}
        none: FrozenSet[int] = frozenset()
        return (
            none if isinstance(netns, Unreadable) else self._native_in.get(netns, none)
        )

    def is_native(self, device: Device) -> bool:
        """
        Return whether a device has a native program, its own or that of its bond.

        :raises Undecidable: if that could not be read
        """
        if need(device.xdp.driver, "xdp_state[XDP_MODE_DRV]") is not None:
            return True
        return need(self._bond_program(device), "_xdp_prog") != 0

    @property
    def kernel(self) -> Kernel:
        """
        What is known of the kernel's code.

        :raises Undecidable: if nothing is
        """
        if self.snapshot.kernel is None:
            why = Unreadable("the kernel's constants were not read")
            raise Undecidable("kernel", why, everywhere=True)
        return self.snapshot.kernel

    def peer(self, end: End) -> Optional[Device]:
        """
        Return the peer, None if there is none.

        :raises Undecidable: if it could not be read, or was not found
        """
        return need(end.peer, "peer")

    def name(self, device: Device, seen_from: Device) -> str:
        """Return the name of a device, with its namespace if that is another one."""
        netns = device.netns
        if isinstance(netns, Unreadable) or netns == seen_from.netns:
            return name_of(device)
        return f"{name_of(device)} (netns {self._netns_names.get(netns, netns)})"

    def set_channels(
        self, device: Device, rx: Optional[int] = None, tx: Optional[int] = None
    ) -> Tuple[str, ...]:
        """
        Return the one command that sets queue counts; none if more RX queues are a
        danger (:func:`~drgn_veth.analysis.remedies.may_raise_rx()`), or if nothing
        changes.
        """
        if device.driver.set_channels is not True:
            return ()
        real_rx, real_tx = device.queues.rx.real, device.queues.tx.real
        raised = rx is not None and (isinstance(real_rx, Unreadable) or rx > real_rx)
        if raised and not may_raise_rx(device):
            return ()
        return self.fixes.channels(
            device.ref, None if rx == real_rx else rx, None if tx == real_tx else tx
        )

    def lost_with_queues(
        self,
        device: Device,
        seen_from: Device,
        rx: Optional[int] = None,
        tx: Optional[int] = None,
    ) -> Optional[str]:
        """
        Return what a device loses besides when it is left that many queues, None if it
        loses nothing. A removed queue loses its settings: an RX queue its RPS
        mask and its RFS table, a TX queue (netif_set_real_num_tx_queues(),
        net/core/dev.c) its XPS maps.
        """
        counts = device.queues
        lost = [
            *_lost("RPS", "rx", device.rps, counts.rx.real, rx),
            *_lost("XPS", "tx", device.xps, counts.tx.real, tx),
        ]
        if not lost:
            return None
        whose = "" if device is seen_from else f" of {self.name(device, seen_from)}"
        return f"also removes {' and '.join(lost)}{whose}"

    def past(self, device: Device, key: str) -> Optional[Past]:
        """
        Return how a decision of the kernel refuses a native attach, and what the answer
        is once that was mended; None if it does not refuse, or that cannot be told.
        """
        predictor = self.predictor
        return None if predictor is None else predictor.past(device, DRV, decision(key))

    def then(self, device: Device, key: str) -> Optional[Then]:
        """
        Return how a native attach is refused still, once a decision was mended; None if
        it is not, or that cannot be told.
        """
        past = self.past(device, key)
        return None if past is None else refused(past.then)

    def undo_program(
        self, device: Device, mode: str, program: XdpProgram
    ) -> Optional[Undo]:
        """
        Return what detaches a program, None if the kernel would refuse that, or there
        is no way to it.
        """
        predictor = self.predictor
        if predictor is not None:
            answer = (
                predictor.link_detach(device, mode)
                if program.via == "link"
                else predictor.detach(device, mode)
            )
            if refused(answer) is not None:
                return None
        commands = self.fixes.detach(device.ref, mode, program)
        return Undo("which detaches the program", commands) if commands else None

    def attach_again(
        self, device: Device, between: Tuple[str, ...] = (), lowered: bool = False
    ) -> Tuple[str, ...]:
        """
        Return the command that detaches the native program of a device and attaches it
        again, none if it is not known, or the kernel might refuse a step.

        :param between: Commands that are to be run while it is detached
        :param lowered: Whether the MTU of its peer is set to what is allowed before
        """
        program = device.xdp.driver
        predictor = self.predictor
        if program is None or isinstance(program, Unreadable) or predictor is None:
            return ()
        if isinstance(program.frags, Unreadable):
            return ()
        fresh = fresh_program(program.frags)
        if not isinstance(program.id, Unreadable):
            fresh = predictor.programs().get(program.id, fresh)
        address = device.net_device
        mended = (("veth-mtu", address),) if lowered else ()
        gone = frozenset({(address, DRV)})
        for answer in (
            predictor.detach(device, DRV),
            predictor.attach_after(device, DRV, mended, gone, fresh),
        ):
            if answer.errno != 0:
                return ()
        return self.fixes.attach_again(device.ref, DRV, program, between)

    def max_mtu(self, peer: Device, frags: bool) -> int:
        """
        Return the largest MTU that veth_xdp_set() allows a peer.

        :raises Undecidable: if a number that it takes could not be read
        """
        header = need(peer.hard_header_len, "peer_hard_header_len")
        try:
            most = self._max_mtu[header, frags]
        except KeyError:
            most = veth_max_mtu(self.kernel, peer, frags)
            self._max_mtu[header, frags] = most
        return need_of_kernel(most, "max_mtu")

    def answer(self, key: str) -> KernelAnswer:
        """Return what the kernel answers by a decision of its attach code."""
        made = decision(key)
        function = made.function
        # Some kernels take it in dev_xdp_install().
        if self.has_message("dev_xdp_install", made.message) is True:
            function = "dev_xdp_install"
        return KernelAnswer(function, made.errno, made.message)

    def has_message(self, function: str, message: Optional[str]) -> Maybe[bool]:
        """Return whether a function of this kernel refers to a message."""
        if isinstance(self._messages, Unreadable):
            return self._messages
        there = self._messages.get(function)
        if there is None:
            return Unreadable(f"the messages of {function}() were not looked for")
        return message in there

    def unless_torn(self, symptom: Symptom) -> Symptom:
        """
        Return a symptom, undecided if somebody was changing devices.

        Whoever holds rtnl_mutex may leave such a state for an instant: there is then
        nothing to mend.
        """
        kernel = self.snapshot.kernel
        if kernel is None or kernel.rtnl_owner is None:
            return symptom
        owner = kernel.rtnl_owner
        if isinstance(owner, Unreadable):
            known = ("rtnl_mutex.owner", owner)
            return symptom._replace(evidence=(*symptom.evidence, known))
        who = _task_words(owner)
        return symptom._replace(
            evidence=(*symptom.evidence, ("rtnl_mutex.owner", who)),
            severity=INFO,
            undecided=f"{who} holds rtnl_mutex: it may have been changing this",
            fix=(),
            fix_effect=None,
        )


def _lost(
    what: str,
    direction: str,
    queues: Maybe[Sequence[Union[RpsQueue, XpsQueue]]],
    real: Maybe[int],
    left: Optional[int],
) -> Iterator[str]:
    # The settings of the queues that go.
    if left is None or (not isinstance(real, Unreadable) and left >= real):
        return
    if isinstance(queues, Unreadable):
        yield f"any {what} settings of {direction}-{left} and above"
        return
    # The first member is the queue's number.
    lost = [queue.queue for queue in queues[left:] if any(queue[1:])]
    if lost:
        yield f"the {what} settings of {direction}-{number_list(lost)}"


def refused(answer: Answer) -> Optional[Then]:
    """Return an answer if it is a refusal for sure, None otherwise."""
    errno = answer.errno
    if isinstance(errno, Unreadable) or not errno or answer.function is None:
        return None
    made = KernelAnswer(answer.function, errno_name(errno), answer.message)
    return Then(made, answer.because)


def _task_words(task: Task) -> str:
    comm = "a task" if isinstance(task.comm, Unreadable) else task.comm
    return comm if isinstance(task.pid, Unreadable) else f"{comm} ({task.pid})"


class Rule(NamedTuple):
    """A rule: what it looks at, what it says, and what is to be known of it."""

    id: str
    severity: str  # the worst that it gives
    title: str
    predicate: str  # in struct members
    sees: str  # what the user sees
    fix: str
    why: str  # with the kernel's source
    subjects: Callable[[Context], Iterable[End]]
    check: Callable[[Context, End], Optional[Symptom]]

    def findings(self, context: Context) -> Iterator[Finding]:
        """Yield what it finds."""
        check = self.check
        missing: Set[str] = set()
        for end in self.subjects(context):
            try:
                symptom = check(context, end)
            except Undecidable as e:
                if e.everywhere and e.name in missing:
                    continue
                if e.everywhere:
                    missing.add(e.name)
                yield self._undecided(e, None if e.everywhere else end.device.ref)
                continue
            if symptom is not None:
                yield Finding(
                    self.id,
                    symptom.severity or self.severity,
                    end.device.ref,
                    symptom.summary,
                    symptom.evidence,
                    symptom.kernel,
                    symptom.fix,
                    symptom.undecided,
                    symptom.fix_effect if symptom.fix else None,
                    symptom.undo,
                    symptom.then if symptom.fix or symptom.undo else None,
                )

    def _undecided(self, error: Undecidable, device: Optional[DeviceRef]) -> Finding:
        return Finding(
            self.id,
            INFO,
            device,
            f"cannot be decided: {error.name} is unreadable",
            ((error.name, error.value),),
            None,
            (),
            f"{error.name} could not be read: {error.value.reason}",
        )
