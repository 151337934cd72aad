# SPDX-License-Identifier: LGPL-2.1-or-later
"""The IP addresses of devices."""

from collections.abc import Iterable, Iterator, Mapping
import functools
import operator
from typing import TypeVar

from drgn import Program

from ..core.budget import budget_of
from ..core.byte_order import byteorder
from ..core.errors import attempt
from ..core.names import check_names
from ..core.struct_layout import Layout
from ..core.unreadable import Maybe, Unreadable
from ..readers.bounded import bounded_list
from ..readers.inet import (
    MAX_ADDRESSES,
    InDevice,
    InIfaddr,
    bounded_ifa_list,
    inet_ifa_text,
)
from ..readers.inet6 import Inet6Dev, Inet6Ifaddr, inet6_ifa_text
from .found import Found
from .layouts import layout_of, needed

__all__ = ("Addresses",)

T = TypeVar("T")
_FREE = 1 << 17  # addresses

_ASTRAY = Unreadable("what it has of this family does not point back to this device")

_Texts = Maybe[tuple[str, ...]]


def _whole(texts: Iterable[Maybe[str]]) -> tuple[str, ...]:
    # A list without one of them would say that the device does not have it.
    whole = []
    for text in texts:
        if isinstance(text, Unreadable):
            raise ValueError(text.reason)
        whole.append(text)
    return tuple(whole)


def _astray(owner: Maybe[int]) -> Unreadable:
    return owner if isinstance(owner, Unreadable) else _ASTRAY


def _pointers(
    found: Mapping[int, Found], name: str, texts: dict[int, _Texts]
) -> list[tuple[int, int]]:
    # What a member of each device points to, and the device, in the order of memory.
    pointers = []
    for address, device in found.items():
        pointer = getattr(device.raw, name)
        if isinstance(pointer, Unreadable):
            texts[address] = pointer
        elif pointer:  # None: this kernel does not have it.
            pointers.append((pointer, address))
    return sorted(pointers)


class Addresses:
    """
    Reads the addresses of devices, as ``ip address`` shows them.

    :param found: All devices, by address; complete when the first is asked for
    """

    def __init__(self, prog: Program, found: Mapping[int, Found]) -> None:
        self._prog = prog
        self._found = found
        self._order = byteorder(self._prog)
        self._free = _FREE

    def of_these(self, found: Mapping[int, Found]) -> "Addresses":
        """Return what reads the addresses of other devices."""
        other = Addresses(self._prog, found)
        for name in ("in_device", "in_ifaddr", "inet6_dev", "inet6_ifaddr"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    # Looked up when the first device needs them: a look-up that fails searches the
    # types of all modules.

    @functools.cached_property
    def in_device(self) -> Maybe[Layout[InDevice]]:
        """Layout of ``struct in_device``."""
        return layout_of(self._prog, "struct in_device", InDevice)

    @functools.cached_property
    def in_ifaddr(self) -> Maybe[Layout[InIfaddr]]:
        """Layout of ``struct in_ifaddr``."""
        return layout_of(self._prog, "struct in_ifaddr", InIfaddr)

    @functools.cached_property
    def inet6_dev(self) -> Maybe[Layout[Inet6Dev]]:
        """Layout of ``struct inet6_dev``."""
        return layout_of(self._prog, "struct inet6_dev", Inet6Dev, "ipv6")

    @functools.cached_property
    def inet6_ifaddr(self) -> Maybe[Layout[Inet6Ifaddr]]:
        """Layout of ``struct inet6_ifaddr``."""
        return layout_of(self._prog, "struct inet6_ifaddr", Inet6Ifaddr, "ipv6")

    def of(self, address: int) -> _Texts:
        """
        Return the addresses of a device, IPv4 first.

        :param address: Address of the ``struct net_device``
        """
        inet, inet6 = self._inet, self._inet6
        four, six = inet.get(address, ()), inet6.get(address, ())
        if not four or isinstance(six, Unreadable):
            return six
        return four if isinstance(four, Unreadable) else four + six

    # A dump's page is unpacked for each read of it that comes too late. So these read
    # one struct of all devices after another, in the order of the memory.

    @functools.cached_property
    def _inet(self) -> dict[int, _Texts]:
        texts: dict[int, _Texts] = {}
        lists: list[tuple[int, int, int]] = []
        layout = self.in_device
        for in_dev, address in _pointers(self._found, "ip_ptr", texts):
            if isinstance(layout, Unreadable):
                texts[address] = layout
                continue
            raw = layout.read_span(in_dev)
            if raw.dev != address:
                texts[address] = _astray(raw.dev)
            elif isinstance(raw.ifa_list, Unreadable):
                texts[address] = raw.ifa_list
            elif raw.ifa_list:
                lists.append((raw.ifa_list, in_dev, address))
        for first, in_dev, address in sorted(lists):
            texts[address] = attempt(self._inet_texts, in_dev, first)
        return texts

    def _free_at_first(self, addresses: Iterable[T]) -> Iterator[T]:
        # A host may have a /16 on lo. Other walks must not run out of budget for that.
        budget = budget_of(self._prog)
        for address in addresses:
            if self._free > 0:
                self._free -= 1
            else:
                budget.step()
            yield address

    def _inet_texts(self, in_dev: int, first: int) -> tuple[str, ...]:
        check_names(self._prog)
        layout = needed(self.in_ifaddr)

        def read(at: int) -> tuple[Maybe[int], Maybe[int], InIfaddr]:
            raw = layout.read_span(at)
            return raw.next, raw.dev, raw

        return _whole(
            attempt(inet_ifa_text, raw.local, raw.address, raw.prefixlen, self._order)
            for raw in self._free_at_first(bounded_ifa_list(in_dev, first, read))
        )

    @functools.cached_property
    def _inet6(self) -> dict[int, _Texts]:
        texts: dict[int, _Texts] = {}
        lists: list[tuple[int, int, int, Maybe[int]]] = []
        layout = self.inet6_dev
        for idev, address in _pointers(self._found, "ip6_ptr", texts):
            if isinstance(layout, Unreadable):
                texts[address] = layout
                continue
            raw = layout.read_span(idev)
            first, head = raw.next, idev + layout.offset.get("next", 0)
            if raw.dev != address:
                texts[address] = _astray(raw.dev)
            elif isinstance(first, Unreadable):
                texts[address] = first
            elif first != head:
                lists.append((first, head, address, raw.prev))
        lists.sort(key=operator.itemgetter(0))
        for first, head, address, last in lists:
            # The list can be walked without its last.
            walk = functools.partial(self._inet6_texts, head, first, last)
            texts[address] = attempt(walk)
        return texts

    def _inet6_texts(self, head: int, first: int, last: Maybe[int]) -> tuple[str, ...]:
        check_names(self._prog)
        layout = needed(self.inet6_ifaddr)
        node = layout.offset.get("next", 0)
        if first == last:  # Most devices have one: no need for a walk.
            raw = layout.read_span(first - node)
            if raw.next == head == raw.prev:
                return _whole([attempt(inet6_ifa_text, raw.addr, raw.prefix_len)])

        def read(at: int) -> tuple[Maybe[int], Maybe[int], Inet6Ifaddr]:
            raw = layout.read_span(at - node)
            return raw.next, raw.prev, raw

        addresses = bounded_list(head, first, last, read, MAX_ADDRESSES)
        return _whole(
            attempt(inet6_ifa_text, raw.addr, raw.prefix_len)
            for raw in self._free_at_first(addresses)
        )
