# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Mounts of network namespaces
----------------------------

The files that network namespaces are mounted on, which give them their names.
"""

from collections.abc import Iterator
from typing import Optional

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.salvage import Salvage
from ..core.text import decode
from ..readers.nsfs import NetNsFiles
from .mounts import Mount, Mounts

__all__ = ("for_each_net_mount", "net_mounts")


class _Files:
    # What takes a look-up is looked up once a walk.
    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._pointer = prog.type("struct dentry *")
        self._files = NetNsFiles(prog)

    def inum(self, dentry: int) -> Optional[int]:
        """Return the number of the network namespace that a file represents."""
        inode = Object(self._prog, self._pointer, dentry).d_inode.read_()
        ns = self._files.net_ns(inode)
        return ns.inum.value_() if ns else None


@takes_program_or_default
def for_each_net_mount(prog: Program) -> Iterator[tuple[int, str]]:
    """
    Iterate over the files on which network namespaces are mounted.

    Only those that the first process sees: a path in another mount namespace, such as a
    container's, leads nowhere from outside, or somewhere else. It skips internal mounts
    of the kernel, lazily unmounted ones, and those on a file that is gone.

    :return: Iterator of the inode number of the namespace and the absolute path of the
        file
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached
    """
    mounts = Mounts(prog)
    first = mounts.first_namespace()
    salvage = Salvage("mounts of network namespaces: ")
    # By what is mounted, and on which file.
    seen: dict[tuple[int, int], list[Mount]] = {}
    super_block = prog["nsfs_mnt"].mnt_sb
    for mount in salvage.walk(mounts.of_super_block(super_block)):
        if mount.namespace == first:
            seen.setdefault((mount.root, mount.mountpoint), []).append(mount)
    files = _Files(prog)
    inums: dict[int, Optional[int]] = {}
    given: set[tuple[int, str]] = set()
    for (dentry, _), copies in seen.items():
        if dentry not in inums:
            inums[dentry] = salvage.read(files.inum, dentry)
        inum = inums[dentry]
        if inum is None:
            continue
        for mount in copies:
            path = salvage.read(mounts.path, mount.parent, mount.mountpoint)
            if path is not None and (inum, decode(path)) not in given:
                given.add((inum, decode(path)))
                yield inum, decode(path)
    salvage.finish()


@takes_program_or_default
def net_mounts(prog: Program) -> dict[int, tuple[str, ...]]:
    """
    Return the files on which each network namespace is mounted: see
    :func:`for_each_net_mount()`.

    :return: Sorted absolute paths by inode number; nothing for a namespace that is
        mounted nowhere
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: if not all could be reached
    """
    found: dict[int, list[str]] = {}
    for inum, path in for_each_net_mount(prog):
        found.setdefault(inum, []).append(path)
    return {inum: tuple(sorted(paths)) for inum, paths in found.items()}
