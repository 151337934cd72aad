# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a Snapshot reads of each struct
------------------------------------

The members, and where this kernel has them: decided once for a program.
"""

from typing import Any, Mapping, Optional, Sequence, Union

from drgn import Object, Program, Type, offsetof, sizeof

from .errors import READ_ERRORS, reason
from .layout import Layout
from .model import Unreadable
from .netdev import link_state_masks
from .veth import veth_priv

__all__ = ("Layouts",)

_NET_DEVICE: Mapping[str, Union[str, Sequence[str]]] = {
    "next": "dev_list.next",
    "prev": "dev_list.prev",
    "net": "nd_net.net",
    "ifindex": "ifindex",
    "name": "name",
    "name_node": "name_node",
    "ifalias": "ifalias",
    "rtnl_link_ops": "rtnl_link_ops",
    "flags": "flags",
    "gflags": "gflags",
    "state": "state",
    "operstate": "operstate",
    "reg_state": "reg_state",
    "mtu": "mtu",
    "min_mtu": "min_mtu",
    "max_mtu": "max_mtu",
    "type": "type",
    "addr_len": "addr_len",
    "dev_addr": "dev_addr",
    "upper": "adj_list.upper.next",
    "hard_header_len": "hard_header_len",
    "features": "features",
    "wanted_features": "wanted_features",
    # Since Linux kernel commit d3d854fd6a1d ("netdev-genl: create a simple family for
    # netdev stuff") (in v6.3).
    "xdp_features": "xdp_features",
    "netdev_ops": "netdev_ops",
    "ethtool_ops": "ethtool_ops",
    "parent": "dev.parent",
    "rx": "_rx",
    "tx": "_tx",
    "num_rx": "num_rx_queues",
    "real_rx": "real_num_rx_queues",
    "num_tx": "num_tx_queues",
    "real_tx": "real_num_tx_queues",
    "xdp_state": "xdp_state",
    # As in drgn_veth.xps.
    "xps_cpus": ("xps_maps[0]", "xps_cpus_map"),
    "xps_rxqs": ("xps_maps[1]", "xps_rxqs_map"),
}
_RX_QUEUE = {
    "dev": "dev",
    "rps_map": "rps_map",
    "rps_flow_table": "rps_flow_table",
    # Since v6.11 or v6.12.
    "mp_priv": "mp_params.mp_priv",
}
_TX_QUEUE = {"dev": "dev", "state": "state"}
_VETH_PRIV = {
    "peer": "peer",
    "rq": "rq",
    "dropped": "dropped.counter",
    "xdp_prog": "_xdp_prog",
}
_VETH_RQ = {
    "dev": "dev",
    "xdp_prog": "xdp_prog",
    "napi": "napi",
    "napi_state": "xdp_napi.state",
    "reg_state": "xdp_rxq.reg_state",
    "rxq_index": "xdp_rxq.queue_index",
    "tx_errors": "stats.vs.xdp_tx_err",
    "consumer_head": "xdp_ring.consumer_head",
    "ring_size": "xdp_ring.size",
    "ring": "xdp_ring.queue",
}
_NAME_NODE = {"next": "list.next"}


def _layout(prog: Program, type: Type, members: Mapping[str, Any]) -> Layout:
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
        self.upper = offsetof(net_device, "adj_list.upper")
        #: net_device.xdp_state if nothing is attached.
        self.no_xdp: Optional[bytes] = None
        if net_device.has_member("xdp_state"):  # Not before v5.9.
            self.no_xdp = bytes(sizeof(net_device.member("xdp_state").type))

        self.rx_queue = _layout(prog, prog.type("struct netdev_rx_queue"), _RX_QUEUE)
        self.tx_queue = _layout(prog, prog.type("struct netdev_queue"), _TX_QUEUE)

        self.pointer_size = sizeof(self._pointer)
        #: netdev_queue.state of a queue that its driver has stopped.
        self.drv_xoff = 1 << prog.constant("__QUEUE_STATE_DRV_XOFF").value_()

        # Since Linux kernel commit ff92741270bf ("net: introduce name_node struct to
        # be used in hashlist") (in v5.5). Before, there are no altnames.
        self.name_node: Optional[Layout] = None
        self.altnames = 0
        try:
            name_node = prog.type("struct netdev_name_node")
        except LookupError:
            pass
        else:
            self.name_node = _layout(prog, name_node, _NAME_NODE)
            self.altnames = offsetof(name_node, "list")

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
            self.veth_priv = _layout(prog, priv.type_.type, _VETH_PRIV)
            self.priv_offset = priv.value_()
            # Read together: the private data begins where the device ends.
            self.device_size = self.priv_offset + self.veth_priv.size

    def dev(self, address: int) -> Object:
        """Return a ``struct net_device *``."""
        return Object(self.prog, self._pointer, address)
