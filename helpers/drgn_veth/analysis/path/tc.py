# SPDX-License-Identifier: LGPL-2.1-or-later
"""
tc programs
-----------

Programs of tcx and clsact (``sch_handle_ingress()``, ``sch_handle_egress()``,
net/core/dev.c), and those of netkit.
"""

from typing import Any

from ...core.unreadable import Unreadable
from ...model import Device
from .trail import Trail

__all__ = ("program_words", "programs_at", "tc_programs")


def programs_at(device: Device, *where: str) -> Any:
    """
    Return the programs of a device at some places, in the order of the places.

    :param where: ``tcx/ingress``, ``clsact/egress``, ``netkit/primary`` and so on
    """
    # Not every Snapshot has them.
    known: Any = getattr(device, "tc", ())
    if isinstance(known, Unreadable) or known is None:
        return known
    return [one for place in where for one in known if one.where == place]


def program_words(programs: Any) -> str:
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
