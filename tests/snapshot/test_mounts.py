# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths of mounts, also of those that are damaged."""

from collections.abc import Sequence
from typing import Optional

from drgn import Object, offsetof
from drgn_veth.core.errors import WalkError
from drgn_veth.core.salvage import Salvage
from drgn_veth.snapshot.mounts import Mount, Mounts
from drgn_veth.snapshot.net_mounts import uncovered
import pytest

from tests.support.toy import NOWHERE, Toy


class Files:
    """Mounts and dentries."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        void = "void *"
        vfsmount = toy.struct("vfsmount", mnt_root=void)
        toy.struct(
            "mount", mnt_parent=void, mnt_mountpoint=void, mnt=vfsmount, mnt_ns=void
        )
        hashed = toy.struct("hlist_bl_node", next=void, pprev=void)
        name = toy.struct("qstr", hash="unsigned int", len="unsigned int", name=void)
        toy.struct("dentry", d_hash=hashed, d_parent=void, d_name=name)
        self.root = self.dentry()
        self.mount = self.mounted(self.root)
        self.mounts = Mounts(toy.prog)

    def dentry(self, name: bytes = b"", parent: int = 0, hashed: int = 1) -> int:
        address = self.toy.place("struct dentry")
        self.toy.set(
            "struct dentry",
            address,
            d_parent=parent or address,
            d_hash__pprev=hashed,
            d_name__len=len(name),
            d_name__name=self.toy.text(name),
        )
        return address

    def mounted(self, root: int, parent: int = 0, mountpoint: int = 0) -> int:
        address = self.toy.place("struct mount")
        self.toy.set(
            "struct mount",
            address,
            mnt__mnt_root=root,
            mnt_parent=parent or address,
            mnt_mountpoint=mountpoint,
        )
        return address

    def path(self, names: Sequence[bytes]) -> Optional[bytes]:
        dentry = self.root
        for name in names:
            dentry = self.dentry(name, dentry)
        return self.mounts.path(self.mount, dentry)


def test_path(toy: Toy) -> None:
    files = Files(toy)
    assert files.mounts.path(files.mount, files.root) == b""
    assert files.path([b"run", b"netns"]) == b"/run/netns"
    run = files.dentry(b"run", files.root)
    inner = files.dentry()
    # Two mounts at the same place, one over the other.
    covered = files.dentry()
    lower = files.mounted(covered, files.mount, run)
    upper = files.mounted(inner, lower, covered)
    file = files.dentry(b"x" * 255, inner)
    for _ in range(2):  # once read, and once remembered
        assert files.mounts.path(upper, file) == b"/run/" + b"x" * 255
    assert files.mounts.path_in_file_system(file) == b"/" + b"x" * 255


def test_path_of_what_is_gone(toy: Toy) -> None:
    files = Files(toy)
    gone = files.dentry(b"gone", files.root, hashed=0)
    inside = files.dentry(b"inside", gone)
    for dentry in (gone, inside):
        for _ in range(2):
            assert files.mounts.path(files.mount, dentry) is None
        assert files.mounts.path_in_file_system(dentry) is None


@pytest.mark.parametrize(
    "names", [[b"a/b"], [b"a\0b"], [b"a", b""], [b"x" * 256], [b"y" * 255] * 16]
)
def test_path_that_is_none(toy: Toy, names: list[bytes]) -> None:
    with pytest.raises(WalkError):
        Files(toy).path(names)


def test_path_without_an_end(toy: Toy) -> None:
    files = Files(toy)
    first = files.dentry(b"first", files.root)
    second = files.dentry(b"second", first)
    toy.set("struct dentry", first, d_parent=second)
    with pytest.raises(WalkError):
        files.mounts.path(files.mount, second)
    with pytest.raises(WalkError):
        files.mounts.path_in_file_system(second)
    # The same with mounts.
    root = files.dentry()
    one = files.mounted(root, 0, root)
    other = files.mounted(root, one, root)
    toy.set("struct mount", one, mnt_parent=other)
    with pytest.raises(WalkError):
        files.mounts.path(one, root)


def test_path_outside_of_its_mount(toy: Toy) -> None:
    files = Files(toy)
    elsewhere = files.dentry(b"file", files.dentry())
    with pytest.raises(WalkError, match="outside"):
        files.mounts.path(files.mount, elsewhere)


def test_covered_mounts(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path leads to the last mount on a file."""
    mounts = Files(toy).mounts
    toy.struct("nsfs", mnt_sb="void *")
    toy.variable("nsfs_mnt", "struct nsfs")
    lower = Mount(0x100, 0x10, 0x1, 0x2, 0x5)
    upper = Mount(0x200, 0x20, lower.address, lower.root, 0x5)
    elsewhere = Mount(0x300, 0x10, 0x1, 0x3, 0x5)
    there = [lower, upper, elsewhere]
    monkeypatch.setattr(mounts, "of_super_block", lambda sb: iter(there))
    assert list(uncovered(mounts, toy.prog, Salvage())) == [upper, elsewhere]


# Mounts of a file system -------------------------------------------------------------

SPACE = 0x5000  # a struct mnt_namespace
FIRST_ERROR = (1 << 64) - 4095


class Mounted:
    """A super block with mounts: a chain since v6.18, a list before."""

    def __init__(self, toy: Toy, chain: bool) -> None:
        self.toy = toy
        self.chain = chain
        void = "void *"
        vfsmount = toy.struct("vfsmount", mnt_root=void)
        names = ("mnt_next_for_sb", "mnt_pprev_for_sb")
        links = dict.fromkeys(names, void)
        listed = {"mnt_instance": "struct list_head"}
        toy.struct(
            "mount",
            **dict.fromkeys(("mnt_parent", "mnt_mountpoint"), void),
            mnt=vfsmount,
            mnt_ns=void,
            **links if chain else listed,
        )
        hashed = toy.struct("hlist_bl_node", next=void, pprev=void)
        name = toy.struct("qstr", hash="unsigned int", len="unsigned int", name=void)
        toy.struct("dentry", d_hash=hashed, d_parent=void, d_name=name)
        head = "struct mount *" if chain else "struct list_head"
        toy.struct("super_block", s_mounts=head)
        self.at = toy.place("struct super_block")
        self.sb = Object(toy.prog, "struct super_block *", self.at)
        self.node = offsetof(
            toy.prog.type("struct mount"), names[0] if chain else "mnt_instance"
        )
        self.all: list[int] = []
        self.link()

    def add(self, namespace: int, own: bool = False) -> int:
        at = self.toy.place("struct mount")
        values = {"mnt_parent": at if own else 0x77, "mnt_ns": namespace}
        self.toy.set("struct mount", at, **values)
        self.all.append(at)
        return at

    def link(self, tag: int = 0) -> None:
        nodes = [at + self.node for at in self.all]
        if not self.chain:
            ring = [self.at, *nodes]
            for i, node in enumerate(ring):
                self.toy.put(node, "2Q", ring[(i + 1) % len(ring)], ring[i - 1])
            return
        before = self.at
        for node, at in zip(nodes, self.all):
            self.toy.put(before, "Q", at)
            self.toy.put(node, "2Q", 0, before | tag)
            before = node

    def found(self) -> list[int]:
        mounts = Mounts(self.toy.prog).of_super_block(self.sb)
        return [mount.address for mount in mounts]


@pytest.mark.parametrize("chain", [True, False])
def test_mounts_that_are_on_a_path(toy: Toy, chain: bool) -> None:
    """Not the kernel's own, whose namespace is an error, nor those without a parent."""
    mounted = Mounted(toy, chain)
    assert mounted.found() == []
    shown = [mounted.add(SPACE)]
    mounted.add(0)
    shown.append(mounted.add(1))
    mounted.add(FIRST_ERROR)
    mounted.add((1 << 64) - 1)
    shown.append(mounted.add(FIRST_ERROR - 1))
    mounted.add(SPACE, own=True)
    mounted.link()
    assert mounted.found() == shown
    if chain:
        mounted.link(tag=1)  # It is written to.
        assert mounted.found() == shown


@pytest.mark.parametrize("chain", [True, False])
def test_mounts_that_are_not_there(toy: Toy, chain: bool) -> None:
    mounted = Mounted(toy, chain)
    first, _ = mounted.add(SPACE), mounted.add(SPACE)
    mounted.link()
    toy.put(first + mounted.node, "Q", NOWHERE)
    found = []
    with pytest.raises(WalkError, match="a mount: "):
        for mount in Mounts(toy.prog).of_super_block(mounted.sb):
            found.append(mount.address)
    assert first in found
