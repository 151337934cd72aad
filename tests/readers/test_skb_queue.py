# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queues of socket buffers that are broken."""

from drgn import Object
from drgn_veth.core.errors import WalkError
from drgn_veth.core.struct_layout import Layout
from drgn_veth.readers.skb import SkBuff, check_skb, skb_queue_walk, walk_skb_chain
import pytest

from tests.support.toy import NOWHERE, Toy


class Queue:
    """A toy queue of three buffers."""

    def __init__(self) -> None:
        self.toy = toy = Toy()
        toy.struct("refcount", counter="int")
        toy.struct("refs", refs="struct refcount")
        toy.struct("sk_buff_head", next="void *", prev="void *", qlen="unsigned int")
        toy.struct(
            "sk_buff",
            **dict.fromkeys(("next", "prev", "dev", "head", "data"), "void *"),
            **dict.fromkeys(("len", "data_len"), "unsigned int"),
            protocol="unsigned short",
            users="struct refs",
        )
        self.head = toy.place("struct sk_buff_head")
        self.skbs = [toy.place("struct sk_buff") for _ in range(3)]
        ring = [self.head, *self.skbs]
        for i, at in enumerate(ring):
            self.link(at, next=ring[(i + 1) % 4], prev=ring[i - 1])
        for skb in self.skbs:
            toy.set(
                "struct sk_buff", skb, users__refs__counter=1, len=60, head=8, data=16
            )

    def link(self, at: int, **pointers: int) -> None:
        for name, value in pointers.items():
            self.toy.put(at + 8 * (name == "prev"), "Q", value)

    def walk(self) -> "list[int]":
        head = Object(self.toy.prog, "struct sk_buff_head *", self.head)
        return [skb.value_() for skb in skb_queue_walk(head)]


def test_walk() -> None:
    queue = Queue()
    assert queue.walk() == queue.skbs


@pytest.mark.parametrize(("pointer", "why"), [(0, "NULL pointer"), (NOWHERE, "memory")])
def test_a_stray_next_ends_it(pointer: int, why: str) -> None:
    queue = Queue()
    queue.link(queue.skbs[1], next=pointer)
    with pytest.raises(WalkError, match=why):
        queue.walk()


def test_a_loop_and_a_shortcut_end_it() -> None:
    for goal in (0, 2):
        queue = Queue()
        queue.link(queue.skbs[goal and 0 or 2], next=queue.skbs[goal])
        with pytest.raises(WalkError, match="does not point back"):
            queue.walk()


def test_a_chain_that_loops() -> None:
    queue = Queue()
    queue.link(queue.skbs[2], next=queue.skbs[1])
    layout = Layout(queue.toy.prog, queue.toy.prog.type("struct sk_buff"), SkBuff)
    found = []
    with pytest.raises(WalkError, match="loops"):
        for at, _ in walk_skb_chain(layout, queue.skbs[0]):
            found.append(at)
    assert found == queue.skbs


@pytest.mark.parametrize(
    "wrong", [{"users__refs__counter": 0}, {"data_len": 61}, {"data": 7}]
)
def test_what_is_no_buffer(wrong: "dict[str, int]") -> None:
    queue = Queue()
    layout = Layout(queue.toy.prog, queue.toy.prog.type("struct sk_buff"), SkBuff)
    check_skb(layout.read(queue.skbs[0]))
    queue.toy.set("struct sk_buff", queue.skbs[0], **wrong)
    with pytest.raises(ValueError, match="no socket buffer"):
        check_skb(layout.read(queue.skbs[0]))
