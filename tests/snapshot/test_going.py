# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Namespaces that cleanup_net() is about to tear down, in a recorded core; and how many
devices are found of those that netdev_run_todo() has to do with.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional

from drgn import Object, sizeof
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.netns import for_each_net_bounded
from drgn_veth.readers.unregister import NETREG_UNREGISTERED, NETREG_UNREGISTERING
from drgn_veth.snapshot.going import Going
import pytest

from tests.support.damage import take
from tests.support.memory import Altered
from tests.support.slow import slow_but
from tests.support.toy import NOWHERE, Toy


@pytest.mark.parametrize("works", slow_but([True], [True, False]))
def test_on_the_list_and_dying(altered: Altered, works: bool) -> None:
    """It waits for cleanup_net(). If that is idle, no namespace waits."""
    prog = altered.original
    count = prog["pernet_ops_rwsem"].count.counter
    altered.write(count.address_ or 0, int(works).to_bytes(sizeof(count), "little"))
    *_, net = for_each_net_bounded(prog)
    # The slice lacks it: nothing was cleaned up.
    refs = net.ns.member_("__ns_ref").refs.counter
    altered.add(refs.address_ or 0, bytes(sizeof(refs)))
    dying = [one.net for one in take(altered).namespaces if one.dying]
    assert dying == ([net.value_()] if works else [])


# Devices

DEVICES = "devices that are on no list"


class _Going:
    """A toy kernel, in which each walk yields what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.toy = toy = Toy()
        toy.struct("list_head", next="void *", prev="void *")
        device = toy.struct("net_device", reg_state="int", todo_list="struct list_head")
        toy.struct("net", loopback_dev=toy.prog.pointer_type(device))
        toy.struct("task_struct", pid="int")
        self.walks: dict[str, Sequence[object]] = {}
        self.asked: list[str] = []
        self.count: object = 0
        self.owner: object = None
        for name in (
            *("netdev_todo", "waiting_task", "netdev_on_stack"),
            *("netdev_pointer_on_stack", "netdev_chained"),
        ):
            walk = self._walk(name)
            monkeypatch.setattr(f"drgn_veth.snapshot.going.for_each_{name}", walk)
        for name in ("dev_unreg_count", "rtnl_owner"):
            monkeypatch.setattr(f"drgn_veth.snapshot.going.{name}", self._say(name))

    def _walk(self, name: str) -> Callable[..., Iterator[object]]:
        def walk(*args: object) -> Iterator[object]:
            self.asked.append(name)
            for one in self.walks.get(name, ()):
                if isinstance(one, Exception):
                    raise one
                yield one

        return walk

    def _say(self, name: str) -> Callable[..., object]:
        def say(*args: object) -> object:
            value = self.count if name == "dev_unreg_count" else self.owner
            if isinstance(value, Exception):
                raise value
            return value

        return say

    def device(self, state: int = NETREG_UNREGISTERED, todo: int = 0) -> Object:
        at = self.toy.place("struct net_device")
        self.toy.set("struct net_device", at, reg_state=state, todo_list__next=todo)
        return Object(self.toy.prog, "struct net_device *", at)

    def task(self) -> Object:
        at = self.toy.place("struct task_struct")
        return Object(self.toy.prog, "struct task_struct *", at)

    def look(self, *dying: int) -> "tuple[list[object], list[tuple[str, str]]]":
        """Return the devices that are found, and what is incomplete."""
        self.asked.clear()
        going = Going(self.toy.prog)
        found: list[object] = [dev.value_() for dev in going.devices((), dying)]
        return found, going.incomplete


@pytest.fixture
def going(monkeypatch: pytest.MonkeyPatch) -> _Going:
    return _Going(monkeypatch)


def _few(count: int, found: int) -> "list[tuple[str, str]]":
    return [(DEVICES, f"netdev_run_todo() has {count}, and only {found} were found")]


def test_no_device_goes(going: _Going) -> None:
    assert going.look() == ([], [])
    assert going.asked == []


def test_fewer_devices_than_are_counted(going: _Going) -> None:
    going.count = 1
    assert going.look() == ([], _few(1, 0))
    dev = going.device()
    going.walks["netdev_todo"] = [dev, dev]
    assert going.look() == ([dev.value_()], [])
    going.count = 2
    assert going.look() == ([dev.value_()], _few(2, 1))


@pytest.mark.parametrize(
    ("state", "todo", "counted"),
    [
        (NETREG_UNREGISTERED, 0, True),
        (NETREG_UNREGISTERING, 8, True),
        # It is on no todo_list yet.
        (NETREG_UNREGISTERING, 0, False),
        (NETREG_UNREGISTERING - 1, 8, False),
    ],
)
def test_which_are_counted(going: _Going, state: int, todo: int, counted: bool) -> None:
    going.count = 1
    dev = going.device(state, todo)
    going.walks["netdev_todo"] = [dev]
    assert going.look() == ([dev.value_()], [] if counted else _few(1, 0))


def test_stacks_of_who_may_unregister_devices(going: _Going) -> None:
    """Of the owner of rtnl_mutex always; single words only if one is missing."""
    dev, other = going.device(), going.device()
    going.walks["netdev_on_stack"] = [dev]
    assert going.look() == ([], []) and going.asked == []
    going.owner = going.task()
    assert going.look() == ([dev.value_()], [])
    assert going.asked == ["netdev_on_stack"]
    # Nobody owns it: a task waits.
    going.owner = Object(going.toy.prog, "struct task_struct *", 0)
    going.count, going.walks["waiting_task"] = 1, [going.task()]
    assert going.look() == ([dev.value_()], [])
    assert going.asked == ["netdev_todo", "waiting_task", "netdev_on_stack"]
    going.count, going.walks["netdev_pointer_on_stack"] = 2, [dev, other]
    assert going.look() == ([dev.value_(), other.value_()], [])
    assert going.asked[-1] == "netdev_pointer_on_stack"


def test_devices_of_a_namespace_that_goes(going: _Going) -> None:
    lo, dev = going.device(), going.device()
    net = going.toy.place("struct net")
    going.toy.set("struct net", net, loopback_dev=lo.value_())
    assert going.look(net) == ([lo.value_()], [])
    going.walks["netdev_chained"] = [lo, dev]
    assert going.look(net) == ([lo.value_(), dev.value_()], [])
    # It has none any more, or cannot be read.
    going.toy.set("struct net", net, loopback_dev=0)
    assert going.look(net, NOWHERE) == ([], [])


@pytest.mark.parametrize("count", [0, 5, None])
def test_what_might_not_be_seen(going: _Going, count: Optional[int]) -> None:
    """Then it says nothing of how many were found."""
    why, lost = "the list loops", WalkError("the list loops")
    dev = going.device()
    going.walks["netdev_on_stack"] = [dev, lost]
    going.owner = going.task()
    going.count = WalkError("another reason") if count is None else count
    found, incomplete = going.look()
    assert found == [dev.value_()]
    assert incomplete == [(DEVICES, f"some might not be seen: {why}")]


def test_count_that_is_not_known(going: _Going) -> None:
    going.count = WalkError("gone")
    assert going.look() == ([], [(DEVICES, "some might not be seen: gone")])


def test_todo_list_that_is_not_in_the_core(altered: Altered) -> None:
    """A slice of a kernel that had nothing to do lacks it."""
    count: Any = altered.original["dev_unreg_count"].counter
    altered.write(count.address_, (1).to_bytes(4, "little"))
    ((what, why),) = take(altered).incomplete
    assert what == DEVICES and why.startswith("some might not be seen: ")
