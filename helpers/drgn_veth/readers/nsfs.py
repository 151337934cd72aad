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

from drgn import NULL, Object, Program, cast

__all__ = ("NetNsFiles", "netns_name", "nsfs_inode_net_ns")

_CLONE_NEWNET = 0x40000000
_NETNS = re.compile(r"(?:/var)?/run/netns/([^/]+)")


def _is_net(ns: Object) -> bool:
    # Since Linux kernel commit 4055526d3574 ("ns: move ns type into struct
    # ns_common") (in v6.18).
    try:
        return ns.ns_type.value_() == _CLONE_NEWNET
    except AttributeError:
        return ns.ops.type.value_() == _CLONE_NEWNET


class NetNsFiles:
    """
    Tells which files represent network namespaces. What that takes of the kernel is
    looked up once.

    :raises LookupError: if the kernel has no such variables or types
    """

    def __init__(self, prog: Program) -> None:
        self._operations = prog["ns_file_operations"].address_of_()
        self._pointer = prog.type("struct ns_common *")
        self._none = NULL(prog, self._pointer)

    def net_ns(self, inode: Object) -> Object:
        """
        Return the network namespace that a file represents: see
        :func:`nsfs_inode_net_ns()`.

        :param inode: ``struct inode *``, may be ``NULL``
        :return: ``struct ns_common *``, may be ``NULL``
        """
        if not inode or inode.i_fop != self._operations:
            return self._none
        ns = cast(self._pointer, inode.i_private.read_())
        return ns if ns and _is_net(ns) else self._none


def nsfs_inode_net_ns(inode: Object) -> Object:
    """
    Return the network namespace that a file represents, as get_proc_ns() does
    (include/linux/proc_ns.h).

    :param inode: ``struct inode *``, may be ``NULL``
    :return: ``struct ns_common *``, ``NULL`` for any other file, or for a namespace of
        another kind
    :raises LookupError: if the kernel has no such variables or types
    """
    return NetNsFiles(inode.prog_).net_ns(inode)


def netns_name(path: str) -> Optional[str]:
    """
    Return the name that ``ip netns`` shows for a namespace that is mounted on a file,
    None if ``ip netns`` does not look there.

    :param path: Absolute path
    """
    match = _NETNS.fullmatch(path)
    return match.group(1) if match else None
