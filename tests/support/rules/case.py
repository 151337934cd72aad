# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a rule is to say of a Snapshot."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Optional, Union

from drgn_veth.analysis.attach.ask import decision
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.rules.finding import Evidence, Finding, KernelAnswer, Undo
from drgn_veth.model import Snapshot

__all__ = (
    "AGAIN",
    "Case",
    "DRV",
    "EEXIST",
    "ENOSPC",
    "ERANGE",
    "Lost",
    "MASK",
    "MASKS",
    "PEER",
    "SKB",
    "again",
    "found",
)


#: A Snapshot, which of its values is unreadable, and the other rules that are then
#: undecided, too.
Lost = Union[tuple[Snapshot, str], tuple[Snapshot, str, Collection[str]]]

#: Rules that are undecided without the native program of a veth; without the generic
#: program of any device.
DRV = frozenset(
    {
        "mtu-frozen",
        "queues-cpus",
        "xdp-behind-dispatcher",
        "xdp-gro-off",
        "xdp-hidden-vlan-tag",
        "xdp-link-owns-hook",
        "xdp-max-mtu-stale",
        "xdp-queue-overflow",
        "xdp-queue-without-program",
        "xdp-redirect-failed",
        "xdp-tx-lost",
        "xdp-unfinished-checksum",
        "xskmap-without-socket",
    }
)
SKB = frozenset(
    {
        "generic-xdp-big-packets",
        "xdp-behind-dispatcher",
        "xdp-link-owns-hook",
        "xdp-no-ethernet-header",
        "xskmap-without-socket",
    }
)
#: Without the only mask of a veth; without its RX queues.
MASK = frozenset(
    {
        "rps-cpu-offline",
        "rps-queue-without-mask",
        "rps-which-end",
    }
)
MASKS = MASK | {"rfs-half-set", "rps-queue-off-by-one"}
#: Without the peer of a veth.
PEER = frozenset(
    {
        "mtu-mismatch",
        "peer-down",
        "queues-cpus",
        "queues-one-sided",
        "veth-not-delivered",
        "veth-packets-lost",
        "veth-poll-out-of-range",
        "xdp-native-queues",
        "xdp-peer-mtu",
    }
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
    lost: Sequence[Lost] = ()
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
