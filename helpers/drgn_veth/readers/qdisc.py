# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Queueing disciplines
--------------------

The root qdisc of a device (net/sched).

Upstream: all but the members.
"""

from drgn import Object, Program

from ..core.struct_layout import Members, pointer

__all__ = ("NetDeviceQdisc", "Qdisc", "netdev_qdisc_id", "qdisc_ops_id")

_IFNAMSIZ = 16  # Qdisc_ops.id


class NetDeviceQdisc(Members):
    """Members of ``struct net_device`` about its qdisc."""

    qdisc = pointer("qdisc")


class Qdisc(Members):
    """Members of ``struct Qdisc``."""

    ops = pointer("ops")


def qdisc_ops_id(prog: Program, ops: int) -> bytes:
    """
    Return the name of a kind of qdisc.

    :param ops: Address of a ``struct Qdisc_ops``
    :return: ``Qdisc_ops.id``, such as ``b"fq_codel"``
    """
    id = Object(prog, "struct Qdisc_ops *", ops).id
    return prog.read_c_string(id.address_of_().value_(), max_size=_IFNAMSIZ)


def netdev_qdisc_id(dev: Object) -> bytes:
    """
    Return the name of the root qdisc of a device (``IFLA_QDISC``), as
    rtnl_fill_ifinfo() does (net/core/rtnetlink.c).

    :param dev: ``struct net_device *``
    :return: ``net_device.qdisc->ops->id``, such as ``b"noqueue"``; ``b""`` if the
        device has no qdisc yet
    """
    qdisc = dev.qdisc.read_()
    return qdisc_ops_id(dev.prog_, qdisc.ops.value_()) if qdisc else b""
