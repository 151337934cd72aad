# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in hooks.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer, Undo
from drgn_veth.model import Xdp

from tests.support.rules.case import SKB, Case
from tests.support.snapshots import (
    BAD,
    BOND,
    CHANNELS,
    LINKED,
    PIN,
    UPPER,
    WITH_XDP,
    generic,
    link,
    messages,
    native,
    pair,
)

__all__ = ("CASES",)

CASES: dict[str, Case] = {
    "xdp-mode-conflict": Case(
        pair(None, generic()),
        "info",
        "eth0",
        "an attach in native mode, or without a mode, is refused: a generic program is "
        "attached",
        (("xdp_state[XDP_MODE_SKB] prog_id", 7),),
        KernelAnswer(
            "dev_xdp_attach",
            "EEXIST",
            "Native and generic XDP can't be active at the same time",
        ),
        (),
        [
            pair(),
            pair(None, native()),
            pair(None, {**generic(), "driver": CHANNELS._replace(ndo_bpf=False)}),
            pair(None, generic(), kind="netkit"),
        ],
        [
            (
                pair(None, generic(BAD)),
                "xdp_state[XDP_MODE_SKB]",
                SKB | {"xdp-hidden-vlan-tag"},
            ),
            (
                pair(None, {**generic(), "driver": CHANNELS._replace(ndo_bpf=BAD)}),
                "netdev_ops->ndo_bpf",
            ),
        ],
        undo=Undo(
            "which detaches the program",
            ("ip netns exec pod1 ip link set dev eth0 xdpgeneric off",),
        ),
    ),
    "xdp-link-owns-hook": Case(
        pair(None, generic(LINKED)),
        "info",
        "eth0",
        "BPF link 3 holds its generic program: nothing else can replace or detach it",
        (("link_id", 3), ("prog_id", 7)),
        KernelAnswer("dev_xdp_attach", "EBUSY", "Can't replace active BPF XDP link"),
        (),
        [pair(None, generic()), pair()],
        [
            (
                pair(None, generic(BAD)),
                "xdp_state[XDP_MODE_SKB]",
                SKB | {"xdp-hidden-vlan-tag", "xdp-mode-conflict"},
            )
        ],
        undo=Undo("which detaches the program", ("bpftool link detach id 3",)),
    ),
    "xdp-link-pinned-only": Case(
        link(0, (PIN,)),
        "info",
        "veth0",
        "BPF link 3 holds its program, and only a pin holds the link; no process has "
        "it open",
        (("link_id", 3), ("link.refcnt", 1), ("pins", (PIN,))),
        KernelAnswer("bpf_link_put"),
        (),
        [link(1, (PIN,)), link(0, ()), link(0, (PIN,), id=4)],
        [(link(BAD, (PIN,)), "link.refcnt"), (link(0, BAD), "link.pins")],
        undo=Undo(
            "which removes its pin and so detaches the program", (f"rm '{PIN}'",)
        ),
    ),
    "xdp-upper-program": Case(
        pair({"uppers": (BOND.ref,)}, None, BOND._replace(xdp=WITH_XDP)),
        "info",
        "veth0",
        "XDP cannot be attached, nor detached by netlink: upper device bond0 (netns "
        "4026531840, ifindex 9) has a program",
        (("prog_id of upper bond0 (netns 4026531840, ifindex 9)", (7,)),),
        KernelAnswer("dev_xdp_attach", "EEXIST", UPPER),
        (),
        [
            pair({"uppers": (BOND.ref,)}, None, BOND),
            pair(None, None, BOND._replace(xdp=WITH_XDP)),
            pair(
                {"uppers": (BOND.ref,)},
                None,
                BOND._replace(xdp=WITH_XDP),
                kernel=messages("dev_xdp_attach", "another one"),
            ),
        ],
        [
            (pair({"uppers": BAD}), "adj_list.upper"),
            (
                pair(
                    {"uppers": (BOND.ref,)},
                    None,
                    BOND._replace(xdp=Xdp(BAD, None, None, None)),
                ),
                "upper xdp_state[XDP_MODE_SKB]",
                SKB | {"xdp-mode-conflict"},
            ),
        ],
        undo=Undo(
            "which detaches the program above it", ("ip link set dev bond0 xdpdrv off",)
        ),
    ),
    "netkit-default-attach": Case(
        pair(None, {"driver": CHANNELS._replace(ndo_bpf=False)}, kind="netkit"),
        "info",
        "veth0",
        "an attach without a mode is refused: it means native mode, which netkit does "
        "not support; generic mode works",
        (("netdev_ops->ndo_bpf", "netkit_xsk"),),
        KernelAnswer("netkit_xsk", "EOPNOTSUPP"),
        (),
        [
            pair(
                {"driver": CHANNELS._replace(ndo_bpf=False)},
                {"driver": CHANNELS._replace(ndo_bpf=False)},
                kind="netkit",
            ),
            pair(),
        ],
        [
            (
                pair(
                    {"driver": CHANNELS._replace(ndo_bpf=BAD)},
                    {"driver": CHANNELS._replace(ndo_bpf=False)},
                    kind="netkit",
                ),
                "netdev_ops->ndo_bpf",
            )
        ],
    ),
}
