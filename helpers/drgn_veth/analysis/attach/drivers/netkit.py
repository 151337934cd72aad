# SPDX-License-Identifier: LGPL-2.1-or-later
"""netkit_xsk() (drivers/net/netkit.c)."""

from typing import Optional

from ..decision import Decision
from ..driver_decisions import DriverDecisions
from ..question import Question

__all__ = ("DRIVER",)


def _netkit(q: Question) -> Optional[str]:
    return "netkit has an ndo_bpf for AF_XDP only; generic mode works"


# Since Linux kernel commit ("netkit: Add xsk support for af_xdp applications") (in
# v7.0 or v7.1). Before, netkit has no ndo_bpf, and no mode means generic.
DRIVER = DriverDecisions(
    "netkit",
    "netkit_xsk",
    "netkit_xsk",
    (
        Decision(
            "netkit",
            "netkit_xsk",
            "EOPNOTSUPP",
            None,
            _netkit,
            compares=(
                "nothing: netkit_xsk() accepts AF_XDP sockets and no programs. No mode "
                "means driver mode here, since the driver has ndo_bpf"
            ),
            mend="use generic mode: ip link set dev DEVICE xdpgeneric obj FILE",
            kernels=(
                "since v7.0 or v7.1; before, netkit has no ndo_bpf, and no mode means "
                "generic mode"
            ),
            modes=("default", "driver"),
        ),
    ),
)
