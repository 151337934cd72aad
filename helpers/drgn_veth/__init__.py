# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn helpers for veth, XDP and RPS
----------------------------------

``from drgn_veth import *`` at a drgn prompt gives the readers, which take and
return drgn objects, and :func:`~drgn_veth.snapshot.take_snapshot()`.
"""

from .bpf import (
    bpf_prog_has_frags,
    bpf_prog_id,
    bpf_prog_jited,
    bpf_prog_load_time,
    bpf_prog_name,
    bpf_prog_tag,
    bpf_prog_uid,
)
from .cpus import (
    nr_cpu_ids,
    online_cpus,
    possible_cpus,
)
from .netdev import (
    for_each_altname,
    netdev_address,
    netdev_alias,
    netdev_flag_names,
    netdev_flags,
    netdev_kind,
    netdev_master,
    netdev_operstate,
)
from .netkit import (
    NETKIT_KIND,
    netkit_peer,
    netkit_priv,
)
from .netns import (
    for_each_net_bounded,
    for_each_netdev_bounded,
    net_inum,
    net_is_dying,
    net_is_init,
    netdev_net,
)
from .peer import (
    netdev_peer,
)
from .queues import (
    netdev_num_rx_queues,
    netdev_num_tx_queues,
    netdev_real_num_rx_queues,
    netdev_real_num_tx_queues,
    netdev_rx_queue,
    netdev_txq_to_tc,
)
from .rps import (
    netdev_rps_flow_entries,
    netdev_rps_map,
    rps_map_cpus,
    rps_sock_flow_entries,
    rx_queue_rps_flow_entries,
    rx_queue_rps_map,
)
from .snapshot import (
    take_snapshot,
)
from .target import (
    read_target,
    target_kind,
    target_types,
)
from .veth import (
    VETH_KIND,
    veth_peer,
    veth_priv,
    veth_rq_has_napi,
    veth_rq_xdp_prog,
    veth_rqs,
)
from .xdp import (
    XdpMode,
    bpf_link_id,
    netdev_xdp_link,
    netdev_xdp_prog,
)
from .xps import (
    XPS_CPUS,
    XPS_RXQS,
    netdev_xps_cpus,
    netdev_xps_maps,
    netdev_xps_queues,
    netdev_xps_rxqs,
)

__version__ = "0.1.0"

__all__ = (
    "NETKIT_KIND",
    "VETH_KIND",
    "XPS_CPUS",
    "XPS_RXQS",
    "XdpMode",
    "bpf_link_id",
    "bpf_prog_has_frags",
    "bpf_prog_id",
    "bpf_prog_jited",
    "bpf_prog_load_time",
    "bpf_prog_name",
    "bpf_prog_tag",
    "bpf_prog_uid",
    "for_each_altname",
    "for_each_net_bounded",
    "for_each_netdev_bounded",
    "net_inum",
    "net_is_dying",
    "net_is_init",
    "netdev_address",
    "netdev_alias",
    "netdev_flag_names",
    "netdev_flags",
    "netdev_kind",
    "netdev_master",
    "netdev_net",
    "netdev_num_rx_queues",
    "netdev_num_tx_queues",
    "netdev_operstate",
    "netdev_peer",
    "netdev_real_num_rx_queues",
    "netdev_real_num_tx_queues",
    "netdev_rps_flow_entries",
    "netdev_rps_map",
    "netdev_rx_queue",
    "netdev_txq_to_tc",
    "netdev_xdp_link",
    "netdev_xdp_prog",
    "netdev_xps_cpus",
    "netdev_xps_maps",
    "netdev_xps_queues",
    "netdev_xps_rxqs",
    "netkit_peer",
    "netkit_priv",
    "nr_cpu_ids",
    "online_cpus",
    "possible_cpus",
    "read_target",
    "rps_map_cpus",
    "rps_sock_flow_entries",
    "rx_queue_rps_flow_entries",
    "rx_queue_rps_map",
    "take_snapshot",
    "target_kind",
    "target_types",
    "veth_peer",
    "veth_priv",
    "veth_rq_has_napi",
    "veth_rq_xdp_prog",
    "veth_rqs",
)
