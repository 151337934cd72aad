# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a rule is to say of a Snapshot."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

from drgn_veth.analysis.attach.ask import decision
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.rules.finding import Evidence, Finding, KernelAnswer, Undo
from drgn_veth.model import Snapshot

__all__ = (
    "AGAIN",
    "Case",
    "EEXIST",
    "ENOSPC",
    "ERANGE",
    "again",
    "found",
)


class Case(NamedTuple):
    """What a rule says of a Snapshot, and on which it is silent or undecided."""

    fires: Snapshot
    severity: str
    name: str  # of the device; empty: the finding is about the kernel
    summary: str
    evidence: Evidence
    kernel: Optional[KernelAnswer]
    fix: tuple[str, ...]
    twins: Sequence[Snapshot]
    #: Snapshots with an unreadable value: which.
    lost: Sequence[tuple[Snapshot, str]] = ()
    undecided: Optional[str] = None
    fix_effect: Optional[str] = None
    undo: Optional[Undo] = None


def found(rule: str, snapshot: Snapshot) -> list[Finding]:
    return [finding for finding in diagnose(snapshot) if finding.rule == rule]


AGAIN = "detaches the program for a moment and attaches it again"


def again(name: str, *before: str, between: str = "", way: str = "") -> str:
    """The command that attaches the program of a device again."""
    attach = f"{way}bpftool net attach xdpdrv id 7 dev {name}"
    steps = (
        *before,
        "bpftool prog pin id 7 /sys/fs/bpf/drgn-veth-7",
        f"{way}bpftool net detach xdpdrv dev {name}",
        f"{{ {between}; {attach}; }}" if between else attach,
        "rm /sys/fs/bpf/drgn-veth-7",
    )
    return " && ".join(steps)


ENOSPC = KernelAnswer("veth_xdp_set", "ENOSPC", decision("veth-queues").message)
ERANGE = KernelAnswer("veth_xdp_set", "ERANGE", decision("veth-mtu").message)
EEXIST = KernelAnswer("dev_xdp_attach", "EEXIST", decision("other-mode").message)
