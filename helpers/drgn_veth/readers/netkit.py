# SPDX-License-Identifier: LGPL-2.1-or-later
"""
netkit
------

The private data of a netkit device (drivers/net/netkit.c, since v6.7). netkit is never
a module, so its types are among the kernel's.

Upstream: all.
"""

from collections.abc import Iterator, Mapping

from drgn import Object
from drgn.helpers.linux.net import netdev_priv

from .bpf_mprog import for_each_mprog_prog

__all__ = (
    "NETKIT_KIND",
    "for_each_netkit_prog",
    "netkit_is_primary",
    "netkit_mode",
    "netkit_peer",
    "netkit_policy",
    "netkit_priv",
)

NETKIT_KIND = b"netkit"

# include/uapi/linux/if_link.h: NETKIT_L2 and the like, NETKIT_PASS and NETKIT_DROP, as
# iproute2 calls them.
_MODES = {0: "l2", 1: "l3"}
_POLICIES = {0: "forward", 2: "blackhole"}


def netkit_priv(dev: Object) -> Object:
    """
    Return the private data of a netkit device.

    :param dev: ``struct net_device *`` of kind netkit
    :return: ``struct netkit *``
    """
    return netdev_priv(dev, "struct netkit")


def netkit_peer(dev: Object) -> Object:
    """
    Return the other end of a netkit pair.

    >>> netkit_peer(netdev_get_by_name("nkl3a")).name
    (char [16])"nkl3b"

    :param dev: ``struct net_device *`` of kind netkit
    :return: ``struct net_device *``; ``NULL`` while the pair is being created or torn
        down, and for a single device (``enum netkit_pairing``)
    """
    return netkit_priv(dev).peer.read_()


def _name(names: Mapping[int, str], value: int, what: str) -> str:
    try:
        return names[value]
    except KeyError:
        raise ValueError(f"{what} is {value}, which is not a known value") from None


def netkit_mode(dev: Object) -> str:
    """
    Return the mode of a netkit device.

    :param dev: ``struct net_device *`` of kind netkit
    :return: Name of ``netkit.mode``: ``l2`` or ``l3``
    :raises ValueError: if the value is not a mode
    """
    return _name(_MODES, netkit_priv(dev).mode.value_(), "mode")


def netkit_policy(dev: Object) -> str:
    """
    Return what a netkit device does with a packet that no program decides about.

    :param dev: ``struct net_device *`` of kind netkit
    :return: Name of ``netkit.policy``: ``forward`` or ``blackhole``
    :raises ValueError: if the value is not a policy
    """
    return _name(_POLICIES, netkit_priv(dev).policy.value_(), "policy")


def netkit_is_primary(dev: Object) -> bool:
    """
    Return whether a netkit device is the primary one of its pair: programs are attached
    to both through it.

    :param dev: ``struct net_device *`` of kind netkit
    :return: ``netkit.primary``
    """
    return bool(netkit_priv(dev).primary.value_())


def for_each_netkit_prog(dev: Object) -> Iterator[Object]:
    """
    Iterate over the programs that see what a netkit device sends, in the order in which
    they run, as netkit_xmit() does.

    :param dev: ``struct net_device *`` of kind netkit
    :return: Iterator of ``struct bpf_prog *`` objects
    """
    entry = netkit_priv(dev).active.read_()
    return for_each_mprog_prog(entry) if entry else iter(())
