# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths of mounts, also of those that are damaged."""

from collections.abc import Sequence
from typing import Optional

from drgn_veth.core.errors import WalkError
from drgn_veth.core.salvage import Salvage
from drgn_veth.snapshot.mounts import Mount, Mounts
from drgn_veth.snapshot.net_mounts import uncovered
import pytest

from tests.support.toy import Toy


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
