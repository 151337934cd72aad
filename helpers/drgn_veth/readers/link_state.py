# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Flags and state of network devices
----------------------------------

What ``ip link`` shows between ``<`` and ``>``, and after ``state``. The kernel computes
both before it reports them to user space, and these helpers compute them in the same
way.

Upstream: all.
"""

import functools
from typing import NamedTuple

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

__all__ = (
    "LinkState",
    "dev_get_flags",
    "flags_from",
    "link_state_masks",
    "netdev_flag_names",
    "netdev_operstate",
    "operstate_from",
)

# include/uapi/linux/if.h, in the order in which iproute2 prints them. They are
# macros and user space API: no symbol has them, and they do not change.
_IFF = (
    (1 << 3, "LOOPBACK"),
    (1 << 1, "BROADCAST"),
    (1 << 4, "POINTOPOINT"),
    (1 << 12, "MULTICAST"),
    (1 << 7, "NOARP"),
    (1 << 9, "ALLMULTI"),
    (1 << 8, "PROMISC"),
    (1 << 10, "MASTER"),
    (1 << 11, "SLAVE"),
    (1 << 2, "DEBUG"),
    (1 << 15, "DYNAMIC"),
    (1 << 14, "AUTOMEDIA"),
    (1 << 13, "PORTSEL"),
    (1 << 5, "NOTRAILERS"),
    (1 << 0, "UP"),
    (1 << 6, "RUNNING"),
    (1 << 16, "LOWER_UP"),
    (1 << 17, "DORMANT"),
    (1 << 18, "ECHO"),
)
_IFF_PROMISC = 1 << 8
_IFF_ALLMULTI = 1 << 9
_IFF_RUNNING = 1 << 6
_IFF_LOWER_UP = 1 << 16
_IFF_DORMANT = 1 << 17

# include/uapi/linux/if.h: IF_OPER_*, by value.
_OPERSTATES = (
    "UNKNOWN",
    "NOTPRESENT",
    "DOWN",
    "LOWERLAYERDOWN",
    "TESTING",
    "DORMANT",
    "UP",
)
_IF_OPER_UNKNOWN = 0
_IF_OPER_DOWN = 2
_IF_OPER_UP = 6


class LinkState(NamedTuple):
    """Bits of ``net_device.state`` (``enum netdev_state_t``), as masks."""

    START: int
    NOCARRIER: int
    DORMANT: int


@takes_program_or_default
def link_state_masks(prog: Program) -> LinkState:
    """Return the masks of ``net_device.state`` in this kernel."""
    return LinkState(
        *(
            1 << prog.constant(f"__LINK_STATE_{name}").value_()
            for name in LinkState._fields
        )
    )


def flags_from(
    flags: int, gflags: int, state: int, operstate: int, masks: LinkState
) -> int:
    """
    Return the flags that user space sees, as dev_get_flags() does (net/core/dev.c),
    from members of ``struct net_device``.

    :param flags: ``unsigned int``
    :param gflags: ``unsigned short``: what user space asked for
    :param state: ``unsigned long``: bits ``__LINK_STATE_*``
    :param operstate: ``unsigned char``: ``IF_OPER_*``
    :param masks: What :func:`link_state_masks()` returns
    :return: Mask of ``IFF_*`` (``unsigned int``)
    """
    own = _IFF_PROMISC | _IFF_ALLMULTI
    flags &= ~(own | _IFF_RUNNING | _IFF_LOWER_UP | _IFF_DORMANT)
    # Promiscuity that a user asked for, without what a bridge or a socket did.
    flags |= gflags & own
    if state & masks.START:
        if operstate in (_IF_OPER_UP, _IF_OPER_UNKNOWN):
            flags |= _IFF_RUNNING
        if not state & masks.NOCARRIER:
            flags |= _IFF_LOWER_UP
        if state & masks.DORMANT:
            flags |= _IFF_DORMANT
    return flags


def dev_get_flags(dev: Object) -> int:
    """
    Return the flags that user space sees, as dev_get_flags() does (net/core/dev.c).

    >>> flags = dev_get_flags(netdev_get_by_name("veth_xxx0"))
    >>> netdev_flag_names(flags)
    ('BROADCAST', 'MULTICAST', 'UP', 'RUNNING', 'LOWER_UP')

    :param dev: ``struct net_device *``
    :return: Mask of ``IFF_*`` (``unsigned int``)
    """
    return flags_from(
        dev.flags.value_(),
        dev.gflags.value_(),
        dev.state.value_(),
        dev.operstate.value_(),
        link_state_masks(dev.prog_),
    )


@functools.cache
def netdev_flag_names(flags: int) -> tuple[str, ...]:
    """
    Return the names of flags, without ``IFF_``, in iproute2's order.

    :param flags: Mask of ``IFF_*``
    """
    return tuple(name for flag, name in _IFF if flags & flag)


def operstate_from(operstate: int, state: int, masks: LinkState) -> str:
    """
    Return the operational state that user space sees (``IFLA_OPERSTATE``), as
    rtnl_fill_ifinfo() does (net/core/rtnetlink.c), from members of ``struct
    net_device``.

    :param operstate: ``unsigned char``: ``IF_OPER_*``
    :param state: ``unsigned long``: bits ``__LINK_STATE_*``
    :param masks: What :func:`link_state_masks()` returns
    :return: Name of ``IF_OPER_*`` without the prefix
    :raises ValueError: if it is not a known state
    """
    if not state & masks.START:
        operstate = _IF_OPER_DOWN
    try:
        return _OPERSTATES[operstate]
    except IndexError:
        raise ValueError(
            f"operstate is {operstate}, which is not an IF_OPER_* value"
        ) from None


def netdev_operstate(dev: Object) -> str:
    """
    Return the operational state that user space sees: see :func:`operstate_from()`.

    :param dev: ``struct net_device *``
    """
    masks = link_state_masks(dev.prog_)
    return operstate_from(dev.operstate.value_(), dev.state.value_(), masks)
