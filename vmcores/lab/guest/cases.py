# SPDX-License-Identifier: LGPL-2.1-or-later
"""The devices of rules.sh that show the symptom of each rule, and what measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from measures.attaching import detach_refused, native, native_alone, pinned_only
from measures.ends import DROP, PASS, End, Measure
from measures.forwarding import by_map, queues_cpus, redirect, slow_tx, xdp_tx
from measures.lost import (
    full_ring,
    not_delivered,
    qdisc_dropped,
    redirect_failed,
    refused,
)
from measures.mtu import jumbo_lost, mtu_frozen, sees_heads
from measures.packets import (
    big_packets,
    hidden_tag,
    no_ethernet,
    not_merged,
    unfinished,
    unfinished_elsewhere,
)
from measures.pair import no_carrier, nothing
from measures.queues import bypassed, one_sided, overflow, queue_state, stale, stuck
from measures.rps import (
    generic_cpu,
    half_rfs,
    high_queues,
    isolated,
    off_by_one,
    offline,
    unset,
    which_end,
)
from places import BPFFS

__all__ = ("CASES", "Case")


@dataclass(frozen=True)
class Case:
    """A device that shows a symptom, and one that differs in a single thing."""

    rule: str
    device: Optional[End]
    twin: Optional[End]
    measure: Measure
    # Why a kernel may be unable to show it. Empty: every kernel can.
    lacks: str = ""
    # Only look at the state, and do not provoke what follows from it.
    state_only: bool = False


CASES = (
    Case(
        "xdp-native-queues",
        End("rnqa", "rnqb", None, "far"),
        End("tnqa", "tnqb", None, "far"),
        native("XDP expects number of rx queues not less than peer tx queues"),
    ),
    Case(
        "xdp-native-queues",
        End("rnga", "rngb", None, "far"),
        End("tnga", "tngb", None, "far"),
        native_alone("XDP expects number of rx queues not less than peer tx queues"),
    ),
    Case(
        "rps-queue-out-of-range",
        End("rroa", "rrob", "rps", "rps"),
        End("troa", "trob", "rps", "rps"),
        high_queues,
    ),
    # One queue: the kernel does not even warn.
    Case(
        "rps-queue-out-of-range",
        End("rrsa", "rrsb", "rps", "rps"),
        End("trsa", "trsb", "rps", "rps"),
        high_queues,
    ),
    Case(
        "rps-queue-off-by-one",
        End("roba", "robb", "rps", "rps"),
        End("toba", "tobb", "rps", "rps"),
        off_by_one,
    ),
    Case(
        "rps-which-end",
        End("rwea", "rweb", "rps", "rps"),
        End("twea", "tweb", "rps", "rps"),
        which_end,
    ),
    Case(
        "rps-queue-without-mask",
        End("rwma", "rwmb", "rps", "rps"),
        End("twma", "twmb", "rps", "rps"),
        unset,
    ),
    # All CPUs of the mask, and one of two.
    Case(
        "rps-cpu-offline",
        End("rcoa", "rcob", "rps", "rps"),
        End("tcoa", "tcob", "rps", "rps"),
        offline,
    ),
    Case(
        "rps-cpu-offline",
        End("rcpa", "rcpb", "rps", "rps"),
        End("tcoa", "tcob", "rps", "rps"),
        offline,
    ),
    Case(
        "rps-isolated-cpus",
        End("risa", "risb", "rps", "rps"),
        End("tisa", "tisb", "rps", "rps"),
        isolated,
    ),
    Case(
        "rfs-half-set",
        End("rrfa", "rrfb", "rps", "rps"),
        End("trfa", "trfb", "rps", "rps"),
        half_rfs,
        state_only=True,
    ),
    Case(
        "xdp-hidden-vlan-tag",
        End("rhva", "rhvb", None, "far", BPFFS + "/observe_v"),
        End("thva", "thvb", None, "far", BPFFS + "/observe_w"),
        hidden_tag,
    ),
    Case(
        "xdp-hidden-vlan-tag",
        End("rhoa", "rhob", None, "far", BPFFS + "/observe_o"),
        End("thoa", "thob", None, "far", BPFFS + "/observe_q"),
        hidden_tag,
    ),
    Case(
        "xdp-no-ethernet-header",
        End("rnea", "", prog=BPFFS + "/observe_n"),
        End("tnea", "", prog=BPFFS + "/observe_e"),
        no_ethernet,
    ),
    Case(
        "generic-xdp-big-packets",
        End("rbpa", "rbpb", None, "far", BPFFS + "/observe_b"),
        End("tbpa", "tbpb", None, "far", BPFFS + "/observe_s"),
        big_packets,
    ),
    Case(
        "xdp-gro-off",
        End("rgoa", "rgob", None, "far"),
        End("tgoa", "tgob", None, "far"),
        not_merged,
    ),
    Case(
        "xdp-virtio-slow-tx",
        End("rvna", ""),
        None,
        slow_tx,
        "the driver refuses a program if there are too few queues",
    ),
    Case(
        "xdp-unfinished-checksum",
        End("rusa", "rusb", None, "far"),
        End("tusa", "tusb", None, "far"),
        unfinished,
    ),
    Case(
        "xdp-unfinished-checksum",
        End("ruma", "rumb", "xdp", "far"),
        End("tuma", "tumb", "xdp", "far"),
        unfinished_elsewhere,
    ),
    Case(
        "generic-xdp-cpu",
        End("rgca", "rgcb", "rps", "rps", BPFFS + "/observe_r"),
        End("tgca", "tgcb", "rps", "rps", BPFFS + "/observe_t"),
        generic_cpu,
    ),
    Case(
        "xdp-queue-without-program",
        End("rqwa", "rqwb", prog=DROP),
        End("tqwa", "tqwb", prog=DROP),
        bypassed,
        "every queue that is added under a program gets it, or none can be added",
    ),
    Case(
        "xdp-stale-program",
        End("rspa", "rspb", prog=DROP),
        End("tspa", "tspb", prog=DROP),
        stale,
        "queues that go lose their program, or none can go",
    ),
    Case(
        "xdp-queue-overflow",
        End("rqva", "rqvb", prog=DROP),
        None,
        overflow,
        "veth_set_channels() and veth_fix_features() refuse every way to it",
    ),
    Case(
        "xdp-peer-mtu",
        End("rpma", "rpmb", None, "far"),
        End("tpma", "tpmb", None, "far"),
        native("Peer MTU is too large to set XDP"),
    ),
    Case(
        "xdp-peer-mtu",
        End("rpqa", "rpqb", None, "far"),
        End("tpqa", "tpqb", None, "far"),
        native("Peer MTU is too large to set XDP"),
    ),
    Case(
        "mtu-frozen",
        End("rmfa", "rmfb", None, "far"),
        End("tmfa", "tmfb", None, "far"),
        mtu_frozen,
    ),
    Case(
        "xdp-max-mtu-stale",
        End("rmsa", "rmsb", None, "far", BPFFS + "/observe_m"),
        End("tmsa", "tmsb", None, "far", PASS),
        sees_heads,
        "max_mtu is set again for each program, or there is no xdp.frags",
    ),
    Case(
        "xdp-max-mtu-stale",
        End("rmta", "rmtb", None, "far"),
        End("tmta", "tmtb", None, "far"),
        mtu_frozen,
        "max_mtu is set again for each program, or there is no xdp.frags",
    ),
    Case(
        "xdp-tx-lost",
        End("rxta", "rxtb", None, "far"),
        End("txta", "txtb", None, "far"),
        xdp_tx,
    ),
    # Polled for GRO alone. veth_xdp_xmit() accepts that and fills the ring,
    # veth_xdp_flush() requires a program and wakes nobody.
    Case(
        "xdp-tx-lost",
        End("gxta", "gxtb", None, "far"),
        End("txta", "txtb", None, "far"),
        xdp_tx,
        "a peer that polls for GRO alone is woken for what XDP_TX sends",
    ),
    Case(
        "xdp-redirect-not-ready",
        End("rrda", "rrdb", "xdp", "far"),
        End("trda", "trdb", "xdp", "far"),
        redirect,
    ),
    Case(
        "xdp-redirect-not-ready",
        End("rrma", "rrmb", "xdp", "far"),
        End("trma", "trmb", "xdp", "far"),
        by_map,
    ),
    Case(
        "tx-queue-stuck",
        End("rtsa", "rtsb", "xdp", "far"),
        None,
        stuck,
        "a queue that is stopped is woken again, or none is ever stopped",
    ),
    Case(
        "queues-one-sided",
        End("rosa", "rosb"),
        End("tosa", "tosb"),
        one_sided,
    ),
    Case(
        "queues-one-sided",
        End("rota", "rotb"),
        End("tosa", "tosb"),
        one_sided,
    ),
    Case(
        "xdp-mode-conflict",
        End("rmca", "rmcb"),
        End("tmca", "tmcb"),
        native("Native and generic XDP can't be active at the same time"),
    ),
    Case(
        "xdp-mode-conflict",
        End("rmqa", "rmqb", None, "far"),
        End("tmqa", "tmqb", None, "far"),
        native("Native and generic XDP can't be active at the same time"),
    ),
    Case(
        "xdp-link-owns-hook",
        End("rloa", "rlob"),
        End("tloa", "tlob"),
        detach_refused,
    ),
    Case(
        "xdp-upper-program",
        End("rupa", "rupb"),
        End("tupa", "tupb"),
        native("Cannot attach when an upper device already has a program"),
        "the kernel does not look at upper devices",
    ),
    Case(
        "mtu-mismatch",
        End("rmma", "rmmb", None, "far"),
        End("tmma", "tmmb", None, "far"),
        jumbo_lost,
    ),
    Case(
        "peer-down",
        End("rpda", "rpdb", None, "far"),
        End("tpda", "tpdb", None, "far"),
        no_carrier,
    ),
    Case(
        "no-peer",
        None,
        None,
        nothing,
        "a registered veth has a peer but for an instant under rtnl_mutex",
    ),
    Case(
        "veth-poll-out-of-range",
        End("rvpa", "rvpb"),
        End("tvpa", "tvpb"),
        queue_state,
        state_only=True,
    ),
    Case(
        "netkit-default-attach",
        End("rnka", "rnkb"),
        End("tnka", "tnkb"),
        native("not supported", "xdp"),
        "there is no netkit, or its default mode is generic",
    ),
    Case(
        "queues-cpus",
        End("rqca", "rqcb", "xdp", "xdp"),
        End("tqca", "tqcb", "xdp", "xdp"),
        queues_cpus,
    ),
    Case(
        "queues-cpus",
        End("rqda", "rqdb", "xdp", "xdp"),
        End("tqca", "tqcb", "xdp", "xdp"),
        queues_cpus,
    ),
    Case(
        "xdp-link-pinned-only",
        End("rlpa", "rlpb", "xdp", "xdp"),
        End("tlpa", "tlpb", "xdp", "xdp"),
        pinned_only,
    ),
    Case(
        "veth-packets-lost",
        End("rpla", "rplb", None, "far"),
        End("tpla", "tplb", None, "far"),
        refused,
    ),
    # A thread polls the one peer, and no NAPI the other one.
    Case(
        "veth-packets-lost",
        End("rfra", "rfrb", None, "far"),
        End("tfra", "tfrb", None, "far"),
        full_ring,
        "no thread can poll a veth",
    ),
    # A bridge takes any protocol.
    Case(
        "veth-not-delivered",
        End("rnda", "rndb", None, "far"),
        End("tnda", "tndb", None, "far"),
        not_delivered,
    ),
    Case(
        "xdp-redirect-failed",
        End("rrfda", "rrfdb", "xdp", "far"),
        End("trfda", "trfdb", "xdp", "far"),
        redirect_failed,
    ),
    Case(
        "qdisc-drops",
        End("rqpa", "rqpb", None, "far"),
        End("tqpa", "tqpb", None, "far"),
        qdisc_dropped,
        "there is no qdisc tbf",
    ),
)
