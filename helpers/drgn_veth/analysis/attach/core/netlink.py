# SPDX-License-Identifier: LGPL-2.1-or-later
"""
do_setlink() and dev_change_xdp_fd()
------------------------------------

What the kernel decides (net/core/rtnetlink.c) before it calls dev_xdp_attach(). Only
netlink requests take this path: bpf_xdp_link_attach() decides nothing of its own.
"""

from typing import Optional

from ....core.uapi import XDP_FLAGS_MASK, XDP_FLAGS_MODES, XDP_FLAGS_REPLACE
from ..decision import Decision
from ..question import SKB, Question

__all__ = ("NETLINK", "many_modes")


def _unknown_flags(q: Question) -> Optional[str]:
    if q.flags & ~XDP_FLAGS_MASK:
        return f"flags {q.flags:#x} have bits beyond XDP_FLAGS_MASK"
    return None


def many_modes(q: Question) -> Optional[str]:
    """Whether flags name more than one mode (a decision's *holds*)."""
    if bin(q.flags & XDP_FLAGS_MODES).count("1") > 1:
        return f"flags {q.flags:#x} select more than one mode"
    return None


def _replace_nothing(q: Question) -> Optional[str]:
    if q.flags & XDP_FLAGS_REPLACE and q.expected is None:
        return "XDP_FLAGS_REPLACE is set without IFLA_XDP_EXPECTED_FD"
    return None


def _offloaded_in_skb(q: Question) -> Optional[str]:
    if q.program and q.mode == SKB and q.need_program("offload_requested"):
        return "the program was loaded for offload, but generic mode was requested"
    return None


NETLINK: tuple[Decision, ...] = (
    Decision(
        "flags",
        "do_setlink",
        "EINVAL",
        None,
        _unknown_flags,
        compares="the flags of the request with those that exist",
        mend="use only XDP_FLAGS_* that the kernel knows",
    ),
    Decision(
        "flags-modes",
        "do_setlink",
        "EINVAL",
        None,
        many_modes,
        compares="the flags of the request: at most one mode may be set",
        mend="give one mode",
    ),
    Decision(
        "flags-replace",
        "do_setlink",
        "EINVAL",
        None,
        _replace_nothing,
        compares="whether a request with XDP_FLAGS_REPLACE has IFLA_XDP_EXPECTED_FD",
        mend="give the program that is to be replaced",
    ),
    Decision(
        "offloaded",
        "bpf_prog_get_type_dev",
        "EINVAL",
        None,
        _offloaded_in_skb,
        compares=(
            "whether the program was loaded for offload, while generic mode is asked "
            "for"
        ),
        mend="attach it with xdpoffload, or load it without a device",
        modes=("default", "generic"),
    ),
)
