# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Names of network devices
------------------------

The name that the kernel accepts, alternative names and the alias.

Upstream: all but the bounded walk: for_each_altname().
"""

from collections.abc import Iterator
from typing import Optional

from drgn import Object, Program

from ..core.c_string import read_c_string
from ..core.names import check_names
from ..core.struct_layout import Members, pointer
from .array import expect_array
from .bounded import for_each_entry_bounded

__all__ = (
    "NAME_NODE_LIST",
    "NameNode",
    "dev_valid_name",
    "for_each_altname",
    "netdev_alias",
    "read_name",
)

NAME_NODE_LIST = "list"

# isspace() of lib/ctype.c: that of Latin-1.
_SPACES = b"\t\n\v\f\r \xa0"
_IFNAMSIZ = 16
_MAX_STRING = 256  # IFALIASZ; a name is shorter (IFNAMSIZ, ALTIFNAMSIZ)
_MAX_ALTNAMES = 1 << 12


class NameNode(Members):
    """Members of ``struct netdev_name_node``."""

    next = pointer(f"{NAME_NODE_LIST}.next")


def dev_valid_name(name: bytes) -> bool:
    """
    Return whether the kernel accepts a name for a device, as dev_valid_name() does
    (net/core/dev.c).

    :param name: Without the terminating NUL
    """
    if not 0 < len(name) < _IFNAMSIZ or name in (b".", b".."):
        return False
    return not any(byte in b"/:" or byte in _SPACES for byte in name)


def read_name(prog: Program, address: int) -> bytes:
    """
    Return a name that a device refers to.

    :param address: ``const char *``; no more than 256 bytes are read
    """
    return read_c_string(prog, address, _MAX_STRING)


def netdev_alias(dev: Object) -> bytes:
    """
    Return the alias of a device (``ip link set dev DEV alias TEXT``).

    :param dev: ``struct net_device *``
    :return: ``net_device.ifalias->ifalias``, ``b""`` if it has none
    """
    alias = dev.ifalias.read_()
    if not alias:
        return b""
    text: Optional[int] = expect_array(alias.ifalias).address_
    assert text is not None
    check_names(dev.prog_)
    return read_name(dev.prog_, text)


def for_each_altname(dev: Object) -> Iterator[bytes]:
    """
    Iterate over the alternative names of a device, in the kernel's order.

    :param dev: ``struct net_device *``
    :raises WalkError: after all that could be reached
    """
    # As in NetDeviceShown.
    try:
        node = dev.name_node.read_()
    except AttributeError:
        return
    if not node:
        return
    for entry in for_each_entry_bounded(
        node.list.address_of_(), node.type_.type, NAME_NODE_LIST, _MAX_ALTNAMES
    ):
        yield read_name(dev.prog_, entry.name.value_())
