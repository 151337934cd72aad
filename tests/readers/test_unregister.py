# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that are unregistered: those on one list, and the task that does it."""

from collections.abc import Iterable

from drgn import (
    Architecture,
    Object,
    Symbol,
    SymbolBinding,
    SymbolIndex,
    SymbolKind,
    offsetof,
)
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.unregister import (
    dev_unreg_count,
    for_each_netdev_chained,
    for_each_netdev_on_stack,
    for_each_netdev_pointer_on_stack,
    for_each_netdev_todo,
    for_each_task_with_address,
    for_each_waiting_task,
    is_in_netdev_run_todo,
    netdev_initial_refcnt,
    netdev_refcnt_read,
)
import pytest

from tests.support.toy import NOWHERE, Toy
from tests.support.toy_tasks import Tasks

NET = 0x7700
UNREGISTERING, RELEASED = 2, 4


class Going:
    """Four devices on one unreg_list, whose head is elsewhere."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        nd_net = toy.struct("possible_net", net="void *")
        counter = toy.struct("atomic", counter="int")
        refcount = toy.struct("refcount", refs=counter)
        toy.struct(
            "net_device",
            mtu="unsigned int",
            nd_net=nd_net,
            name=toy.prog.array_type(toy.prog.type("char"), 16),
            reg_state="unsigned char",
            unreg_list="struct list_head",
            close_list="struct list_head",
            todo_list="struct list_head",
            dev_refcnt=refcount,
        )
        self.type = toy.prog.type("struct net_device")
        self.head = toy.place("struct list_head")
        self.devices = [toy.place("struct net_device") for _ in range(4)]
        nodes = [self.node(device) for device in self.devices]
        ring = [self.head, *nodes]
        for i, one in enumerate(ring):
            where = {"next": ring[(i + 1) % 5], "prev": ring[i - 1]}
            toy.set("struct list_head", one, **where)
        for device in self.devices:
            self.change(device, nd_net__net=NET, reg_state=UNREGISTERING)
            toy.put(device + offsetof(self.type, "name"), "B", ord("d"))
            for name in ("close_list", "todo_list"):
                at = device + offsetof(self.type, name)
                toy.set("struct list_head", at, next=at, prev=at)

    def node(self, device: int) -> int:
        return device + offsetof(self.type, "unreg_list")

    def change(self, device: int, **values: int) -> None:
        self.toy.set("struct net_device", device, **values)

    def found(self, error: str = "") -> set[int]:
        first = Object(self.toy.prog, "struct net_device *", self.devices[0])
        walk = for_each_netdev_chained(first, {NET})
        found = set()
        if not error:
            return {dev.value_() for dev in walk}
        with pytest.raises(WalkError, match=error):
            for dev in walk:
                found.add(dev.value_())
        return found


@pytest.fixture
def going(toy: Toy) -> Going:
    return Going(toy)


def test_all_but_the_head(going: Going) -> None:
    assert going.found() == set(going.devices[1:])


def test_what_is_no_device_that_goes(going: Going) -> None:
    going.change(going.devices[1], reg_state=RELEASED)
    going.change(going.devices[2], nd_net__net=NET + 8)
    assert going.found() == {going.devices[3]}


def test_list_that_loops(going: Going) -> None:
    _, b, c = map(going.node, going.devices[1:])
    going.toy.set("struct list_head", c, next=b)
    assert going.found("the list loops at") == set(going.devices[1:])


def test_list_that_leads_nowhere(going: Going) -> None:
    going.toy.set("struct list_head", going.node(going.devices[2]), next=NOWHERE)
    found = going.found("could not|point back")
    assert found >= {going.devices[1], going.devices[3]}


def test_head_that_cannot_be_read(going: Going) -> None:
    """It is on the stack of the task that unregisters them."""
    going.toy.set("struct list_head", going.node(going.devices[0]), prev=NOWHERE)
    assert going.found("the list ends at") == set(going.devices[1:])


def test_device_on_no_list(going: Going) -> None:
    going.change(going.devices[0], unreg_list__next=NOWHERE, unreg_list__prev=NOWHERE)
    assert going.found() == set()


def test_refcount(going: Going) -> None:
    going.change(going.devices[0], dev_refcnt__refs__counter=(1 << 32) - 3)
    dev = Object(going.toy.prog, "struct net_device *", going.devices[0])
    assert netdev_refcnt_read(dev) == -3
    assert netdev_initial_refcnt(going.toy.prog) == 1


def test_refcount_of_a_device_that_nobody_refers_to() -> None:
    """1 since v5.13, whose net_device has the array xps_maps."""
    for member, least in (("xps_cpus_map", None), ("xps_maps", 1)):
        other = Toy()
        other.struct("net_device", **{member: "void *"})
        assert netdev_initial_refcnt(other.prog) == least


def test_states_of_a_device_that_goes(going: Going) -> None:
    """Before and after these, it is not on any list."""
    for state, goes in ((0, False), (1, True), (2, True), (3, True), (4, False)):
        going.change(going.devices[1], reg_state=state)
        assert (going.devices[1] in going.found()) is goes


def test_device_with_one_neighbour(going: Going) -> None:
    """The other one may be a head that is not in the dump."""
    first = going.devices[0]
    last = going.node(going.devices[3])
    going.toy.set("struct list_head", last, next=going.head)
    going.toy.set("struct list_head", going.node(first), prev=last)
    assert going.found("point back|the list ends at") >= set(going.devices[1:])
    # It has been taken off, and still points there.
    going.toy.set("struct list_head", going.node(going.devices[1]), prev=going.head)
    assert going.found() == set()


def test_devices_that_netdev_run_todo_has_not_begun_with(going: Going) -> None:
    toy = going.toy
    head = toy.variable("net_todo_list", "struct list_head")
    toy.set("struct list_head", head, next=head, prev=head)
    assert list(for_each_netdev_todo(toy.prog, {NET})) == []
    node = going.devices[2] + offsetof(going.type, "todo_list")
    for one, other in ((head, node), (node, head)):
        toy.set("struct list_head", one, next=other, prev=other)
    (found,) = for_each_netdev_todo(toy.prog, {NET})
    assert found.value_() == going.devices[2]


# The task ----------------------------------------------------------------------------

STACK = 1 << 14
FUNCTION, LENGTH = 0xFFFFFFFF81A00000, 0x300
UNINTERRUPTIBLE, NOLOAD = 2, 0x400


class Busy(Going):
    """With a task that unregisters them."""

    def __init__(self, toy: Toy, state: str = "__state", width: str = "int") -> None:
        super().__init__(toy)
        thread = toy.struct("thread_struct", sp="unsigned long")
        more = {state: f"unsigned {width}", "on_cpu": "int"}
        self.tasks = Tasks(toy, thread=thread, stack="void *", **more)
        toy.constant("PAGE_SIZE", 1 << 12)
        self.task = self.tasks.add(10, 0)
        self.stack = toy.place("struct list_head", STACK // 16)
        self.tasks.point(self.task, stack=self.stack)

    def object(self) -> Object:
        return Object(self.toy.prog, "struct task_struct *", self.task)

    def symbol(self, size: int) -> None:
        name = "netdev_run_todo"
        made = Symbol(name, FUNCTION, size, SymbolBinding.GLOBAL, SymbolKind.FUNC)
        self.toy.prog.register_symbol_finder("toy", SymbolIndex([made]), enable_index=0)


def places(found: Iterable[Object]) -> "list[int]":
    return [one.value_() for one in found]


@pytest.fixture
def busy(toy: Toy) -> Busy:
    return Busy(toy)


@pytest.mark.parametrize("member", ["unreg_list", "close_list", "todo_list"])
def test_list_whose_head_is_on_a_stack(busy: Busy, member: str) -> None:
    assert places(for_each_netdev_on_stack(busy.object(), {NET})) == []
    offset = offsetof(busy.type, member)
    ring = [busy.stack + 640, *(device + offset for device in busy.devices)]
    for i, one in enumerate(ring):
        where = {"next": ring[(i + 1) % len(ring)], "prev": ring[i - 1]}
        busy.toy.set("struct list_head", one, **where)
    assert places(for_each_netdev_on_stack(busy.object(), {NET})) == busy.devices
    assert places(for_each_netdev_on_stack(busy.object(), {NET + 8})) == []


def test_devices_that_a_stack_points_to(busy: Busy) -> None:
    """Before v5.18: each is aligned to 32 bytes."""
    found: list[int] = []
    place = busy.stack
    while len(found) < 2:
        busy.toy.place("void *")
        place += 16
        device = busy.toy.place("struct net_device")
        busy.change(device, nd_net__net=NET, reg_state=UNREGISTERING)
        busy.toy.put(device + offsetof(busy.type, "name"), "B", ord("d"))
        busy.toy.put(place, "2Q", device, device)
        if not device % 32:
            found.append(device)
    busy.toy.put(busy.stack + 1600, "4Q", 0, NOWHERE, found[0] + 8, found[0])

    def seen() -> "list[int]":
        return places(for_each_netdev_pointer_on_stack(busy.object(), {NET}))

    assert seen() == found
    busy.change(found[0], reg_state=RELEASED)
    assert seen() == found[1:]


@pytest.mark.parametrize(("size", "end"), [(LENGTH, LENGTH), (0, 0x400)])
def test_task_that_waits_for_references(busy: Busy, size: int, end: int) -> None:
    """A return address is behind the call. Some symbols have no size."""
    busy.symbol(size)
    for at, inside in ((0, False), (1, True), (end - 1, True), (end, False)):
        busy.toy.put(busy.stack + STACK - 8, "Q", FUNCTION + at)
        assert is_in_netdev_run_todo(busy.object()) is inside


def test_return_address_that_is_signed() -> None:
    """Pointer authentication of arm64 uses the bits that are 1 without it."""
    signed = 0x1234 << 48 | (FUNCTION + 16) % (1 << 31)
    for machine, inside in ((Architecture.AARCH64, True), (Architecture.X86_64, False)):
        toy = Toy(machine)
        toy.struct("list_head", next="void *", prev="void *")
        busy = Busy(toy)
        busy.symbol(LENGTH)
        busy.toy.put(busy.stack + 800, "Q", signed)
        assert is_in_netdev_run_todo(busy.object()) is inside


def test_kernel_without_symbols(busy: Busy) -> None:
    with pytest.raises(LookupError):
        is_in_netdev_run_todo(busy.object())


@pytest.mark.parametrize(("state", "width"), [("__state", "int"), ("state", "long")])
def test_tasks_that_run_or_wait(toy: Toy, state: str, width: str) -> None:
    """Before v5.14, the state is a long."""
    busy = Busy(toy, state, width)
    for value, on_cpu, waits in (
        (0, 0, False),
        (0, 1, True),
        (1, 0, False),
        (UNINTERRUPTIBLE, 0, True),
        (UNINTERRUPTIBLE | 1, 0, True),
        (UNINTERRUPTIBLE | NOLOAD, 0, False),  # An idle kernel thread.
        (NOLOAD, 0, False),
    ):
        code = "Q" if width == "long" else "I"
        toy.put(busy.task + busy.tasks.offset(state), code, value)
        busy.tasks.point(busy.task, on_cpu=on_cpu)
        assert places(for_each_waiting_task(toy.prog)) == [busy.task] * waits


def test_tasks_that_have_an_address_on_their_stack(busy: Busy) -> None:
    busy.tasks.point(busy.tasks.head, stack=busy.stack)
    one, two, *_ = busy.devices
    busy.toy.put(busy.stack + 80, "4Q", two, one, two, 5)
    other = busy.tasks.add(11, 0)
    busy.tasks.point(other, stack=busy.toy.place("struct list_head", STACK // 16))
    found = for_each_task_with_address(busy.toy.prog, {one, two, 8})
    by_task = {(task.value_(), address) for task, address in found}
    assert {pair for pair in by_task if pair[0] != busy.tasks.head} == {
        (busy.task, one),
        (busy.task, two),
    }
    busy.tasks.point(other, stack=NOWHERE)
    with pytest.raises(WalkError, match="a kernel stack: "):
        list(for_each_task_with_address(busy.toy.prog, {one}))


def test_tasks_that_are_looked_at_have_a_limit(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drgn_veth.readers.unregister._MAX_STACKS", 3)
    busy.tasks.point(busy.tasks.head, stack=busy.stack, on_cpu=1)
    busy.tasks.point(busy.task, on_cpu=1)

    def look() -> "tuple[int, int]":
        waiting = places(for_each_waiting_task(busy.toy.prog))
        found = list(for_each_task_with_address(busy.toy.prog, {busy.devices[0]}))
        return len(waiting), len(found)

    busy.toy.put(busy.stack, "Q", busy.devices[0])
    one, two = look()
    while two < 3:
        busy.tasks.point(busy.tasks.add(12, 0), stack=busy.stack, on_cpu=1)
        one, two = look()
    assert (one, two) == (3, 3)
    busy.tasks.point(busy.tasks.add(13, 0), stack=busy.stack, on_cpu=1)
    with pytest.raises(WalkError, match="more than 3 tasks wait"):
        list(for_each_waiting_task(busy.toy.prog))
    with pytest.raises(WalkError, match="there are more than 3 tasks"):
        list(for_each_task_with_address(busy.toy.prog, {busy.devices[0]}))


def test_count_of_devices_that_go(toy: Toy) -> None:
    """Before v6.9, each namespace has one."""
    toy.struct("net", hash_mix="unsigned int", dev_unreg_count="unsigned int")
    nets = [toy.place("struct net") for _ in range(3)]
    for count, net in enumerate(nets, 1):
        toy.set("struct net", net, dev_unreg_count=count)
    assert dev_unreg_count(toy.prog, nets) == 6
    assert dev_unreg_count(toy.prog, nets[:1]) == 1
    toy.struct("atomic_t", counter="int")
    toy.set(
        "struct atomic_t", toy.variable("dev_unreg_count", "struct atomic_t"), counter=4
    )
    assert dev_unreg_count(toy.prog, nets) == 4
