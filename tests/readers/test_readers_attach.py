# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Readers on memory that is not as it should be
---------------------------------------------

In a kernel of a few bytes, laid out here: loops, ends that are missing, names that are
none, and kernels that the lab does not boot. What the readers say of real ones is
compared with the kernel's own tools in tests/vm/test_readers.py.
"""

from collections.abc import Mapping, Sequence
import struct
from typing import Optional

import drgn
from drgn import (
    FindObjectFlags,
    Object,
    Platform,
    PlatformFlags,
    Program,
    Type,
    TypeKindSet,
    TypeMember,
    offsetof,
)
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.bounded import bounded_hlist, for_each_entry_bounded
from drgn_veth.readers.bpf_prog import (
    bpf_prog_bound_netdev,
    bpf_prog_is_dev_bound,
    bpf_prog_is_offloaded,
    bpf_prog_maps_may_have_programs,
)
from drgn_veth.readers.idr import for_each_idr_pointer
from drgn_veth.readers.netdev import netdev_alias
from drgn_veth.readers.netns import dev_net
from drgn_veth.readers.nsfs import netns_name
from drgn_veth.readers.rps import rps_map_cpus
from drgn_veth.readers.rtnl import rtnl_owner
from drgn_veth.readers.xps import XPS_CPUS, netdev_xps_maps
from drgn_veth.snapshot.mounts import Mounts
from drgn_veth.snapshot.net_processes import for_each_net_process, net_processes
import pytest

BASE = 0x10000
SIZE = 1 << 16
NOWHERE = BASE + SIZE


class Toy:
    """A kernel of a few bytes: types, variables and 64 KiB of memory."""

    def __init__(self) -> None:
        flags = PlatformFlags.IS_64_BIT | PlatformFlags.IS_LITTLE_ENDIAN
        self.prog = Program(Platform(drgn.Architecture.X86_64, flags))
        self._types: dict[str, Type] = {}
        self._variables: dict[str, Object] = {}
        self._memory = bytearray(SIZE)
        self._used = 0
        self.prog.add_memory_segment(BASE, SIZE, self._read)
        self.prog.register_type_finder("toy", self._find_type, enable_index=0)
        self.prog.register_object_finder("toy", self._find_object, enable_index=0)

    def _read(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        return bytes(self._memory[offset : offset + count])

    def _find_type(
        self, prog: Program, kinds: TypeKindSet, name: str, filename: Optional[str]
    ) -> Optional[Type]:
        found = self._types.get(name)
        return found if found is not None and found.kind in kinds else None

    def _find_object(
        self,
        prog: Program,
        name: str,
        flags: FindObjectFlags,
        filename: Optional[str],
    ) -> Optional[Object]:
        return self._variables.get(name)

    def struct(self, name: str, /, **members: object) -> Type:
        """Declare a struct: a name of a type for each member, or a type."""
        fields = []
        offset = 0
        for member, type in members.items():
            found = self.prog.type(type) if isinstance(type, str) else type
            assert isinstance(found, Type)
            size = drgn.sizeof(found)
            offset += -offset % (min(size, 8) or 1)
            fields.append(TypeMember(found, member, offset * 8))
            offset += size
        made = self.prog.struct_type(name or None, offset + -offset % 8, fields)
        if name:
            self._types[name] = made
        return made

    def place(self, type: str, count: int = 1) -> int:
        """Return the address of room for a struct."""
        address = BASE + self._used
        self._used += -(-self.prog.type(type).size * count // 8) * 8
        assert self._used <= SIZE
        return address

    def put(self, address: int, format: str, *values: int) -> None:
        struct.pack_into("<" + format, self._memory, address - BASE, *values)

    def set(self, type: str, address: int, **values: int) -> None:
        """Set members of a struct."""
        for path, value in values.items():
            member = path.replace("__", ".")
            found = self.prog.type(type)
            for part in member.split("."):
                found = found.member(part).type
            code = {1: "B", 2: "H", 4: "I", 8: "Q"}[drgn.sizeof(found)]
            at = address + offsetof(self.prog.type(type), member)
            self.put(at, code, value % (1 << 64))

    def text(self, text: bytes) -> int:
        address = BASE + self._used
        self._used += -(-(len(text) + 1) // 8) * 8
        self._memory[address - BASE : address - BASE + len(text)] = text
        return address

    def variable(self, name: str, type: str) -> int:
        """Declare a variable, return where it is."""
        address = self.place(type)
        self._variables[name] = Object(self.prog, type, address=address)
        return address

    def constant(self, name: str, value: int) -> None:
        self._variables[name] = Object(self.prog, "int", value)


@pytest.fixture
def toy() -> Toy:
    made = Toy()
    made.struct("list_head", next="void *", prev="void *")
    return made


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/run/netns/pod1", "pod1"),
        ("/var/run/netns/pod1", "pod1"),
        ("/run/netns/a b", "a b"),
        ("/run/netns/", None),
        ("/run/netns/a/b", None),
        ("/host/run/netns/pod1", None),
        ("/run/docker/netns/pod1", None),
        ("/run/netns/pod1\n", "pod1\n"),
        ("", None),
    ],
)
def test_netns_name(path: str, name: Optional[str]) -> None:
    assert netns_name(path) == name


# IDRs -----------------------------------------------------------------------------


class Tree:
    """An IDR."""

    def __init__(self, toy: Toy, slots: int = 64) -> None:
        self.toy = toy
        array = toy.prog.array_type(toy.prog.type("void *"), slots)
        toy.struct(
            "xa_node",
            shift="unsigned char",
            count="unsigned char",
            parent="void *",
            slots=array,
        )
        root = toy.struct("xarray", xa_head="void *")
        toy.struct("idr", idr_rt=root)
        self.idr = Object(toy.prog, "struct idr", address=toy.place("struct idr"))

    def head(self, entry: int) -> None:
        self.toy.set("struct idr", self.idr.address_ or 0, idr_rt__xa_head=entry)

    def node(self, shift: int, slots: Mapping[int, int]) -> int:
        """Return a node as an entry."""
        address = self.toy.place("struct xa_node")
        self.toy.set("struct xa_node", address, shift=shift, count=len(slots))
        self.fill(address + 2, slots)
        for entry in slots.values():
            if BASE < entry < NOWHERE:
                self.toy.set("struct xa_node", entry - 2, parent=address)
        return address + 2

    def fill(self, node: int, slots: Mapping[int, int]) -> None:
        at = node - 2 + offsetof(self.toy.prog.type("struct xa_node"), "slots")
        for index, entry in slots.items():
            self.toy.put(at + 8 * index, "Q", entry)

    def all(self) -> tuple[list[int], str]:
        """Return what was reached, and what was said."""
        found: list[int] = []
        try:
            for pointer in for_each_idr_pointer(self.idr):
                found.append(pointer.value_())
        except WalkError as e:
            return found, str(e)
        return found, ""


def test_idr(toy: Toy) -> None:
    tree = Tree(toy)
    assert tree.all() == ([], "")
    tree.head(0x1000)
    assert tree.all() == ([0x1000], "")
    # A number, what stands for no pointer, and pointers.
    low = tree.node(0, {0: 0x2000, 1: (257 << 2) | 2, 2: 0x5, 63: 0x3000})
    tree.head(low)
    assert tree.all() == ([0x2000, 0x3000], "")
    lower = tree.node(0, {5: 0x4000})
    tree.head(tree.node(6, {0: low, 3: lower}))
    assert tree.all() == ([0x2000, 0x3000, 0x4000], "")


def test_idr_of_a_small_kernel(toy: Toy) -> None:
    tree = Tree(toy, slots=16)
    tree.head(tree.node(0, {15: 0x2000}))
    assert tree.all() == ([0x2000], "")


def test_idr_with_a_loop(toy: Toy) -> None:
    tree = Tree(toy)
    top = tree.node(6, {1: 0x2000, 3: 0x3000})
    tree.fill(top, {2: top})
    tree.head(top)
    found, why = tree.all()
    assert found == [0x2000, 0x3000]
    assert "is not below the one above" in why


def test_idr_that_skips_entries(toy: Toy) -> None:
    """A slot that was overwritten with 0 hides a pointer, or a whole node."""
    tree = Tree(toy)
    low = tree.node(0, {0: 0x2000, 1: 0x2100})
    tree.head(tree.node(6, {0: low, 3: tree.node(0, {5: 0x4000})}))
    assert tree.all() == ([0x2000, 0x2100, 0x4000], "")
    tree.fill(low, {1: 0})
    found, why = tree.all()
    assert found == [0x2000, 0x4000]
    assert "has count 2 but 1 used slots" in why


def test_idr_with_a_node_of_another_one(toy: Toy) -> None:
    tree = Tree(toy)
    low, other = tree.node(0, {0: 0x2000}), tree.node(0, {0: 0x3000})
    top = tree.node(6, {0: low})
    tree.node(6, {0: other})
    tree.head(top)
    tree.fill(top, {0: other})
    found, why = tree.all()
    assert found == []
    assert "does not point back" in why


def test_idr_with_a_page_missing(toy: Toy) -> None:
    tree = Tree(toy)
    tree.head(tree.node(6, {0: NOWHERE + 2, 1: 0x2000}))
    found, why = tree.all()
    assert found == [0x2000]
    assert "could not find memory" in why


def test_idr_that_is_too_deep_for_anyone(toy: Toy) -> None:
    """Every slot of each node leads to all of the next one."""
    tree = Tree(toy)
    entry = tree.node(0, dict.fromkeys(range(64), 8192))
    for shift in range(6, 66, 6):
        entry = tree.node(shift, dict.fromkeys(range(64), entry))
    tree.head(entry)
    with pytest.raises(WalkError, match="gave up"):
        for _ in for_each_idr_pointer(tree.idr):
            pass


# Lists ----------------------------------------------------------------------------


class Ring:
    """A doubly linked list of some entries."""

    def __init__(self, toy: Toy, count: int) -> None:
        toy.struct("entry", number="long", node="struct list_head")
        self.toy = toy
        self.head = toy.place("struct list_head")
        self.nodes = [toy.place("struct entry") + 8 for _ in range(count)]
        for i, node in enumerate(self.nodes):
            toy.put(node - 8, "Q", i)
        ring = [self.head, *self.nodes]
        for here, there in zip(ring, [*ring[1:], self.head]):
            self.link(here, there)
            toy.put(there + 8, "Q", here)

    def link(self, here: int, there: int) -> None:
        """Let next of one node point to another one."""
        self.toy.put(here, "Q", there)

    def all(self) -> tuple[list[int], str]:
        """Return what was reached, sorted, and what was said."""
        prog = self.toy.prog
        head = Object(prog, "struct list_head *", self.head)
        found: list[int] = []
        try:
            for entry in for_each_entry_bounded(head, "struct entry", "node"):
                found.append(entry.number.value_())
        except WalkError as e:
            return sorted(found), str(e)
        return sorted(found), ""


@pytest.mark.parametrize("first", range(-1, 9))
@pytest.mark.parametrize("skipped", (1, 2, 8))
def test_list_that_skips_entries(toy: Toy, first: int, skipped: int) -> None:
    """Some next leads past entries, or past the end: all are found, and it is said."""
    ring = Ring(toy, 10)
    assert ring.all() == (list(range(10)), "")
    there = first + 1 + skipped
    after = ring.nodes[there] if there < 10 else ring.head
    ring.link(ring.nodes[first] if first >= 0 else ring.head, after)
    found, why = ring.all()
    assert found == list(range(10))
    assert why


@pytest.mark.parametrize("broken", range(10))
def test_list_with_one_pointer_back_that_is_wrong(toy: Toy, broken: int) -> None:
    ring = Ring(toy, 10)
    toy.put(ring.nodes[broken] + 8, "Q", ring.nodes[(broken + 5) % 10])
    found, why = ring.all()
    assert found == list(range(10))
    assert "does not point back" in why


def test_list_that_leads_into_another_one(toy: Toy) -> None:
    ring, other = Ring(toy, 4), Ring(toy, 4)
    toy.put(other.nodes[2] - 8, "Q", 99)
    ring.link(ring.nodes[1], other.nodes[2])
    found, why = ring.all()
    assert found == [0, 1, 2, 3]
    assert "does not point back" in why


class Chain:
    """A struct hlist_head and its nodes."""

    def __init__(self, toy: Toy, count: int) -> None:
        toy.struct("hlist_node", next="void *", pprev="void *")
        self.toy = toy
        self.head = toy.place("void *")
        self.nodes = [toy.place("struct hlist_node") for _ in range(count)]
        for here, there in zip([self.head, *self.nodes], self.nodes):
            toy.put(here, "Q", there)
            toy.put(there + 8, "Q", here)

    def all(self, tags: int = 0) -> tuple[list[int], str]:
        """Return what was reached, and what was said."""
        found: list[int] = []
        try:
            for node in bounded_hlist(self.toy.prog, self.head, tags=tags, limit=20):
                found.append(node)
        except (WalkError, drgn.FaultError) as e:
            return found, str(e)
        return found, ""


def test_hlist(toy: Toy) -> None:
    assert Chain(toy, 0).all() == ([], "")
    chain = Chain(toy, 5)
    assert chain.all() == (chain.nodes, "")


@pytest.mark.parametrize("first", range(-1, 3))
def test_hlist_that_skips_entries(toy: Toy, first: int) -> None:
    chain = Chain(toy, 5)
    here = chain.nodes[first] if first >= 0 else chain.head
    toy.put(here, "Q", chain.nodes[first + 2])
    found, why = chain.all()
    assert found == chain.nodes[: first + 1]
    assert "does not point back" in why


def test_hlist_with_tags_and_without_an_end(toy: Toy) -> None:
    chain = Chain(toy, 5)
    toy.put(chain.nodes[2] + 8, "Q", chain.nodes[1] | 1)
    assert chain.all(tags=1) == (chain.nodes, "")
    assert "does not point back" in chain.all()[1]
    toy.put(chain.nodes[4], "Q", chain.nodes[2])
    found, why = chain.all(tags=1)
    assert found == chain.nodes
    assert "does not point back" in why
    toy.put(chain.nodes[4], "Q", NOWHERE)
    found, why = chain.all(tags=1)
    assert found == chain.nodes
    assert "could not find memory" in why


# Arrays ---------------------------------------------------------------------------


def test_a_pointer_is_no_array(toy: Toy) -> None:
    """Where a distribution has made a pointer of an array, it is not read as one."""
    toy.put(toy.variable("nr_cpu_ids", "unsigned int"), "I", 4)
    toy.struct("rps_map", len="unsigned int", cpus="unsigned short *")
    rps_map = toy.place("struct rps_map")
    toy.set("struct rps_map", rps_map, len=1, cpus=2)
    with pytest.raises(ValueError, match="expected an array"):
        rps_map_cpus(Object(toy.prog, "struct rps_map *", rps_map))
    toy.struct("xps_dev_maps", nr_ids="unsigned int")
    toy.struct("netdev", xps_maps="struct xps_dev_maps **")
    dev = Object(toy.prog, "struct netdev *", toy.place("struct netdev"))
    with pytest.raises(ValueError, match="expected an array"):
        netdev_xps_maps(dev, XPS_CPUS)
    toy.struct("dev_ifalias", ifalias="char *")
    toy.struct("named", ifalias="struct dev_ifalias *")
    named = toy.place("struct named")
    toy.set("struct named", named, ifalias=toy.text(b"an address of 8 bytes"))
    with pytest.raises(ValueError, match="expected an array"):
        netdev_alias(Object(toy.prog, "struct named *", named))


# The lock -------------------------------------------------------------------------

TASK = 0xFFFF888003B5C940


@pytest.mark.parametrize("flags", range(8))
def test_rtnl_owner(toy: Toy, flags: int) -> None:
    counter = toy.struct("atomic", counter="long")
    toy.struct("task_struct", pid="int")
    toy.struct("mutex", owner=counter)
    mutex = toy.variable("rtnl_mutex", "struct mutex")
    toy.set("struct mutex", mutex, owner__counter=TASK | flags)
    owner = rtnl_owner(toy.prog)
    assert owner.type_.type_name() == "struct task_struct *"
    assert owner.value_() == TASK
    toy.set("struct mutex", mutex, owner__counter=flags)
    assert not rtnl_owner(toy.prog)


@pytest.mark.parametrize("waiters", (0, 1))
def test_rtnl_owner_with_preempt_rt(toy: Toy, waiters: int) -> None:
    toy.struct("task_struct", pid="int")
    base = toy.struct("rt_mutex_base", owner="struct task_struct *")
    toy.struct("mutex", rtmutex=base)
    mutex = toy.variable("rtnl_mutex", "struct mutex")
    toy.set("struct mutex", mutex, rtmutex__owner=TASK | waiters)
    assert rtnl_owner(toy.prog).value_() == TASK
    toy.set("struct mutex", mutex, rtmutex__owner=waiters)
    assert not rtnl_owner(toy.prog)


def test_rtnl_owner_of_a_mutex_that_does_not_say(toy: Toy) -> None:
    toy.struct("task_struct", pid="int")
    toy.struct("mutex", count="int")
    toy.variable("rtnl_mutex", "struct mutex")
    with pytest.raises(AttributeError):
        rtnl_owner(toy.prog)


# Paths ----------------------------------------------------------------------------


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


# Processes ------------------------------------------------------------------------

KERNEL_THREAD = 0x00200000


class Tasks:
    """A list of processes."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        array = toy.prog.array_type(toy.prog.type("char"), 16)
        toy.struct(
            "task_struct",
            flags="unsigned int",
            pid="int",
            tasks="struct list_head",
            nsproxy="void *",
            comm=array,
        )
        toy.struct("nsproxy", net_ns="void *")
        self.head = toy.variable("init_task", "struct task_struct")
        self.all = [self.head]
        self.nodes = offsetof(toy.prog.type("struct task_struct"), "tasks")
        self.nsproxies: dict[int, int] = {0: 0, NOWHERE: NOWHERE}

    def add(self, pid: int, net: int, comm: bytes = b"x", flags: int = 0) -> int:
        task = self.toy.place("struct task_struct")
        if net not in self.nsproxies:
            self.nsproxies[net] = self.toy.place("struct nsproxy")
            self.toy.set("struct nsproxy", self.nsproxies[net], net_ns=net)
        self.toy.set(
            "struct task_struct",
            task,
            pid=pid,
            flags=flags,
            nsproxy=self.nsproxies[net],
        )
        at = task + offsetof(self.toy.prog.type("struct task_struct"), "comm")
        for i, byte in enumerate(comm):
            self.toy.put(at + i, "B", byte)
        self.all.append(task)
        for i, one in enumerate(self.all):
            following = self.all[(i + 1) % len(self.all)]
            self.point(one, tasks__next=following + self.nodes)
            self.point(following, tasks__prev=one + self.nodes)
        return task

    def point(self, task: int, **where: int) -> None:
        self.toy.set("struct task_struct", task, **where)


def test_processes(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, 0x1000, b"init")
    tasks.add(2, 0x5000, b"kthread", KERNEL_THREAD)
    tasks.add(3, 0)
    tasks.add(4, 0x2000, b"sixteen bytes, 4")
    tasks.add(5, 0x2000, b"later")
    tasks.add(6, 0x5000, b"\xff\0rest of another")
    tasks.add(7, 0x3000, b"unwanted")
    wanted = {0x1000, 0x2000, 0x4000, 0x5000}
    assert net_processes(toy.prog, wanted) == {
        0x1000: (1, "init"),
        0x2000: (4, "sixteen bytes, 4"),
        0x5000: (6, "\\xff"),
    }
    assert net_processes(toy.prog, set()) == {}


def test_processes_of_a_broken_list(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, 0x1000)
    broken = tasks.add(2, 0x2000)
    tasks.add(3, 0x3000)
    tasks.add(4, 0x4000)
    tasks.point(broken, tasks__next=NOWHERE)
    found = []
    with pytest.raises(WalkError):
        for process in for_each_net_process(toy.prog, {0x1000, 0x3000, 0x9000}):
            found.append((process.net, process.pid))
    assert sorted(found) == [(0x1000, 1), (0x3000, 3)]
    # Nothing is missing then.
    assert net_processes(toy.prog, {0x1000, 0x3000}) == {
        0x1000: (1, "x"),
        0x3000: (3, "x"),
    }
    tasks.point(broken, tasks__next=tasks.all[1] + tasks.nodes)
    with pytest.raises(WalkError, match="loops"):
        net_processes(toy.prog, {0x9000})


def test_processes_that_cannot_be_read(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, NOWHERE)
    tasks.add(2, 0x2000)
    assert net_processes(toy.prog, {0x2000}) == {0x2000: (2, "x")}
    # It may be the one.
    with pytest.raises(WalkError, match="could not find memory"):
        net_processes(toy.prog, {0x2000, 0x3000})


# Programs -------------------------------------------------------------------------


class Programs:
    """A program with maps, as of some kernel."""

    def __init__(self, toy: Toy, **members: str) -> None:
        self.toy = toy
        toy.struct("net_device", ifindex="int")
        toy.struct("bpf_prog_offload", prog="void *", netdev="struct net_device *")
        toy.struct("bpf_map", map_type="int", value_size="unsigned int")
        toy.struct(
            "bpf_prog_aux",
            used_map_cnt="unsigned int",
            used_maps="struct bpf_map **",
            offload="struct bpf_prog_offload *",
            offload_requested="_Bool",
            **members,
        )
        toy.struct("bpf_prog", aux="struct bpf_prog_aux *")
        address = toy.place("struct bpf_prog")
        self.aux = toy.place("struct bpf_prog_aux")
        toy.set("struct bpf_prog", address, aux=self.aux)
        self.prog = Object(toy.prog, "struct bpf_prog *", address)

    def set(self, **values: int) -> None:
        self.toy.set("struct bpf_prog_aux", self.aux, **values)

    def maps(self, *maps: tuple[int, int]) -> None:
        array = self.toy.place("void *", len(maps) or 1)
        for i, (kind, size) in enumerate(maps):
            map = self.toy.place("struct bpf_map")
            self.toy.set("struct bpf_map", map, map_type=kind, value_size=size)
            self.toy.put(array + 8 * i, "Q", map)
        self.set(used_maps=array, used_map_cnt=len(maps))


def test_bound_programs(toy: Toy) -> None:
    programs = Programs(toy, dev_bound="_Bool")
    assert not bpf_prog_bound_netdev(programs.prog)
    offload = toy.place("struct bpf_prog_offload")
    programs.set(offload=offload, dev_bound=1)
    assert not bpf_prog_bound_netdev(programs.prog)  # Its device is gone.
    toy.set("struct bpf_prog_offload", offload, netdev=0x5000)
    assert bpf_prog_bound_netdev(programs.prog).value_() == 0x5000
    assert bpf_prog_is_dev_bound(programs.prog) is True
    assert bpf_prog_is_offloaded(programs.prog) is False


def test_bound_programs_of_an_old_kernel(toy: Toy) -> None:
    programs = Programs(toy)
    programs.set(offload_requested=1)
    assert bpf_prog_is_dev_bound(programs.prog) is False
    assert bpf_prog_is_offloaded(programs.prog) is True


@pytest.mark.parametrize(
    ("maps", "may"),
    [
        ((), False),
        (((14, 4),), False),
        (((14, 8),), True),
        (((25, 4), (25, 8)), True),
        (((16, 8), (1, 4)), True),
        (((16, 4), (1, 8)), False),
    ],
)
def test_maps(toy: Toy, maps: Sequence[tuple[int, int]], may: bool) -> None:
    programs = Programs(toy)
    toy.constant("BPF_MAP_TYPE_DEVMAP", 14)
    toy.constant("BPF_MAP_TYPE_CPUMAP", 16)
    toy.constant("BPF_MAP_TYPE_DEVMAP_HASH", 25)
    programs.maps(*maps)
    assert bpf_prog_maps_may_have_programs(programs.prog) is may


def test_maps_that_cannot_be(toy: Toy) -> None:
    programs = Programs(toy)
    programs.set(used_map_cnt=0xFFFFFFFF)
    with pytest.raises(WalkError, match="4294967295"):
        bpf_prog_maps_may_have_programs(programs.prog)


# Namespaces -----------------------------------------------------------------------


@pytest.mark.parametrize("has_namespaces", (False, True))
def test_dev_net(toy: Toy, has_namespaces: bool) -> None:
    """Without CONFIG_NET_NS, a device does not say where it is: in init_net."""
    toy.struct("net", ifindex="int")
    init_net = toy.variable("init_net", "struct net")
    members = {"net": "struct net *"} if has_namespaces else {}
    toy.struct("net_device", nd_net=toy.struct("possible_net_t", **members))
    address = toy.place("struct net_device", 2)
    dev = Object(toy.prog, "struct net_device *", address)
    if has_namespaces:
        toy.set("struct net_device", address, nd_net__net=0x5000)
    net = dev_net(dev)
    assert net.type_.type_name() == "struct net *"
    assert net.value_() == (0x5000 if has_namespaces else init_net)
