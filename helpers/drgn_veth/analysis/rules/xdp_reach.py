# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about dispatchers, AF_XDP sockets, and the maps that lead to them."""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from ...core.english import count, number_list, plural
from ...core.unreadable import Maybe, Unreadable
from ...model import AfXdpSocket, Device, Extension, Map, MapEntry, XdpProgram
from ..driver_program import driver_program
from ..need import need
from ..path import steering
from .context import Context, End
from .finding import INFO, WARNING, KernelAnswer, Symptom
from .rule import Rule, Sign
from .steering import is_recorded
from .values import is_up, real_queues

__all__ = ("RULES",)

_NOT_ALL = Unreadable("there are more than are recorded, or sockets are lost")
#: States in which an AF_XDP socket accepts no packets. None: the entry has no socket.
_NOT_BOUND = (None, "ready", "unbound")


def _program(context: Context, device: Device) -> Optional[XdpProgram]:
    native = driver_program(device, context.by_address)
    for program, mode in ((native, "DRV"), (device.xdp.generic, "SKB")):
        found = need(program, f"xdp_state[XDP_MODE_{mode}]")
        if found is not None:
            return found
    return None


def _slot(extension: Extension) -> str:
    name = "?" if isinstance(extension.name, Unreadable) else extension.name
    number = "?" if isinstance(extension.id, Unreadable) else extension.id
    return f"{name}#{number}"


def _dispatcher(context: Context, end: End) -> Optional[Symptom]:
    program = _program(context, end.device)
    if program is None:
        return None
    extensions = need(program.extensions, "aux.tramp_progs")
    if not extensions:
        return None
    name = need(program.name, "prog_name")
    slots = tuple(map(_slot, extensions))
    return Symptom(
        f"its program {name} runs others in its place: {', '.join(slots)}",
        (("prog_id", program.id), ("programs in its slots", slots)),
        KernelAnswer("bpf_tracing_prog_attach"),
    )


def _sockets(device: Device) -> tuple[AfXdpSocket, ...]:
    return need(device.af_xdp, "_rx[].pool")


def _xskmaps(context: Context, device: Device) -> Iterator[Map]:
    program = _program(context, device)
    if program is None:
        return
    for one in context.maps(need(program.maps, "used_maps")):
        if one.type == "xskmap":
            yield one


def _entries(one: Map) -> tuple[MapEntry, ...]:
    return need(one.entries, "xskmap entries")


def _state(entry: MapEntry) -> Maybe[Optional[str]]:
    socket = entry.socket
    if socket is None or isinstance(socket, Unreadable):
        return socket
    return socket.state


def _is_known(entry: MapEntry) -> bool:
    socket = entry.socket
    if socket is None or isinstance(socket, Unreadable):
        return socket is None
    lost = isinstance(socket.queue, Unreadable) or isinstance(socket.pid, Unreadable)
    return not lost


def _is_known_whole(one: Map) -> bool:
    # Of a large map, not every entry is recorded.
    entries = _entries(one)
    return one.entry_count == len(entries) and all(map(_is_known, entries))


def _who(socket: AfXdpSocket) -> str:
    if isinstance(socket.comm, str) and isinstance(socket.pid, int):
        return f"{socket.comm} ({socket.pid})"
    return "a process"


def _without_socket(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    for one in _xskmaps(context, device):
        states = [(entry.key, _state(entry)) for entry in _entries(one)]
        keys = [
            key for key, state in states if isinstance(key, int) and state in _NOT_BOUND
        ]
        if not keys:
            for _, state in states:
                need(state, "xdp_sock.state")
            continue
        name = need(one.name, "map name")
        return Symptom(
            "packets that its program redirects by "
            f"{plural('entry', len(keys))} {number_list(sorted(keys))} "
            f"of xskmap {name} are lost: the socket there is not bound",
            (("map id", one.id), ("entries", tuple(sorted(keys)))),
            KernelAnswer("xsk_rcv_check", "ENXIO"),
        )
    return None


class _Fed(NamedTuple):
    # The RX queues below these numbers get packets of the peer: surely, and perhaps.
    surely: int
    perhaps: int
    why: str  # the others do not
    unsure: Optional[Unreadable]  # what is between them


def _fed(context: Context, device: Device, peer: Device) -> _Fed:
    rx, tx = real_queues(device, peer)
    every, sender = min(rx, tx), context.name(peer, device)
    why = f"peer {sender} has only {count(tx, 'TX queue')}"
    # veth_xmit() hands a packet of TX queue N to RX queue N.
    if driver_program(device, context.by_address) is not None:
        return _Fed(every, every, why, None)
    # netif_get_rxqueue() takes it for RX queue N-1, unless the number is recorded.
    recorded = is_recorded(context, device)
    if recorded is True:
        return _Fed(every, every, why, None)
    fewer = steering.used_count(rx, tx)
    if isinstance(recorded, Unreadable):
        return _Fed(fewer, every, why, recorded)
    if fewer < every:
        why = f"what peer {sender} sends on TX queue N comes to a generic program from "
        why += "RX queue N-1"
    return _Fed(fewer, fewer, why, None)


def _starved(context: Context, end: End) -> Optional[Symptom]:
    # A socket that gets nothing, and why.
    device = end.device
    sockets = [one for one in _sockets(device) if one.rx is not None]
    if not sockets or device.kind == "netkit":  # Its queues are those of a NIC.
        return None
    peer = context.peer(end)
    fed = None
    if peer is not None and device.kind == "veth" and not context.may_send_frames(peer):
        fed = _fed(context, device, peer)
    unsure: Optional[Unreadable] = None
    lost: list[tuple[int, str, AfXdpSocket]] = []
    xskmaps = list(_xskmaps(context, device))
    named = {
        (entry.socket.queue, entry.socket.pid)
        for one in xskmaps
        for entry in _entries(one)
        if isinstance(entry.socket, AfXdpSocket)
    }
    whole = all(map(_is_known_whole, xskmaps))
    unknown = False
    unnamed = "no XSKMAP of the device's program has it"
    if _program(context, device) is None:
        unnamed = "the device has no XDP program"
    for socket in sockets:
        queue = need(socket.queue, "queue_id")
        if fed is not None and queue >= fed.perhaps:
            why = f"{fed.why}: only the RX queues below {fed.perhaps} get packets"
            lost.append((queue, why, socket))
        elif (socket.queue, socket.pid) not in named:
            if whole:
                lost.append((queue, unnamed, socket))
            else:
                unknown = True
        elif fed is not None and queue >= fed.surely:
            unsure = fed.unsure
    if not lost:
        if unknown:
            need(_NOT_ALL, "xskmap entries")
        need(unsure, "whether veth_xmit() records the RX queue")
        return None
    queue, why, socket = lost[0]
    more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    return Symptom(
        f"the AF_XDP socket of {_who(socket)} on RX queue {queue} gets no packets"
        f"{more}: {why}",
        (("queue_id", tuple(sorted(one[0] for one in lost))),),
        KernelAnswer("__xsk_map_redirect"),
        severity=WARNING if is_up(device) else INFO,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-behind-dispatcher",
        severity=INFO,
        title="programs are hidden behind a dispatcher",
        predicate="the attached program has extensions (aux.tramp_progs, freplace)",
        sees=(
            "ip link and bpftool net show one program, xdp_dispatcher; what decides "
            "about packets is in its slots."
        ),
        fix="Nothing to do. xdp-loader status lists the programs in order.",
        why=(
            "libxdp attaches a dispatcher, and puts programs of type EXT in place of "
            "its functions: bpf_tracing_prog_attach() (kernel/bpf/syscall.c). The hook "
            "of the device has the dispatcher alone."
        ),
        symptoms=(Sign("seen", "ip link shows xdp_dispatcher, not the program"),),
        subjects=lambda context: context.programmed,
        check=_dispatcher,
    ),
    Rule(
        id="xskmap-without-socket",
        severity=WARNING,
        title="an XSKMAP has a socket that is not bound",
        predicate=(
            "an entry of an XSKMAP of the attached program, whose xdp_sock.state is "
            "not XSK_BOUND"
        ),
        sees="Packets that the program redirects to the socket vanish.",
        fix="Bind the socket, or delete the entry.",
        why=(
            "xsk_rcv_check() (net/xdp/xsk.c) returns ENXIO for a socket that is not "
            "bound, and EINVAL if it is bound to another queue or device."
        ),
        symptoms=(Sign("seen", "packets that a program redirects to AF_XDP vanish"),),
        subjects=lambda context: context.programmed,
        check=_without_socket,
    ),
    Rule(
        id="af-xdp-no-packets",
        severity=WARNING,
        title="an AF_XDP socket gets no packets",
        predicate=(
            "a bound socket with an RX ring && (kind is veth && its queue_id >= "
            "peer->real_num_tx_queues, or >= max(1, that - 1) for a generic program "
            "where veth_xmit() does not record the RX queue || no XSKMAP of the "
            "attached program has it). It is a note if the device is down."
        ),
        sees="The process waits for packets that the stack gets, or that are lost.",
        fix=(
            "Bind to a queue that gets packets, and put the socket into the XSKMAP at "
            "the number of that queue. A device with a single queue feeds all sockets."
        ),
        why=(
            "A program redirects by an XSKMAP: __xsk_map_redirect() (net/xdp/xsk.c), "
            "and the socket has to be bound to the queue that the packet came on. "
            "veth_xmit() (drivers/net/veth.c) hands packets of TX queue N to RX queue "
            "N: RX queues beyond the peer's TX queues get only what is redirected. A "
            "generic program takes it for RX queue N-1: netif_get_rxqueue() "
            "(net/core/dev.c), rps-queue-off-by-one."
        ),
        symptoms=(Sign("seen", "an AF_XDP socket gets no packets"),),
        subjects=lambda context: (
            context.end(device)
            for device in context.snapshot.devices
            if device.af_xdp != () and device.off_list is None
        ),
        check=_starved,
    ),
)
