# SPDX-License-Identifier: LGPL-2.1-or-later
"""What open files of a toy kernel hold, how many are named, and which are lost."""

from collections.abc import Iterator
from typing import Any, Callable

from drgn import Program
from drgn_veth.core.errors import WalkError
from drgn_veth.core.moving import let_it_move
from drgn_veth.model import Task
from drgn_veth.snapshot.open_files import MAX_HOLDERS, NetHolder, OpenFiles, TaskFile
import pytest

from tests.support.toy import NOWHERE, Toy

OPENER = Task(7, "opener")
TUN = 0x9000  # file operations


class Kept:
    """Files, in the order of their descriptors, all of one task."""

    def __init__(self, toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.toy = toy
        self.prog: Program = toy.prog
        void = "void *"
        toy.struct("inode", i_mode="long", i_private=void)
        toy.struct("file", f_op=void, f_inode=void, private_data=void)
        toy.struct("ns_common", inum="long")
        toy.struct("net", count="long", ns=toy.prog.type("struct ns_common"))
        net = toy.struct("possible_net", net=void)
        common = toy.struct("sock_common", family="long", skc_net=net)
        toy.struct("sock", __sk_common=common)
        toy.struct("socket", state="long", sk=void)
        toy.struct("file_operations", owner=void)
        names = ("ns_file_operations", "socket_file_ops", "bpf_link_fops")
        self.ns, self.socket, self.link = (
            toy.variable(name, "struct file_operations") for name in names
        )
        self.net = toy.place("struct net")
        comm = toy.prog.array_type(toy.prog.type("char"), 16)
        toy.struct("task_struct", pid="int", comm=comm, files=void)
        toy.struct("files_struct", fdt=void)
        toy.struct("fdtable", max_fds="int", fd=void)
        self.task = toy.place("struct task_struct")
        self.table = toy.place("struct fdtable")
        self.slots = toy.place("struct files_struct", 64)
        files = toy.place("struct files_struct")
        toy.set("struct task_struct", self.task, pid=7, files=files)
        toy.put(self.task + 8, "Q", int.from_bytes(b"opener", "little"))
        toy.set("struct files_struct", files, fdt=self.table)
        toy.set("struct fdtable", self.table, max_fds=64, fd=self.slots)
        self.files: list[int] = []
        self.walks = 0
        self.before_next: Callable[[int], None] = lambda fd: None
        self.error = ""
        where = "drgn_veth.snapshot.open_files"
        monkeypatch.setattr(f"{where}.for_each_open_file", self._walk)
        is_tun = lambda prog, operations: operations == TUN  # noqa: E731
        monkeypatch.setattr(f"{where}.is_tun_file_operations", is_tun)

    def _walk(self, prog: Program, look: Any) -> Iterator[tuple[int, int, Any]]:
        self.walks += 1
        for fd, file in enumerate(self.files):
            found = look(file, prog.read_word(file))
            if found is not None:
                self.before_next(fd)
                yield self.task, fd, found
        if self.error:
            raise WalkError(self.error)

    def add(self, operations: int, private: int = 0, inode: int = 0) -> None:
        at = self.toy.place("struct file")
        values = {"f_op": operations, "f_inode": inode, "private_data": private}
        self.toy.set("struct file", at, **values)
        self.put(len(self.files), at)
        self.files.append(at)

    def put(self, fd: int, file: int) -> None:
        """Let the task have a file at a descriptor."""
        self.toy.set("struct files_struct", self.slots + 8 * fd, fdt=file)

    def add_ns(self, net: int) -> int:
        inode = self.toy.place("struct inode")
        self.toy.set("struct inode", inode, i_private=net + 8)
        self.add(self.ns, 0, inode)
        return inode

    def sock(self, net: int) -> int:
        sk = self.toy.place("struct sock")
        self.toy.put(sk + 8, "Q", net)
        return sk

    def add_socket(self, sk: int) -> int:
        socket = self.toy.place("struct socket")
        self.toy.set("struct socket", socket, sk=sk)
        self.add(self.socket, socket)
        return socket


@pytest.fixture
def kept(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(toy, monkeypatch)


def test_files_that_hold_a_namespace(kept: Kept) -> None:
    other = kept.toy.place("struct net")
    inode = kept.add_ns(kept.net)
    kept.add_ns(other)
    socket = kept.add_socket(kept.sock(kept.net))
    kept.add_socket(kept.sock(other))
    kept.add_socket(0)  # It is closed.
    queue = kept.sock(kept.net)
    kept.add(TUN, queue)
    kept.add(TUN, 0)
    kept.add(0x8000, queue)
    found, lost = OpenFiles(kept.prog).of_namespaces({kept.net})
    assert lost is None
    assert found == [
        NetHolder(kept.net, "fd", inode, TaskFile(OPENER, 0)),
        NetHolder(kept.net, "socket", socket, TaskFile(OPENER, 2)),
        NetHolder(kept.net, "socket", queue, TaskFile(OPENER, 5)),
    ]


def test_files_of_links_and_sockets(kept: Kept) -> None:
    """No more than ten of each; a socket only if it is wanted."""
    for _ in range(MAX_HOLDERS + 1):
        kept.add(kept.link, 0x100)
    kept.add(kept.link, 0x200)
    kept.add(kept.link, 0)
    wanted, _ = kept.add_socket(0), kept.add_socket(0)
    files = OpenFiles(kept.prog)
    files.want_sockets({wanted})
    links = files.of_links()
    assert {at: len(of) for at, of in links.items()} == {0x100: MAX_HOLDERS, 0x200: 1}
    assert links[0x200] == [TaskFile(OPENER, MAX_HOLDERS + 1)]
    assert files.of_sockets() == {wanted: [TaskFile(OPENER, MAX_HOLDERS + 3)]}
    assert kept.walks == 1


def test_lost_file_says_nothing_of_other_kinds(kept: Kept) -> None:
    kept.add(kept.ns, 0, NOWHERE)
    kept.add(kept.link, 0x100)
    files = OpenFiles(kept.prog)
    found, lost = files.of_namespaces({kept.net})
    assert found == [] and lost is not None and lost.startswith("open files: ")
    assert files.of_links() == {0x100: [TaskFile(OPENER, 1)]}
    assert files.of_sockets() == {}


def test_walk_that_breaks_says_something_of_all(kept: Kept) -> None:
    kept.error = "open files: the list loops"
    files = OpenFiles(kept.prog)
    assert files.of_namespaces({kept.net}) == ([], kept.error)
    for ask in (files.of_links, files.of_sockets):
        with pytest.raises(WalkError, match=kept.error):
            ask()
    assert kept.walks == 1


def test_running_kernel_is_walked_again(kept: Kept) -> None:
    """Three times at most, and once if nothing is lost."""
    let_it_move(kept.prog)
    OpenFiles(kept.prog).of_links()
    assert kept.walks == 1
    kept.error = "open files: gone"
    assert OpenFiles(kept.prog).of_namespaces({kept.net}) == ([], kept.error)
    assert kept.walks == 4


def test_kernel_without_such_types(kept: Kept) -> None:
    """No links and no sockets, either, if no file can be looked at."""
    bare = Toy()
    files = OpenFiles(bare.prog)
    found, lost = files.of_namespaces({kept.net})
    assert found == () and lost is not None and "struct file" in lost
    with pytest.raises(WalkError, match="struct file"):
        files.of_links()


@pytest.mark.parametrize("is_moving", [True, False])
@pytest.mark.parametrize("change", ["closed", "other file", "exited", "fewer"])
def test_file_that_is_closed_meanwhile(
    kept: Kept, change: str, is_moving: bool
) -> None:
    """A process that has taken the task's memory does not hold what that one held."""
    kept.add(kept.link, 0x100)
    kept.add(kept.link, 0x200)
    toy = kept.toy

    def change_it(fd: int) -> None:
        if fd == 0:
            return
        if change == "closed":
            kept.put(fd, 0)
        elif change == "other file":
            kept.put(fd, kept.files[0])
        elif change == "exited":
            toy.set("struct task_struct", kept.task, files=0)
        else:
            toy.set("struct fdtable", kept.table, max_fds=fd)

    kept.before_next = change_it
    if is_moving:
        let_it_move(kept.prog)
    links = OpenFiles(kept.prog).of_links()
    assert links[0x100] == [TaskFile(OPENER, 0)]
    assert (0x200 in links) is not is_moving
