# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Private flags
-------------

What the kernel notes of a device for itself (``enum netdev_priv_flags``, include/
linux/netdevice.h): whether it may be a port of a bridge, whether it must stay in its
network namespace, and who takes its packets.

Upstream: all but the members.
"""

from typing import NamedTuple, Optional

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.byte_order import byteorder
from ..core.errors import attempt
from ..core.struct_layout import Members, number, pointer
from ..core.unreadable import Maybe

__all__ = (
    "NetDevicePrivate",
    "NetnsBit",
    "PrivFlags",
    "has_netns_immutable",
    "netns_bit",
    "priv_flag_masks",
)


class NetDevicePrivate(Members):
    """Members of ``struct net_device`` that the kernel notes for itself."""

    priv_flags = number("priv_flags")
    rx_handler = pointer("rx_handler")


class PrivFlags(NamedTuple):
    """Bits of ``net_device.priv_flags``, as masks; unreadable in kernels without it."""

    DONT_BRIDGE: Maybe[int]
    NO_RX_HANDLER: Maybe[int]
    RXFH_CONFIGURED: Maybe[int]


@takes_program_or_default
def priv_flag_masks(prog: Program) -> PrivFlags:
    """Return the masks of ``net_device.priv_flags`` in this kernel."""
    return PrivFlags(
        *(
            attempt(lambda name=name: prog.constant(f"IFF_{name}").value_())
            for name in PrivFlags._fields
        )
    )


class NetnsBit(NamedTuple):
    """Where a device says that it must stay in its network namespace."""

    offset: Optional[int]  # bytes, in struct net_device; None: in net_device.features
    mask: int


@takes_program_or_default
def has_netns_immutable(prog: Program) -> bool:
    """Return whether a device says by a member of its own that it must stay."""
    # Came together with the messages of __dev_change_net_namespace(), in v6.15 and in
    # stable kernels.
    return prog.type("struct net_device").has_member("netns_immutable")


@takes_program_or_default
def netns_bit(prog: Program) -> NetnsBit:
    """
    Return where a device says that it must stay in its network namespace.

    :raises LookupError: if this kernel has no such bit
    """
    # In v6.12 and later, a member says so; its name is netns_immutable since v6.15.
    # Before, NETIF_F_NETNS_LOCAL is among the features.
    net_device = prog.type("struct net_device")
    for name in ("netns_immutable", "netns_local"):
        try:
            member = net_device.member(name)
        except LookupError:
            continue
        bit = member.bit_offset % 8
        is_little = byteorder(prog) == "little"
        mask = 1 << bit if is_little else 0x80 >> bit
        return NetnsBit(member.bit_offset // 8, mask)
    return NetnsBit(None, 1 << prog.constant("NETIF_F_NETNS_LOCAL_BIT").value_())
