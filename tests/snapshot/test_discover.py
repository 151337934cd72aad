# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices and namespaces that are on no list, and pointers to what is no device."""

from collections.abc import Iterator, Sequence
from typing import Any, Optional

from drgn import NULL, Object
from drgn_veth.core.moving import let_it_move
from drgn_veth.core.unreadable import Maybe, Unreadable
from drgn_veth.model import DeviceRef
from drgn_veth.readers.veth import veth_priv
from drgn_veth.snapshot import discover
import pytest

from tests.support.discovered import WORKER, Core, Torn

MOVING = "on no list, as during a move"


@pytest.fixture
def moving(core: Core) -> Iterator[Core]:
    before = dict(core.altered.prog.cache)
    let_it_move(core.altered.prog)
    yield core
    for key in core.altered.prog.cache.keys() - before.keys():
        del core.altered.prog.cache[key]


@pytest.fixture
def torn(monkeypatch: pytest.MonkeyPatch) -> type[Torn]:
    made = type("Torn", (Torn,), {})
    monkeypatch.setattr(discover, "Going", made)
    return made


def test_all_devices_of_all_namespaces(core: Core) -> None:
    discovery = core.look()
    assert len(discovery.found) == core.count
    assert discovery.incomplete == [] and discovery.off_list == {}
    for net, devices in zip(core.nets, core.devices):
        namespace = core.namespaces[net.value_()]
        assert (namespace.device_count, namespace.dying) == (len(devices), False)
        assert namespace.init is (net == core.nets[0])


@pytest.mark.parametrize(
    ("state", "why"),
    [
        *((0, "not registered yet"), (1, MOVING), (2, "unregistering")),
        *((3, "unregistered"), (4, "released"), (5, "a dummy")),
        *((9, "reg_state is 9"), (None, MOVING)),
    ],
)
def test_peer_on_no_list(core: Core, state: Optional[int], why: str) -> None:
    dev = core.names["veth_xxx0"]
    core.unlink(dev.dev_list)
    core.lose(dev.reg_state) if state is None else core.write(dev.reg_state, state)
    discovery = core.look()
    assert len(discovery.found) == core.count and discovery.incomplete == []
    assert core.off_list(dev) == why
    assert core.off_list(core.names["veth_yyy0"]) is None
    namespace = core.namespaces[core.nets[0].value_()]
    assert namespace.device_count == len(core.devices[0]) - 1


def test_neither_end_on_a_list(core: Core) -> None:
    """Nothing leads to them."""
    for name in ("veth_xxx0", "veth_yyy0"):
        core.unlink(core.names[name].dev_list)
    discovery = core.look()
    assert len(discovery.found) == core.count - 2
    assert core.found(core.names["veth_xxx0"]) is None


def test_peer_on_a_broken_list(core: Core) -> None:
    """It says which namespace is not complete; peers of other namespaces are found."""
    net, devices = core.nets[1], core.devices[1]
    core.altered.write_pointer(net.dev_base_head.next, 8)
    core.altered.write_pointer(net.dev_base_head.prev, 8)
    discovery = core.look()
    ((what, _),) = discovery.incomplete
    assert what == f"devices of namespace {net.ns.inum.value_()}"
    by_peer = [dev for dev in devices if core.found(dev)]
    assert by_peer and devices[0] not in by_peer
    assert {core.off_list(dev) for dev in by_peer} == {"on a broken list"}


def test_broken_list_of_a_namespace_without_a_number(core: Core) -> None:
    net = core.nets[1]
    core.altered.write_pointer(net.dev_base_head.next, 8)
    core.lose(net.ns.inum)
    ((what, _),) = core.look().incomplete
    assert what == "devices of namespace ?"


@pytest.mark.parametrize(("refs", "why"), [(0, "is dying"), (1, "is on no list")])
def test_namespace_on_no_list(core: Core, refs: int, why: str) -> None:
    """The peers of its devices lead to it, and all its devices are found."""
    net, devices = core.nets[1], core.devices[1]
    core.unlink(net.member_("list"))
    core.refs(net, refs)
    discovery = core.look()
    assert discovery.off_list == {net.value_(): f"netns {why}"}
    assert len(discovery.found) == core.count
    assert {core.off_list(dev) for dev in devices} == {f"netns {why}"}
    namespace = core.namespaces[net.value_()]
    assert namespace.dying is (refs == 0) and not namespace.init
    assert namespace.device_count == len(devices)
    assert namespace.inum == net.ns.inum.value_()


def test_namespace_that_came_after_the_list_was_read(moving: Core) -> None:
    net, devices = moving.nets[1], moving.devices[1]
    moving.unlink(net.member_("list"))
    moving.refs(net, 1)
    discovery = moving.look()
    assert discovery.off_list == {}
    assert {moving.off_list(dev) for dev in devices} == {None}


def test_namespace_that_goes_while_it_is_read(moving: Core) -> None:
    net, devices = moving.nets[1], moving.devices[1]
    moving.unlink(net.member_("list"))
    moving.refs(net, 0)
    discovery = moving.look()
    assert discovery.off_list == {net.value_(): "netns is dying"}
    assert {moving.off_list(dev) for dev in devices} == {"netns is dying"}


# Pointers to something else ----------------------------------------------------------


def _peer_of(core: Core, found: Object) -> Maybe[Optional[DeviceRef]]:
    one = core.found(found)
    assert one is not None
    return core.discovery.reference(one.peer)


def test_stray_pointer_to_a_device(core: Core) -> None:
    """It is not on a list, and points to another one: it is no peer of this device."""
    dev, stray = core.names["veth_xxx0"], core.names["q11a"]
    core.unlink(stray.dev_list)
    core.unlink(core.names["q11b"].dev_list)
    peer = veth_priv(dev).peer
    core.altered.write_pointer(peer, stray.value_())
    core.look()
    assert core.found(stray) is None
    why = f"what is at {stray.value_():#x} does not point back to this device"
    assert _peer_of(core, dev) == Unreadable(why)


@pytest.mark.parametrize(
    ("lost", "found"),
    [(("peer",), True), (("peer", "ops"), True), (("ops",), True), (("net",), False)],
)
def test_peer_of_which_something_is_lost(
    core: Core, lost: Sequence[str], found: bool
) -> None:
    """If it cannot be seen that it points elsewhere, it is the peer."""
    dev = core.names["veth_xxx0"]
    core.unlink(dev.dev_list)
    members = {
        "peer": veth_priv(dev).peer,
        "ops": dev.rtnl_link_ops,
        "net": dev.nd_net.net,
    }
    for name in lost:
        core.lose(members[name])
    core.look()
    assert (core.found(dev) is not None) is found


def test_peer_of_another_kind_that_does_not_say_where_it_points(core: Core) -> None:
    dev = core.names["veth_xxx0"]
    core.unlink(dev.dev_list)
    core.altered.write_pointer(dev.rtnl_link_ops, 8)
    core.look()
    assert core.found(dev) is None


def test_references(core: Core) -> None:
    discovery = core.look()
    dev, other = core.names["veth_xxx0"], core.names["veth_yyy0"]
    bad = Unreadable("gone")
    assert discovery.reference(0) is None
    assert discovery.reference(bad) is bad
    known = discovery.reference(dev.value_())
    assert isinstance(known, DeviceRef) and known.name == "veth_xxx0"
    found = core.found(dev)
    assert found is not None
    walks: list[list[Object]] = [[], [other]]
    for walk in walks:
        assert discovery.references(lambda dev: walk, found) == tuple(  # noqa: B023
            discovery.reference(one.value_()) for one in walk
        )
    null = NULL(dev.prog_, dev.type_)
    for walk in ([null], [dev], [other, dev]):
        why = discovery.references(lambda dev: walk, found)  # noqa: B023
        assert isinstance(why, Unreadable) and "NULL or the device itself" in why.reason

    def broken(dev: Object) -> Iterator[Object]:
        yield other
        yield Object(dev.prog_, dev.type_, address=8).read_()

    assert isinstance(discovery.references(broken, found), Unreadable)


def test_reference_to_a_device_that_was_not_found(core: Core) -> None:
    dev = core.names["br_zoo"]
    core.unlink(dev.dev_list)
    core.look().label([core.namespaces[core.nets[0].value_()]._replace(label="host")])
    inum, ifindex = core.nets[0].ns.inum.value_(), dev.ifindex.value_()
    plain = DeviceRef(inum, ifindex, "br_zoo", dev.value_(), "on no list", "host")
    assert core.discovery.reference(dev.value_()) == plain
    core.altered.write_pointer(dev.nd_net.net, 0)
    none = Unreadable("it has no network namespace")
    ref = core.discovery.reference(dev.value_())
    assert ref == plain._replace(netns=none, label="")
    core.lose(dev.nd_net.net)
    ref = core.discovery.reference(dev.value_())
    assert ref == plain._replace(netns=none, label="")
    core.write(dev.ifindex, 0)
    assert core.discovery.reference(dev.value_()) == Unreadable("invalid ifindex 0")


def test_forgotten_device(core: Core) -> None:
    discovery, dev = core.look(), core.names["veth_xxx0"]
    why = Unreadable("it is gone")
    for _ in range(2):
        discovery.forget(dev.value_(), why)
        assert core.found(dev) is None
        assert discovery.reference(dev.value_()) is why


def test_without_namespaces(core: Core) -> None:
    """CONFIG_NET_NS=n: all are in init_net."""
    discovery = core.look()
    found = core.found(core.devices[1][0])
    assert found is not None
    net = core.nets[1]
    discovery.label([core.namespaces[net.value_()]._replace(label="pod")])
    assert discovery.owner(found) == net.value_()
    assert discovery.place(found) == (net.ns.inum.value_(), "pod")
    raw: Any = found.raw
    init = core.nets[0]
    found = found._replace(raw=raw._replace(net=None))
    assert discovery.owner(found) == init.value_()
    assert discovery.place(found) == (init.ns.inum.value_(), "")
    discovery.found = {found.address: found}
    discovery.label([core.namespaces[init.value_()]._replace(label="other")])
    assert discovery.found[found.address].ref.label == "host"
    found = found._replace(raw=raw._replace(net=Unreadable("gone")))
    assert discovery.owner(found) == 0
    assert discovery.place(found) is None


# Limits ------------------------------------------------------------------------------


def test_more_devices_than_memory(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "most_that_fit", lambda *args: core.count)
    assert core.look().incomplete == []
    most = core.count - 1
    monkeypatch.setattr(discover, "most_that_fit", lambda *args: most)
    ((what, why),) = core.look().incomplete
    assert what == f"devices of namespace {core.nets[-1].ns.inum.value_()}"
    assert f"more than {most} devices" in why


def test_list_that_leads_into_another_namespace(core: Core) -> None:
    dev = core.names["veth_xxx0"]
    core.altered.write_pointer(dev.nd_net.net, core.nets[1].value_())
    ((what, why),) = core.look().incomplete
    assert what == f"devices of namespace {core.nets[0].ns.inum.value_()}"
    assert "leads into another namespace" in why
    # Those behind it are reached from the other end.
    assert len(core.discovery.found) == core.count


def test_device_that_moves_into_another_namespace(moving: Core) -> None:
    """The list of a running kernel may go on there."""
    dev, net = moving.names["q24a"], moving.nets[1]
    moving.altered.write_pointer(dev.nd_net.net, net.value_())
    discovery = moving.look()
    assert len(discovery.found) == moving.count
    namespace = moving.namespaces[moving.nets[0].value_()]
    assert namespace.device_count == len(moving.devices[0]) - 1


def test_list_of_namespaces_that_is_broken(core: Core) -> None:
    core.altered.write_pointer(core.nets[1].member_("list").next, 8)
    ((what, _),) = core.look().incomplete
    assert what == "namespaces"


def test_device_that_the_index_denies(core: Core) -> None:
    dev = core.names["veth_xxx0"]
    core.altered.write_pointer(dev.index_hlist.pprev, 0)
    ((what, why),) = core.look().incomplete
    assert what == "devices" and hex(dev.value_()) in why


# What is torn down -------------------------------------------------------------------


def test_namespace_that_waits_for_cleanup_net(core: Core, torn: type[Torn]) -> None:
    net = core.nets[2]
    torn.nets_said = [net]
    assert core.look().off_list == {}
    assert list(core.namespaces) == [net.value_() for net in core.nets]
    dying = {at for at, one in core.namespaces.items() if one.dying}
    assert dying == {net.value_()}
    workers = {at: one.worker for at, one in core.namespaces.items()}
    assert workers == {at: WORKER if at in dying else None for at in workers}
    assert torn.made == 1


def test_namespace_that_cleanup_net_has_begun_with(
    core: Core, torn: type[Torn]
) -> None:
    """No peer leads to it. Its devices count that some other list has."""
    net, devices = core.nets[4], core.devices[4]
    core.unlink(net.member_("list"))
    core.refs(net, 0)
    core.look()
    assert net.value_() not in core.namespaces
    torn.nets_said = [core.now(net)]
    assert core.look().off_list == {net.value_(): "netns is dying"}
    namespace = core.namespaces[net.value_()]
    assert (namespace.dying, namespace.worker) == (True, WORKER)
    assert namespace.device_count == len(devices)
    for dev in devices:
        core.unlink(dev.dev_list)
    torn.devices_said = [*devices, devices[0]]
    core.look()
    assert {core.off_list(dev) for dev in devices} == {MOVING}
    assert core.namespaces[net.value_()].device_count == len(devices)


def test_devices_that_are_unregistered(core: Core, torn: type[Torn]) -> None:
    """A peer of one is found, too; what is in no known namespace is none."""
    ends = [core.names[name] for name in ("veth_xxx0", "veth_yyy0")]
    for dev in ends:
        core.unlink(dev.dev_list)
        core.write(dev.reg_state, 2)
    torn.devices_said = [ends[0], core.names["lo"]]
    core.look()
    assert [core.off_list(dev) for dev in ends] == ["unregistering"] * 2
    assert core.off_list(core.names["lo"]) is None
    for value in (8, None):
        member = ends[0].nd_net.net
        core.lose(member) if value is None else core.altered.write_pointer(member, 8)
        core.look()
        assert [core.found(dev) for dev in ends] == [None, None]


def test_torn_down_devices_are_limited(
    core: Core, torn: type[Torn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discover, "_MAX_OFF_LIST", 4)
    devices = core.devices[0][-12:]
    for dev in devices:
        core.unlink(dev.dev_list)
    torn.devices_said = devices
    core.look()
    known = [dev for dev in devices if core.found(dev) is not None]
    # Some more are peers of these.
    assert 4 <= len(known) < len(devices)


@pytest.mark.parametrize("moves", [False, True])
def test_how_often_it_looks_for_what_is_torn_down(
    core: Core, torn: type[Torn], moves: bool
) -> None:
    """Three times in a running kernel, until nothing is missing."""
    torn.said = [("devices", "too few")]
    if moves:
        let_it_move(core.altered.prog)
    try:
        assert core.look().incomplete == [("devices", "too few")]
        assert torn.made == (3 if moves else 1)
        torn.said, torn.made = (), 0
        assert core.look().incomplete == []
        assert torn.made == 1
    finally:
        core.altered.prog.cache.pop("drgn_veth.moves", None)
