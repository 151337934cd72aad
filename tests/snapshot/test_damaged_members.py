# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Members that are lost
---------------------

A recorded core, seen with changes: each member of each struct that is read is on a page
that is not in the dump, or is not there, or is another one. What is lost is said, and
nothing else is lost with it. More of it is tried on whole dumps in
tests/vm/test_hostile.py.
"""

from collections.abc import Iterable, Iterator, Mapping
import contextlib
from typing import Any, Callable

from drgn import FaultError, Object, Program
from drgn_veth.core.sparse_layout import SpanLayout, SparseLayout
from drgn_veth.core.struct_layout import (
    Kind,
    Layout,
    Member,
    Members,
    members_of,
)
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Snapshot
from drgn_veth.readers.bridge import NetBridgePort, br_port_get
from drgn_veth.readers.inet import InDevice, InIfaddr, in_dev_for_each_ifa, in_dev_get
from drgn_veth.readers.inet6 import (
    Inet6Dev,
    Inet6Ifaddr,
    in6_dev_for_each_ifa,
    in6_dev_get,
)
from drgn_veth.readers.netdev_names import NameNode
from drgn_veth.readers.qdisc import Qdisc
from drgn_veth.readers.queues import TxQueue
from drgn_veth.readers.veth import VethPriv, VethRq, veth_priv
from drgn_veth.snapshot.addresses import Addresses
from drgn_veth.snapshot.bridge_ports import BridgePorts
from drgn_veth.snapshot.layouts import Layouts, NetDevice, RxQueue
from drgn_veth.snapshot.qdiscs import Qdiscs
import pytest

from tests.support.damage import at, devices_of, is_lost, take
from tests.support.memory import Altered, altered_core
from tests.support.recorded import recorded_core
from tests.support.slow import slow_but

TABLES: Mapping[str, type[Members]] = {
    "net_device": NetDevice,
    "rx_queue": RxQueue,
    "tx_queue": TxQueue,
    "veth_priv": VethPriv,
    "veth_rq": VethRq,
    "name_node": NameNode,
    "qdisc": Qdisc,
    "in_device": InDevice,
    "in_ifaddr": InIfaddr,
    "inet6_dev": Inet6Dev,
    "inet6_ifaddr": Inet6Ifaddr,
    "net_bridge_port": NetBridgePort,
}
MEMBERS = [(where, name) for where in TABLES for name in members_of(TABLES[where])]
_LAST = {where: (where, name) for where, name in MEMBERS}
by_member = pytest.mark.parametrize(
    ("table", "name"), slow_but([*_LAST.values()][1:2], MEMBERS)
)

# With a native program, and with RPS on more than one queue; a pair each.
SOME = ("xmixa", "xmixb", "rpsa", "rpsb", "alta")


#: Devices that have a struct which those do not have.
OTHERS = {"in_ifaddr": ("lo",), "net_bridge_port": ("brporta",)}

#: Members that only confirm what others say.
CONFIRM = {
    ("inet6_dev", "prev"),
    ("inet6_ifaddr", "prev"),
    ("net_bridge_port", "dev"),
}

#: What a device points to: where these structs are, and their layout.
AROUND: Mapping[
    str, tuple[Callable[[Object], Iterable[Object]], Callable[[Program], Any]]
] = {
    "qdisc": (
        lambda dev: [dev.qdisc.read_()],
        lambda prog: Qdiscs(prog, {}).layout,
    ),
    "in_device": (
        lambda dev: [in_dev_get(dev)],
        lambda prog: Addresses(prog, {}).in_device,
    ),
    "in_ifaddr": (
        lambda dev: in_dev_for_each_ifa(in_dev_get(dev)),
        lambda prog: Addresses(prog, {}).in_ifaddr,
    ),
    "inet6_dev": (
        lambda dev: [in6_dev_get(dev)],
        lambda prog: Addresses(prog, {}).inet6_dev,
    ),
    "inet6_ifaddr": (
        lambda dev: in6_dev_for_each_ifa(in6_dev_get(dev)),
        lambda prog: Addresses(prog, {}).inet6_ifaddr,
    ),
    "net_bridge_port": (
        lambda dev: [br_port_get(dev)],
        lambda prog: BridgePorts(Layouts(prog)).layout,
    ),
}


def structs_of(
    altered: Altered, dev: Object, table: str
) -> tuple[Layout[Any], list[int]]:
    """Return the layout of a struct, and where those of a device are."""
    known = Layouts(altered.original)
    assert known.veth_priv is not None and known.name_node is not None
    if table in AROUND:
        place, of = AROUND[table]
        return of(altered.original), [other.value_() for other in place(dev)]
    priv = veth_priv(dev)
    count = dev.real_num_rx_queues.value_()
    structs: Mapping[str, tuple[Layout[Any], Object, int]] = {
        "net_device": (known.net_device, dev, 1),
        "rx_queue": (known.rx_queue, dev._rx, count),
        "tx_queue": (known.tx_queue, dev._tx, 1),
        "veth_priv": (known.veth_priv, priv, 1),
        "veth_rq": (known.veth_rq, priv.rq, count),
        "name_node": (known.name_node, dev.name_node, 1),
    }
    layout, first, count = structs[table]
    return layout, [first.value_() + i * layout.size for i in range(count)]


def is_whole_but_for(snapshot: Snapshot, whole: Snapshot, some: list[int]) -> None:
    """Nothing of other devices is lost, but for what they say of these."""
    assert len(snapshot.devices) == len(whole.devices)
    theirs = {device.net_device: device for device in whole.devices}
    for device in snapshot.devices:
        if device.net_device in some:
            continue
        expected = theirs[device.net_device]
        if isinstance(expected.peer, tuple) and expected.peer.net_device in some:
            expected = expected._replace(
                peer=device.peer, veth=device.veth, stats=device.stats
            )
        assert device == expected


@by_member
def test_each_member_may_be_lost(
    altered: Altered, whole: Snapshot, table: str, name: str
) -> None:
    """A struct that lies half on a page that is not in the dump."""
    devices = devices_of(altered.original)
    some = OTHERS.get(table, SOME)
    for device in some:
        layout, places = structs_of(altered, devices[device], table)
        assert places
        for place in places if name in layout.offset else ():
            # What the report does not read is not in the core to begin with.
            with contextlib.suppress(FaultError):
                altered.lose(place + layout.offset[name], 1)
    snapshot = take(altered, *some)
    is_whole_but_for(snapshot, whole, [devices[name].value_() for name in some])
    for device in some if table in AROUND and (table, name) not in CONFIRM else ():
        record = at(snapshot, devices[device])
        members = (record.qdisc, record.addresses, record.bridge_port)
        assert any(map(is_lost, members))


@pytest.mark.parametrize("name", slow_but(["xdp_prog"], members_of(VethRq)))
@pytest.mark.parametrize("behind", (False, True))
def test_half_a_veth_rq_may_be_lost(
    altered: Altered, whole: Snapshot, name: str, behind: bool
) -> None:
    """All that is before a member, or from there on."""
    dev = devices_of(altered.original)["xmixa"]
    layout, (place,) = structs_of(altered, dev, "veth_rq")
    cut = layout.offset[name]
    if behind:
        altered.lose(place + cut, layout.size - cut)
    elif cut:
        altered.lose(place, cut)
    snapshot = take(altered, "xmixa", "xmixb")
    is_whole_but_for(snapshot, whole, [dev.value_()])
    queues = at(snapshot, dev).xdp.queues
    assert isinstance(queues, tuple)
    lost = [value for value in queues[0] if isinstance(value, Unreadable)]
    assert lost or not (behind or cut)


_HOW = ("absent", "of another kind")


@contextlib.contextmanager
def another(
    altered: Altered, table: type[Members], name: str, how: str
) -> Iterator[None]:
    """A kernel that does not have a member, or has something else by its name."""
    known = members_of(table)[name]
    other = Member(("no_such_member",), optional=known.optional)
    if how == "of another kind":
        other = known._replace(kind=Kind(7) ^ known.kind)
    cache = altered.prog.cache
    cached = {
        key: cache.pop(key)
        for key in list(cache)
        if str(key).startswith("drgn_veth.layout")
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table, name, other)
            yield
    finally:
        for key in list(cache):
            if str(key).startswith("drgn_veth.layout"):
                del cache[key]
        cache.update(cached)


@by_member
@pytest.mark.parametrize("how", slow_but([_HOW[0]], _HOW))
def test_each_member_may_be_another_one(
    memory: Altered, whole: Snapshot, table: str, name: str, how: str
) -> None:
    with another(memory, TABLES[table], name, how):
        snapshot = take(memory, *SOME)
    # Without it a list cannot be walked, or a device cannot be told to be one.
    if (table, name) not in {("net_device", "next"), ("net_device", "prev")}:
        assert len(snapshot.devices) >= len(whole.devices) - 1


def _declared(by: type[Members] = Members) -> Iterator[type[Members]]:
    for one in by.__subclasses__():
        yield one
        yield from _declared(one)


#: By name, the other structs that a report reads: those without a table above.
OTHER_TABLES = {
    one.__name__: one
    for one in _declared()
    if one.__module__.startswith("drgn_veth.")
    and not any(issubclass(table, one) for table in TABLES.values())
}

#: Those of them that this core does not have.
NOT_READ = {
    *("PtrRing", "SkBuffHead", "XdpFrame", "_Bucket", "_Dstats", "_FlowLimit"),
    *("_NetBridge", "_NetDevice", "_TunStats"),
}


_Places = Mapping[str, tuple[Layout[Any], set[int]]]


def _places_in(memory: Altered) -> _Places:
    """Return the layout of each table, and where a Snapshot reads such a struct."""
    found: dict[str, tuple[Layout[Any], set[int]]] = {}
    memory.reset()
    with pytest.MonkeyPatch.context() as patch:
        declared_by: dict[int, str] = {}
        init = Layout.__init__

        def new(self: Any, prog: Program, type: Any, declared: type[Members]) -> None:
            init(self, prog, type, declared)
            found.setdefault(declared.__name__, (self, set()))
            declared_by[id(self)] = declared.__name__

        def noting(read: Callable[..., Any]) -> Callable[..., Any]:
            def noted(self: Any, address: int, count: int = 1) -> Any:
                if id(self) in declared_by:
                    at = found[declared_by[id(self)]][1]
                    at.update(address + i * self.size for i in range(count))
                if read.__name__ == "read_array":
                    return read(self, address, count)
                return read(self, address)

            return noted

        patch.setattr(Layout, "__init__", new)
        for owner in (Layout, SparseLayout, SpanLayout):
            for name in {"read", "read_span", "read_array"} & vars(owner).keys():
                patch.setattr(owner, name, noting(vars(owner)[name]))
        cached = dict(memory.prog.cache)
        for key in list(memory.prog.cache):
            if str(key).startswith("drgn_veth.layout"):
                del memory.prog.cache[key]
        take(memory)
        memory.prog.cache.clear()
        memory.prog.cache.update(cached)
    return found


@pytest.fixture(scope="module")
def places(memory: Altered) -> _Places:
    return _places_in(memory)


@pytest.mark.slow
@pytest.mark.parametrize("table", sorted(OTHER_TABLES.keys() - NOT_READ))
def test_each_other_member_may_be_lost(
    altered: Altered, whole: Snapshot, places: _Places, table: str
) -> None:
    """Of all structs of a kind at once."""
    layout, addresses = places[table]
    for offset in layout.offset.values():
        altered.reset()
        for address in addresses:
            with contextlib.suppress(FaultError):
                altered.lose(address + offset, 1)
        assert len(take(altered, *SOME).devices) == len(whole.devices)


#: More of what a kernel can have: an old one, and one with maps and packets.
_MORE = ("5.10-zoo", "7.3-maps")


@pytest.fixture(scope="module")
def others() -> Mapping[str, tuple[Altered, _Places]]:
    cores = {core: altered_core(recorded_core(core)) for core in _MORE}
    return {core: (altered, _places_in(altered)) for core, altered in cores.items()}


@pytest.mark.slow
@pytest.mark.parametrize("core", _MORE)
def test_each_member_of_another_core_may_be_lost(
    others: Mapping[str, tuple[Altered, _Places]], core: str
) -> None:
    altered, places = others[core]
    altered.reset()
    count = len(take(altered).devices)
    for layout, addresses in places.values():
        for offset in layout.offset.values():
            altered.reset()
            for address in addresses:
                with contextlib.suppress(FaultError):
                    altered.lose(address + offset, 1)
            # Without their list, many are not found.
            assert len(take(altered).devices) <= count


@pytest.mark.slow
def test_all_structs_are_tried(
    places: _Places, others: Mapping[str, tuple[Altered, _Places]]
) -> None:
    """In one of the cores, but for packets and counters that none has."""
    tried = {
        table
        for found in (places, *(of for _, of in others.values()))
        for table, (_, addresses) in found.items()
        if addresses
    }
    assert OTHER_TABLES.keys() - tried == {
        *("SkBuffHead", "XdpFrame", "_CoreStats", "_Dstats", "_FlowLimit"),
        "_NetDevice",
    }


@pytest.mark.slow
@pytest.mark.parametrize("core", _MORE)
@pytest.mark.parametrize("how", _HOW)
def test_each_other_member_may_be_another_one(
    others: Mapping[str, tuple[Altered, _Places]], core: str, how: str
) -> None:
    altered, _ = others[core]
    altered.reset()
    count = len(take(altered).devices)
    for table in (*OTHER_TABLES.values(), *TABLES.values()):
        for name in members_of(table):
            with another(altered, table, name, how):
                assert len(take(altered).devices) <= count
