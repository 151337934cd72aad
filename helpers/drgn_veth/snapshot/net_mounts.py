# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Mounts of network namespaces
----------------------------

The files that network namespaces are mounted on, which give them their names.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Callable, NamedTuple, Optional, TypeVar

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import WalkError, attempt
from ..core.salvage import Salvage
from ..core.text import decode
from ..core.unreadable import Unreadable
from ..readers.nsfs import NetNsFiles
from .mounts import Mount, Mounts

__all__ = (
    "WHAT",
    "NetMounts",
    "for_each_net_mount",
    "known_net_mounts",
    "net_mounts",
    "net_mounts_elsewhere",
    "uncovered",
)

T = TypeVar("T")

#: What may be missing, as a Snapshot calls it.
WHAT = "mounts of network namespaces"

_TRIES = 3  # of a running kernel


class NetMounts(NamedTuple):
    """The files on which network namespaces are mounted."""

    of: Mapping[int, tuple[str, ...]]  # sorted absolute paths by inode number
    lost: Optional[str]  # why some are missing, None if none are


def _sorted(found: Mapping[int, Collection[str]], lost: Optional[str]) -> NetMounts:
    return NetMounts({inum: tuple(sorted(found[inum])) for inum in found}, lost)


def _of_mount(
    mounts: Mounts,
    mount: Mount,
    salvage: Salvage,
    read: Callable[..., Optional[T]],
    *args: object,
) -> Optional[T]:
    # What can be read of a mount; None if it went meanwhile.
    for left in reversed(range(_TRIES if mounts.moves else 1)):
        value = attempt(read, *args)
        if not mounts.is_there(mount):
            return None
        if not isinstance(value, Unreadable):
            return value
        if not left:
            salvage.lose(value.reason)
    return None


class _Numbers:
    # The inode numbers of the network namespaces that are mounted, each read once.
    def __init__(self, prog: Program, mounts: Mounts, salvage: Salvage) -> None:
        self._files = NetNsFiles(prog)
        self._mounts = mounts
        self._salvage = salvage
        self._known: dict[int, int] = {}

    def of(self, mount: Mount) -> Optional[int]:
        root = mount.root
        if root not in self._known:
            read = self._files.inum
            inum = _of_mount(self._mounts, mount, self._salvage, read, root)
            if inum is None:  # Another mount may tell.
                return None
            self._known[root] = inum
        return self._known[root]


def uncovered(mounts: Mounts, prog: Program, salvage: Salvage) -> Iterator[Mount]:
    """
    Iterate over the mounts of network namespaces that a path leads to: of those on one
    file, the last one.
    """
    found = list(salvage.walk(mounts.of_super_block(prog["nsfs_mnt"].mnt_sb)))
    covered = {(mount.parent, mount.mountpoint) for mount in found}
    return (one for one in found if (one.address, one.root) not in covered)


def _paths(
    prog: Program, mounts: Mounts, found: Iterable[Mount], salvage: Salvage
) -> Iterator[tuple[int, str]]:
    # Of some mounts: the number of what is mounted, and where.
    numbers = _Numbers(prog, mounts, salvage)
    given: set[tuple[int, str]] = set()
    for mount in found:
        inum = numbers.of(mount)
        if inum is None:
            continue
        place = mount.parent, mount.mountpoint
        path = _of_mount(mounts, mount, salvage, mounts.path, *place)
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
    salvage = Salvage(f"{WHAT}: ")
    # What is mounted on one file comes together.
    seen: dict[tuple[int, int], list[Mount]] = {}
    for mount in uncovered(mounts, prog, salvage):
        if mount.namespace == first:
            seen.setdefault((mount.root, mount.mountpoint), []).append(mount)
    yield from _paths(
        prog, mounts, (mount for copies in seen.values() for mount in copies), salvage
    )
    salvage.finish()


@takes_program_or_default
def net_mounts_elsewhere(prog: Program, wanted: Collection[int]) -> NetMounts:
    """
    Return the files on which network namespaces are mounted in other mount namespaces
    than that of the first process, as far as they can be reached.

    :param wanted: Inode numbers of network namespaces
    :return: Paths from the root of their mount namespace
    :raises LookupError: if the kernel has no such variables or types
    """
    mounts = Mounts(prog)
    first = mounts.first_namespace()
    salvage = Salvage(f"{WHAT}: ")
    # Mounts propagate: one of each file is enough.
    seen: dict[tuple[int, int], Mount] = {}
    for mount in uncovered(mounts, prog, salvage):
        if mount.namespace != first:
            seen.setdefault((mount.root, mount.mountpoint), mount)
    found: dict[int, set[str]] = {}
    numbers = _Numbers(prog, mounts, salvage)
    some = [mount for mount in seen.values() if numbers.of(mount) in wanted]
    for inum, path in _paths(prog, mounts, some, salvage):
        found.setdefault(inum, set()).add(path)
    return _sorted(found, salvage.lost)


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
    found = known_net_mounts(prog)
    if found.lost is not None:
        raise WalkError(found.lost)
    return dict(found.of)


def known_net_mounts(prog: Program) -> NetMounts:
    """
    Return the files on which each network namespace is mounted, as far as they can be
    reached: see :func:`net_mounts()`.

    :raises LookupError: if the kernel has no such variables or types
    """
    found: dict[int, set[str]] = {}
    lost = None
    try:
        for inum, path in for_each_net_mount(prog):
            found.setdefault(inum, set()).add(path)
    except WalkError as e:
        lost = str(e)
    return _sorted(found, lost)
