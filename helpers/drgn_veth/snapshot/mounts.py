# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Mounts
------

Where something is mounted, and its path. Follows fs/namespace.c and fs/d_path.c.

A dentry stores a short name inline, and parts of earlier names may follow it. So
members are read one by one, which keeps the names of other files out of slices.
"""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from drgn import Object, Program, TypeKind, offsetof, sizeof

from ..core.budget import budget_of, paid
from ..core.errors import WalkError, attempt
from ..core.moving import moves
from ..core.salvage import Salvage
from ..core.unreadable import Unreadable
from ..readers.bounded import bounded_hlist, bounded_nodes

__all__ = ("Mount", "Mounts")

_MAX_ERRNO = 4095
_WRITE_HOLD = 1  # fs/mount.h: WRITE_HOLD, in mnt_pprev_for_sb
_NAME_MAX = 255
_MAX_PATH = 4096
_MAX_DEPTH = 1 << 11  # directories and mounts on the way to the root


class Mount(NamedTuple):
    """A ``struct mount``: the addresses that it holds."""

    address: int
    root: int  #: ``struct dentry *``
    parent: int  #: ``struct mount *``
    mountpoint: int  #: ``struct dentry *``
    namespace: int  #: ``struct mnt_namespace *``


class Mounts:
    """
    The mounts of a program.

    :param prog: Program
    :raises LookupError: if it has no types of mounts
    """

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        #: Whether mounts come and go meanwhile.
        self.moves = moves(prog)
        mount = prog.type("struct mount")
        self._root = offsetof(mount, "mnt.mnt_root")
        self._parent = offsetof(mount, "mnt_parent")
        self._mountpoint = offsetof(mount, "mnt_mountpoint")
        self._namespace = offsetof(mount, "mnt_ns")
        dentry = prog.type("struct dentry")
        self._d_parent = offsetof(dentry, "d_parent")
        self._name = offsetof(dentry, "d_name.name")
        self._name_len = offsetof(dentry, "d_name.len")
        # A dentry that is in no hash table is of a file that is gone: d_unhashed().
        self._hashed = offsetof(dentry, "d_hash.pprev")
        self._first_error = (1 << 8 * sizeof(prog.type("void *"))) - _MAX_ERRNO
        self._mounts: dict[int, list[Mount]] = {}
        self._dentries: dict[int, tuple[int, Optional[bytes]]] = {}
        self._paths: dict[tuple[int, int], Optional[bytes]] = {}

    def first_namespace(self) -> int:
        """
        Return the mount namespace of the first process, which is what most of
        userspace sees.

        :return: Address of a ``struct mnt_namespace``
        """
        # Not init_task's, whose root is empty in new kernels:
        # Since Linux kernel commit 32750c77e811 ("fs: start all kthreads in
        # nullfs") (in v7.3).
        reaper = self._prog["init_pid_ns"].child_reaper
        return reaper.nsproxy.mnt_ns.value_()

    def _mount(self, address: int) -> Mount:
        read = self._prog.read_word
        return Mount(
            address,
            read(address + self._root),
            read(address + self._parent),
            read(address + self._mountpoint),
            read(address + self._namespace),
        )

    def _addresses(self, sb: Object) -> Iterator[int]:
        # Since Linux kernel commit 09a1b33c080f ("preparations to taking
        # MNT_WRITE_HOLD out of ->mnt_flags") (in v6.18), they are a chain. Before
        # that, a list.
        s_mounts = sb.s_mounts
        prog = self._prog
        if s_mounts.type_.kind == TypeKind.POINTER:
            mount = prog.type("struct mount")
            yield from bounded_hlist(
                prog,
                s_mounts.address_,
                offsetof(mount, "mnt_next_for_sb"),
                offsetof(mount, "mnt_pprev_for_sb"),
                _WRITE_HOLD,
            )
            return
        offset = offsetof(prog.type("struct mount"), "mnt_instance")
        head = s_mounts.address_of_().value_()
        yield from bounded_nodes(prog, head, lambda node: node - offset)

    def of_super_block(self, sb: Object) -> Iterator[Mount]:
        """
        Iterate over the mounts of a super block that are on some path of userspace:
        not the kernel's own, nor those that were lazily unmounted.

        :param sb: ``struct super_block *``
        :raises WalkError: after all that could be reached
        """
        salvage = Salvage("a mount: ")
        for address in salvage.walk(self._addresses(sb)):
            mount = attempt(self._mount, address)
            if isinstance(mount, Unreadable):
                if not self.moves:  # It is unmounted, and freed.
                    salvage.lose(mount.reason)
                continue
            # MNT_NS_INTERNAL is an ERR_PTR(). What has no parent is mounted nowhere:
            # as by open_tree().
            if (
                0 < mount.namespace < self._first_error
                and mount.parent != mount.address
            ):
                yield mount
        salvage.finish()

    def is_there(self, mount: Mount) -> bool:
        """Return whether a mount is still what it was when it was read."""
        return not self.moves or attempt(self._mount, mount.address) == mount

    def _dentry(self, address: int) -> tuple[int, Optional[bytes]]:
        # Its parent, and its name: None if it is of a file that is gone.
        try:
            return self._dentries[address]
        except KeyError:
            pass
        prog = self._prog
        parent = prog.read_word(address + self._d_parent)
        name: Optional[bytes] = None
        if parent != address and prog.read_word(address + self._hashed):
            length = prog.read_u32(address + self._name_len)
            if not 0 < length <= _NAME_MAX:
                raise WalkError(f"a file's name has {length} bytes")
            name = prog.read(prog.read_word(address + self._name), length)
            if b"/" in name or b"\0" in name:
                raise WalkError("a file's name is not valid")
        self._dentries[address] = (parent, name)
        return parent, name

    def path(self, mount: int, dentry: int) -> Optional[bytes]:
        """
        Return the path of a file as seen from the root of a mount's namespace: see
        d_path().

        :param mount: Address of a ``struct mount``
        :param dentry: Address of a ``struct dentry`` in that mount
        :return: ``b""`` for the root; None if the file, or a directory above it, is
            gone
        :raises WalkError: if this dentry is not in that mount, or does not lead to a
            path
        """
        read = self._prog.read_word
        step = budget_of(self._prog).step
        below: list[tuple[tuple[int, int], Optional[bytes]]] = []
        path: Optional[bytes] = b""
        for _ in range(_MAX_DEPTH):
            here = (mount, dentry)
            if here in self._paths:
                path = self._paths[here]
                break
            step()
            if dentry == read(mount + self._root):
                above = read(mount + self._parent)
                if above == mount:
                    break
                dentry = read(mount + self._mountpoint)
                mount = above
                continue
            parent, name = self._dentry(dentry)
            if parent == dentry:
                raise WalkError("a file is outside of its mount")
            below.append((here, name))
            dentry = parent
        else:
            raise WalkError("a path does not end")
        return self._join(path, below)

    def _join(
        self,
        path: Optional[bytes],
        below: list[tuple[tuple[int, int], Optional[bytes]]],
    ) -> Optional[bytes]:
        for here, name in reversed(below):
            path = None if path is None or name is None else b"%b/%b" % (path, name)
            if path is not None and len(path) >= _MAX_PATH:
                raise WalkError("a path is too long")
            self._paths[here] = path
        return path

    def path_in_file_system(self, dentry: int) -> Optional[bytes]:
        """
        Return the path of a file from the root of its file system: see
        dentry_path().

        :param dentry: Address of a ``struct dentry``
        :return: As for :meth:`path()`
        :raises WalkError: if it does not lead to a path
        """
        names: list[bytes] = []
        for _ in paid(self._prog, range(_MAX_DEPTH)):
            parent, name = self._dentry(dentry)
            if parent == dentry:
                return b"".join(b"/" + name for name in reversed(names))
            if name is None:
                return None
            names.append(name)
            dentry = parent
        raise WalkError("a path does not end")

    def _first_mounts(self, sb: Object) -> list[Mount]:
        # Those of the first process before others.
        key = sb.value_()
        if key not in self._mounts:
            first = attempt(self.first_namespace)
            found = list(Salvage().walk(self.of_super_block(sb)))
            found.sort(key=lambda mount: mount.namespace != first)
            self._mounts[key] = found
        return self._mounts[key]

    def path_anywhere(self, sb: Object, dentry: int) -> tuple[Optional[bytes], bool]:
        """
        Return the path of a file: through a mount of the first process if its file
        system has one there, otherwise through any mount, otherwise from the root of
        its file system.

        :param sb: ``struct super_block *``
        :param dentry: Address of a ``struct dentry`` of it
        :return: As for :meth:`path()`, and whether the first process sees the file
            there
        :raises WalkError: if it does not lead to a path
        """
        first = attempt(self.first_namespace)
        for mount in self._first_mounts(sb):
            # What is mounted may be a directory that this file is not in.
            path = attempt(self.path, mount.address, dentry)
            if not isinstance(path, Unreadable):
                return path, mount.namespace == first
        return self.path_in_file_system(dentry), False
