# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Memory that changes while it is read
------------------------------------

A recorded core that a program reads as if it were a running kernel: what is written at
some read is there from then on.
"""

from typing import Callable, NamedTuple

from drgn import Object, sizeof
from drgn_veth.core.moving import let_it_move

from tests.support.memory import Altered
from tests.support.recorded import Recorded

__all__ = ("Shifting",)


class _Watch(NamedTuple):
    first: int
    end: int
    number: int
    act: Callable[[], None]


class Shifting(Altered):
    """
    A recorded core whose memory changes while it is read.

    :param moves: Whether it says so, as a running kernel does
    """

    def __init__(self, recorded: Recorded, moves: bool = True) -> None:
        self._watches: list[_Watch] = []
        self._seen: dict[int, int] = {}
        self._acting = False
        #: What went wrong with what was to be done at a read.
        self.failed: list[Exception] = []
        super().__init__(recorded.core, [], recorded.prog)
        if moves:
            let_it_move(self.prog)

    def reset(self) -> None:
        """Show the core as it is."""
        super().reset()
        self._watches.clear()
        self._seen.clear()
        self.failed.clear()

    def at_read(self, address: int, number: int, act: Callable[[], None]) -> None:
        """
        Do something just before some read of an address.

        :param number: 1: before the first read; 0: before each
        :param act: Writes
        """
        first = self.physical(address)
        self._seen[first] = 0
        self._watches.append(_Watch(first, first + 1, number, act))

    def reads_of(self, address: int) -> int:
        """Return how often an address was read, of those that are watched."""
        self._acting = True  # This look does not count.
        try:
            return self._seen[self.physical(address)]
        finally:
            self._acting = False

    def _read(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        if not self._acting and self._watches:
            self._acting = True
            try:
                self._act(address, address + count)
            finally:
                self._acting = False
        return super()._read(address, count, offset, physical)

    def _act(self, first: int, end: int) -> None:
        due = []
        for at in self._seen:
            if first <= at < end:
                self._seen[at] += 1
        for watch in self._watches:
            if first <= watch.first < end:
                if watch.number in (0, self._seen[watch.first]):
                    due.append(watch.act)
        for act in due:
            try:
                act()
            except Exception as e:  # drgn takes it for memory that cannot be read.
                self.failed.append(e)

    # Lists, as the kernel changes them.

    def word(self, address: int) -> int:
        """Return a word. While a program reads, nothing else of it can be read."""
        return int(self._probe.read_word(address))

    def unlink(self, node: int) -> None:
        """Take a node off a ``struct list_head`` list, as list_del_rcu() does."""
        following, before = self.word(node), self.word(node + 8)
        self.write(before, following.to_bytes(8, "little"))
        self.write(following + 8, before.to_bytes(8, "little"))
        self.write(node + 8, (0xDEAD000000000122).to_bytes(8, "little"))

    def link(self, node: int, head: int) -> None:
        """Put a node at the end of a list."""
        last = self.word(head + 8)
        for at, value in (
            (node, head),
            (node + 8, last),
            (last, node),
            (head + 8, node),
        ):
            self.write(at, value.to_bytes(8, "little"))

    def put(self, member: Object, value: int) -> None:
        """Write a member."""
        address = member.address_
        assert address is not None
        size = sizeof(member)
        self.write(address, (value % (1 << 8 * size)).to_bytes(size, "little"))
