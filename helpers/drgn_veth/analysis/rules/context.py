# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Snapshot as rules see it: what several of them need, computed once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
import contextlib
import functools
from typing import NamedTuple, Optional

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, Kernel, Map, Snapshot, Task, XdpLink, XdpProgram
from ..attach.ask import Questions, fresh_program
from ..attach.drivers.veth import veth_max_mtu
from ..attach.predictor import Predictor, TooOldError
from ..attach.question import DRV, Answer
from ..losses import backlog_losses
from ..names import name_from, of_peer
from ..need import CannotTell, need, need_of_kernel
from ..path.steering import uses_own_rps
from ..path.topology import Topology
from ..remedies import ATTACHES_AGAIN, Remedy
from .finding import INFO, Symptom, Then, Undo, refused
from .routes import Route, partly_known, routes

__all__ = ("Context", "End")


class End(NamedTuple):
    """A device and its peer."""

    device: Device
    peer: Maybe[Optional[Device]]


class Context:
    """
    A Snapshot as rules look at it.

    It skips devices that are being torn down or moved (they are not on the list of
    their namespace), and pairs with such a device.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.target = snapshot.target
        #: Predicts how the kernel answers an attach, None for a kernel before v5.9.
        self.predictor: Optional[Predictor] = None
        with contextlib.suppress(TooOldError):
            self.predictor = Predictor(snapshot)
        #: Answers what one decision says, for any kernel.
        self.questions = (
            Questions(snapshot) if self.predictor is None else self.predictor.questions
        )
        self.fixes = self.questions.fixes
        self.by_address = self.questions.by_address
        self.first_ends: set[int] = {pair.a.net_device for pair in snapshot.pairs}
        #: Pairs of any kind, each from both ends; and those of veths.
        self.paired: list[End] = []
        self.veths: list[End] = []
        #: veths that have no peer.
        self.orphans: list[End] = []
        #: veths that have a native program, or may have one.
        self.native: list[End] = []
        #: Devices of any kind with a program, with some RPS or RFS, with uppers.
        self.programmed: list[End] = []
        self.steered: list[End] = []
        self.lowers: list[End] = []
        #: Whether some veth has a stopped TX queue.
        self.has_stopped = False
        for device in snapshot.devices:
            if device.off_list is None:
                self._add(device)
        self.links: dict[int, list[XdpLink]] = {}
        for link in snapshot.links:
            self.links.setdefault(link.device.net_device, []).append(link)
        self._native_in: Optional[dict[int, frozenset[int]]] = None
        self._routes: Optional[Mapping[int, Sequence[Route]]] = None

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
            if uses_own_rps(device):
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

    def end(self, device: Device) -> End:
        """Return a device with its peer."""
        return End(device, None if device.peer is None else self._peer(device))

    @functools.cached_property
    def topology(self) -> Topology:
        """The Snapshot as the path of a packet looks at it."""
        return Topology(self.snapshot, self.questions)

    @functools.cached_property
    def first_steered_without_flows(self) -> Optional[Device]:
        """
        The first device with some RPS, None if some device has an RFS flow table, or
        may have one.
        """
        for end in self.steered:
            rps = end.device.rps
            if not isinstance(rps, tuple) or any(queue.flow_entries for queue in rps):
                return None
        return self.steered[0].device if self.steered else None

    @functools.cached_property
    def backlog_was_full(self) -> bool:
        """Whether the backlog of a CPU has been full, or may have been."""
        return backlog_losses(self.snapshot) not in (None, 0)

    @property
    def routes(self) -> Mapping[int, Sequence[Route]]:
        """What leads to a device by a map, by the address of that device."""
        if self._routes is None:
            senders = [end.device for end in self.programmed]
            self._routes = routes(self.snapshot, senders)
        return self._routes

    @functools.cached_property
    def targets(self) -> Mapping[int, Collection[int]]:
        """The addresses of the devices that a device's native program leads to."""
        found: dict[int, dict[int, None]] = {}
        for address, led in self.routes.items():
            for one in led:
                if one.native:
                    found.setdefault(one.sender.net_device, {})[address] = None
        return found

    def maps(self, numbers: Collection[int]) -> Iterator[Map]:
        """
        Yield the maps that a program redirects by.

        :param numbers: Its XdpProgram.maps
        """
        return (one for one in self.snapshot.maps if one.id in numbers)

    def native_in(self, netns: Maybe[int]) -> frozenset[int]:
        """
        Return the addresses of the devices of a namespace that have a native program
        which may redirect to any device of it.
        """
        if self._native_in is None:
            found: dict[int, set[int]] = {}
            for end in self.programmed:
                place = end.device.netns
                driver = end.device.xdp.driver
                if driver is None or isinstance(place, Unreadable):
                    continue
                if isinstance(driver, XdpProgram) and driver.redirects is False:
                    continue
                found.setdefault(place, set()).add(end.device.net_device)
            self._native_in = {key: frozenset(ones) for key, ones in found.items()}
        none: frozenset[int] = frozenset()
        return (
            none if isinstance(netns, Unreadable) else self._native_in.get(netns, none)
        )

    @functools.cached_property
    def partly_known(self) -> Mapping[int, Device]:
        """
        The devices whose programs have a DEVMAP of which some entries are unknown, by
        address.
        """
        senders = [end.device for end in self.programmed]
        found = partly_known(self.snapshot, senders)
        return {device.net_device: device for device in found}

    def may_reach(self, device: Device) -> bool:
        """
        Return whether some program may redirect to a device: by a map, or as the native
        program of another device of its namespace, that of its peer apart.
        """
        return (
            device.net_device in self.routes
            or bool(self.partly_known)
            or self.natives_beside(device)
        )

    def may_send_frames(self, device: Device) -> bool:
        """
        Return whether a veth may send XDP frames: by XDP_TX of its own native program,
        or because a program redirects to it. ``veth_xdp_xmit()`` chooses their RX queue
        at the peer by the CPU, and not by a TX queue.
        """
        try:
            return self.is_native(device) or self.may_reach(device)
        except CannotTell:
            return True

    def natives_beside(self, device: Device) -> bool:
        """
        Return whether a device of the namespace of another one has a native program
        that may redirect to it by its index, that of its peer apart.
        """
        if isinstance(device.netns, Unreadable):
            return True
        own = {device.net_device}
        if device.peer is not None and not isinstance(device.peer, Unreadable):
            own.add(device.peer.net_device)
        return any(one not in own for one in self.native_in(device.netns))

    def is_native(self, device: Device) -> bool:
        """
        Return whether a device has a native program, its own or that of its bond.

        :raises CannotTell: if that could not be read
        """
        if need(device.xdp.driver, "xdp_state[XDP_MODE_DRV]") is not None:
            return True
        return need(self._bond_program(device), "_xdp_prog") != 0

    @property
    def kernel(self) -> Kernel:
        """
        What is known of the kernel's code.

        :raises CannotTell: if nothing is
        """
        if self.snapshot.kernel is None:
            why = Unreadable("the kernel's constants were not read")
            raise CannotTell("kernel", why, everywhere=True)
        return self.snapshot.kernel

    def peer(self, end: End) -> Optional[Device]:
        """
        Return the peer, None if there is none.

        :raises CannotTell: if it could not be read, or was not found
        """
        return need(end.peer, "peer")

    def name(self, device: Device, seen_from: Device) -> str:
        """Return the name of a device, with its namespace if that is another one."""
        return name_from(device, seen_from)

    def of_peer(self, what: str, peer: Device, device: Device) -> str:
        """Return something of the peer of a device: ``peer veth1's MTU``."""
        return of_peer(what, peer, device)

    def refusal(self, device: Device, key: str, mode: str = DRV) -> Optional[Answer]:
        """
        Return how one decision of the kernel refuses an attach, as if no other came
        before it; None if it does not refuse.

        :raises CannotTell: if a value is missing
        """
        return self.questions.refusal(device, key, mode)

    def then(self, device: Device, refusal: Answer) -> Optional[Then]:
        """
        Return how the kernel would still refuse a native attach after the fix for one
        refusal; None if it would not, or if that is unknown.
        """
        if self.predictor is None:
            return None
        return refused(self.predictor.then(device, DRV, refusal))

    def undo_program(
        self, device: Device, mode: str, program: XdpProgram
    ) -> Optional[Undo]:
        """
        Return the command that detaches a program, None if the kernel would refuse it,
        or if no command can.
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
        self, device: Device, between: tuple[str, ...] = (), lowered: bool = False
    ) -> Remedy:
        """
        Return the command that detaches the native program of a device and attaches it
        again, none if the program is unknown, or if the kernel might refuse a step.

        :param between: Commands to run while it is detached
        :param lowered: Whether the MTU of its peer is lowered to the limit first
        """
        program = device.xdp.driver
        predictor = self.predictor
        if program is None or isinstance(program, Unreadable) or predictor is None:
            return Remedy()
        if isinstance(program.frags, Unreadable):
            return Remedy()
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
                return Remedy()
        commands = self.fixes.attach_again(device.ref, DRV, program, between)
        return Remedy(commands, ATTACHES_AGAIN)

    def max_mtu(self, peer: Device, frags: bool) -> int:
        """
        Return the largest MTU that veth_xdp_set() allows a peer.

        :raises CannotTell: if a number that this needs could not be read
        """
        need(peer.hard_header_len, "peer_hard_header_len")
        return need_of_kernel(veth_max_mtu(self.kernel, peer, frags), "max_mtu")

    def has_message(self, function: str, message: str) -> Maybe[bool]:
        """Return whether a function of this kernel refers to a message."""
        return self.questions.has_message(function, message)

    def unless_torn(self, symptom: Symptom) -> Symptom:
        """
        Return a symptom, undecided while a task holds rtnl_mutex.

        That task may leave such a state for an instant, and there is nothing to fix.
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
            undecided=f"{who} holds rtnl_mutex and may have been changing this",
            fix=Remedy(),
        )


def _task_words(task: Task) -> str:
    comm = "a task" if isinstance(task.comm, Unreadable) else task.comm
    return comm if isinstance(task.pid, Unreadable) else f"{comm} ({task.pid})"
