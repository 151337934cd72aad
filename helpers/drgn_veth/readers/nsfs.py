# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Files of namespaces
-------------------

A network namespace has no name. ``ip netns`` uses the name of the file that it is
mounted on. Follows fs/nsfs.c.

Upstream: all.
"""

import re
from typing import Optional

from drgn import NULL, Object, cast

__all__ = ("netns_name", "nsfs_inode_net_ns")

_CLONE_NEWNET = 0x40000000
_NETNS = re.compile(r"(?:/var)?/run/netns/([^/]+)")


def _is_net(ns: Object) -> bool:
    # Since Linux kernel commit 4055526d3574 ("ns: move ns type into struct
    # ns_common") (in v6.18).
    try:
        return ns.ns_type.value_() == _CLONE_NEWNET
    except AttributeError:
        return ns.ops.type.value_() == _CLONE_NEWNET


def nsfs_inode_net_ns(inode: Object) -> Object:
    """
    Return the network namespace that a file represents, as get_proc_ns() does
    (include/linux/proc_ns.h).

    :param inode: ``struct inode *``, may be ``NULL``
    :return: ``struct ns_common *``, ``NULL`` for any other file, or for a namespace of
        another kind
    """
    none = NULL(inode.prog_, "struct ns_common *")
    if not inode or inode.i_fop != inode.prog_["ns_file_operations"].address_of_():
        return none
    ns = cast("struct ns_common *", inode.i_private.read_())
    return ns if ns and _is_net(ns) else none


def netns_name(path: str) -> Optional[str]:
    """
    Return the name that ``ip netns`` shows for a namespace that is mounted on a file,
    None if ``ip netns`` does not look there.

    :param path: Absolute path
    """
    match = _NETNS.fullmatch(path)
    return match.group(1) if match else None
