# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces that cleanup_net() tears down: who does it, and what is none of them."""

from collections.abc import Sequence

from drgn import Object, Program, offsetof
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.cleanup_net import (
    cleanup_net_is_idle,
    cleanup_net_worker,
    for_each_net_beside,
    for_each_net_in_cleanup,
    is_struct_net,
)
import pytest

from tests.support.toy import BASE, NOWHERE, SIZE, Toy
from tests.support.toy_tasks import Tasks

OPS = 0x5500
STACK = 1 << 14
WORKER = 0x20  # PF_WQ_WORKER
NET = "struct net"
ROOM = 0x200  # of an object in the slab
SLAB = 8 << 12
BEGIN = BASE + SIZE - SLAB


class Nets:
    """Namespaces, and tasks of which one may run cleanup_net()."""

    def __init__(self, toy: Toy, private: str = "worker_private") -> None:
        self.toy = toy
        thread = toy.struct("thread_struct", sp="unsigned long")
        self.tasks = Tasks(toy, thread=thread, stack="void *", **{private: "void *"})
        toy.struct("kthread", flags="unsigned long", data="void *")
        toy.struct("worker", entry="struct list_head", current_work="void *")
        possible = toy.struct("possible_net", net="void *")
        device = toy.struct("net_device", mtu="int", nd_net=possible)
        entry = toy.prog.pointer_type(toy.prog.type("struct list_head"))
        first = toy.struct("first_entry", next=entry, prev=entry)
        common = toy.struct("ns_common", ops="void *", inum="unsigned int")
        toy.struct(
            "net",
            ns=common,
            dev_base_head=first,
            exit_list="struct list_head",
            loopback_dev=toy.prog.pointer_type(device),
        )
        self.init = toy.variable("init_net", NET)
        self.make(self.init)
        counter = toy.struct("counter", counter="unsigned long")
        toy.struct("rw_semaphore", count=counter)
        toy.struct("work_struct", data=counter, func="void *")
        self.work = toy.variable("net_cleanup_work", "struct work_struct")
        self.rwsem = toy.variable("pernet_ops_rwsem", "struct rw_semaphore")
        toy.constant("PAGE_SIZE", 1 << 12)

    @property
    def prog(self) -> Program:
        return self.toy.prog

    def at(self, net: int, member: str) -> int:
        return net + offsetof(self.prog.type(NET), member)

    def make(self, net: int) -> int:
        """Make a namespace with a loopback device at an address."""
        lo = self.toy.place("struct net_device")
        self.toy.set("struct net_device", lo, nd_net__net=net)
        head = self.at(net, "dev_base_head")
        links = {"dev_base_head__next": head, "dev_base_head__prev": head}
        values = {"ns__ops": OPS, "ns__inum": 7, "loopback_dev": lo, **links}
        self.toy.set(NET, net, **values)
        return net

    def new(self) -> int:
        return self.make(self.toy.place(NET))

    def worker(self, work: int, private: str = "worker_private") -> int:
        """Add a worker that runs some work."""
        worker = self.toy.place("struct worker")
        self.toy.set("struct worker", worker, current_work=work)
        kthread = self.toy.place("struct kthread")
        self.toy.set("struct kthread", kthread, data=worker)
        task = self.tasks.add(10, 0, flags=WORKER)
        self.tasks.point(task, **{private: kthread})
        return task

    def stack_of(self, task: int) -> int:
        stack = self.toy.place("struct list_head", STACK // 16)
        self.tasks.point(task, stack=stack)
        return stack

    def link(self, head: int, nodes: Sequence[int]) -> None:
        ring = (head, *nodes)
        for i, one in enumerate(ring):
            before, after = ring[i - 1], ring[(i + 1) % len(ring)]
            self.toy.set("struct list_head", one, next=after, prev=before)


@pytest.fixture
def nets(toy: Toy) -> Nets:
    return Nets(toy)


def test_memory_of_a_namespace(nets: Nets) -> None:
    net = nets.new()
    assert is_struct_net(nets.prog, net)
    other = nets.new()
    lo = nets.prog.read_word(nets.at(other, "loopback_dev"))
    for damage in (
        {"ns__ops": OPS + 8},
        {"ns__inum": 0},
        {"dev_base_head__next": nets.at(other, "dev_base_head")},
        {"loopback_dev": 0},  # It was freed.
        {"loopback_dev": lo},
    ):
        nets.make(net)
        nets.toy.set(NET, net, **damage)
        assert not is_struct_net(nets.prog, net)


@pytest.mark.parametrize(
    ("count", "data", "idle"),
    [(0, 0, True), (1, 0, False), (0, 1, False), (1, 1, False), (0, 1 << 5, True)],
)
def test_idle(nets: Nets, count: int, data: int, idle: bool) -> None:
    nets.toy.set("struct rw_semaphore", nets.rwsem, count__counter=count)
    nets.toy.set("struct work_struct", nets.work, data__counter=data)
    assert cleanup_net_is_idle(nets.prog) is idle


def test_idle_cannot_be_told_before_v417() -> None:
    assert cleanup_net_is_idle(Toy().prog) is None


@pytest.mark.parametrize("private", ["worker_private", "set_child_tid"])
def test_worker(toy: Toy, private: str) -> None:
    """Before v5.17, set_child_tid leads to it."""
    nets = Nets(toy, private)
    nets.tasks.add(1, 0)
    assert not cleanup_net_worker(toy.prog)
    nets.worker(0x1234, private)
    assert not cleanup_net_worker(toy.prog)
    worker = nets.worker(nets.work, private)
    assert cleanup_net_worker(toy.prog).value_() == worker
    # What is no worker has another use for the member.
    nets.tasks.point(worker, flags=0xFFFFFFFF & ~WORKER)
    assert not cleanup_net_worker(toy.prog)


def test_worker_that_cannot_be_read(nets: Nets) -> None:
    task = nets.worker(0)
    kthread = nets.prog.read_word(task + nets.tasks.offset("worker_private"))
    nets.toy.set("struct kthread", kthread, data=0)
    assert not cleanup_net_worker(nets.prog)
    nets.toy.set("struct kthread", kthread, data=NOWHERE)
    with pytest.raises(WalkError):
        cleanup_net_worker(nets.prog)
    # It is another one.
    worker = nets.worker(nets.work)
    assert cleanup_net_worker(nets.prog).value_() == worker


def test_namespaces_that_are_torn_down(nets: Nets) -> None:
    task = nets.worker(nets.work)
    stack = nets.stack_of(task)
    worker = Object(nets.prog, "struct task_struct *", task)
    assert list(for_each_net_in_cleanup(worker)) == []
    found = [nets.new() for _ in range(3)]
    # A list of something else, and one of namespaces.
    nets.link(stack + 64, [nets.toy.place("struct list_head")])
    nets.link(stack + 640, [nets.at(net, "exit_list") for net in found])
    walk = for_each_net_in_cleanup(worker)
    assert [net.value_() for net in walk] == found
    # One that was freed is still on the list.
    nets.toy.set(NET, found[1], ns__inum=0)
    walk = for_each_net_in_cleanup(worker)
    assert [net.value_() for net in walk] == [found[0], found[2]]


def test_broken_list_of_something_else(nets: Nets) -> None:
    task = nets.worker(nets.work)
    stack = nets.stack_of(task)
    nodes = [nets.toy.place("struct list_head") for _ in range(3)]
    nets.link(stack + 64, nodes)
    nets.toy.set("struct list_head", nodes[1], next=NOWHERE)
    worker = Object(nets.prog, "struct task_struct *", task)
    assert list(for_each_net_in_cleanup(worker)) == []


def test_list_of_namespaces_that_is_broken(nets: Nets) -> None:
    task = nets.worker(nets.work)
    stack = nets.stack_of(task)
    found = [nets.new() for _ in range(3)]
    nets.link(stack + 640, [nets.at(net, "exit_list") for net in found])
    nets.toy.set(NET, found[1], exit_list__next=NOWHERE)
    seen = []
    worker = Object(nets.prog, "struct task_struct *", task)
    with pytest.raises(WalkError, match=r"a namespace in cleanup_net\(\): "):
        for net in for_each_net_in_cleanup(worker):
            seen.append(net.value_())
    assert {found[0], found[2]} <= set(seen)


class Slab(Nets):
    """A slab of namespaces at the end of the memory."""

    def __init__(self, toy: Toy) -> None:
        super().__init__(toy)
        order = toy.struct("kmem_cache_order_objects", x="unsigned int")
        cache = toy.struct("kmem_cache", size="unsigned int", oo=order)
        self.cache = toy.place("struct kmem_cache")
        pointer = toy.place("void *")
        toy.put(pointer, "Q", self.cache)
        where = Object(toy.prog, toy.prog.pointer_type(cache), address=pointer)
        toy._variables["net_cachep"] = where
        self.shape(ROOM, 3)

    def shape(self, size: int, order: int) -> None:
        self.toy.set("struct kmem_cache", self.cache, size=size, oo__x=order << 16 | 7)

    def beside(self, *known: int) -> "list[int]":
        found = for_each_net_beside(self.prog, {self.init, *known})
        return [net.value_() for net in found]


@pytest.fixture
def slab(toy: Toy) -> Slab:
    return Slab(toy)


def test_namespaces_in_one_slab(slab: Slab) -> None:
    """The first and the last object count; the slab of init_net is none."""
    places = [BEGIN, BEGIN + 5 * ROOM, BEGIN + SLAB - ROOM]
    for net in places:
        slab.make(net)
    assert slab.beside() == []
    for known in places:
        assert slab.beside(known) == [net for net in places if net != known]
    assert slab.beside(*places) == []


def test_objects_may_begin_behind_the_start_of_a_slab(slab: Slab) -> None:
    color = 0x40
    places = [slab.make(BEGIN + color + i * ROOM) for i in (0, 2, 3)]
    assert slab.beside(places[1], places[2]) == [places[0]]
    # What is not where an object is, is none.
    slab.make(BEGIN + color + 7 * ROOM + 8)
    assert slab.beside(places[1], places[2]) == [places[0]]


def test_slabs_that_cannot_be(slab: Slab) -> None:
    net = slab.make(BEGIN)
    size = slab.prog.type(NET).size
    assert size is not None
    slab.shape(size, 3)
    assert slab.beside(net) == []
    slab.shape(SLAB, 3)
    assert slab.beside(net) == []
    for room, order in ((size - 1, 3), (SLAB + 1, 3), (ROOM, 9)):
        slab.shape(room, order)
        with pytest.raises(WalkError, match=r"slabs of \d+ bytes"):
            slab.beside(net)
    # A megabyte may be one. Most of it is not in the memory.
    slab.shape(1 << 16, 8)
    with pytest.raises(WalkError, match="could not find memory"):
        slab.beside(net)


def test_slab_that_is_not_there_in_whole(slab: Slab) -> None:
    """The upper half of it is in the memory."""
    slab.shape(ROOM, 5)
    nets = [slab.make(BEGIN + ROOM), slab.make(BEGIN + 3 * ROOM)]
    found = []
    with pytest.raises(WalkError, match="slabs of net_namespace: "):
        for net in for_each_net_beside(slab.prog, {nets[0]}):
            found.append(net.value_())
    assert found == [nets[1]]
