# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Targets of a program
--------------------

Where a program may redirect packets to, one entry of its maps after the other
(kernel/bpf/devmap.c, kernel/bpf/cpumap.c, net/xdp/xsk.c).
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional

from ...core.english import count
from ...core.unreadable import Maybe, Unreadable
from ...model import AfXdpSocket, Device, DeviceRef, Map, MapEntry, XdpProgram
from ..names import name_from
from .records import Draft, Value
from .redirect import takes_frames, takes_packets
from .trail import Trail
from .xsk_rcv import socket_takes

__all__ = ("Targets", "targets")

_FUNCTIONS = {
    "devmap": "dev_map_enqueue",
    "devmap_hash": "dev_map_enqueue",
    "cpumap": "cpu_map_enqueue",
    "xskmap": "xsk_rcv",
}
_GENERAL = ("XDP_REDIRECT: where a map or bpf_redirect() says",)

_Numbers = Mapping[str, Value]


class Targets(NamedTuple):
    """Where a program may redirect to."""

    words: tuple[str, ...]  # for the step of the program: what XDP_REDIRECT does
    drafts: tuple[Draft, ...] = ()  # one for each target

    def add(self, trail: Trail) -> None:
        """Add a step for each target."""
        trail.drafts += self.drafts


class _Program(NamedTuple):
    # A program on its device, in one RX queue.
    device: Device
    generic: bool
    rx_queue: Maybe[Optional[int]]  # ctx->rx_queue_index


def _shown(value: object) -> str:
    return "?" if isinstance(value, Unreadable) else str(value)


def _function(of: Map) -> str:
    kind = "" if isinstance(of.type, Unreadable) else of.type
    return _FUNCTIONS.get(kind, "xdp_do_redirect")


def _draft(of: Map, device: DeviceRef, text: str, numbers: _Numbers) -> Draft:
    return Draft("redirect", _function(of), device, (text,), numbers)


def _to_cpu(
    trail: Trail, program: _Program, of: Map, entry: MapEntry, numbers: _Numbers
) -> Draft:
    online = trail.topology.target.online_cpus
    text = f"to CPU {_shown(entry.cpu)}, by a queue of {_shown(entry.qsize)} frames"
    if isinstance(online, tuple) and entry.cpu not in online:
        text += "; it is offline: its kthread runs on another"
    takes: Maybe[bool] = True
    kernel = trail.topology.snapshot.kernel
    if program.generic and (kernel is None or not kernel.xdp_frags):
        # cpu_map_generic_redirect() came with v5.15, before the types that tell v5.18.
        takes = Unreadable("not before v5.15, where generic programs lose it (EBADRQC)")
        text += f"; {takes.reason}"
    more: _Numbers = {"cpu": entry.cpu, "qsize": entry.qsize, "takes": takes}
    return _draft(of, program.device.ref, text, {**numbers, **more})


def _to_device(
    trail: Trail, program: _Program, of: Map, target: Device, numbers: _Numbers
) -> Draft:
    if program.generic:
        taken = takes_packets(trail.topology, target)
    else:
        taken = takes_frames(trail.topology, target, trail.cpu)
    name = name_from(target, program.device)
    if taken.takes is False:
        errno = f" ({taken.errno})" if taken.errno else ""
        text = f"lost at {name}: {taken.why}{errno}"
    elif taken.takes is True:
        text = f"to {name}: {taken.why}"
    else:
        text = f"to {name}, perhaps: {taken.why}"
    more: _Numbers = {"takes": taken.takes, "errno": taken.errno}
    draft = _draft(of, target.ref, text, {**numbers, **more})
    return draft._replace(function=taken.function)


def _to_socket(program: _Program, of: Map, entry: MapEntry, numbers: _Numbers) -> Draft:
    takes, why, errno = socket_takes(program.device, entry, program.rx_queue)
    whose = "an AF_XDP socket"
    socket = entry.socket
    if isinstance(socket, AfXdpSocket) and isinstance(socket.comm, str):
        whose += f" of {socket.comm} ({_shown(socket.pid)})"
    error = f" ({errno})" if errno else ""
    verdict = "lost at" if takes is False else "to"
    more: _Numbers = {"takes": takes, "errno": errno}
    text = f"{verdict} {whose}: {why}{error}"
    return _draft(of, program.device.ref, text, {**numbers, **more})


def _entry(trail: Trail, program: _Program, of: Map, entry: MapEntry) -> Draft:
    numbers: dict[str, Value] = {"map": of.id, "type": of.type, "key": entry.key}
    if of.type == "cpumap":
        draft = _to_cpu(trail, program, of, entry, numbers)
    elif of.type == "xskmap":
        draft = _to_socket(program, of, entry, numbers)
    else:
        ref = entry.device
        where = program.device.ref
        target: Maybe[Device]
        if ref is None:
            target = Unreadable("it has none")
        elif isinstance(ref, Unreadable):
            target = ref
        else:
            where = ref
            target = trail.topology.device(ref)
        if isinstance(target, Unreadable):
            text = f"its device could not be read: {target.reason}"
            draft = _draft(of, where, text, {**numbers, "takes": target})
        else:
            draft = _to_device(trail, program, of, target, numbers)
    name = f"{_shown(of.type)}#{_shown(of.id)}[{_shown(entry.key)}] "
    return draft._replace(words=(name, *draft.words))


def _of_map(trail: Trail, program: _Program, of: Map) -> Iterator[Draft]:
    ref = program.device.ref
    name = f"{_shown(of.type)}#{_shown(of.id)}"
    if isinstance(of.entries, Unreadable):
        text = f"{name} could not be read: {of.entries.reason}"
        yield _draft(of, ref, text, {"map": of.id, "takes": of.entries})
        return
    for entry in of.entries:
        yield _entry(trail, program, of, entry)
    if isinstance(of.entry_count, int) and of.entry_count > len(of.entries):
        more = count(of.entry_count - len(of.entries), "more entry")
        text = f"{name} has {more}"
        yield _draft(of, ref, text, {"map": of.id, "entry_count": of.entry_count})


def targets(
    trail: Trail,
    device: Device,
    program: Maybe[Optional[XdpProgram]],
    rx_queue: Maybe[Optional[int]] = None,
    generic: bool = False,
) -> Targets:
    """
    Return where a program of a device may redirect packets to.

    :param rx_queue: ``ctx->rx_queue_index``
    :param generic: Whether it runs in generic mode
    """
    if program is None or isinstance(program, Unreadable):
        return Targets(_GENERAL)
    numbers = program.maps
    if isinstance(numbers, Unreadable):
        why = f"XDP_REDIRECT: its maps could not be read: {numbers.reason}"
        return Targets((why,))
    known = trail.topology.maps(numbers)
    if not known:
        # Without a map, it takes a call of bpf_redirect().
        return Targets(() if program.redirects is False and not numbers else _GENERAL)
    by_index = "" if program.redirects is False else ", or where bpf_redirect() says"
    running = _Program(device, generic, rx_queue)
    drafts = tuple(draft for of in known for draft in _of_map(trail, running, of))
    if not drafts:
        text = (
            "its maps are empty, so bpf_redirect_map() returns the verdict in its "
            "flags (0 is XDP_ABORTED)"
        )
        return Targets((f"XDP_REDIRECT: {text}{by_index}",))
    return Targets((f"XDP_REDIRECT: to an entry of its maps{by_index}",), drafts)
