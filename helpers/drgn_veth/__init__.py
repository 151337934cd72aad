# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn helpers for veth, XDP and RPS
----------------------------------

``from drgn_veth import *`` at a drgn prompt gives the readers, which take and return
drgn objects, :func:`~drgn_veth.snapshot.take_snapshot()`, and what is made of a
Snapshot: :class:`~drgn_veth.analysis.attach.predictor.Predictor`.
"""

# ruff: noqa: E402
from drgn_veth_start import check_module

check_module()

from types import FunctionType

from .analysis.attach.predictor import Predictor
from .core.arguments import checked
from .core.version import VERSION
from .disasm.veth_poll import veth_poll_members
from .disasm.xdp_messages import messages_in, xdp_message_places
from .readers.adjacent import (
    netdev_for_each_lower_dev,
    netdev_for_each_upper_dev,
    netdev_master_upper_dev_get,
)
from .readers.bonding import bond_mode, bond_priv, bond_xmit_policy
from .readers.bpf_extension import bpf_prog_attach_func_name, for_each_bpf_extension
from .readers.bpf_insn import (
    bpf_prog_calls,
    bpf_prog_has_tail_calls,
    bpf_prog_may_call,
)
from .readers.bpf_link import bpf_link_id, for_each_xdp_link, xdp_link_refs
from .readers.bpf_map import (
    bpf_map_id,
    bpf_map_name,
    bpf_map_type,
    for_each_inner_map,
    for_each_prog_in_array,
    for_each_used_map,
)
from .readers.bpf_mprog import for_each_mprog_prog
from .readers.bpf_prog import (
    bpf_prog_bound_netdev,
    bpf_prog_expected_attach_type,
    bpf_prog_has_frags,
    bpf_prog_id,
    bpf_prog_is_dev_bound,
    bpf_prog_is_offloaded,
    bpf_prog_jited,
    bpf_prog_load_time,
    bpf_prog_maps_may_have_programs,
    bpf_prog_name,
    bpf_prog_tag,
    bpf_prog_uid,
    for_each_xdp_prog,
)
from .readers.bridge import br_port_get, br_port_state
from .readers.cgroup import cgroup_path_bounded, for_each_task_cgroup
from .readers.cleanup_net import (
    cleanup_net_worker,
    for_each_net_beside,
    for_each_net_in_cleanup,
)
from .readers.cls_bpf import for_each_cls_bpf_prog, for_each_miniq_filter
from .readers.cpumap import (
    cpumap_entry_prog,
    cpumap_entry_qsize,
    for_each_cpumap_entry,
)
from .readers.cpumask import nr_cpu_ids, num_possible_cpus, online_cpus
from .readers.crash import crash_time
from .readers.dev_stats import dev_get_stats
from .readers.devmap import devmap_entry_dev, devmap_entry_prog, for_each_devmap_entry
from .readers.driver import (
    ethtool_op,
    netdev_driver_name,
    netdev_op,
    netdev_tcp_data_split,
    rx_queue_memory_provider,
)
from .readers.files import (
    file_bpf_link,
    file_net,
    file_socket,
    for_each_file_bounded,
    sock_net,
)
from .readers.fq_codel import codel_enqueue_time, for_each_fq_codel_flow
from .readers.gro import napi_gro_held
from .readers.inet import in_dev_for_each_ifa, in_dev_get, netdev_inet_addresses
from .readers.inet6 import in6_dev_for_each_ifa, in6_dev_get, netdev_inet6_addresses
from .readers.ipvlan import ipvlan_flags, ipvlan_mode, ipvlan_port
from .readers.isolation import isolated_cpus
from .readers.link_state import dev_get_flags, netdev_flag_names, netdev_operstate
from .readers.macvlan import macvlan_dev_mode, macvlan_priv
from .readers.netdev import netdev_address, netdev_kind
from .readers.netdev_names import for_each_altname, netdev_alias
from .readers.netkit import (
    NETKIT_KIND,
    for_each_netkit_prog,
    netkit_is_primary,
    netkit_mode,
    netkit_peer,
    netkit_policy,
    netkit_priv,
)
from .readers.netns import (
    dev_net,
    for_each_net_bounded,
    for_each_netdev_bounded,
    for_each_peernet,
    net_inum,
    net_is_dying,
    net_is_init,
    net_refcount,
)
from .readers.nsfs import netns_name, nsfs_inode_net_ns
from .readers.nsproxy import nsproxy_nodename, task_net
from .readers.peer import netdev_peer
from .readers.ptr_ring import for_each_ptr_ring_entry, ptr_ring_used
from .readers.qdisc import (
    for_each_netdev_qdisc,
    netdev_qdisc_id,
    pfifo_fast_bands,
    qdisc_priv,
)
from .readers.qdisc_stats import netdev_qdisc_stats
from .readers.queues import (
    netdev_num_rx_queues,
    netdev_num_tx_queues,
    netdev_real_num_rx_queues,
    netdev_real_num_tx_queues,
    netdev_rx_queue,
    netdev_txq_to_tc,
)
from .readers.ref_tracker import for_each_netdev_tracker, ref_tracker_stack
from .readers.reg_state import netdev_reg_state
from .readers.rps import (
    net_rps_default_mask,
    netdev_rps_flow_entries,
    netdev_rps_map,
    rps_map_cpus,
    rps_sock_flow_entries,
    rx_queue_rps_flow_entries,
    rx_queue_rps_map,
)
from .readers.rtnl import rtnl_owner
from .readers.skb import skb_queue_walk
from .readers.softnet import softnet_data, softnet_stat
from .readers.task import for_each_net_task, net_for_pid, task_comm
from .readers.tcx import for_each_tcx_prog, netdev_miniq, netdev_tcx_entry
from .readers.tun import for_each_tun_file
from .readers.unregister import (
    for_each_netdev_chained,
    for_each_netdev_on_stack,
    for_each_netdev_todo,
    netdev_refcnt_read,
)
from .readers.veth import (
    VETH_KIND,
    veth_peer,
    veth_priv,
    veth_rq_has_napi,
    veth_rq_poll,
    veth_rq_xdp_prog,
    veth_rqs,
)
from .readers.veth_stats import veth_stats
from .readers.virtio_net import virtio_net_features
from .readers.vlan import vlan_dev_priv, vlan_dev_vlan_id, vlan_dev_vlan_proto
from .readers.xdp import XdpMode, dev_xdp_link, dev_xdp_prog
from .readers.xps import (
    XPS_CPUS,
    XPS_RXQS,
    netdev_xps_cpus,
    netdev_xps_maps,
    netdev_xps_queues,
    netdev_xps_rxqs,
)
from .readers.xsk import (
    for_each_xdp_sock,
    xdp_sock_state,
    xsk_get_pool_from_qid,
    xsk_queue_counts,
)
from .readers.xskmap import for_each_xskmap_entry
from .snapshot import take_snapshot
from .snapshot.find import find_net, find_netdev
from .snapshot.link_pins import bpf_link_pins
from .snapshot.net_mounts import for_each_net_mount, net_mounts
from .snapshot.net_tasks import net_processes, net_tasks
from .snapshot.target import read_target, target_kind, target_types
from .snapshot.task_containers import task_container

__version__ = VERSION

# Names that these helpers had before they were called as the kernel calls them, kept
# for those who use them. num_possible_cpus() is not exported: drgn has its own.
bpf_prog_dev_bound = bpf_prog_is_dev_bound
bpf_prog_offload_requested = bpf_prog_is_offloaded
netdev_flags = dev_get_flags
netdev_lowers = netdev_for_each_lower_dev
netdev_master = netdev_master_upper_dev_get
netdev_net = dev_net
netdev_uppers = netdev_for_each_upper_dev
netdev_xdp_link = dev_xdp_link
netdev_xdp_prog = dev_xdp_prog
possible_cpus = num_possible_cpus

__all__ = (
    "NETKIT_KIND",
    "Predictor",
    "VETH_KIND",
    "XPS_CPUS",
    "XPS_RXQS",
    "XdpMode",
    "bond_mode",
    "bond_priv",
    "bond_xmit_policy",
    "bpf_link_id",
    "bpf_link_pins",
    "bpf_map_id",
    "bpf_map_name",
    "bpf_map_type",
    "bpf_prog_attach_func_name",
    "bpf_prog_bound_netdev",
    "bpf_prog_calls",
    "bpf_prog_dev_bound",
    "bpf_prog_expected_attach_type",
    "bpf_prog_has_frags",
    "bpf_prog_has_tail_calls",
    "bpf_prog_id",
    "bpf_prog_is_dev_bound",
    "bpf_prog_is_offloaded",
    "bpf_prog_jited",
    "bpf_prog_load_time",
    "bpf_prog_maps_may_have_programs",
    "bpf_prog_may_call",
    "bpf_prog_name",
    "bpf_prog_offload_requested",
    "bpf_prog_tag",
    "bpf_prog_uid",
    "br_port_get",
    "br_port_state",
    "cgroup_path_bounded",
    "cleanup_net_worker",
    "codel_enqueue_time",
    "cpumap_entry_prog",
    "cpumap_entry_qsize",
    "crash_time",
    "dev_get_flags",
    "dev_get_stats",
    "dev_net",
    "dev_xdp_link",
    "dev_xdp_prog",
    "devmap_entry_dev",
    "devmap_entry_prog",
    "ethtool_op",
    "file_bpf_link",
    "file_net",
    "file_socket",
    "find_net",
    "find_netdev",
    "for_each_altname",
    "for_each_bpf_extension",
    "for_each_cls_bpf_prog",
    "for_each_cpumap_entry",
    "for_each_devmap_entry",
    "for_each_file_bounded",
    "for_each_fq_codel_flow",
    "for_each_inner_map",
    "for_each_miniq_filter",
    "for_each_mprog_prog",
    "for_each_net_beside",
    "for_each_net_bounded",
    "for_each_net_in_cleanup",
    "for_each_net_mount",
    "for_each_net_task",
    "for_each_netdev_bounded",
    "for_each_netdev_chained",
    "for_each_netdev_on_stack",
    "for_each_netdev_qdisc",
    "for_each_netdev_todo",
    "for_each_netdev_tracker",
    "for_each_netkit_prog",
    "for_each_peernet",
    "for_each_prog_in_array",
    "for_each_ptr_ring_entry",
    "for_each_task_cgroup",
    "for_each_tcx_prog",
    "for_each_tun_file",
    "for_each_used_map",
    "for_each_xdp_link",
    "for_each_xdp_prog",
    "for_each_xdp_sock",
    "for_each_xskmap_entry",
    "in6_dev_for_each_ifa",
    "in6_dev_get",
    "in_dev_for_each_ifa",
    "in_dev_get",
    "ipvlan_flags",
    "ipvlan_mode",
    "ipvlan_port",
    "isolated_cpus",
    "macvlan_dev_mode",
    "macvlan_priv",
    "messages_in",
    "napi_gro_held",
    "net_for_pid",
    "net_inum",
    "net_is_dying",
    "net_is_init",
    "net_mounts",
    "net_processes",
    "net_refcount",
    "net_rps_default_mask",
    "net_tasks",
    "netdev_address",
    "netdev_alias",
    "netdev_driver_name",
    "netdev_flag_names",
    "netdev_flags",
    "netdev_for_each_lower_dev",
    "netdev_for_each_upper_dev",
    "netdev_inet6_addresses",
    "netdev_inet_addresses",
    "netdev_kind",
    "netdev_lowers",
    "netdev_master",
    "netdev_master_upper_dev_get",
    "netdev_miniq",
    "netdev_net",
    "netdev_num_rx_queues",
    "netdev_num_tx_queues",
    "netdev_op",
    "netdev_operstate",
    "netdev_peer",
    "netdev_qdisc_id",
    "netdev_qdisc_stats",
    "netdev_real_num_rx_queues",
    "netdev_real_num_tx_queues",
    "netdev_refcnt_read",
    "netdev_reg_state",
    "netdev_rps_flow_entries",
    "netdev_rps_map",
    "netdev_rx_queue",
    "netdev_tcp_data_split",
    "netdev_tcx_entry",
    "netdev_txq_to_tc",
    "netdev_uppers",
    "netdev_xdp_link",
    "netdev_xdp_prog",
    "netdev_xps_cpus",
    "netdev_xps_maps",
    "netdev_xps_queues",
    "netdev_xps_rxqs",
    "netkit_is_primary",
    "netkit_mode",
    "netkit_peer",
    "netkit_policy",
    "netkit_priv",
    "netns_name",
    "nr_cpu_ids",
    "nsfs_inode_net_ns",
    "nsproxy_nodename",
    "online_cpus",
    "pfifo_fast_bands",
    "possible_cpus",
    "ptr_ring_used",
    "qdisc_priv",
    "read_target",
    "ref_tracker_stack",
    "rps_map_cpus",
    "rps_sock_flow_entries",
    "rtnl_owner",
    "rx_queue_memory_provider",
    "rx_queue_rps_flow_entries",
    "rx_queue_rps_map",
    "skb_queue_walk",
    "sock_net",
    "softnet_data",
    "softnet_stat",
    "take_snapshot",
    "target_kind",
    "target_types",
    "task_comm",
    "task_container",
    "task_net",
    "veth_peer",
    "veth_poll_members",
    "veth_priv",
    "veth_rq_has_napi",
    "veth_rq_poll",
    "veth_rq_xdp_prog",
    "veth_rqs",
    "veth_stats",
    "virtio_net_features",
    "vlan_dev_priv",
    "vlan_dev_vlan_id",
    "vlan_dev_vlan_proto",
    "xdp_link_refs",
    "xdp_message_places",
    "xdp_sock_state",
    "xsk_get_pool_from_qid",
    "xsk_queue_counts",
)

# What a user calls says so if an argument is of another type. A Snapshot calls the
# functions where they are defined, and does not pay for it.
_checked = {
    value: checked(value)
    for value in (globals()[name] for name in __all__)
    if isinstance(value, FunctionType)
}
globals().update(
    {
        name: _checked[globals()[name]]
        for name in __all__
        if isinstance(globals()[name], FunctionType)
    }
)
