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

from drgn import Object, Program, offsetof

__all__ = ("NetNsFiles", "netns_name", "nsfs_inode_net_ns")

_CLONE_NEWNET = 0x40000000
_NETNS = re.compile(r"(?:/var)?/run/netns/([^/]+)")


class NetNsFiles:
    """
    Tells which files represent network namespaces. What that takes of the kernel is
    looked up once.

    :raises LookupError: if the kernel has no such variables or types
    """

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._operations = prog["ns_file_operations"].address_of_().value_()
        inode, ns = prog.type("struct inode"), prog.type("struct ns_common")
        self._i_fop = offsetof(inode, "i_fop")
        self._i_private = offsetof(inode, "i_private")
        self._d_inode = offsetof(prog.type("struct dentry"), "d_inode")
        self._inum = offsetof(ns, "inum")
        # Since Linux kernel commit 4055526d3574 ("ns: move ns type into struct
        # ns_common") (in v6.18).
        self._ns_type: Optional[int] = None
        self._ops = self._ops_type = 0
        if ns.has_member("ns_type"):
            self._ns_type = offsetof(ns, "ns_type")
        else:
            self._ops = offsetof(ns, "ops")
            self._ops_type = offsetof(prog.type("struct proc_ns_operations"), "type")

    def _is_net(self, ns: int) -> bool:
        read = self._prog.read_u32
        if self._ns_type is not None:
            return read(ns + self._ns_type) == _CLONE_NEWNET
        ops = self._prog.read_word(ns + self._ops)
        return read(ops + self._ops_type) == _CLONE_NEWNET

    def net_ns(self, inode: int) -> int:
        """
        Return the network namespace that a file represents: see
        :func:`nsfs_inode_net_ns()`.

        :param inode: Address of a ``struct inode``, may be 0
        :return: Address of a ``struct ns_common``, 0 for any other file
        """
        read = self._prog.read_word
        if not inode or read(inode + self._i_fop) != self._operations:
            return 0
        ns = read(inode + self._i_private)
        return ns if ns and self._is_net(ns) else 0

    def inum(self, dentry: int) -> Optional[int]:
        """
        Return the inode number of the network namespace that a file represents.

        :param dentry: Address of a ``struct dentry``
        :return: None for any other file
        """
        ns = self.net_ns(self._prog.read_word(dentry + self._d_inode))
        return self._prog.read_u32(ns + self._inum) if ns else None


def nsfs_inode_net_ns(inode: Object) -> Object:
    """
    Return the network namespace that a file represents, as get_proc_ns() does
    (include/linux/proc_ns.h).

    :param inode: ``struct inode *``, may be ``NULL``
    :return: ``struct ns_common *``, ``NULL`` for any other file, or for a namespace of
        another kind
    :raises LookupError: if the kernel has no such variables or types
    """
    prog = inode.prog_
    ns = NetNsFiles(prog).net_ns(inode.value_())
    return Object(prog, "struct ns_common *", ns)


def netns_name(path: str) -> Optional[str]:
    """
    Return the name that ``ip netns`` shows for a namespace that is mounted on a file,
    None if ``ip netns`` does not look there.

    :param path: Absolute path
    """
    match = _NETNS.fullmatch(path)
    return match.group(1) if match else None
