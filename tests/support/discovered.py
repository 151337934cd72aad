# SPDX-License-Identifier: LGPL-2.1-or-later
"""The devices that are found in a recorded core, and in what of it is torn down."""

from collections.abc import Iterator, Sequence
from typing import Any, Optional

from drgn import Object, sizeof
from drgn_veth.model import Task
from drgn_veth.readers.netns import for_each_net_bounded, for_each_netdev_bounded
from drgn_veth.snapshot.discover import Discovery
from drgn_veth.snapshot.found import Found
from drgn_veth.snapshot.layouts import Layouts

from .memory import Altered

__all__ = ("WORKER", "Core", "Torn")

WORKER = Task(7, "kworker")


class Core:
    """The recorded core: its namespaces, and what a Discovery finds in it."""

    def __init__(self, altered: Altered) -> None:
        self.altered = altered
        self.nets = list(for_each_net_bounded(altered.original))
        self.names: dict[str, Object] = {}
        self.devices: list[list[Object]] = []
        for net in self.nets:
            self.devices.append(list(for_each_netdev_bounded(net)))
            for dev in self.devices[-1]:
                name = dev.name.string_().decode(errors="replace")
                self.names.setdefault(name, dev)
        self.count = sum(map(len, self.devices))

    def write(self, member: Object, value: int) -> None:
        assert member.address_ is not None
        data = value.to_bytes(sizeof(member), "little")
        self.altered.write(member.address_, data)

    def lose(self, member: Object) -> None:
        assert member.address_ is not None
        self.altered.lose(member.address_, sizeof(member))

    def unlink(self, node: Object) -> None:
        """Take an entry off its list."""
        next, prev = (self.now(one).value_() for one in (node.next, node.prev))
        self.altered.write(prev, next.to_bytes(8, "little"))
        self.altered.write(next + 8, prev.to_bytes(8, "little"))

    def now(self, value: Object) -> Object:
        """Return a value of the core as it is changed."""
        prog = self.altered.prog
        type = prog.type(value.type_.type_name())
        if value.address_ is None:
            return Object(prog, type, value.value_())
        return Object(prog, type, address=value.address_)

    def refs(self, net: Object, count: int) -> None:
        """Say how many references a namespace has: the core lacks that."""
        refs = net.ns.member_("__ns_ref").refs.counter
        assert refs.address_ is not None
        self.altered.add(refs.address_, count.to_bytes(sizeof(refs), "little"))

    def look(self) -> Discovery:
        self.discovery = Discovery(Layouts(self.altered.prog))
        self.namespaces = dict(self.discovery.namespaces())
        return self.discovery

    def found(self, dev: Object) -> Optional[Found]:
        return self.discovery.found.get(dev.value_())

    def off_list(self, dev: Object) -> Optional[str]:
        found = self.found(dev)
        assert found is not None
        return found.ref.off_list


class Torn:
    """In place of Going: what is torn down is what a test says."""

    nets_said: Sequence[Object] = ()
    devices_said: Sequence[Object] = ()
    said: Sequence[tuple[str, str]] = ()
    made = 0

    def __init__(self, prog: Any) -> None:
        self.incomplete = list(self.said)
        type(self).made += 1

    def nets(self, listed: Any) -> Iterator[Object]:
        yield from self.nets_said

    def devices(self, listed: Any, dying: Any) -> Iterator[Object]:
        yield from self.devices_said

    def worker_record(self) -> Task:
        return WORKER
