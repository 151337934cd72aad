# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What is known of a device
-------------------------

The rows of the screen of one device: what a fact is called, and its lines.
"""

from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ..analysis.chains import chains_above
from ..core.english import number_list, per_queue
from ..core.netdev_features import (
    NETIF_F_ALL_TSO,
    NETIF_F_GRO,
    NETIF_F_GRO_FRAGLIST,
    NETIF_F_GRO_UDP_FWD,
)
from ..core.unreadable import Maybe, Unreadable
from ..model import (
    XDP_MODES,
    Device,
    Holder,
    Namespace,
    QueueCount,
    Snapshot,
    XdpLink,
    XdpProgram,
    XdpQueue,
    XpsQueue,
)
from . import counters, maps, words

__all__ = ("FACTS", "Known")

_MOST_CHAINS = 8
_MOST_ENTRIES = 8  # of each map
_MOST_MASKS = 32


class Known:
    """What the facts of a device need besides it."""

    def __init__(self, whole: Snapshot) -> None:
        self.devices = {device.net_device: device for device in whole.devices}
        self.namespaces: dict[Maybe[int], Namespace] = {
            namespace.inum: namespace for namespace in whole.namespaces
        }
        self.links = {link.id: link for link in whole.links}
        self.reached = maps.Reached(whole)


_Lines = Callable[[Device, Known], Sequence[str]]


def _one(text: Callable[[Device], str]) -> _Lines:
    def lines(device: Device, _: Known) -> Sequence[str]:
        said = text(device)
        return [said] if said else []

    return lines


def _kind(device: Device) -> str:
    parts = (
        words.cell(device.kind, "-"),
        *(words.vlan(device), words.macvlan(device), words.ipvlan(device)),
        *(words.bond(device), words.netkit(device)),
    )
    return " ".join(filter(None, parts))


def _each(values: Maybe[Sequence[str]]) -> list[str]:
    return (
        [words.UNKNOWN]
        if isinstance(values, Unreadable)
        else list(map(words.cell, values))
    )


def _state(device: Device) -> str:
    state = words.state(device)
    flags = " ".join(_each(device.flags))
    operstate = words.cell(device.operstate)
    return f"{state}, operstate {operstate}, flags {flags or 'none'}"


def _registered(device: Device) -> str:
    if device.off_list is not None:
        return f"{words.cell(device.reg_state)}: {words.cell(device.off_list)}"
    registered = device.reg_state == "REGISTERED"
    return "" if registered else words.cell(device.reg_state)


def _mtu(device: Device) -> str:
    least, most = words.cell(device.min_mtu), words.cell(device.max_mtu)
    limit = f"from {least}" if device.max_mtu == 0 else f"{least} to {most}"
    return f"{words.cell(device.mtu)} ({limit})"


def _above(device: Device, known: Known) -> Sequence[str]:
    lines: list[str] = []
    for chain in chains_above(device, known.devices):
        if len(lines) == _MOST_CHAINS:
            return [*lines, "..."]
        lines.append(f"< {words.chain(chain, device)}")
    state = words.bridge_port(device)
    return [*lines, f"port is {state}"] if state else lines


def _below(device: Device, _: Known) -> Sequence[str]:
    if isinstance(device.lowers, Unreadable):
        return [words.UNKNOWN]
    return [words.reference(lower) for lower in device.lowers]


def _queues(which: str) -> Callable[[Device], str]:
    def said(device: Device) -> str:
        count: QueueCount = getattr(device.queues, which)
        return f"{words.cell(count.real)} of {words.cell(count.allocated)}"

    return said


def _holder(holder: Holder) -> str:
    return f"{words.cell(holder.comm)} (pid {words.cell(holder.pid)})"


def _link(link: XdpLink) -> Iterator[str]:
    pins = _each(link.pins)
    yield f"pinned at {', '.join(pins)}" if pins else "not pinned"
    if isinstance(link.tasks, tuple) and link.tasks:
        yield f"open in {', '.join(map(_holder, link.tasks))}"
    elif isinstance(link.holders, Unreadable) or link.holders:
        yield f"{words.cell(link.holders)} open files"
    else:
        yield "no process has it open"


def _programs(device: Device, known: Known) -> Sequence[str]:
    lines = []
    for mode in XDP_MODES:
        program: Maybe[Optional[XdpProgram]] = getattr(device.xdp, mode)
        if program is None:
            continue
        if isinstance(program, Unreadable):
            lines.append(f"{mode} {words.UNKNOWN}")
            continue
        parts = [f"{mode} {words.cell(program.name)}", f"id {words.cell(program.id)}"]
        parts.append(f"tag {words.cell(program.tag)}")
        if program.frags is True:
            parts.append("frags")
        if program.jited is False:
            parts.append("not jited")
        if program.via == "link":
            parts.append(f"link {words.cell(program.link_id)}")
            link = known.links.get(program.link_id or 0)
            parts += [] if link is None else _link(link)
        lines.append(", ".join(parts))
    return lines


def _of_programs(
    device: Device, tell: Callable[[XdpProgram], Sequence[str]]
) -> Sequence[str]:
    # Each line once: both modes may have the same program.
    programs = (getattr(device.xdp, mode) for mode in XDP_MODES)
    told = (tell(one) for one in programs if isinstance(one, XdpProgram))
    return list(dict.fromkeys(line for lines in told for line in lines))


def _extensions(device: Device, known: Known) -> Sequence[str]:
    return _of_programs(device, known.reached.extensions)


def _maps(device: Device, known: Known) -> Sequence[str]:
    return _of_programs(device, lambda one: known.reached.maps(one, _MOST_ENTRIES))


def _af_xdp(device: Device, _: Known) -> Sequence[str]:
    sockets = device.af_xdp
    if isinstance(sockets, Unreadable):
        return [words.UNKNOWN]
    return list(map(maps.socket, sockets))


def _tc(device: Device, _: Known) -> Sequence[str]:
    programs = device.tc
    if isinstance(programs, Unreadable):
        return [words.UNKNOWN]
    return list(map(maps.tc_program, programs))


def _rq(queue: XdpQueue) -> str:
    napi = queue.napi
    parts = [words.UNKNOWN if isinstance(napi, Unreadable) else "NAPI" if napi else ""]
    if queue.prog_id is not None:
        parts.append(f"program {words.cell(queue.prog_id)}")
    if not isinstance(queue.tx_errors, Unreadable) and queue.tx_errors:
        parts.append(f"{queue.tx_errors} xdp_tx_err")
    return ", ".join(filter(None, parts))


def _rqs(device: Device) -> str:
    queues = device.xdp.queues
    if queues is None or isinstance(queues, Unreadable):
        return words.cell(queues)
    return per_queue((queue.queue, _rq(queue)) for queue in queues)


def _masks(
    queues: Maybe[Sequence[tuple[int, str]]], prefix: str = "rx"
) -> Sequence[str]:
    # A line for each mask, and the queues that have it.
    if isinstance(queues, Unreadable):
        return [words.UNKNOWN]
    groups: dict[str, list[int]] = {}
    for queue, said in queues:
        groups.setdefault(said, []).append(queue)
    groups.pop("", None)
    lines = [f"{prefix}{number_list(where)}: {said}" for said, where in groups.items()]
    return lines if len(lines) <= _MOST_MASKS else [*lines[:_MOST_MASKS], "..."]


def _rps(device: Device, _: Known) -> Sequence[str]:
    queues = device.rps
    if isinstance(queues, Unreadable):
        return [words.UNKNOWN]
    return _masks([(q.queue, _numbers(q.cpus)) for q in queues])


def _rfs(device: Device, _: Known) -> Sequence[str]:
    queues = device.rps
    if isinstance(queues, Unreadable):
        return [words.UNKNOWN]
    said = [(q.queue, words.cell(q.flow_entries or "")) for q in queues]
    return _masks([(queue, f"{n} flows" if n else "") for queue, n in said])


def _numbers(numbers: Maybe[Sequence[int]]) -> str:
    return words.UNKNOWN if isinstance(numbers, Unreadable) else number_list(numbers)


def _sender(queue: XpsQueue) -> str:
    cpus, queues = _numbers(queue.cpus), _numbers(queue.rx_queues)
    parts = (f"CPUs {cpus}" if cpus else "", f"RX queues {queues}" if queues else "")
    return ", ".join(filter(None, parts))


def _xps(device: Device, _: Known) -> Sequence[str]:
    queues = device.xps
    if isinstance(queues, Unreadable):
        return [words.UNKNOWN]
    return _masks([(q.queue, _sender(q)) for q in queues], "tx")


_NAMED = (
    ("gro", NETIF_F_GRO),
    ("tso", NETIF_F_ALL_TSO),
    ("rx-gro-list", NETIF_F_GRO_FRAGLIST),
    ("rx-udp-gro-forwarding", NETIF_F_GRO_UDP_FWD),
)


def _features(device: Device) -> str:
    features = device.features.features
    if isinstance(features, Unreadable):
        return words.UNKNOWN
    on = [name for name, mask in _NAMED if features & mask]
    return " ".join([*on, f"({features:#x})"])


# Those that decide about XDP and queues.
_OPERATIONS = ("ndo_bpf", "ndo_xdp_xmit", "set_channels")


def _driver(device: Device) -> str:
    driver = device.driver
    has = [
        name if value is True else f"{name} {words.UNKNOWN}"
        for name, value in ((one, getattr(driver, one)) for one in _OPERATIONS)
        if name != "name" and value is not False
    ]
    return ", ".join([words.cell(driver.name, "-"), *has])


def _dropped(device: Device) -> str:
    dropped = None if device.veth is None else device.veth.dropped
    return words.cell(dropped) if dropped != 0 else ""


#: What each fact is called, and how to tell it.
FACTS: Sequence[tuple[str, _Lines]] = (
    ("kind", _one(_kind)),
    ("ifindex", _one(lambda d: words.cell(d.ifindex))),
    ("altnames", lambda d, _: _each(d.altnames)),
    ("alias", _one(lambda d: words.cell(d.alias))),
    ("state", _one(_state)),
    ("registration", _one(_registered)),
    ("MTU", _one(_mtu)),
    ("MAC", _one(lambda d: words.cell(d.mac))),
    ("addresses", lambda d, _: _each(d.addresses)),
    ("above it", _above),
    ("below it", _below),
    ("qdisc", _one(lambda d: words.cell(d.qdisc, "-"))),
    ("RX queues", _one(_queues("rx"))),
    ("TX queues", _one(_queues("tx"))),
    ("XDP", _programs),
    ("in XDP", _extensions),
    ("maps", _maps),
    ("AF_XDP", _af_xdp),
    ("tc", _tc),
    ("veth queues", _one(_rqs)),
    ("RPS", _rps),
    ("RFS", _rfs),
    ("XPS", _xps),
    ("features", _one(_features)),
    ("driver", _one(_driver)),
    ("dropped", _one(_dropped)),
    ("counters", lambda d, _: counters.link(d)),
    ("in queues", lambda d, _: counters.queues(d)),
    ("in qdisc", _one(counters.qdisc)),
    ("net_device", _one(lambda d: f"{d.net_device:#x}")),
)
