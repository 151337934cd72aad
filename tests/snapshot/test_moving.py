# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A kernel that changes while it is read
--------------------------------------

A recorded core whose memory is another one from some read on. tests/vm/test_moving.py
does the same to a booted kernel.
"""

from collections.abc import Iterator
from typing import Any, Callable

from drgn import Object
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.rules.finding import INFO
from drgn_veth.core.moving import CHANGING
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Device, DeviceRef, Snapshot, unreadable_in
from drgn_veth.readers.netns import dev_net, for_each_net_bounded, net_inum
from drgn_veth.readers.unregister import NETREG_UNREGISTERED
from drgn_veth.readers.veth import veth_peer, veth_priv
from drgn_veth.snapshot import take_snapshot
from drgn_veth.snapshot.devices import DeviceRecords
from drgn_veth.snapshot.discover import Discovery
from drgn_veth.snapshot.layouts import Layouts
from drgn_veth.snapshot.rows import MovingRows
from drgn_veth.snapshot.traffic import add_traffic
import pytest

from tests.support.damage import NEWEST, at, devices_of
from tests.support.recorded import recorded_core
from tests.support.shifting import Shifting
from tests.support.slow import slow_but

LIST_POISON = 0xDEAD000000000100

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def made() -> Shifting:
    return Shifting(recorded_core(NEWEST))


@pytest.fixture
def core(made: Shifting) -> Iterator[Shifting]:
    yield made
    made.reset()


def take(core: Shifting) -> Snapshot:
    snapshot = take_snapshot(core.prog, traffic=False)
    assert core.failed == []
    return snapshot


def findings(snapshot: Snapshot) -> set[tuple[str, str]]:
    return {
        (one.rule, one.device.name)
        for one in diagnose(snapshot)
        if one.device is not None and isinstance(one.device.name, str)
        if one.severity != INFO
    }


def whole(snapshot: Snapshot, expected: Snapshot) -> None:
    """See that nothing is missing that was there before."""
    # The core has no open files: nobody asked for them when it was made.
    missing = [one for one in unreadable_in(snapshot) if "holder" not in one[0]]
    assert missing == list(unreadable_in(expected))


@pytest.fixture(scope="module")
def still(made: Shifting) -> Snapshot:
    """What the report says if nothing moves."""
    return take(made)


@pytest.mark.slow
def test_nothing_moves(core: Shifting, still: Snapshot) -> None:
    """Then it is as of a dump."""
    dump = take_snapshot(recorded_core(NEWEST).prog, traffic=False)
    assert still._replace(target=dump.target) == dump


@pytest.fixture
def ends(core: Shifting) -> tuple[Object, Object]:
    """A pair in the host's namespace."""
    devices = devices_of(core.prog)
    return devices["veth_xxx0"], devices["veth_yyy0"]


def test_renamed(core: Shifting, still: Snapshot, ends: tuple[Object, Object]) -> None:
    """The row and that of its peer have the new name."""
    one, other = ends
    where = one.name.address_
    assert where is not None
    core.at_read(where, 2, lambda: core.write(where, b"renamed\0"))
    snapshot = take(core)
    row, peer = at(snapshot, one), at(snapshot, other)
    assert row == at(still, one)._replace(name="renamed")
    assert isinstance(peer.peer, DeviceRef) and peer.peer == row.ref
    whole(snapshot, still)


def move(core: Shifting, dev: Object, net: Object) -> None:
    node = dev.dev_list.address_
    assert node is not None
    head = net.dev_base_head.address_
    assert head is not None
    core.unlink(node)
    core.put(dev.nd_net.net, net.value_())
    core.link(node, head)


def other_net(core: Shifting) -> Object:
    *_, net = for_each_net_bounded(core.prog)
    return net


@pytest.mark.parametrize("number", slow_but([2], [1, 2]))
def test_moved(
    core: Shifting, still: Snapshot, ends: tuple[Object, Object], number: int
) -> None:
    """Before it was found, or after that: the new namespace has it, and counts it."""
    one, other = ends
    net = other_net(core)
    place = one.dev_list.address_
    assert place is not None
    core.at_read(place, number, lambda: move(core, one, net))
    snapshot = take(core)
    row = at(snapshot, one)
    assert row.netns == net_inum(net) != net_inum(dev_net(other))
    assert at(snapshot, other).peer == row.ref
    counts = {
        namespace.net: sum(d.netns == namespace.inum for d in snapshot.devices)
        for namespace in snapshot.namespaces
    }
    assert counts == {one.net: one.device_count for one in snapshot.namespaces}
    whole(snapshot, still)


@pytest.mark.slow
def test_moved_after_its_row(
    core: Shifting, still: Snapshot, ends: tuple[Object, Object]
) -> None:
    """Then it and its peer are where they were."""
    one, _ = ends
    net = other_net(core)
    place = one.dev_list.address_
    assert place is not None
    core.at_read(place, 3, lambda: move(core, one, net))
    assert take(core) == still
    assert core.word(one.nd_net.net.address_ or 0) == net.value_()


def end(core: Shifting, dev: Object) -> None:
    node = dev.dev_list.address_
    assert node is not None
    core.unlink(node)
    core.put(dev.reg_state, NETREG_UNREGISTERED)


def test_peer_replaced(
    core: Shifting, still: Snapshot, ends: tuple[Object, Object]
) -> None:
    """A device gets another peer: the old one is gone, and nobody speaks of it."""
    one, other = ends
    third = devices_of(core.prog)["q24a"]
    lone = veth_peer(third)

    peer, peer_of_third = veth_priv(one).peer, veth_priv(third).peer

    def replace() -> None:
        end(core, other)
        end(core, lone)
        core.put(peer, third.value_())
        core.put(peer_of_third, one.value_())

    where = one.name.address_
    assert where is not None
    core.at_read(where, 2, replace)
    snapshot = take(core)
    assert at(snapshot, one).peer == at(snapshot, third).ref
    assert at(snapshot, third).peer == at(snapshot, one).ref
    there = {device.net_device for device in snapshot.devices}
    assert not there & {other.value_(), lone.value_()}
    assert len(snapshot.pairs) == len(still.pairs) - 1
    whole(snapshot, still)


def test_freed_during_the_walk(
    core: Shifting, still: Snapshot, ends: tuple[Object, Object]
) -> None:
    """An entry of the list is freed while it is read: the others stay."""
    one, other = ends
    peers = [veth_priv(dev).peer for dev in ends]

    def free() -> None:
        for dev, peer in zip(ends, peers):
            end(core, dev)
            core.put(peer, 0)
        core.write(one.value_(), bytes(256))
        place = one.dev_list.address_
        assert place is not None
        core.write(place, b"\xa5" * 16)

    place = one.dev_list.address_
    assert place is not None
    core.at_read(place, 1, free)
    snapshot = take(core)
    names = {device.net_device for device in still.devices}
    gone = {one.value_(), other.value_()}
    assert {device.net_device for device in snapshot.devices} == names - gone
    whole(snapshot, still)


def mounts_of(core: Shifting) -> list[Object]:
    sb = core.prog["nsfs_mnt"].mnt_sb
    first = sb.s_mounts.read_()
    found = []
    while first:
        found.append(first)
        first = first.mnt_next_for_sb.read_()
    named = [one for one in found if one.mnt_ns and one.mnt_parent != one]
    assert len(named) > 3
    return named


@pytest.mark.parametrize("place", slow_but([2], [0, 2, -1]))
def test_unmounted_during_the_walk(core: Shifting, still: Snapshot, place: int) -> None:
    """One namespace loses its name, and no other does."""
    mount = mounts_of(core)[place]
    before, following = mount.mnt_pprev_for_sb.value_(), mount.mnt_next_for_sb.read_()

    def unmount() -> None:
        link = before & ~1
        core.write(link, following.value_().to_bytes(8, "little"))
        if following:
            core.put(following.mnt_pprev_for_sb, link)
        core.put(mount.mnt_parent, LIST_POISON)
        core.put(mount.mnt_mountpoint, LIST_POISON)

    where = mount.mnt_ns.address_
    assert where is not None
    core.at_read(where, 1, unmount)
    snapshot = take(core)
    lost = [
        after.names
        for before, after in zip(still.namespaces, snapshot.namespaces)
        if before.names != after.names
    ]
    assert lost == [()]
    whole(snapshot, still)


@pytest.mark.slow
def test_broken_mount_of_a_dump(still: Snapshot) -> None:
    """There, too, the other namespaces keep their names."""
    core = Shifting(recorded_core(NEWEST), moves=False)
    core.put(mounts_of(core)[2].mnt_mountpoint, LIST_POISON)
    snapshot = take(core)
    lost = [
        after.names
        for before, after in zip(still.namespaces, snapshot.namespaces)
        if before.names and before.names != after.names
    ]
    assert [isinstance(names, Unreadable) for names in lost] == [True]
    assert [what for what, _ in snapshot.incomplete] == ["mounts of network namespaces"]


@pytest.mark.slow
def test_never_the_same_twice(
    core: Shifting, still: Snapshot, ends: tuple[Object, Object]
) -> None:
    """It is said to be changing, and no rule judges it."""
    one, other = ends
    count = one.real_num_rx_queues
    number = iter(range(1, 1000))
    assert count.address_ is not None
    core.at_read(count.address_, 0, lambda: core.put(count, next(number) % 14 + 1))
    snapshot = take(core)
    for dev in (one, other):
        row = at(snapshot, dev)
        assert row.name == at(still, dev).name and row.netns == at(still, dev).netns
        assert row.peer == row.queues.rx.real == row.queues.tx.real == CHANGING
    of_pair = {name for _, name in findings(snapshot)} & {"veth_xxx0", "veth_yyy0"}
    assert not of_pair
    rest = {found for found in findings(still) if not found[1].startswith("veth_")}
    assert findings(snapshot) == rest


def hold_rtnl(core: Shifting, by: int) -> None:
    owner = core.prog["rtnl_mutex"].owner.counter
    core.put(owner, by)


def orphan(core: Shifting, ends: tuple[Object, Object]) -> Callable[[], None]:
    """Take the peers away, as while a pair is made; return what sets them."""
    peers = [veth_priv(dev).peer for dev in ends]
    owner = core.prog["rtnl_mutex"].owner.counter

    def set_peers() -> None:
        core.put(peers[0], ends[1].value_())
        core.put(peers[1], ends[0].value_())
        core.put(owner, 0)

    for peer in peers:
        core.put(peer, 0)
    return set_peers


def rows_of(snapshot: Snapshot, ends: tuple[Object, Object]) -> list[Device]:
    return [at(snapshot, dev) for dev in ends]


def test_pair_in_the_making(
    core: Shifting, still: Snapshot, ends: tuple[Object, Object]
) -> None:
    """Nobody reports a veth without a peer while its maker holds rtnl_mutex."""
    set_peers = orphan(core, ends)
    hold_rtnl(core, core.prog["init_task"].address_ or 0)
    owner = core.prog["rtnl_mutex"].owner.address_
    assert owner is not None
    core.at_read(owner, 3, set_peers)
    snapshot = take(core)
    assert rows_of(snapshot, ends) == rows_of(still, ends)
    assert findings(snapshot) == findings(still)


@pytest.mark.slow
def test_pair_that_nobody_makes(
    core: Shifting, still: Snapshot, ends: tuple[Object, Object]
) -> None:
    """If nobody holds rtnl_mutex, a veth without a peer has none."""
    orphan(core, ends)
    snapshot = take(core)
    assert [row.peer for row in rows_of(snapshot, ends)] == [None, None]
    lost = {("no-peer", "veth_xxx0"), ("no-peer", "veth_yyy0")}
    assert findings(snapshot) >= lost


@pytest.mark.slow
def test_pair_that_somebody_may_make(
    core: Shifting, still: Snapshot, ends: tuple[Object, Object]
) -> None:
    """If one task holds it all the time, that is unknown."""
    orphan(core, ends)
    hold_rtnl(core, core.prog["init_task"].address_ or 0)
    snapshot = take(core)
    assert [row.peer for row in rows_of(snapshot, ends)] == [CHANGING, CHANGING]
    assert not {"no-peer"} & {rule for rule, _ in findings(snapshot)}


def test_queues_that_become_fewer(core: Shifting, still: Snapshot) -> None:
    """veth_set_channels() lowers real_num_rx_queues before it takes the programs."""
    dev = devices_of(core.prog)["xnata"]
    assert at(still, dev).queues.rx == (1, 4)
    queues = veth_priv(dev).rq
    for queue in range(1, 4):
        core.put(queues[queue].xdp_prog, queues[0].xdp_prog.value_())
    hold_rtnl(core, core.prog["init_task"].address_ or 0)
    owner = core.prog["rtnl_mutex"].owner.counter
    places = [queues[queue].xdp_prog for queue in range(1, 4)]

    assert owner.address_ is not None and places[0].address_ is not None
    read: list[None] = []

    def finish() -> None:
        for place in (*places, owner) if read else ():
            core.put(place, 0)

    # The task is done between the row and the look at rtnl_mutex.
    core.at_read(places[0].address_, 0, lambda: read.append(None))
    core.at_read(owner.address_, 0, finish)
    snapshot = take(core)
    assert at(snapshot, dev) == at(still, dev)
    assert findings(snapshot) == findings(still)


@pytest.mark.slow
def test_a_dump_is_read_once(core: Shifting) -> None:
    """To look again costs nothing where nothing moves, and little where it does."""
    counts = []
    # One without a program.
    name = devices_of(core.prog)["q24a"].name.address_
    assert name is not None
    for moves in (False, True):
        core = Shifting(recorded_core(NEWEST), moves)
        take(core)
        core.reads = 0
        core.at_read(name, -1, lambda: None)
        take(core)
        counts.append((core.reads_of(name), core.reads))
    (once, dump), (again, running) = counts
    assert (once, again) == (1, 3)
    assert running < 1.5 * dump


def _replaced(core: Shifting, net: Object) -> Callable[[], None]:
    """Let another namespace take the memory of one."""
    inum = net_inum(net) + 1000
    return lambda: core.put(net.ns.inum, inum)


def test_namespace_that_is_replaced_while_its_devices_are_found(
    core: Shifting, still: Snapshot
) -> None:
    net = other_net(core)
    head, inum = net.dev_base_head.address_, net_inum(net)
    assert head is not None
    core.at_read(head, 1, _replaced(core, net))
    snapshot = take(core)
    rest = [one for one in still.namespaces if one.net != net.value_()]
    assert [one.net for one in snapshot.namespaces] == [one.net for one in rest]
    assert [d.net_device for d in snapshot.devices] == [
        d.net_device for d in still.devices if d.netns != inum
    ]


def test_namespace_that_is_replaced_before_its_counters(
    core: Shifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read after the rows may be of other devices."""
    net = other_net(core)
    inum, replace = net_inum(net), _replaced(core, net)

    def later(*args: Any) -> Snapshot:
        replace()
        return add_traffic(*args)

    monkeypatch.setattr("drgn_veth.snapshot.add_traffic", later)
    snapshot = take_snapshot(core.prog)
    devices = [device for device in snapshot.devices if device.netns == inum]
    assert devices
    for device in snapshot.devices:
        assert (device.stats == CHANGING) is (device in devices)


def test_pauses_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is twice as long as the one before; all together are three seconds."""
    slept: list[float] = []
    monkeypatch.setattr("drgn_veth.snapshot.rows.time.sleep", slept.append)
    core = Shifting(recorded_core(NEWEST))
    layouts = Layouts(core.prog)
    discovery = Discovery(layouts)
    rows = MovingRows(layouts, discovery, DeviceRecords(layouts, discovery))
    for number in range(1, 20):
        rows._nap(number)
    assert slept[:4] == [0.001, 0.002, 0.004, 0.008]
    assert sum(slept) == pytest.approx(3.0) and min(slept) > 0
