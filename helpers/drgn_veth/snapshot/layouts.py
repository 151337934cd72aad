# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a Snapshot reads of each struct
------------------------------------

Each reader declares the members of its subject. This module defines which members of a
struct are read at once, and finds their offsets once per program.
"""

from typing import Optional, TypeVar, Union

import drgn
from drgn import Object, Program, offsetof, sizeof

from ..core.errors import READ_ERRORS, attempt, reason
from ..core.module_types import no_module_types
from ..core.struct_layout import Layout, Members
from ..core.unreadable import Maybe, Unreadable
from ..readers.adjacent import ADJ_LIST_LOWER, ADJ_LIST_UPPER
from ..readers.bridge import NetDevicePort
from ..readers.driver import NetDeviceDriver, RxQueueMemory
from ..readers.inet import NetDeviceInet
from ..readers.inet6 import NetDeviceInet6
from ..readers.link_state import link_state_masks
from ..readers.link_stats import NetDeviceStats
from ..readers.netdev import NetDeviceShown
from ..readers.netdev_names import NAME_NODE_LIST, NameNode
from ..readers.netns import DEV_LIST, INDEX_HLIST, NetDeviceNetns
from ..readers.priv_flags import NetDevicePrivate, netns_bit, priv_flag_masks
from ..readers.qdisc import NetDeviceQdisc
from ..readers.queues import (
    NetDeviceQueues,
    RxQueueOwner,
    RxQueuePool,
    TxQueue,
    drv_xoff_mask,
)
from ..readers.reg_state import reg_states
from ..readers.rps import RxQueueRps
from ..readers.tcx import NetDeviceTc
from ..readers.veth import VethPriv, VethRq, veth_priv
from ..readers.xdp import NetDeviceXdp, no_xdp_state
from ..readers.xps import NetDeviceXps

__all__ = ("Layouts", "NetDevice", "RxQueue", "layout_of", "needed")

R = TypeVar("R", bound=Members)


class NetDevice(
    NetDeviceNetns,
    NetDeviceShown,
    NetDeviceDriver,
    NetDeviceQueues,
    NetDeviceXdp,
    NetDeviceXps,
    NetDeviceQdisc,
    NetDeviceInet,
    NetDeviceInet6,
    NetDevicePort,
    NetDeviceStats,
    NetDeviceTc,
    NetDevicePrivate,
):
    """What is read of a ``struct net_device``."""


class RxQueue(RxQueueOwner, RxQueueRps, RxQueueMemory, RxQueuePool):
    """What is read of a ``struct netdev_rx_queue``."""


def _layout(prog: Program, type: drgn.Type, declared: type[R]) -> Layout[R]:
    # By name and size: a program may load more symbols later, and then have another
    # type of the same name.
    key = f"drgn_veth.layout.{declared.__name__}.{type.type_name()}.{type.size}"
    try:
        return prog.cache[key]
    except KeyError:
        layout = prog.cache[key] = Layout(prog, type, declared)
        return layout


def layout_of(
    prog: Program, name: str, declared: type[R], module: Optional[str] = None
) -> Maybe[Layout[R]]:
    """
    Return the layout of a struct that this kernel may not have.

    :param module: Which module has it, if only a module has
    """
    try:
        return _layout(prog, prog.type(name), declared)
    except LookupError as e:
        return Unreadable(no_module_types(name, module) if module else reason(e))


def needed(layout: Maybe[Layout[R]]) -> Layout[R]:
    """
    Return a layout that something cannot be read without.

    :raises LookupError: if its type is not there
    """
    if isinstance(layout, Unreadable):
        raise LookupError(layout.reason)
    return layout


class Layouts:
    """
    Layouts and offsets of all structs of which a Snapshot reads several.

    :raises LookupError: if the kernel's types are not there
    """

    def __init__(self, prog: Program) -> None:
        self.prog = prog
        self.link_state = link_state_masks(prog)

        net_device = prog.type("struct net_device")
        self._pointer = prog.pointer_type(net_device)
        self.net_device = _layout(prog, net_device, NetDevice)
        self.dev_list = offsetof(net_device, DEV_LIST)
        self.index_hlist = attempt(offsetof, net_device, INDEX_HLIST)
        #: Offset of the head of the list of uppers; -1 if unknown: no list then counts
        #: as empty.
        upper = attempt(offsetof, net_device, ADJ_LIST_UPPER)
        self.upper = -1 if isinstance(upper, Unreadable) else upper
        lower = attempt(offsetof, net_device, ADJ_LIST_LOWER)
        self.lower = -1 if isinstance(lower, Unreadable) else lower
        #: net_device.xdp_state if nothing is attached. None: that has to be asked of
        #: drgn_veth.readers.xdp, as in kernels that do not have it.
        self.no_xdp: Union[bytes, int, None] = no_xdp_state(prog)

        self.rx_queue = _layout(prog, prog.type("struct netdev_rx_queue"), RxQueue)
        self.tx_queue = _layout(prog, prog.type("struct netdev_queue"), TxQueue)

        self.pointer_size = sizeof(self._pointer)
        #: netdev_queue.state of a queue that its driver has stopped.
        self.drv_xoff = drv_xoff_mask(prog)

        #: Names of net_device.reg_state, by value.
        self.reg_states = attempt(reg_states, prog)

        self.priv_flags = priv_flag_masks(prog)
        #: Where a device says that it must stay in its namespace.
        self.netns_bit = attempt(netns_bit, prog)

        #: None: there are no altnames.
        self.name_node: Optional[Layout[NameNode]] = None
        self.altnames = 0
        try:
            name_node = prog.type("struct netdev_name_node")
        except LookupError:
            pass
        else:
            self.name_node = _layout(prog, name_node, NameNode)
            self.altnames = offsetof(name_node, NAME_NODE_LIST)

        #: Whether veth counts the losses of XDP_TX.
        self.counts_tx_errors = False
        #: None, and why, if the types of the veth module are missing.
        self.veth_priv: Optional[Layout[VethPriv]] = None
        self.no_veth_priv = Unreadable("")
        self.priv_offset = 0
        #: How many bytes of a device are read at once.
        self.device_size = self.net_device.size
        try:
            priv = veth_priv(self.dev(0))
            self.veth_rq = _layout(prog, prog.type("struct veth_rq"), VethRq)
        except READ_ERRORS as e:
            self.no_veth_priv = Unreadable(reason(e))
        else:
            self.counts_tx_errors = "tx_errors" in self.veth_rq.offset
            self.veth_priv = _layout(prog, priv.type_.type, VethPriv)
            self.priv_offset = priv.value_()
            # Read together: the private data begins where the device ends.
            self.device_size = self.priv_offset + self.veth_priv.size

    def dev(self, address: int) -> Object:
        """Return a ``struct net_device *``."""
        return Object(self.prog, self._pointer, address)
