# SPDX-License-Identifier: LGPL-2.1-or-later
"""
tc programs
-----------

Programs of tcx and clsact (``sch_handle_ingress()``, ``sch_handle_egress()``,
net/core/dev.c), and those of netkit.
"""

from collections.abc import Sequence

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, TcProgram
from .trail import Trail

__all__ = ("program_words", "programs_at", "tc_programs")


def programs_at(device: Device, *where: str) -> Maybe[Sequence[TcProgram]]:
    """
    Return the programs of a device at some places, in the order of the places.

    :param where: ``tcx/ingress``, ``clsact/egress``, ``netkit/primary`` and so on
    """
    known = device.tc
    if isinstance(known, Unreadable):
        return known
    return [one for place in where for one in known if one.where == place]


def program_words(programs: Sequence[TcProgram]) -> str:
    """Return the names of some programs for a sentence."""
    return ", ".join(
        f"{'?' if isinstance(one.name, Unreadable) else one.name}#"
        f"{'?' if isinstance(one.id, Unreadable) else one.id}"
        for one in programs
    )


def tc_programs(trail: Trail, device: Device, way: str) -> None:
    """
    Add the step of the tc programs, if there are any.

    :param way: ``ingress`` or ``egress``
    """
    # tcx comes first, and hands over to clsact unless a program decides.
    kind, function = f"tc-{way}", f"sch_handle_{way}"
    programs = programs_at(device, f"tcx/{way}", f"clsact/{way}")
    if isinstance(programs, Unreadable):
        text = f"tc programs could not be read: {programs.reason}"
        trail.add(kind, function, device, text, programs=programs)
        return
    if not programs:
        return
    trail.add(
        *(kind, function, device, f"{program_words(programs)} decide"),
        alternatives=("a program may drop, redirect or change the packet",),
        programs=tuple(one.id for one in programs),
    )
