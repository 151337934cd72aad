# SPDX-License-Identifier: LGPL-2.1-or-later
"""
RTNL
----

The lock that every change to a network device takes (net/core/rtnetlink.c). If nobody
holds it, an inconsistent state is not just a change in progress.

Upstream: the case of CONFIG_PREEMPT_RT, for drgn's ``mutex_owner()``.
"""

from drgn import Object, Program, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from .task import check_task
from .unregister import netdev_initial_refcnt

__all__ = ("has_rtnl_nets", "rtnl_owner", "takes_new_ifindex")

_MUTEX_FLAGS = 0x7
_RT_MUTEX_HAS_WAITERS = 0x1


@takes_program_or_default
def has_rtnl_nets(prog: Program) -> bool:
    """
    Return whether requests name the network namespaces whose lock they take. Then
    do_setlink() looks first whether a device is to go to another one.
    """
    # Both in v6.13.
    try:
        prog.type("struct rtnl_nets")
    except LookupError:
        return False
    return True


@takes_program_or_default
def takes_new_ifindex(prog: Program) -> bool:
    """
    Return whether a device that goes to another network namespace may be given an
    ifindex there (``IFLA_NEW_IFINDEX``).

    :raises ValueError: if that cannot be told
    """
    # Since Linux kernel commit eeb85a14ee34 ("net: Allow to specify ifindex when device
    # is moved to another namespace") (in v5.13). xps_maps is of v5.13, too: commit
    # 044ab86d431b ("net: move the xps maps to an array").
    if netdev_initial_refcnt(prog) == 1:
        return True
    if prog.type("struct net_device").has_member("xps_cpus_map"):
        return False
    raise ValueError("without CONFIG_XPS, types do not tell v5.12 from v5.13")


@takes_program_or_default
def rtnl_owner(prog: Program) -> Object:
    """
    Return the task that holds ``rtnl_mutex``: see __mutex_owner()
    (kernel/locking/mutex.c) and rt_mutex_owner() (kernel/locking/rtmutex_common.h).

    :return: ``struct task_struct *``, ``NULL`` if it is free. During a handoff, the
        task that gets it.
    :raises LookupError: if the kernel has no variable ``rtnl_mutex``
    :raises AttributeError: if this kernel's mutex does not record its owner
    :raises ValueError: if what it records is no task
    """
    mutex = prog["rtnl_mutex"]
    try:
        owner = mutex.owner.counter.value_() & ~_MUTEX_FLAGS
    except AttributeError:
        # With CONFIG_PREEMPT_RT a mutex is an rt_mutex.
        # Since Linux kernel commit bb630f9f7a7d ("locking/rtmutex: Add mutex variant
        # for RT") (in v5.15). Before, in the RT patches, its member was called lock.
        try:
            lock = mutex.rtmutex
        except AttributeError:
            lock = mutex.lock
        owner = lock.owner.value_() & ~_RT_MUTEX_HAS_WAITERS
    pointer = prog.type("struct task_struct *")
    # atomic_long_t is signed.
    task = Object(prog, pointer, owner & ((1 << 8 * sizeof(pointer)) - 1))
    return check_task(task) if task else task
