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
        compares=(
            "tcp-data-split of the device (ethtool -g): with it on, only programs with "
            "fragments are accepted"
        ),
        mend=(
            "load the program with fragments (section xdp.frags), or: ethtool -G "
            "DEVICE tcp-data-split off"
        ),
        kernels="since v6.14",
    ),
    Decision(
        "memory-provider",
        "dev_xdp_install",
        "EBUSY",
        messages.MEMORY_PROVIDER,
        memory_provider,
        compares=(
            "whether an RX queue of the device has a memory provider (devmem TCP, "
            "io_uring zero copy)"
        ),
        mend="stop the process that took the queue",
        kernels="since v6.11 or v6.12",
    ),
)


def _program_maps(q: Question) -> Optional[str]:
    if q.program and q.need_program("program_maps"):
        return "the program uses a DEVMAP or CPUMAP whose entries may have programs"
    return None


#: generic_xdp_install(), up to v5.14.
GENERIC: tuple[Decision, ...] = (
    Decision(
        "program-maps",
        "generic_xdp_install",
        "EINVAL",
        None,
        _program_maps,
        compares=(
            "whether the program uses a DEVMAP or CPUMAP whose entries may have "
            "programs, in generic mode"
        ),
        mend="use driver mode, or maps without programs in their entries",
        kernels="v5.9 to v5.14",
        modes=("default", "generic"),
    ),
)
