# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP links
---------

Who keeps a BPF link: files in a bpffs, and processes. Follows kernel/bpf/syscall.c,
kernel/bpf/inode.c and net/core/dev.c.
"""

from typing import Dict, Iterator, List, NamedTuple, Set, Tuple, TypeVar

from drgn import Object, Program, container_of, offsetof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import WalkError, attempt, is_read_error, reason
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from .idr import for_each_idr_pointer
from .mounts import Mounts, list_node
from .walk import bounded_hlist, bounded_list

__all__ = (
    "LinkPin",
    "bpf_link_pins",
    "for_each_bpf_link_pin",
    "for_each_xdp_link",
    "xdp_link_refs",
)

T = TypeVar("T")

_MAX_SUPER_BLOCKS = 1 << 16
_MAX_NAMES = 1 << 10  # of one file


@takes_program_or_default
def for_each_xdp_link(prog: Program) -> Iterator[Object]:
    """
    Iterate over the BPF links that were made to attach XDP programs
    (``link_idr``): also over one that is not settled yet, whose ``link.id`` is 0,
    and over those whose device is gone, whose ``dev`` is ``NULL``.

    :return: Iterator of ``struct bpf_xdp_link *`` objects.
    :raises LookupError: if the kernel has no BPF links
    :raises WalkError: after all that could be reached
    """
    idr = prog["link_idr"]
    try:
        prog.type("struct bpf_xdp_link")
    except LookupError:  # Before v5.9 no link is one of XDP.
        return
    xdp = prog.constant("BPF_LINK_TYPE_XDP").value_()
    pointer = prog.type("struct bpf_link *")
    broken = ""
    for address in for_each_idr_pointer(idr):
        link = Object(prog, pointer, address)
        type = attempt(lambda link=link: link.type.value_())
        if isinstance(type, Unreadable):
            broken = type.reason
        elif type == xdp:
            yield container_of(link, "struct bpf_xdp_link", "link")
    if broken:
        raise WalkError(f"a link: {broken}")


def xdp_link_refs(link: Object) -> int:
    """
    Return how many hold a link: each file in a bpffs, each open file description of a
    process, and the kernel while it works on it.

    :param link: ``struct bpf_xdp_link *``
    :return: ``bpf_link.refcnt``; 0 if it is being freed
    """
    return link.link.refcnt.counter.value_()


class _LinkFiles:
    # The files in bpffs that hold links.
    def __init__(self, prog: Program, addresses: Set[int]) -> None:
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

    def of_super_block(self, sb: Object) -> Iterator[Tuple[int, Maybe[int]]]:
        """Iterate over its inodes, each with the link that it holds."""
        prog = self._prog

        def read(node: int) -> Tuple[Maybe[int], Maybe[int], Tuple[int, Maybe[int]]]:
            inode = node - self._list
            return (*list_node(prog, node), (inode, attempt(self._link, inode)))

        head = sb.s_inodes.address_of_().value_()
        return bounded_list(head, *list_node(prog, head), read)

    def names(self, inode: int) -> Iterator[int]:
        """Iterate over the dentries of an inode: one, unless there are hard links."""
        head = inode + self._dentries
        for node in bounded_hlist(self._prog, head, limit=_MAX_NAMES):
            yield node - self._alias


class LinkPin(NamedTuple):
    """A file in a bpffs that holds a BPF link."""

    link: int  #: Address of the ``struct bpf_link``
    #: Sorted: one, unless it has hard links, or none if it was removed while in use.
    paths: Tuple[str, ...]
    here: bool  #: Whether the first process sees it by these paths


@takes_program_or_default
def for_each_bpf_link_pin(prog: Program, addresses: Set[int]) -> Iterator[LinkPin]:
    """
    Iterate over the files that hold some BPF links: each takes one reference.

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
    broken = ""

    def whole(walk: Iterator[T]) -> Iterator[T]:
        nonlocal broken
        try:
            yield from walk
        except Exception as e:
            if not is_read_error(e):
                raise
            broken = reason(e)

    for sb in whole(files.super_blocks()):
        for inode, link in whole(files.of_super_block(sb)):
            if isinstance(link, Unreadable):
                broken = link.reason
            elif link:
                paths: List[str] = []
                here = True
                for dentry in whole(files.names(inode)):
                    found = attempt(mounts.path_anywhere, sb, dentry)
                    if isinstance(found, Unreadable):
                        broken = found.reason
                        continue
                    path, seen = found
                    if path is not None:
                        paths.append(decode(path))
                        here = here and seen
                yield LinkPin(link, tuple(sorted(paths)), here)
    if broken:
        raise WalkError(f"files of bpffs: {broken}")


@takes_program_or_default
def bpf_link_pins(prog: Program, addresses: Set[int]) -> Dict[int, Tuple[str, ...]]:
    """
    Return where some BPF links are pinned: see :func:`for_each_bpf_link_pin()`.

    :param addresses: Addresses of ``struct bpf_link``
    :return: Sorted paths by address; nothing for a link that is not pinned
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: if not all could be reached
    """
    found: Dict[int, List[str]] = {}
    for pin in for_each_bpf_link_pin(prog, addresses):
        found.setdefault(pin.link, []).extend(pin.paths)
    return {link: tuple(sorted(paths)) for link, paths in found.items()}
