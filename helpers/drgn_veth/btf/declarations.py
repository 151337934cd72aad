# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the readers look up
------------------------

BTF describes types, functions and per-CPU variables, but not other variables. This is
the one place that declares those. A variable that a kernel does not have, or whose type
it does not have, does no harm.
"""

from collections.abc import Mapping

__all__ = ("MODULE_TYPES", "OPTIONAL_MODULE_TYPES", "SYMBOLS", "VARIABLES")

# What the readers look up, what the drgn helpers that they call look up, and
# what is wanted at a drgn prompt before anything else.
VARIABLES: Mapping[str, str] = {
    "__cpu_active_mask": "struct cpumask",
    "__cpu_online_mask": "struct cpumask",
    "__cpu_possible_mask": "struct cpumask",
    "__cpu_present_mask": "struct cpumask",
    "__num_online_cpus": "atomic_t",
    "__per_cpu_offset": "unsigned long []",
    "_totalram_pages": "atomic_long_t",
    "bpf_fs_type": "struct file_system_type",
    "bpf_link_fops": "const struct file_operations",
    "bpf_link_fops_poll": "const struct file_operations",
    "bpf_link_iops": "const struct inode_operations",
    "btf_modules": "struct list_head",
    # From v6.9 on; before, it is a member of struct net.
    "dev_unreg_count": "atomic_t",
    # From v5.18 on; before, the next two.
    "housekeeping": "struct housekeeping",
    "housekeeping_flags": "unsigned int",
    "housekeeping_mask": "cpumask_var_t",
    "init_net": "struct net",
    "init_pid_ns": "struct pid_namespace",
    "init_task": "struct task_struct",
    "init_user_ns": "struct user_namespace",
    "init_uts_ns": "struct uts_namespace",
    "link_idr": "struct idr",
    "map_idr": "struct idr",
    "modules": "struct list_head",
    "net_cachep": "struct kmem_cache *",
    "net_cleanup_work": "struct work_struct",
    "net_hotdata": "struct net_hotdata",
    "net_namespace_list": "struct list_head",
    "net_todo_list": "struct list_head",
    "nr_cpu_ids": "unsigned int",
    "nr_threads": "int",
    "ns_file_operations": "const struct file_operations",
    "nsfs_mnt": "struct vfsmount *",
    "pernet_ops_rwsem": "struct rw_semaphore",
    "prog_idr": "struct idr",
    # Up to v6.8; then it is a member of net_hotdata.
    "rps_sock_flow_table": "struct rps_sock_flow_table *",
    "rtnl_mutex": "struct mutex",
    "softnet_data": "struct softnet_data",
    "socket_file_ops": "const struct file_operations",
    "super_blocks": "struct list_head",
    # Where they are no modules.
    "tap_fops": "const struct file_operations",
    "tun_fops": "const struct file_operations",
}

# Types of modules that the readers use, and the module that has each.
MODULE_TYPES: tuple[tuple[str, str], ...] = (("struct veth_priv", "veth"),)

# Those that only few devices need: their values say when they are missing.
OPTIONAL_MODULE_TYPES: tuple[tuple[str, str], ...] = (
    ("struct bonding", "bonding"),
    ("struct ipvl_dev", "ipvlan"),
    ("struct macvlan_dev", "macvlan"),
    ("struct net_bridge_port", "bridge"),
    ("struct tun_file", "tun"),
    ("struct tun_struct", "tun"),
    ("struct virtnet_info", "virtio_net"),
    ("struct vlan_dev_priv", "8021q"),
    # Up to v6.6; then it is the kernel's own.
    ("struct pcpu_dstats", "vrf"),
)

# What the readers look up as symbols. No module has them. First, functions whose code
# they look at, with the names that compilers give them: see drgn_veth.core.messages.
# Of the others, they want only to know where they are.
SYMBOLS = frozenset(
    (
        *(
            name + suffix
            for name in (
                *("dev_change_xdp_fd", "dev_xdp_attach", "dev_xdp_install"),
                "ethnl_set_channels",
            )
            for suffix in ("", ".isra.0", ".constprop.0", ".part.0")
        ),
        *("netdev_run_todo", "dev_get_tstats64", "ip_tunnel_get_stats64"),
        *("__bpf_call_base", "bpf_xdp_redirect", "__stack_chk_fail"),
        *("__bpf_call_base.cfi_jt", "bpf_xdp_redirect.cfi_jt"),
        *("__start_init_stack", "__end_init_stack"),
        *("__start_init_task", "__end_init_task"),
    )
)
