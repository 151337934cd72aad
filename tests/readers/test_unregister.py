# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that are unregistered together, on lists that are damaged."""

from drgn import Object, offsetof
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.unregister import (
    for_each_netdev_chained,
    netdev_initial_refcnt,
    netdev_refcnt_read,
)
import pytest

from tests.support.toy import NOWHERE, Toy

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
