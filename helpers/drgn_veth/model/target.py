# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The target and its kernel
-------------------------

What was looked at, and what its types, constants and code say.
"""

import enum
from typing import NamedTuple, Optional

from ..core.unreadable import Maybe
from .processes import Task

__all__ = ("Kernel", "RecordsRxQueue", "Target")


class Target(NamedTuple):
    """What was looked at."""

    release: Maybe[str]
    kind: str  # kdump, elf, kcore, qemu
    arch: str
    types: str  # where the types came from: dwarf, btf, dwarf+btf
    possible_cpus: Maybe[int]
    online_cpus: Maybe[tuple[int, ...]]
    rps_sock_flow_entries: Maybe[int]
    path: Optional[str] = None  # name of the file
    # Seconds since 1970 at the crash; None: it did not crash.
    time: Maybe[Optional[int]] = None
    rtnl_owner: Maybe[Optional[Task]] = None  # who holds rtnl_mutex
    # Those of isolcpus=, nohz_full= and cpusets: no RPS mask that is written has them.
    isolated_cpus: Maybe[tuple[int, ...]] = ()


class RecordsRxQueue(enum.Enum):
    """When veth_xmit() calls skb_record_rx_queue()."""

    NEVER = "never"
    #: Where the RX queue has a native program; it is not known whether elsewhere.
    WITH_XDP = "with XDP"
    ALWAYS = "always"


class Kernel(NamedTuple):
    """What the kernel's types, constants and code say about an XDP attach."""

    page_size: Maybe[int]
    skb_shared_info_size: Maybe[int]  # sizeof(struct skb_shared_info)
    max_skb_frags: Maybe[int]  # length of skb_shared_info.frags[]
    smp_cache_bytes: Maybe[int]
    net_ip_align: Maybe[int]
    nr_cpu_ids: Maybe[int]
    xdp_state: bool  # net_device.xdp_state, since v5.9
    xdp_frags: bool  # bpf_prog_aux.xdp_has_frags, since v5.18
    dev_bound: bool  # bpf_prog_aux.dev_bound, since v6.3
    # Messages of the core, and of the drivers that there are, by the function whose
    # text refers to them; a function that is not there has none.
    messages: Maybe[tuple[tuple[str, frozenset[str]], ...]]
    padded_vnet_hdr_size: Maybe[Optional[int]]  # sizeof(struct padded_vnet_hdr)
    # Who holds rtnl_mutex.
    rtnl_owner: Maybe[Optional[Task]]
    # What veth_poll() accesses to wake a TX queue: see drgn_veth.disasm.veth_poll.
    # None: no veth has NAPI.
    veth_poll: Maybe[Optional[frozenset[str]]] = None
    # When veth_xmit() writes the RX queue into a packet. None: there is no veth.
    records_rx_queue: Maybe[Optional[RecordsRxQueue]] = None
    # __dev_change_net_namespace() says why it refuses: net_device.netns_immutable.
    says_netns: bool = False
    netns_first: bool = False  # do_setlink() asks first whether it is the same one
    # It takes IFLA_NEW_IFINDEX: since v5.13.
    netns_ifindex: Maybe[bool] = True
    xsk_sg: bool = False  # XDP_USE_SG: net_device.xdp_zc_max_segs, since v6.6
    vlan_stag_tx: Maybe[int] = 1 << 45  # NETIF_F_HW_VLAN_STAG_TX
