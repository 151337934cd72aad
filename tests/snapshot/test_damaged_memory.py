# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Damaged memory
--------------

A recorded core, seen with changes: what is lost, and what cannot be, is said, and
nothing else is lost with it. More of it is tried on whole dumps in
tests/vm/test_hostile.py.
"""

from collections.abc import Iterable, Iterator, Mapping
import contextlib
from typing import Any, Callable

from drgn import FaultError, Object, Program
from drgn_veth.analysis.attach.predictor import MODES, Predictor
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.errors import UNEXPECTED_TYPE
from drgn_veth.core.struct_layout import Kind, Layout, Member, Members, members_of
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Device, Snapshot
from drgn_veth.readers.bridge import NetBridgePort, br_port_get
from drgn_veth.readers.inet import InDevice, InIfaddr, in_dev_for_each_ifa, in_dev_get
from drgn_veth.readers.inet6 import (
    Inet6Dev,
    Inet6Ifaddr,
    in6_dev_for_each_ifa,
    in6_dev_get,
)
from drgn_veth.readers.netdev_names import NameNode, dev_valid_name
from drgn_veth.readers.netns import for_each_net_bounded, for_each_netdev_bounded
from drgn_veth.readers.qdisc import Qdisc
from drgn_veth.readers.queues import TxQueue
from drgn_veth.readers.veth import VethPriv, VethRq, veth_priv
from drgn_veth.render import json as render_json
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.report import report
from drgn_veth.snapshot import take_snapshot
from drgn_veth.snapshot.addresses import Addresses
from drgn_veth.snapshot.bridge_ports import BridgePorts
from drgn_veth.snapshot.layouts import Layouts, NetDevice, RxQueue
from drgn_veth.snapshot.qdiscs import Qdiscs
import pytest

from tests.support.memory import Altered, altered_core
from tests.support.recorded import CORES, recorded_core
from tests.support.slow import slow_but

NEWEST = [name for name in CORES if name.endswith("-zoo")][-1]
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
    ("table", "name"), slow_but(_LAST.values(), MEMBERS), ids="-".join
)


@pytest.fixture(scope="module")
def memory() -> Altered:
    return altered_core(recorded_core(NEWEST))


@pytest.fixture
def altered(memory: Altered) -> Iterator[Altered]:
    memory.reset()
    yield memory
    memory.reset()


@pytest.fixture(scope="module")
def whole() -> Snapshot:
    return recorded_core(NEWEST).snapshot


def devices_of(prog: Program) -> dict[str, Object]:
    net = next(for_each_net_bounded(prog))
    return {
        dev.name.string_().decode("utf-8", "replace"): dev
        for dev in for_each_netdev_bounded(net)
    }


def values_in(value: object) -> Iterator[object]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple):
            waiting.extend(value)
        else:
            yield value


def is_lost(value: object) -> bool:
    """Whether there is something that could not be read."""
    return any(isinstance(one, Unreadable) for one in values_in(value))


def is_bug(value: object) -> bool:
    """All types are as they are known to be here."""
    return isinstance(value, Unreadable) and UNEXPECTED_TYPE in value.reason


def take(altered: Altered, *asked: str) -> Snapshot:
    """
    Take a Snapshot, and see that analysis and renderers take it.

    :param asked: Devices of which an attach is asked
    """
    snapshot = take_snapshot(altered.prog)
    assert not any(map(is_bug, values_in(snapshot)))
    found = diagnose(snapshot)
    render_json.render(snapshot, found)
    few = [device for device in snapshot.devices if device.name in asked]
    report(snapshot, snapshot, found)
    devices_in_full(few, snapshot, found)
    predictor = Predictor(snapshot)
    for device in snapshot.devices:
        if device.name in asked:
            for mode in MODES:
                assert predictor.attach(device, mode).because
    return snapshot


def named(snapshot: Snapshot, name: str) -> Device:
    (device,) = (device for device in snapshot.devices if device.name == name)
    return device


def at(snapshot: Snapshot, dev: Object) -> Device:
    (device,) = (d for d in snapshot.devices if d.net_device == dev.value_())
    return device


def word(value: int) -> bytes:
    return value.to_bytes(4, "little")


# Each member in turn -----------------------------------------------------------------

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


@by_member
@pytest.mark.parametrize("how", ("absent", "of another kind"))
def test_each_member_may_be_another_one(
    memory: Altered,
    whole: Snapshot,
    table: str,
    name: str,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel that does not have a member, or has something else by its name."""
    known = members_of(TABLES[table])
    other = Member(("no_such_member",), optional=known[name].optional)
    if how == "of another kind":
        other = known[name]._replace(kind=Kind(7) ^ known[name].kind)
    monkeypatch.setattr(TABLES[table], name, other)
    cached = {
        key: memory.prog.cache.pop(key)
        for key in list(memory.prog.cache)
        if str(key).startswith("drgn_veth.layout")
    }
    try:
        snapshot = take(memory, *SOME)
    finally:
        for key in list(memory.prog.cache):
            if str(key).startswith("drgn_veth.layout"):
                del memory.prog.cache[key]
        memory.prog.cache.update(cached)
    # Without it a list cannot be walked, or a device cannot be told to be one.
    if (table, name) not in {("net_device", "next"), ("net_device", "prev")}:
        assert len(snapshot.devices) >= len(whole.devices) - 1


# Lists -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ("lo", "xmixa", "rpsa"))
def test_list_that_skips_devices(altered: Altered, whole: Snapshot, name: str) -> None:
    """One next leads past most of the others."""
    devices = list(devices_of(altered.original).values())
    here = devices_of(altered.original)[name]
    last = devices[-1]
    altered.write_pointer(here.dev_list.next, last.dev_list.address_of_().value_())
    snapshot = take(altered)
    assert snapshot.devices == whole.devices
    assert snapshot.pairs == whole.pairs
    ((what, why),) = snapshot.incomplete
    assert what.startswith("devices of namespace ")
    assert "does not point back" in why


def test_list_that_skips_namespaces(altered: Altered, whole: Snapshot) -> None:
    nets = list(for_each_net_bounded(altered.original))
    assert len(nets) > 3
    altered.write_pointer(nets[0].list.next, nets[-1].list.address_of_().value_())
    snapshot = take(altered)
    assert snapshot.namespaces == whole.namespaces
    ((what, why),) = snapshot.incomplete
    assert what == "namespaces"
    assert "does not point back" in why


def test_namespace_whose_number_is_lost(altered: Altered, whole: Snapshot) -> None:
    """Its names are found by its number: it is not one that has none."""
    nets = list(for_each_net_bounded(altered.original))
    numbered = {n.inum: n for n in whole.namespaces}
    lost = next(net for net in nets if numbered[net.ns.inum.value_()].names)
    altered.lose(lost.ns.inum.address_of_().value_(), 4)
    (namespace,) = (
        n for n in take(altered).namespaces if isinstance(n.inum, Unreadable)
    )
    assert isinstance(namespace.names, Unreadable)
    assert isinstance(namespace.mounts, Unreadable)


# Counts ------------------------------------------------------------------------------


def test_counts_that_the_queues_deny(altered: Altered) -> None:
    """An array of queues of another device: it makes no count, and no command."""
    devices = devices_of(altered.original)
    dev = devices["veth_xxx0"]
    assert dev.num_rx_queues == dev.real_num_rx_queues == 14
    altered.write_pointer(dev._rx, devices["veth_yyy0"]._rx.value_())
    snapshot = take(altered, "veth_xxx0", "veth_yyy0")
    device = named(snapshot, "veth_xxx0")
    for value in (*device.queues.rx, device.rps):
        assert isinstance(value, Unreadable)
        assert "the last one belongs to another device" in value.reason
    for finding in diagnose(snapshot):
        assert not any(" rx 14" in command for command in finding.fix)


def test_counts_of_all_others_are_confirmed(whole: Snapshot) -> None:
    for device in whole.devices:
        for count in device.queues:
            assert isinstance(count.real, int) and isinstance(count.allocated, int)


# Names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"..",
        b"a/b",
        b"a:b",
        b"a b",
        b"a\tb",
        b"\n",
        b"a\xa0b",
        b"0123456789abcdef",
    ],
)
def test_names_that_no_kernel_accepts(altered: Altered, name: bytes) -> None:
    assert not dev_valid_name(name)
    dev = devices_of(altered.original)["veth_xxx0"]
    altered.write(dev.name.address_of_().value_(), name + bytes(16 - len(name)))
    snapshot = take(altered)
    device = at(snapshot, dev)
    assert isinstance(device.name, Unreadable)
    assert "invalid device name" in device.name.reason
    peer = named(snapshot, "veth_yyy0").peer
    assert isinstance(peer, tuple) and peer.name == device.name
    found = [f for f in diagnose(snapshot) if f.device == device.ref]
    assert found
    for finding in found:
        assert not any(" '' " in f or "veth_xxx0" in f for f in finding.fix)
        named_ones = [f for f in finding.fix if "veth_yyy0" not in f]
        assert named_ones == []


@pytest.mark.parametrize(
    "name", [b"a", b"eth0.40", b"\xc3\xa4", b"-x", b"=1", b"0123456789abcde", b"$(id)"]
)
def test_names_that_a_kernel_accepts(name: bytes) -> None:
    assert dev_valid_name(name)
