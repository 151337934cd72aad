# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Registration of a device
------------------------

How far register_netdevice() or unregister_netdevice() has come (net/core/dev.c).

Upstream: all.
"""

from collections.abc import Mapping

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

__all__ = ("netdev_reg_state", "reg_state_from", "reg_states")

# include/linux/netdevice.h: NETREG_*. Their enum has no name in some kernels, and
# net_device.reg_state is a u8 in others.
_NAMES = (
    "UNINITIALIZED",
    "REGISTERED",
    "UNREGISTERING",
    "UNREGISTERED",
    "RELEASED",
    "DUMMY",
)


@takes_program_or_default
def reg_states(prog: Program) -> Mapping[int, str]:
    """
    Return the names of ``NETREG_*`` without the prefix, by value.

    :raises LookupError: if the kernel's types do not have them
    """
    return {prog.constant(f"NETREG_{name}").value_(): name for name in _NAMES}


def reg_state_from(reg_state: int, names: Mapping[int, str]) -> str:
    """
    Return the name of a state of registration.

    :param reg_state: ``net_device.reg_state`` (``u8``)
    :param names: What :func:`reg_states()` returns
    :raises ValueError: if it is not a known state
    """
    try:
        return names[reg_state]
    except KeyError:
        raise ValueError(
            f"reg_state is {reg_state}, which is not a NETREG_* value"
        ) from None


def netdev_reg_state(dev: Object) -> str:
    """
    Return how far a device is registered: ``REGISTERED`` is the usual state,
    ``UNREGISTERING`` that of a device that is going away.

    :param dev: ``struct net_device *``
    :raises ValueError: if it is not a known state
    """
    return reg_state_from(dev.reg_state.value_(), reg_states(dev.prog_))
