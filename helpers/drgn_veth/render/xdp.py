# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP programs and links
----------------------

A paragraph for each device that has one; devices that have the same share it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional

from ..core.english import count
from ..core.unreadable import Maybe, Unreadable
from ..model import XDP_MODES, Device, Holder, Snapshot, XdpLink, XdpProgram
from . import words
from .maps import Reached, socket
from .style import PLAIN, Style
from .width import KEEP, wrap

__all__ = ("carries_xdp", "programs")

_INDENT = " " * 2
_REST = " " * 6
_ENTRIES = " " * 8
_MOST_ENTRIES = 64


def carries_xdp(device: Device) -> bool:
    """Return whether a device has an XDP program or an AF_XDP socket, or may have."""
    return (
        device.af_xdp != ()
        or bool(_of_bond(device))
        or any(getattr(device.xdp, mode) is not None for mode in XDP_MODES)
    )


def _of_bond(device: Device) -> Sequence[int]:
    # bond_xdp_set() gives the bond's program to the drivers of its slaves, and leaves
    # their xdp_state empty.
    queues = device.xdp.queues
    if device.xdp.driver is not None or not isinstance(queues, tuple):
        return ()
    return sorted({one.prog_id for one in queues if isinstance(one.prog_id, int)})


def _holder(holder: Holder) -> str:
    if holder.pid is None:
        return words.cell(holder.kind)
    fd = "" if holder.fd is None else f" as fd {words.cell(holder.fd)}"
    return f"{words.cell(holder.comm)} (pid {words.cell(holder.pid)}){fd}"


def _held(link: XdpLink) -> str:
    # What keeps a link alive.
    by: list[str] = []
    if isinstance(link.pins, Unreadable):
        by.append("pins that could not be read")
    else:
        by += [f"pinned at {words.cell(pin)}" for pin in link.pins]
    if isinstance(link.tasks, tuple) and link.tasks:
        by += [f"open in {_holder(task)}" for task in link.tasks]
    elif isinstance(link.holders, Unreadable):
        by.append("references that could not be read")
    elif link.holders > 0:
        by.append(f"open in {count(link.holders, 'file')}")
    return ", ".join(by) or "held by nothing"


def _link(number: Maybe[Optional[int]], links: Mapping[object, XdpLink]) -> str:
    link = links.get(number) if isinstance(number, int) else None
    if link is not None:
        return f"by link {number}: {_held(link)}"
    return f"by link {words.cell(number, 'of no number')}"


def _program(
    mode: str, program: Maybe[XdpProgram], links: Mapping[object, XdpLink]
) -> Iterator[str]:
    if isinstance(program, Unreadable):
        yield f"{mode} {words.UNKNOWN}: {words.cell(str(program.reason))}"
        return
    said = (
        f"{mode} {words.cell(program.name)}#{words.cell(program.id)}, tag "
        f"{words.cell(program.tag)}{', frags' if program.frags is True else ''}"
    )
    if program.via == "netlink":
        yield f"{said}, by netlink"
    else:
        yield said
        yield _link(program.link_id, links)


def _reached(program: XdpProgram, reached: Reached, style: Style) -> Iterator[str]:
    for line in reached.extensions(program):
        yield from wrap(line, style.width, _REST, _ENTRIES)
    for line in reached.maps(program, _MOST_ENTRIES):
        indent = _ENTRIES if line.startswith(("[", "and ")) else _REST
        yield from wrap(line, style.width, indent, f"{indent}  ")


def _has(
    device: Device,
    links: Mapping[object, XdpLink],
    reached: Reached,
    style: Style,
) -> Iterator[str]:
    none = True
    for mode in XDP_MODES:
        program: Optional[Maybe[XdpProgram]] = getattr(device.xdp, mode)
        if program is None:
            continue
        none = False
        first, *rest = _program(mode, program, links)
        yield from wrap(first, style.width, _INDENT, _REST)
        for line in rest:
            yield from wrap(line, style.width, _REST, _REST)
        if isinstance(program, XdpProgram):
            yield from _reached(program, reached, style)
    for number in _of_bond(device):
        none = False
        said = f"driver program #{number}, that of {words.reference(device.master)}: "
        said += "`ip link` shows it there"
        yield from wrap(said, style.width, _INDENT, _REST)
    if isinstance(device.af_xdp, Unreadable):
        yield f"{_INDENT}AF_XDP {words.UNKNOWN}"
    else:
        for one in device.af_xdp:
            said = f"AF_XDP {socket(one)}"
            yield from wrap(said, style.width, _INDENT, _REST)
    if none:
        yield f"{_INDENT}no XDP program"


def programs(devices: Iterable[Device], whole: Snapshot, style: Style = PLAIN) -> str:
    """
    Return the XDP programs of some devices, what holds the links among them, the maps
    that they reach, and the AF_XDP sockets on these devices.

    :param whole: All that there is
    """
    reached = Reached(whole)
    of: dict[object, dict[object, XdpLink]] = {}  # by device and number
    for link in whole.links:
        of.setdefault(link.device.net_device, {})[link.id] = link
    alike: dict[tuple[str, ...], list[str]] = {}
    for one in devices:
        said = tuple(_has(one, of.get(one.net_device, {}), reached, style))
        names = alike.setdefault(said, [])
        names.append(words.reference(one.ref).replace(" ", KEEP))
    lines: list[str] = []
    for said, names in alike.items():
        named = wrap(", ".join(names), style.width, rest=_INDENT * 2)
        lines += [style.paint(line, "bold") for line in named]
        lines += said
    return "\n".join(lines)
