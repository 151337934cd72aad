# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the caller can still get wrong
-----------------------------------

Refusals of a request that the device would grant: they depend on who asks, and how.
"""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ("CALLER", "OfCaller", "of_caller")


class OfCaller(NamedTuple):
    """A mistake of the caller, and what the kernel answers."""

    vias: tuple[str, ...]  #: by which ways
    errno: str
    function: str
    mistake: str


CALLER: tuple[OfCaller, ...] = (
    OfCaller(
        ("netlink",),
        "EPERM",
        "rtnetlink_rcv_msg",
        "no CAP_NET_ADMIN",
    ),
    OfCaller(
        ("link",),
        "EPERM",
        "__sys_bpf",
        "before v5.19, no CAP_BPF where kernel.unprivileged_bpf_disabled is set",
    ),
    OfCaller(
        ("link",),
        "EINVAL",
        "link_create",
        "attach_type is not BPF_XDP (37)",
    ),
    OfCaller(
        ("netlink", "link"),
        "ENODEV or EINVAL",
        "__dev_get_by_index",
        "an ifindex of another namespace than the caller's",
    ),
    OfCaller(
        ("netlink", "link"),
        "EBADF or EINVAL",
        "bpf_prog_get_type_dev",
        "no descriptor of an XDP program",
    ),
)


def of_caller(vias: Sequence[str]) -> tuple[OfCaller, ...]:
    """Return the mistakes that are possible by some ways: ``netlink``, ``link``."""
    return tuple(one for one in CALLER if set(one.vias) & set(vias))
