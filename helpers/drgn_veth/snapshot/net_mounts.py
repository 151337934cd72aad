# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Mounts of network namespaces
----------------------------

The files that network namespaces are mounted on, which give them their names.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Optional

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.salvage import Salvage
from ..core.text import decode
from ..readers.nsfs import NetNsFiles
from .mounts import Mount, Mounts

__all__ = ("for_each_net_mount", "net_mounts", "net_mounts_elsewhere")


def _paths(
    prog: Program, mounts: Mounts, found: Iterable[Mount], salvage: Salvage
) -> Iterator[tuple[int, str]]:
    # Of some mounts: the number of what is mounted, and where.
    files = NetNsFiles(prog)
    inums: dict[int, Optional[int]] = {}
    given: set[tuple[int, str]] = set()
    for mount in found:
        if mount.root not in inums:
            inums[mount.root] = salvage.read(files.inum, mount.root)
        inum = inums[mount.root]
        if inum is None:
            continue
        path = salvage.read(mounts.path, mount.parent, mount.mountpoint)
        if path is not None and (inum, decode(path)) not in given:
            given.add((inum, decode(path)))
            yield inum, decode(path)


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
    # What is mounted on one file comes together.
    seen: dict[tuple[int, int], list[Mount]] = {}
    for mount in salvage.walk(mounts.of_super_block(prog["nsfs_mnt"].mnt_sb)):
        if mount.namespace == first:
            seen.setdefault((mount.root, mount.mountpoint), []).append(mount)
    yield from _paths(
        prog, mounts, (mount for copies in seen.values() for mount in copies), salvage
    )
    salvage.finish()


@takes_program_or_default
def net_mounts_elsewhere(
    prog: Program, wanted: Collection[int]
) -> dict[int, tuple[str, ...]]:
    """
    Return the files on which network namespaces are mounted in other mount namespaces
    than that of the first process.

    :param wanted: Inode numbers of network namespaces
    :return: Sorted paths by inode number, each from the root of its mount namespace
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: if not all could be reached
    """
    mounts = Mounts(prog)
    first = mounts.first_namespace()
    salvage = Salvage("mounts of network namespaces: ")
    # Mounts propagate: one of each file is enough.
    seen: dict[tuple[int, int], Mount] = {}
    for mount in salvage.walk(mounts.of_super_block(prog["nsfs_mnt"].mnt_sb)):
        if mount.namespace != first:
            seen.setdefault((mount.root, mount.mountpoint), mount)
    files = NetNsFiles(prog)
    roots = {mount.root for mount in seen.values()}
    numbers = {root: salvage.read(files.inum, root) for root in roots}
    found: dict[int, set[str]] = {}
    some = [mount for mount in seen.values() if numbers[mount.root] in wanted]
    for inum, path in _paths(prog, mounts, some, salvage):
        found.setdefault(inum, set()).add(path)
    salvage.finish()
    return {inum: tuple(sorted(paths)) for inum, paths in found.items()}


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
