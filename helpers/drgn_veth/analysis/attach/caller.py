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
        "the caller has no CAP_NET_ADMIN in the device's namespace",
    ),
    OfCaller(
        ("link",),
        "EPERM",
        "link_create",
        "the caller has no CAP_NET_ADMIN and CAP_BPF in the initial user namespace",
    ),
    OfCaller(
        ("link",),
        "EINVAL",
        "link_create",
        "attach_type is not BPF_XDP (37), but 6 (BPF_PROG_TYPE_XDP), for example",
    ),
    OfCaller(
        ("netlink", "link"),
        "ENODEV or EINVAL",
        "__dev_get_by_index",
        "the ifindex is that of another namespace: it has to be the caller's",
    ),
    OfCaller(
        ("netlink", "link"),
        "EBADF or EINVAL",
        "bpf_prog_get_type_dev",
        "the descriptor is closed, or its program is not of type XDP",
    ),
)


def of_caller(vias: Sequence[str]) -> tuple[OfCaller, ...]:
    """Return the mistakes that are possible by some ways: ``netlink``, ``link``."""
    return tuple(one for one in CALLER if set(one.vias) & set(vias))
