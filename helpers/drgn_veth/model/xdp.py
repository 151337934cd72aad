# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP
---

Programs, how they are attached, and what holds them.
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe
from .maps import Extension
from .processes import Holder
from .reference import DeviceRef

__all__ = ("LoadedProgram", "XDP_MODES", "Xdp", "XdpLink", "XdpProgram", "XdpQueue")


class XdpProgram(NamedTuple):
    """An attached XDP program (``struct bpf_prog``) and how it is attached."""

    id: Maybe[int]
    name: Maybe[str]
    tag: Maybe[str]
    via: str  # netlink, link
    link_id: Maybe[Optional[int]]
    jited: Maybe[bool]
    frags: Maybe[bool]
    load_time: Maybe[int]  # ns since boot
    uid: Maybe[int]
    expected_attach_type: Maybe[int] = 0
    # Map.id of those that it can redirect to, directly or through another program or
    # map.
    maps: Maybe[tuple[int, ...]] = ()
    # What replaces functions of it: the programs of a dispatcher, by slot.
    extensions: Maybe[tuple[Extension, ...]] = ()
    # It, or one that runs because of it, may call bpf_redirect(), which takes the index
    # of any device of its namespace.
    redirects: Maybe[bool] = True


class XdpQueue(NamedTuple):
    """The native XDP state of one real RX queue of a veth (``struct veth_rq``)."""

    queue: int
    prog_id: Maybe[Optional[int]]
    napi: Maybe[bool]
    # xdp_rxq.reg_state is REG_STATE_REGISTERED: by native XDP, not for GRO alone.
    registered: Maybe[bool] = False
    # stats.vs.xdp_tx_err; None: this kernel does not count them
    tx_errors: Maybe[Optional[int]] = 0
    # An XDP frame is in xdp_ring, and nobody has scheduled the NAPI to take it.
    waiting: Maybe[bool] = False
    rxq_index: Maybe[int] = 0  # xdp_rxq.queue_index: 0 until XDP has set it
    threaded: Maybe[bool] = False  # its NAPI runs in a thread of its own


#: The modes of XDP (``enum bpf_xdp_mode``), in the words of the JSON contract.
XDP_MODES = ("generic", "driver", "offload")


class Xdp(NamedTuple):
    """The XDP programs of a device, by mode, and what runs them."""

    generic: Maybe[Optional[XdpProgram]]
    driver: Maybe[Optional[XdpProgram]]
    offload: Maybe[Optional[XdpProgram]]
    queues: Maybe[Optional[tuple[XdpQueue, ...]]]  # None: not a veth


class XdpLink(NamedTuple):
    """A BPF link that holds a program on a device (``struct bpf_xdp_link``)."""

    id: Maybe[int]
    device: DeviceRef
    pins: Maybe[tuple[str, ...]]  # paths
    holders: Maybe[int]  # references that are not pins: files that processes have open
    here: bool = True  # the first process sees all pins by these paths
    # Tasks that have it open, of those that hold it. None: nobody has looked.
    tasks: Maybe[Optional[tuple[Holder, ...]]] = None


class LoadedProgram(NamedTuple):
    """A program of type XDP, attached or not (``struct bpf_prog``)."""

    id: Maybe[int]
    prog: int  # struct bpf_prog *
    name: Maybe[str]
    frags: Maybe[bool]
    expected_attach_type: Maybe[int]
    offload_requested: Maybe[bool]
    dev_bound: Maybe[bool]
    bound_to: Maybe[int]  # aux.offload.netdev, struct net_device *; 0: none
    # A DEVMAP or CPUMAP whose entries may have programs is among its maps.
    program_maps: Maybe[bool]
