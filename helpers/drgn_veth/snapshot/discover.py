# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Finding all devices
-------------------

It walks the lists of all namespaces, and follows the pointers between peers, since a
peer may be on no list. A device counts only if something confirms it.
"""

from collections.abc import Iterable, Iterator
import operator
from typing import (
    Callable,
    Optional,
    TypeVar,
)

from drgn import Object

from ..core.budget import budget_of
from ..core.errors import attempt
from ..core.moving import moves, walked_again
from ..core.salvage import Salvage
from ..core.unreadable import Maybe, Unreadable
from ..model import DeviceRef, Namespace
from ..readers.bounded import bounded_list
from ..readers.memory_size import most_that_fit
from ..readers.netns import (
    dev_net,
    for_each_net_bounded,
    net_inum,
    net_is_dying,
    net_is_init,
)
from ..readers.peer import netdev_peer
from ..readers.unregister import NETREG_REGISTERED
from ..readers.veth import VethPriv
from .alive import Alive
from .device_index import DeviceIndex
from .found import Found, FoundReader, ifindex_of, name_of
from .going import Going
from .inode_numbers import shared_numbers
from .labels import HOST
from .layouts import Layouts, NetDevice

__all__ = ("Discovery",)

T = TypeVar("T")

# The least that a device takes: its struct, its queues, and the files that show them.
_SIZE = 16 << 10
# Peers that are on no list can lead to more of their kind; a dump that is
# damaged must not make us follow chains of them.
_MAX_OFF_LIST = 1 << 16

# That a device adds to the budget, many more than it needs, and that a namespace takes
# of it: each has a device.
_STEPS = 64

_TRIES = 3  # of a running kernel, to find what is torn down

_REG_STATES = {
    0: "not registered yet",
    2: "unregistering",
    3: "unregistered",
    4: "released",
    5: "a dummy",
}


class Discovery:
    """All devices of a kernel, each read once."""

    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts
        self._prog = layouts.prog
        self._devices = FoundReader(layouts)
        self._most = most_that_fit(layouts.prog, _SIZE)
        self._budget = budget_of(layouts.prog)
        self._index = DeviceIndex(layouts)
        #: What was found, by address.
        self.found: dict[int, Found] = {}
        # Of namespaces, by the address of the struct net.
        self._inums: dict[int, Maybe[int]] = {}
        self._labels: dict[int, str] = {}
        self._moves = moves(self._prog)
        #: Which of a running kernel's namespaces are still there.
        self.alive = Alive(self._prog)
        #: Walks that could not be finished, and why.
        self.incomplete: list[tuple[str, str]] = []
        # Namespaces whose list of devices could not be walked completely.
        self._broken: set[int] = set()
        #: Namespaces that are on no list, and why.
        self.off_list: dict[int, str] = {}
        # Pointers to something that is not a device, and why not.
        self._astray: dict[int, Unreadable] = {}

    def _read_node(
        self, node: int, owner: int
    ) -> tuple[Maybe[int], Maybe[int], tuple[int, NetDevice, Optional[VethPriv]]]:
        address = node - self._layouts.dev_list
        raw, priv = self._devices.raw(address)
        item = (address, raw, priv)
        # On a live kernel a device may be moved under the walk, and the list then
        # goes on in its new namespace.
        if isinstance(raw.net, int) and raw.net != owner:
            astray = Unreadable(
                f"the list leads into another namespace at {address:#x}"
            )
            return astray, astray, item
        why = self._too_many(address, raw)
        if why is not None:
            return why, why, item
        return raw.next, raw.prev, item

    def _too_many(self, address: int, raw: NetDevice) -> Optional[Unreadable]:
        # Why a list has to end: nobody has that many devices.
        if len(self.found) >= self._most:
            return Unreadable(f"more than {self._most} devices, which need more memory")
        # In a running kernel, the one before it there may have gone meanwhile.
        return None if self._moves else self._index.too_many_without(address, raw)

    def _devices_of(
        self, net: Object, inum: Maybe[int], off_list: Optional[str]
    ) -> int:
        where = "?" if isinstance(inum, Unreadable) else str(inum)
        what = f"devices of namespace {where}"
        count = 0
        owner = net.value_()
        head = net.dev_base_head

        def walk() -> Iterator[tuple[int, NetDevice, Optional[VethPriv]]]:
            return bounded_list(
                head.address_of_().value_(),
                attempt(lambda: head.next.value_()),
                attempt(lambda: head.prev.value_()),
                lambda node: self._read_node(node, owner),
                moving=self._moves,
            )

        salvage = Salvage()
        again = walked_again(self._prog, walk, operator.itemgetter(0))
        for address, raw, priv in salvage.walk(again):
            if self._moves and raw.net != owner and raw.net is not None:
                continue  # It has left. Another list has it, or it is gone.
            if address not in self.found:
                self._add(address, raw, priv, inum, off_list)
                count += 1
        if salvage.lost is not None:
            self.incomplete.append((what, salvage.lost))
            self._broken.add(owner)
        return count

    def _add(
        self,
        address: int,
        raw: NetDevice,
        priv: Optional[VethPriv],
        inum: Maybe[int],
        off_list: Optional[str],
    ) -> None:
        self._budget.add(_STEPS)
        self.found[address] = self._devices.found(address, raw, priv, inum, off_list)

    def _nets(self) -> Iterator[Object]:
        for net in for_each_net_bounded(self._prog):
            self._budget.step(_STEPS)
            yield net

    def namespaces(self) -> list[tuple[int, Namespace]]:
        """
        Find all namespaces, all devices in them, and the peers of these.

        :return: Addresses of ``struct net``, and what is known so far
        """
        listed = self._inums
        namespaces: list[tuple[int, Namespace]] = []
        salvage = Salvage()
        for net in salvage.walk(self._nets()):
            inum = listed[net.value_()] = self._met(net)
            count = self._devices_of(net, inum, None)
            init = attempt(net_is_init, net)
            at = net.value_()
            namespaces.append((at, Namespace(inum, init is True, count, net=at)))
        if salvage.lost is not None:
            self.incomplete.append(("namespaces", salvage.lost))
        if self._index.lacks is not None:
            self.incomplete.append(("devices", self._index.lacks))
        for _ in range(_TRIES if self._moves else 1):
            going = Going(self._prog)
            self._add_going_nets(going, listed, namespaces)
            self._follow_peers(listed, namespaces)
            if self._add_going_devices(going, listed):
                self._follow_peers(listed, namespaces)
            if not going.incomplete:
                break
        self.incomplete += going.incomplete
        worker = going.worker_record()
        for i, (at, namespace) in enumerate(namespaces):
            if at in self.off_list:
                count = sum(found.raw.net == at for found in self.found.values())
                namespace = namespace._replace(device_count=count)
            if namespace.dying:
                namespace = namespace._replace(worker=worker)
            namespaces[i] = (at, namespace)
        self._tell_apart(namespaces)
        return namespaces

    def _tell_apart(self, namespaces: list[tuple[int, Namespace]]) -> None:
        shared = shared_numbers(namespace for _, namespace in namespaces)
        if not shared:
            return
        self._inums.update(shared)
        namespaces[:] = [
            (at, namespace._replace(inum=self._inums[at]))
            for at, namespace in namespaces
        ]
        for address, found in self.found.items():
            why = shared.get(self.owner(found))
            if why is not None:
                self.found[address] = found._replace(ref=found.ref._replace(netns=why))

    def _met(self, net: Object) -> Maybe[int]:
        # Its inode number.
        if self._moves:
            self.alive.keep(net.value_())
        return attempt(net_inum, net)

    def _add_going_nets(
        self,
        going: Going,
        listed: dict[int, Maybe[int]],
        namespaces: list[tuple[int, Namespace]],
    ) -> None:
        for net in going.nets(listed):
            at = net.value_()
            if at not in listed:
                self._add_net(net, listed, namespaces)
                continue
            # cleanup_net() has not begun with it.
            for i, (address, namespace) in enumerate(namespaces):
                if address == at:
                    namespaces[i] = (at, namespace._replace(dying=True))

    def _add_going_devices(self, going: Going, listed: dict[int, Maybe[int]]) -> bool:
        # Whether there are any that were unknown.
        before = len(self.found)
        for dev in going.devices(listed, self.off_list):
            address = dev.value_()
            if address in self.found or len(self.found) - before > _MAX_OFF_LIST:
                continue
            raw, priv = self._devices.raw(address)
            if isinstance(raw.net, int) and raw.net in listed:
                why = self.why_off_list(raw.net, raw.reg_state)
                self._add(address, raw, priv, listed[raw.net], why)
        return len(self.found) > before

    def _follow_peers(
        self, listed: dict[int, Maybe[int]], namespaces: list[tuple[int, Namespace]]
    ) -> None:
        # A peer may be where no list leads; and it may lead further.
        limit = len(self.found) + _MAX_OFF_LIST
        unseen = list(self.found.values())
        while unseen and len(self.found) <= limit:
            before = len(self.found)
            for found in unseen:
                peer = found.peer
                if isinstance(peer, int) and peer and peer not in self.found:
                    self._follow(found, peer, listed, namespaces)
            unseen = list(self.found.values())[before:]

    def _add_net(
        self,
        net: Object,
        listed: dict[int, Maybe[int]],
        namespaces: list[tuple[int, Namespace]],
    ) -> None:
        # A namespace that is on no list.
        at = net.value_()
        inum = self._met(net)
        dying = attempt(net_is_dying, net) is True
        off_list: Optional[str] = "netns is dying" if dying else "netns is on no list"
        if self._moves and not dying:
            off_list = None  # It came after the list was read.
        listed[at] = inum
        if off_list is not None:
            self.off_list[at] = off_list
        count = self._devices_of(net, inum, off_list)
        namespaces.append((at, Namespace(inum, False, count, dying, net=at)))

    def why_off_list(self, owner: Maybe[Optional[int]], state: Maybe[int]) -> str:
        """
        Return why a device is not on the list of its namespace.

        :param owner: Address of the ``struct net``
        :param state: Its ``reg_state``
        """
        if owner in self._broken:
            return "on a broken list"
        if isinstance(state, Unreadable) or state == NETREG_REGISTERED:
            return "on no list, as during a move"
        return _REG_STATES.get(state, f"reg_state is {state}")

    def _follow(
        self,
        found: Found,
        peer: int,
        listed: dict[int, Maybe[int]],
        namespaces: list[tuple[int, Namespace]],
    ) -> None:
        raw, priv = self._devices.raw(peer)
        # A stray pointer does not make a device: a peer points back to this one and is
        # of its kind, unless these are unreadable.
        back = attempt(lambda: netdev_peer(self._layouts.dev(peer)).value_())
        ops = raw.rtnl_link_ops
        lost = isinstance(ops, Unreadable) or ops == found.raw.rtnl_link_ops
        if back != found.address and not (lost and isinstance(back, Unreadable)):
            self._astray[peer] = Unreadable(
                f"what is at {peer:#x} does not point back to this device"
            )
            return
        net = attempt(dev_net, self._layouts.dev(peer))
        if isinstance(net, Unreadable):
            return
        owner = net.value_()
        if owner not in listed:
            self._add_net(net, listed, namespaces)
        if peer not in self.found:
            why = self.why_off_list(owner, raw.reg_state)
            self._add(peer, raw, priv, listed[owner], why)

    def forget(self, address: int, why: Unreadable) -> None:
        """
        Forget a device.

        :param why: Why those that refer to it do not say to what
        """
        self.found.pop(address, None)
        self._astray[address] = why

    def owner(self, found: Found) -> int:
        """Return the namespace of a device: the address of a ``struct net``."""
        net = found.raw.net
        if net is None:  # CONFIG_NET_NS=n
            return next(iter(self._inums), 0)
        return 0 if isinstance(net, Unreadable) else net

    def place(self, found: Found) -> Optional[tuple[Maybe[int], str]]:
        """
        Return the inode number and the label of the namespace of a device, None if it
        was not found.
        """
        net = self.owner(found)
        return (self._inums[net], self._label(net)) if net in self._inums else None

    def label(self, namespaces: Iterable[Namespace]) -> None:
        """Give each device the label of its namespace."""
        self._labels = {namespace.net: namespace.label for namespace in namespaces}
        for address, found in self.found.items():
            label = self._label(found.raw.net)
            self.found[address] = found._replace(ref=found.ref._replace(label=label))

    def _label(self, net: Maybe[Optional[int]]) -> str:
        if net is None:  # CONFIG_NET_NS=n
            return HOST
        return "" if isinstance(net, Unreadable) else self._labels.get(net, "")

    def reference(self, address: Maybe[int]) -> Maybe[Optional[DeviceRef]]:
        """Return how another device refers to one."""
        if isinstance(address, Unreadable):
            return address
        if not address:
            return None
        try:
            return self.found[address].ref
        except KeyError:
            pass
        if address in self._astray:
            return self._astray[address]
        # On no list, and not found as a peer: a master, or a peer whose namespace
        # cannot be read.
        raw = self._layouts.net_device.read(address)
        ifindex = ifindex_of(raw)
        if isinstance(ifindex, Unreadable):
            return ifindex
        net = attempt(dev_net, self._layouts.dev(address))
        inum: Maybe[int] = Unreadable("it has no network namespace")
        if not isinstance(net, Unreadable) and net:
            known = self._inums.get(net.value_())
            inum = attempt(net_inum, net) if known is None else known
        name = attempt(name_of, raw.name)
        label = self._label(raw.net)
        return DeviceRef(inum, ifindex, name, address, "on no list", label)

    def references(
        self, walk: Callable[[Object], Iterable[Object]], found: Found
    ) -> Maybe[tuple[DeviceRef, ...]]:
        """
        Return the neighbours of a device.

        :param walk: Yields each as a ``struct net_device *``
        """
        dev = self._layouts.dev(found.address)
        addresses = attempt(lambda: [other.value_() for other in walk(dev)])
        if isinstance(addresses, Unreadable):
            return addresses
        references = []
        for address in addresses:
            reference = self.reference(address)
            if isinstance(reference, Unreadable):
                return reference
            if reference is None or address == found.address:
                return Unreadable(
                    "the list of its neighbours contains NULL or the device itself"
                )
            references.append(reference)
        return tuple(references)
