# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a Snapshot reads of each struct
------------------------------------

The members, and where this kernel has them: decided once for a program.
"""

from typing import Mapping, Optional, Union

from drgn import Object, Program, Type, offsetof, sizeof

from ..core.errors import READ_ERRORS, attempt, reason
from ..core.unreadable import Unreadable
from ..readers.netdev import link_state_masks
from ..readers.veth import veth_priv
from .struct_layout import Kind, Layout, Member, kind_of

__all__ = ("Layouts",)

_NUMBER, _POINTER, _ARRAY = Kind.NUMBER, Kind.POINTER, Kind.ARRAY


def _number(path: str, optional: bool = False) -> Member:
    return Member((path,), _NUMBER, optional)


def _pointer(*paths: str, optional: bool = False) -> Member:
    return Member(paths, _POINTER, optional)


_NET_DEVICE: Mapping[str, Member] = {
    "next": _pointer("dev_list.next"),
    "prev": _pointer("dev_list.prev"),
    "net": _pointer("nd_net.net", optional=True),  # CONFIG_NET_NS
    "ifindex": _number("ifindex"),
    "name": Member(("name",), _ARRAY),
    # Since Linux kernel commit ff92741270bf ("net: introduce name_node struct to be
    # used in hashlist") (in v5.5). Before, there are no altnames.
    "name_node": _pointer("name_node", optional=True),
    "ifalias": _pointer("ifalias"),
    "rtnl_link_ops": _pointer("rtnl_link_ops"),
    "flags": _number("flags"),
    "gflags": _number("gflags"),
    "state": _number("state"),
    "operstate": _number("operstate"),
    "reg_state": _number("reg_state"),
    "mtu": _number("mtu"),
    "min_mtu": _number("min_mtu"),
    "max_mtu": _number("max_mtu"),
    "type": _number("type"),
    "addr_len": _number("addr_len"),
    "dev_addr": _pointer("dev_addr"),
    "upper": _pointer("adj_list.upper.next"),
    "hard_header_len": _number("hard_header_len"),
    "features": _number("features"),
    "wanted_features": _number("wanted_features"),
    # Since Linux kernel commit d3d854fd6a1d ("netdev-genl: create a simple family for
    # netdev stuff") (in v6.3).
    "xdp_features": _number("xdp_features", optional=True),
    "netdev_ops": _pointer("netdev_ops"),
    "ethtool_ops": _pointer("ethtool_ops"),
    "parent": _pointer("dev.parent"),
    "rx": _pointer("_rx"),
    "tx": _pointer("_tx"),
    "num_rx": _number("num_rx_queues"),
    "real_rx": _number("real_num_rx_queues"),
    "num_tx": _number("num_tx_queues"),
    "real_tx": _number("real_num_tx_queues"),
    # As in drgn_veth.readers.xdp.
    "xdp_state": Member(("xdp_state",), _ARRAY | _POINTER, optional=True),
    # As in drgn_veth.readers.xps.
    "xps_cpus": _pointer("xps_maps[0]", "xps_cpus_map", optional=True),
    "xps_rxqs": _pointer("xps_maps[1]", "xps_rxqs_map", optional=True),
}
_RX_QUEUE: Mapping[str, Member] = {
    "dev": _pointer("dev"),
    "rps_map": _pointer("rps_map", optional=True),  # CONFIG_RPS
    # Since v7.1, a number: see drgn_veth.readers.rps.
    "rps_flow_table": Member(("rps_flow_table",), _POINTER | _NUMBER, optional=True),
    # Since v6.11 or v6.12.
    "mp_priv": _pointer("mp_params.mp_priv", optional=True),
}
_TX_QUEUE: Mapping[str, Member] = {"dev": _pointer("dev"), "state": _number("state")}
_VETH_PRIV: Mapping[str, Member] = {
    "peer": _pointer("peer"),
    "rq": _pointer("rq"),
    "dropped": _number("dropped.counter"),
    "xdp_prog": _pointer("_xdp_prog"),
}
_VETH_RQ: Mapping[str, Member] = {
    "dev": _pointer("dev"),
    "xdp_prog": _pointer("xdp_prog"),
    # As in drgn_veth.readers.veth.
    "napi": _pointer("napi", optional=True),
    "napi_state": _number("xdp_napi.state"),
    "reg_state": _number("xdp_rxq.reg_state"),
    "rxq_index": _number("xdp_rxq.queue_index"),
    # Not before v5.7: what XDP_TX lost is not counted there.
    "tx_errors": _number("stats.vs.xdp_tx_err", optional=True),
    "consumer_head": _number("xdp_ring.consumer_head"),
    "ring_size": _number("xdp_ring.size"),
    "ring": _pointer("xdp_ring.queue"),
}
_NAME_NODE: Mapping[str, Member] = {"next": _pointer("list.next")}


def _layout(prog: Program, type: Type, members: Mapping[str, Member]) -> Layout:
    # Types that are not the same object may still be of one name: a program can get
    # more symbols while it is looked at.
    key = f"drgn_veth.layout.{type.type_name()}.{type.size}"
    try:
        return prog.cache[key]
    except KeyError:
        layout = prog.cache[key] = Layout(prog, type, members)
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
        self.net_device = _layout(prog, net_device, _NET_DEVICE)
        self.dev_list = offsetof(net_device, "dev_list")
        #: Offset of the head of the list of uppers; -1: nothing is known to be empty.
        upper = attempt(offsetof, net_device, "adj_list.upper")
        self.upper = -1 if isinstance(upper, Unreadable) else upper
        #: net_device.xdp_state if nothing is attached. None: that has to be asked of
        #: drgn_veth.readers.xdp, as in kernels that do not have it.
        self.no_xdp: Union[bytes, int, None] = None
        if net_device.has_member("xdp_state"):
            state = net_device.member("xdp_state").type
            kind = kind_of(state)
            if kind is Kind.ARRAY:
                self.no_xdp = bytes(sizeof(state))
            elif kind is Kind.POINTER:
                self.no_xdp = 0

        self.rx_queue = _layout(prog, prog.type("struct netdev_rx_queue"), _RX_QUEUE)
        self.tx_queue = _layout(prog, prog.type("struct netdev_queue"), _TX_QUEUE)

        self.pointer_size = sizeof(self._pointer)
        #: netdev_queue.state of a queue that its driver has stopped.
        self.drv_xoff = 1 << prog.constant("__QUEUE_STATE_DRV_XOFF").value_()

        #: None: there are no altnames.
        self.name_node: Optional[Layout] = None
        self.altnames = 0
        try:
            name_node = prog.type("struct netdev_name_node")
        except LookupError:
            pass
        else:
            self.name_node = _layout(prog, name_node, _NAME_NODE)
            self.altnames = offsetof(name_node, "list")

        #: Whether veth counts what XDP_TX loses.
        self.counts_tx_errors = False
        #: None, and why, if the types of the veth module are not there.
        self.veth_priv: Optional[Layout] = None
        self.no_veth_priv = Unreadable("")
        self.priv_offset = 0
        #: How much of a device is read at once.
        self.device_size = self.net_device.size
        try:
            priv = veth_priv(self.dev(0))
            self.veth_rq = _layout(prog, prog.type("struct veth_rq"), _VETH_RQ)
        except READ_ERRORS as e:
            self.no_veth_priv = Unreadable(reason(e))
        else:
            self.counts_tx_errors = "tx_errors" in self.veth_rq.offset
            self.veth_priv = _layout(prog, priv.type_.type, _VETH_PRIV)
            self.priv_offset = priv.value_()
            # Read together: the private data begins where the device ends.
            self.device_size = self.priv_offset + self.veth_priv.size

    def dev(self, address: int) -> Object:
        """Return a ``struct net_device *``."""
        return Object(self.prog, self._pointer, address)
