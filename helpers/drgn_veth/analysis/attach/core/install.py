# SPDX-License-Identifier: LGPL-2.1-or-later
"""dev_xdp_install() and generic_xdp_install() (net/core/dev.c)."""

from typing import Optional

from ....core import messages
from ..decision import (
    Decision,
    fix_tcp_data_split,
    memory_provider,
    tcp_data_split,
)
from ..question import Question

__all__ = ("GENERIC", "INSTALL")

INSTALL: tuple[Decision, ...] = (
    Decision(
        "tcp-data-split",
        "dev_xdp_install",
        "EBUSY",
        messages.TCP_DATA_SPLIT,
        tcp_data_split,
        fix_tcp_data_split,
    ),
    Decision(
        "memory-provider",
        "dev_xdp_install",
        "EBUSY",
        messages.MEMORY_PROVIDER,
        memory_provider,
    ),
)


def _program_maps(q: Question) -> Optional[str]:
    if q.program and q.need_program("program_maps"):
        return "the program uses a DEVMAP or CPUMAP whose entries may have programs"
    return None


#: generic_xdp_install(), up to v5.14.
GENERIC: tuple[Decision, ...] = (
    Decision("program-maps", "generic_xdp_install", "EINVAL", None, _program_maps),
)
