# SPDX-License-Identifier: LGPL-2.1-or-later
"""The IP addresses of a device, in a kernel of a few bytes."""

from collections.abc import Sequence
import types
from typing import Any

from drgn import Object, TypeMember, offsetof
from drgn_veth.core.errors import WalkError
from drgn_veth.core.unreadable import Maybe, Unreadable
from drgn_veth.readers import inet
from drgn_veth.readers.inet import inet_ifa_text, netdev_inet_addresses
from drgn_veth.readers.inet6 import inet6_ifa_text, netdev_inet6_addresses
from drgn_veth.snapshot.addresses import Addresses
import pytest

from tests.support.toy import NOWHERE, Toy

_FE80 = bytes([0xFE, 0x80, *bytes(13), 1])


def test_texts() -> None:
    assert inet_ifa_text(0x0100000A, 0x0100000A, 24, "little") == "10.0.0.1/24"
    assert inet_ifa_text(0x0A000001, 0x0A000001, 24, "big") == "10.0.0.1/24"
    # Of a point-to-point device: its own address, and not the peer's.
    assert inet_ifa_text(0x0100000A, 0x0900000A, 32, "little") == "10.0.0.1/32"
    # 0 is not told.
    assert inet_ifa_text(0, 0x0900000A, 32, "little") == "10.0.0.9/32"
    with pytest.raises(ValueError, match="ifa_prefixlen is 33"):
        inet_ifa_text(1, 1, 33, "little")


@pytest.mark.parametrize(
    ("addr", "text"),
    [
        ("fe800000000000000000000000000001", "fe80::1"),
        ("20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"),
        ("20010000000000010000000000000000", "2001:0:0:1::"),
        ("00000000000000000000000000000001", "::1"),
        ("00000000000000000000000000000000", "::"),
        # As glibc's inet_ntop() writes them.
        ("0000000000000000000000007f000001", "::127.0.0.1"),
        ("00000000000000000000000000010000", "::0.1.0.0"),
        ("0000000000000000000000000000ffff", "::ffff"),
        ("00000000000000000000ffffc0000203", "::ffff:192.0.2.3"),
    ],
)
def test_texts_of_inet6(addr: str, text: str) -> None:
    assert inet6_ifa_text(bytes.fromhex(addr), 64) == f"{text}/64"
    with pytest.raises(ValueError, match="prefix_len is 129"):
        inet6_ifa_text(bytes.fromhex(addr), 129)


class Addressed:
    """A device with addresses."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        prog = toy.prog
        list_head = prog.type("struct list_head")
        toy.struct(
            "in_ifaddr",
            ifa_next="void *",
            ifa_dev="void *",
            ifa_local="unsigned int",
            ifa_address="unsigned int",
            ifa_prefixlen="unsigned char",
        )
        ifaddr = prog.pointer_type(prog.type("struct in_ifaddr"))
        toy.struct("in_device", dev="void *", ifa_list=ifaddr)
        eight = prog.array_type(prog.type("unsigned char"), 16)
        union = prog.union_type(None, 16, [_member(eight, "u6_addr8")])
        in6_addr = toy.struct("in6_addr", in6_u=union)
        toy.struct(
            "inet6_ifaddr",
            addr=in6_addr,
            prefix_len="unsigned int",
            if_list=list_head,
        )
        toy.struct("inet6_dev", dev="void *", addr_list=list_head)
        toy.struct(
            "net_device",
            ip_ptr=prog.pointer_type(prog.type("struct in_device")),
            ip6_ptr=prog.pointer_type(prog.type("struct inet6_dev")),
        )
        self.at = toy.place("struct net_device")
        self.in_dev = toy.place("struct in_device")
        self.idev = toy.place("struct inet6_dev")
        self.head = self.idev + offsetof(prog.type("struct inet6_dev"), "addr_list")
        toy.set("struct in_device", self.in_dev, dev=self.at)
        toy.set("struct inet6_dev", self.idev, dev=self.at)
        toy.put(self.head, "QQ", self.head, self.head)
        self.dev = Object(prog, "struct net_device", address=self.at).address_of_()
        self.point(self.in_dev, self.idev)

    def point(self, ip_ptr: int, ip6_ptr: int) -> None:
        self.pointers = (ip_ptr, ip6_ptr)
        self.toy.set("struct net_device", self.at, ip_ptr=ip_ptr, ip6_ptr=ip6_ptr)

    def inet(self, count: int) -> list[int]:
        """Give it IPv4 addresses, return where they are."""
        places = [self.toy.place("struct in_ifaddr") for _ in range(count)]
        for i, (place, following) in enumerate(zip(places, [*places[1:], 0])):
            ip = 10 | i + 1 << 24
            values = {"ifa_next": following, "ifa_dev": self.in_dev, "ifa_local": ip}
            self.toy.set("struct in_ifaddr", place, **values)
            self.toy.set("struct in_ifaddr", place, ifa_address=ip, ifa_prefixlen=24)
        first = places[0] if places else 0
        self.toy.set("struct in_device", self.in_dev, ifa_list=first)
        return places

    def inet6(self, count: int) -> list[int]:
        """Give it IPv6 addresses, return where their list nodes are."""
        node = offsetof(self.toy.prog.type("struct inet6_ifaddr"), "if_list")
        places = [self.toy.place("struct inet6_ifaddr") for _ in range(count)]
        nodes = [self.head, *(place + node for place in places)]
        for i, at in enumerate(nodes):
            self.toy.put(at, "QQ", nodes[(i + 1) % len(nodes)], nodes[i - 1])
        for i, place in enumerate(places):
            self.toy.put(place, "16B", *_FE80[:15], i + 1)
            self.toy.set("struct inet6_ifaddr", place, prefix_len=64)
        return nodes[1:]

    def snapshot(self) -> Maybe[tuple[str, ...]]:
        """What the Snapshot has."""
        raw = types.SimpleNamespace(ip_ptr=self.pointers[0], ip6_ptr=self.pointers[1])
        found: Any = {self.at: types.SimpleNamespace(raw=raw)}
        return Addresses(self.toy.prog, found).of(self.at)

    def helpers(self) -> tuple[list[str], str]:
        """What the helpers reach, and what they say."""
        reached: list[str] = []
        said = ""
        for walk in (netdev_inet_addresses, netdev_inet6_addresses):
            try:
                reached.extend(walk(self.dev))
            except WalkError as e:
                said = str(e)
        return reached, said


def _member(type: Any, name: str) -> Any:
    return TypeMember(type, name)


@pytest.fixture
def addressed(toy: Toy) -> Addressed:
    return Addressed(toy)


def both(addressed: Addressed) -> Sequence[str]:
    """What both say of an intact device."""
    reached, said = addressed.helpers()
    assert said == ""
    assert addressed.snapshot() == tuple(reached)
    return reached


def test_order(addressed: Addressed) -> None:
    assert both(addressed) == []
    addressed.inet(3)
    assert both(addressed) == ["10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24"]
    addressed.inet6(2)
    assert both(addressed)[3:] == ["fe80::1/64", "fe80::2/64"]
    addressed.inet(0)
    addressed.inet6(1)
    assert both(addressed) == ["fe80::1/64"]
    addressed.point(0, 0)
    assert both(addressed) == []


def test_a_list_of_ipv4_that_loops(addressed: Addressed) -> None:
    first, _, third = addressed.inet(3)
    addressed.toy.set("struct in_ifaddr", third, ifa_next=first)
    reached, said = addressed.helpers()
    assert (len(reached), said) == (3, f"the list loops at {first:#x}")
    assert addressed.snapshot() == Unreadable(said)


def test_an_address_of_another_device(addressed: Addressed) -> None:
    _, second, _ = addressed.inet(3)
    addressed.toy.set("struct in_ifaddr", second, ifa_dev=addressed.at)
    reached, said = addressed.helpers()
    assert reached == ["10.0.0.1/24"]
    assert said == f"{second:#x} is not an address of this device"
    assert addressed.snapshot() == Unreadable(said)


def test_more_addresses_than_believed(
    addressed: Addressed, monkeypatch: pytest.MonkeyPatch
) -> None:
    addressed.inet(50)
    monkeypatch.setattr(inet, "MAX_ADDRESSES", 50)
    assert len(both(addressed)) == 50
    monkeypatch.setattr(inet, "MAX_ADDRESSES", 49)
    reached, said = addressed.helpers()
    assert (len(reached), said) == (49, "more than 49 addresses: gave up")
    assert addressed.snapshot() == Unreadable(said)


def test_a_prefix_that_is_too_long(addressed: Addressed) -> None:
    first, _ = addressed.inet(2)
    addressed.inet6(1)
    addressed.toy.set("struct in_ifaddr", first, ifa_prefixlen=77)
    assert addressed.snapshot() == Unreadable("ifa_prefixlen is 77, more than 32")


def test_a_list_of_ipv6_that_is_broken(addressed: Addressed) -> None:
    first, second, third = addressed.inet6(3)
    addressed.toy.put(first, "Q", third)
    reached, said = addressed.helpers()
    assert "fe80::1/64" in reached and "does not point back" in said
    assert addressed.snapshot() == Unreadable(said)
    addressed.inet(1)
    assert addressed.snapshot() == Unreadable(said)


@pytest.mark.parametrize("member", ("ip_ptr", "ip6_ptr"))
def test_a_stray_pointer(addressed: Addressed, member: str) -> None:
    """What it points to is of another device, or nowhere."""
    addressed.inet(1)
    addressed.inet6(1)
    pointers = dict(zip(("ip_ptr", "ip6_ptr"), addressed.pointers))
    another = addressed.toy.place("struct inet6_dev")
    addressed.point(**{**pointers, member: another})
    found = addressed.snapshot()
    assert isinstance(found, Unreadable) and "does not point back" in found.reason
    addressed.point(**{**pointers, member: NOWHERE})
    assert isinstance(addressed.snapshot(), Unreadable)


def test_without_ipv6(toy: Toy) -> None:
    """A kernel that has no member for it, and one whose ipv6 is a module."""
    addressed = Addressed(toy)
    addressed.inet(1)
    addressed.inet6(1)
    del toy._types["inet6_dev"]
    found = addressed.snapshot()
    assert isinstance(found, Unreadable)
    assert "no type struct inet6_dev: ipv6 is a module here" in found.reason
    in_device = toy.prog.type("struct in_device")
    toy.struct("net_device", ip_ptr=toy.prog.pointer_type(in_device))
    dev = Object(toy.prog, "struct net_device", address=addressed.at).address_of_()
    assert list(netdev_inet6_addresses(dev)) == []
    assert list(netdev_inet_addresses(dev)) == ["10.0.0.1/24"]
