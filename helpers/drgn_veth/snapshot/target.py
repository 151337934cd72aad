# SPDX-License-Identifier: LGPL-2.1-or-later
"""The target of a Snapshot."""

import os
from typing import Optional

from drgn import Program, ProgramFlags
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import attempt
from ..core.text import as_in_snapshot, decode
from ..dump.elfcore import still_open
from ..dump.partial import core_of
from ..model import Target
from ..readers.cpumask import num_possible_cpus, online_cpus
from ..readers.crash import crash_time
from ..readers.isolation import isolated_cpus
from ..readers.rps import rps_sock_flow_entries

__all__ = ("read_target", "target_kind", "target_types")

_ELF_MAGIC = b"\x7fELF"


@takes_program_or_default
def target_kind(prog: Program) -> str:
    """
    Return what kind of target a program is.

    :return: ``kcore`` for the running kernel, ``qemu`` for a guest, ``elf`` or
        ``kdump`` for a file
    """
    if prog.flags & ProgramFlags.IS_LIVE:
        return "kcore" if prog.flags & ProgramFlags.IS_LOCAL else "qemu"
    path = core_of(prog)
    if path is None:
        return "elf"  # No file: the program was set up by hand.
    with open(still_open(path), "rb") as f:
        return "elf" if f.read(len(_ELF_MAGIC)) == _ELF_MAGIC else "kdump"


@takes_program_or_default
def target_types(prog: Program) -> str:
    """
    Return where the types of a program come from.

    :return: ``dwarf``, ``btf``, ``dwarf+btf``, or the names of the type finders
        that are on
    """
    # use_btf() stores here what our finders provide. Before that, they provide nothing.
    types: Optional[str] = prog.cache.get("drgn_veth.types")
    return types or "+".join(
        name for name in prog.enabled_type_finders() if not name.startswith("drgn_veth")
    )


def _file_name(prog: Program) -> Optional[str]:
    path = None if prog.flags & ProgramFlags.IS_LIVE else core_of(prog)
    if path is None:
        return None
    return as_in_snapshot(os.path.basename(path))


def _release(prog: Program) -> str:
    return decode(prog["UTS_RELEASE"].string_())


@takes_program_or_default
def read_target(prog: Program) -> Target:
    """Return the record of a target."""
    platform = prog.platform
    return Target(
        release=attempt(_release, prog),
        kind=target_kind(prog),
        arch=platform.arch.name.lower() if platform else "unknown",
        types=target_types(prog),
        possible_cpus=attempt(num_possible_cpus, prog),
        online_cpus=attempt(online_cpus, prog),
        rps_sock_flow_entries=attempt(rps_sock_flow_entries, prog),
        path=_file_name(prog),
        time=attempt(crash_time, prog),
        isolated_cpus=attempt(isolated_cpus, prog),
    )
