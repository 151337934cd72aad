# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Pins of BPF links
-----------------

The files in a bpffs that hold BPF links. Follows kernel/bpf/inode.c.
"""

from collections.abc import Iterator
from typing import NamedTuple

from drgn import Object, Program, offsetof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..readers.bounded import bounded_hlist, bounded_nodes
from .mounts import Mounts

__all__ = ("LinkPin", "bpf_link_pins", "for_each_bpf_link_pin")

_MAX_SUPER_BLOCKS = 1 << 16
_MAX_NAMES = 1 << 10  # of one file


class _LinkFiles:
    # The files in bpffs that hold links.
    def __init__(self, prog: Program, addresses: set[int]) -> None:
        self._prog = prog
        self._addresses = addresses
        inode = prog.type("struct inode")
        self._list = offsetof(inode, "i_sb_list")
        self._op = offsetof(inode, "i_op")
        self._private = offsetof(inode, "i_private")
        self._dentries = offsetof(inode, "i_dentry.first")
        dentry = prog.type("struct dentry")
        # Since Linux kernel commit 3b7d764a37d0 ("struct dentry: make ->d_u
        # anonymous") (in v7.1).
        try:
            self._alias = offsetof(dentry, "d_alias")
        except LookupError:
            self._alias = offsetof(dentry, "d_u.d_alias")
        self._operations = prog["bpf_link_iops"].address_of_().value_()

    def super_blocks(self) -> Iterator[Object]:
        """Iterate over the super blocks of bpffs."""
        type = self._prog.type("struct super_block *")
        offset = offsetof(type.type, "s_instances")
        head = self._prog["bpf_fs_type"].fs_supers.address_of_().value_()
        for node in bounded_hlist(self._prog, head, limit=_MAX_SUPER_BLOCKS):
            yield Object(self._prog, type, node - offset)

    def _link(self, inode: int) -> int:
        # Address of the link that a file holds, 0 if it is none that is wanted.
        read = self._prog.read_word
        if read(inode + self._op) != self._operations:
            return 0
        link = read(inode + self._private)
        return link if link in self._addresses else 0

    def of_super_block(self, sb: Object) -> Iterator[tuple[int, Maybe[int]]]:
        """Iterate over its inodes, each with the link that it holds."""

        def entry(node: int) -> tuple[int, Maybe[int]]:
            inode = node - self._list
            return inode, attempt(self._link, inode)

        head = sb.s_inodes.address_of_().value_()
        return bounded_nodes(self._prog, head, entry)

    def names(self, inode: int) -> Iterator[int]:
        """Iterate over the dentries of an inode: one, unless there are hard links."""
        head = inode + self._dentries
        for node in bounded_hlist(self._prog, head, limit=_MAX_NAMES):
            yield node - self._alias


class LinkPin(NamedTuple):
    """A file in a bpffs that holds a BPF link."""

    link: int  #: Address of the ``struct bpf_link``
    #: Sorted: one, unless it has hard links, or none if it was removed while in use.
    paths: tuple[str, ...]
    here: bool  #: Whether the first process sees it at these paths


@takes_program_or_default
def for_each_bpf_link_pin(prog: Program, addresses: set[int]) -> Iterator[LinkPin]:
    """
    Iterate over the files that hold some BPF links: each has one reference.

    :param addresses: Addresses of ``struct bpf_link``
    :return: Iterator of files. The paths are from the root of the first process, or if
        that does not see the file, from the root of another mount namespace, or of the
        bpffs if that is not mounted.
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached
    """
    if not addresses:
        return
    mounts = Mounts(prog)
    files = _LinkFiles(prog, addresses)
    salvage = Salvage("files of bpffs: ")
    for sb in salvage.walk(files.super_blocks()):
        for inode, link in salvage.walk(files.of_super_block(sb)):
            if isinstance(link, Unreadable):
                salvage.lose(link.reason)
            elif link:
                paths: list[str] = []
                here = True
                for dentry in salvage.walk(files.names(inode)):
                    found = salvage.read(mounts.path_anywhere, sb, dentry)
                    if found is not None and found[0] is not None:
                        paths.append(decode(found[0]))
                        here = here and found[1]
                yield LinkPin(link, tuple(sorted(paths)), here)
    salvage.finish()


@takes_program_or_default
def bpf_link_pins(prog: Program, addresses: set[int]) -> dict[int, tuple[str, ...]]:
    """
    Return where some BPF links are pinned: see :func:`for_each_bpf_link_pin()`.

    :param addresses: Addresses of ``struct bpf_link``
    :return: Sorted paths by address; nothing for a link that is not pinned
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: if not all could be reached
    """
    found: dict[int, list[str]] = {}
    for pin in for_each_bpf_link_pin(prog, addresses):
        found.setdefault(pin.link, []).extend(pin.paths)
    return {link: tuple(sorted(paths)) for link, paths in found.items()}
