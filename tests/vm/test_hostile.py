# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory that is not as it should be: real dumps, seen with changes."""

from collections.abc import Iterator
import json
import random
from typing import Any, Callable

from drgn import Object
from drgn.helpers.linux.net import for_each_net, for_each_netdev
from drgn_veth.analysis.attach.predictor import MODES, Predictor
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Device, Snapshot, XdpProgram, unreadable_in
from drgn_veth.readers.veth import veth_peer, veth_priv
from drgn_veth.readers.xdp import XdpMode, dev_xdp_prog
from drgn_veth.readers.xps import XPS_CPUS, XPS_RXQS, netdev_xps_maps
from drgn_veth.render import csv, head
from drgn_veth.render import json as render_json
from drgn_veth.render.style import PLAIN, Style
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.booted import Dump
from tests.support.memory import Altered
from tests.support.schemas import validate
from tests.support.screens import assert_fits, pairs_screen, screens


@pytest.fixture(scope="module")
def memory(one_zoo: Dump) -> Altered:
    return Altered(one_zoo.vmcore, [one_zoo.vmlinux, one_zoo.veth])


@pytest.fixture
def altered(memory: Altered) -> Iterator[Altered]:
    memory.reset()
    yield memory
    memory.reset()


def _devices(altered: Altered) -> dict[str, Object]:
    prog = altered.original
    init = prog["init_net"].address_of_()
    return {
        dev.name.string_().decode("utf-8", "replace"): dev
        for dev in for_each_netdev(init)
    }


def _take(altered: Altered) -> Snapshot:
    """Take a snapshot, and see that analysis and all renderers take it."""
    snapshot = take_snapshot(altered.prog)
    found = diagnose(snapshot)
    report = json.loads(render_json.render(snapshot, found))
    validate(report)
    predictor = Predictor(snapshot)
    for device in snapshot.devices:
        for mode in MODES:
            said = predictor.attach(device, mode)
            assert isinstance(said.errno, (int, Unreadable, type(None)))
            assert said.because
    for screen in screens(snapshot, found=found).values():
        assert_fits(screen, PLAIN.width)
    csv.devices(snapshot)
    csv.pairs(snapshot, snapshot.devices)
    # Whatever it was: work stays in proportion to the dump.
    assert altered.reads < 1_000_000
    return snapshot


def _named(snapshot: Snapshot, name: str) -> Device:
    (device,) = (d for d in snapshot.devices if d.name == name and not d.netns == 0)
    return device


def _unlink(altered: Altered, dev: Object) -> None:
    node = dev.dev_list
    altered.write_pointer(node.prev.next, node.next.value_())
    altered.write_pointer(node.next.prev, node.prev.value_())


def test_as_it_is(altered: Altered, one_zoo: Dump) -> None:
    snapshot = _take(altered)
    assert list(unreadable_in(snapshot)) == []
    ours = json.loads(render_json.render(snapshot, diagnose(snapshot)))
    theirs = one_zoo.report()
    for report in (ours, theirs):
        for name in ("kind", "path"):
            del report["target"][name]
    assert ours == theirs


def test_peer_on_no_list(altered: Altered) -> None:
    """As between unlist_netdevice() and list_netdevice() of a move."""
    _unlink(altered, _devices(altered)["veth_xxx0"])
    snapshot = _take(altered)
    gone = _named(snapshot, "veth_xxx0")
    assert gone.off_list == "on no list, as during a move"
    assert gone.queues.rx.real == 14
    peer = _named(snapshot, "veth_yyy0").peer
    assert peer == gone.ref
    assert sum(gone.ref in (pair.a, pair.b) for pair in snapshot.pairs) == 1
    assert "(on no list, as" in pairs_screen(snapshot, Style(120))


def test_peer_unregistering(altered: Altered) -> None:
    dev = _devices(altered)["veth_xxx0"]
    _unlink(altered, dev)
    # A bit-field of eight bits in older kernels.
    offset = dev.type_.type.member("reg_state").bit_offset // 8
    altered.write(dev.value_() + offset, b"\2")
    snapshot = _take(altered)
    assert _named(snapshot, "veth_xxx0").off_list == "unregistering"


def _into_another_namespace(altered: Altered, dev: Object) -> None:
    for net in for_each_net(altered.original):
        for other in for_each_netdev(net):
            if other.nd_net.net != dev.nd_net.net:
                node = other.dev_list.address_of_().value_()
                altered.write_pointer(dev.dev_list.next, node)
                return


def _of_no_namespace(altered: Altered, dev: Object) -> None:
    altered.write_pointer(dev.nd_net.net, 0)


def _self_loop(altered: Altered, dev: Object) -> None:
    altered.write_pointer(dev.dev_list.next, dev.dev_list.address_of_().value_())


def _poisoned(altered: Altered, dev: Object) -> None:
    altered.write_pointer(dev.dev_list.next, 0xDEAD000000000100)


def _null(altered: Altered, dev: Object) -> None:
    altered.write_pointer(dev.dev_list.next, 0)


def _backwards(altered: Altered, dev: Object) -> None:
    altered.write_pointer(dev.dev_list.next, dev.dev_list.prev.value_())


@pytest.mark.parametrize("name", ["xmixa", "tunl0"])
@pytest.mark.parametrize(
    "damage",
    [
        _self_loop,
        _poisoned,
        _null,
        _backwards,
        _into_another_namespace,
        _of_no_namespace,
    ],
)
def test_broken_list(
    altered: Altered,
    one_zoo: Dump,
    damage: Callable[[Altered, Object], None],
    name: str,
) -> None:
    """The rest is reached from the other end, so that nothing is lost."""
    damage(altered, _devices(altered)[name])
    snapshot = _take(altered)
    (problem,) = snapshot.incomplete
    assert problem[0].startswith("devices of namespace ")
    whole = one_zoo.report()
    assert len(snapshot.devices) == len(whole["devices"])
    assert len(snapshot.pairs) == len(whole["pairs"])
    assert not any(device.off_list for device in snapshot.devices)


def test_excluded_page(altered: Altered, one_zoo: Dump) -> None:
    """A device whose page is not in the dump is still told of."""
    dev = _devices(altered)["xmixa"]
    altered.exclude(dev.value_())
    snapshot = _take(altered)
    whole = one_zoo.report()["devices"]
    assert len(snapshot.devices) == len(whole)
    (lost,) = (d for d in snapshot.devices if d.net_device == dev.value_())
    assert isinstance(lost.ifindex, Unreadable)
    assert "Excluded page" in lost.ifindex.reason
    assert isinstance(lost.mtu, Unreadable)
    peer = _named(snapshot, "xmixb").peer
    assert peer == lost.ref


def test_dangling_peer(altered: Altered) -> None:
    dev = _devices(altered)["veth_xxx0"]
    altered.write_pointer(veth_priv(dev).peer, 0xFFFF000012345678)
    device = _named(_take(altered), "veth_xxx0")
    assert isinstance(device.peer, Unreadable)


def test_nobody_is_told_a_false_peer(altered: Altered) -> None:
    """Half a pair, as in the middle of newlink."""
    dev = _devices(altered)["veth_xxx0"]
    altered.write_pointer(veth_priv(dev).peer, 0)
    snapshot = _take(altered)
    assert _named(snapshot, "veth_xxx0").peer is None
    assert veth_peer(dev)
    other = _named(snapshot, "veth_yyy0")
    assert other.peer == _named(snapshot, "veth_xxx0").ref
    assert not any(other.ref in (pair.a, pair.b) for pair in snapshot.pairs)
    ((where, why),) = snapshot.incomplete
    assert where == f"devices[({other.netns}, {other.ifindex})].peer"
    assert why == "its peer does not point back to it"


@pytest.mark.parametrize("wrong", ["rpsb", "xmixa", "lo"])
def test_peer_of_somebody_else(altered: Altered, wrong: str) -> None:
    devices = _devices(altered)
    before = len(_take(altered).pairs)
    peer = devices[wrong].value_()
    altered.write_pointer(veth_priv(devices["xmixa"]).peer, peer)
    snapshot = _take(altered)
    for name in ("xmixa", "xmixb"):
        ref = _named(snapshot, name).ref
        assert not any(ref in (pair.a, pair.b) for pair in snapshot.pairs)
    assert sum(1 for _ in snapshot.incomplete) >= 1
    assert len(snapshot.pairs) == before - 1


def test_stray_peer_makes_no_device(altered: Altered, one_zoo: Dump) -> None:
    """A pointer into the middle of readable memory."""
    dev = _devices(altered)["xmixa"]
    task = altered.original["init_task"].address_of_().value_()
    for stray in (task, dev.value_() + 64, dev._rx.value_()):
        altered.reset()
        altered.write_pointer(veth_priv(dev).peer, stray)
        snapshot = _take(altered)
        assert len(snapshot.devices) == len(one_zoo.report()["devices"])
        assert len(snapshot.namespaces) == len(one_zoo.report()["namespaces"])
        assert isinstance(_named(snapshot, "xmixa").peer, Unreadable)


def test_totals_do_not_count_what_cannot_be_read(altered: Altered) -> None:
    before = head.totals(_take(altered))[-1]
    altered.exclude(_devices(altered)["dum_plain"].value_())
    after = head.totals(_take(altered))[-1]
    assert after.startswith(before + "    ")
    assert after.endswith(" unreadable")


def test_devices_that_no_index_has(altered: Altered) -> None:
    """Invented ones, above all. A few are shown, and it is said; many end the list."""
    devices = list(_devices(altered).values())
    known = len(_take(altered).devices)
    here = devices[5].index_hlist
    altered.write_pointer(here.pprev, here.address_of_().value_() + 8)
    snapshot = _take(altered)
    assert len(snapshot.devices) == known
    at = devices[5].value_()
    said = ("devices", f"1 on lists are in no index, such as {at:#x}")
    assert said in snapshot.incomplete
    assert len(devices) > 80
    for dev in devices[5:80]:
        altered.write_pointer(dev.index_hlist.pprev, 0)
    snapshot = _take(altered)
    assert any("are in no index: gave up" in why for _, why in snapshot.incomplete)
    assert known - 20 <= len(snapshot.devices) < known


def test_pointer_to_what_is_no_program(altered: Altered) -> None:
    """It has what belongs to another one, or is of another type."""
    devices = _devices(altered)
    native = dev_xdp_prog(devices["xmixa"], XdpMode.DRV)
    generic = dev_xdp_prog(devices["veth_xxx0"], XdpMode.SKB)
    assert native and generic and native != generic
    altered.write_pointer(native.aux, generic.aux.value_())
    altered.write(generic.type.address_of_().value_(), b"\1\0\0\0")
    snapshot = _take(altered)
    for found, why in (
        (_named(snapshot, "xmixa").xdp.driver, "is no BPF program"),
        (_named(snapshot, "veth_xxx0").xdp.generic, "is no BPF_PROG_TYPE_XDP"),
    ):
        assert isinstance(found, XdpProgram)
        for value in (found.id, found.name, found.maps):
            assert isinstance(value, Unreadable) and why in value.reason


def test_ifindex_that_no_device_has(altered: Altered) -> None:
    dev = _devices(altered)["veth_xxx0"]
    altered.write(dev.ifindex.address_of_().value_(), b"\xff\xff\xff\xff")
    device = _named(_take(altered), "veth_xxx0")
    assert device.ifindex == Unreadable("invalid ifindex -1")


def test_same_ifindex_and_name(altered: Altered) -> None:
    """Two devices that a damaged dump gives one identity are still two."""
    devices = _devices(altered)
    one, other = devices["xmixa"], devices["rpsa"]
    altered.write(other.ifindex.address_of_().value_(), one.ifindex.to_bytes_())
    altered.write(other.name.address_of_().value_(), b"xmixa\0")
    screen = pairs_screen(snapshot := _take(altered), Style(200))
    row = screen[screen.index(" xmixb") :].splitlines()[0]
    assert "zoo_drop" in row
    assert sum(device.name == "xmixa" for device in snapshot.devices) == 2
    assert "driver zoo_nat" in screen
    # The table of the namespace has only one of them in the bucket of that index.
    indexes = [d.ifindex for d in snapshot.devices if d.name == "xmixa"]
    assert one.ifindex.value_() in indexes
    assert sum(isinstance(ifindex, Unreadable) for ifindex in indexes) == 1


def test_absurd_counts(altered: Altered) -> None:
    dev = _devices(altered)["rpsa"]
    for member in ("real_num_rx_queues", "num_tx_queues", "real_num_tx_queues"):
        altered.write(dev.member_(member).address_of_().value_(), b"\xff" * 4)
    rps_map = _devices(altered)["rpsb"]._rx[3].rps_map
    altered.write(rps_map.len.address_of_().value_(), b"\xff" * 4)
    snapshot = _take(altered)
    device = _named(snapshot, "rpsa")
    for value in (*device.queues.tx, device.queues.rx.real, device.rps, device.xps):
        assert isinstance(value, Unreadable)
        assert "more than" in value.reason
    other = _named(snapshot, "rpsb").rps
    assert not isinstance(other, Unreadable)
    assert isinstance(other[3].cpus, Unreadable)


@pytest.mark.parametrize("direction", ["rx", "tx"])
@pytest.mark.parametrize("real_too", [True, False])
def test_counts_that_the_queues_deny(
    altered: Altered, direction: str, real_too: bool
) -> None:
    """More queues than there are, and fewer than a device could have."""
    dev = _devices(altered)["veth_xxx0"]
    members = [f"num_{direction}_queues", f"real_num_{direction}_queues"]
    for member in members[: 1 + real_too]:
        where = dev.member_(member)
        assert where.value_() == 14
        altered.write(where.address_of_().value_(), (200).to_bytes(4, "little"))
    snapshot = _take(altered)
    count = getattr(_named(snapshot, "veth_xxx0").queues, direction)
    assert isinstance(count.allocated, Unreadable)
    if real_too:
        assert isinstance(count.real, Unreadable)
        assert "the last one belongs to another device" in count.real.reason
    else:
        assert count.real == 14
    assert not any("200" in c for f in diagnose(snapshot) for c in f.fix)


def test_absurd_counts_cost_nothing(altered: Altered) -> None:
    devices = _devices(altered)
    for name in ("xmixa", "xmixb", "rpsa", "rpsb"):
        for member in ("num_rx_queues", "real_num_rx_queues"):
            where = devices[name].member_(member).address_of_().value_()
            altered.write(where, (1 << 16).to_bytes(4, "little"))
        for member in ("num_tx_queues", "real_num_tx_queues"):
            where = devices[name].member_(member).address_of_().value_()
            altered.write(where, (1 << 16).to_bytes(4, "little"))
    snapshot = _take(altered)
    device = _named(snapshot, "rpsa")
    for value in (device.rps, device.xps, device.xdp.queues):
        assert isinstance(value, Unreadable)
    assert sum(1 for _ in unreadable_in(snapshot)) < 100


def test_impossible_rps(altered: Altered) -> None:
    dev = _devices(altered)["rpsa"]
    cpus = dev._rx[0].rps_map.cpus
    for wrong in (b"\3\0\3\0", b"\0\0\xff\xff", b"\2\0\1\0"):
        altered.reset()
        altered.write(cpus.address_, wrong)
        rps = _named(_take(altered), "rpsa").rps
        assert not isinstance(rps, Unreadable)
        assert isinstance(rps[0].cpus, Unreadable)


def _regions(altered: Altered) -> list[tuple[int, int]]:
    # Everything that a report reads of some devices.
    regions: list[tuple[int, int]] = []

    def add(pointer: Any, size: int) -> None:
        if pointer:
            regions.append((pointer.value_(), size))

    for name in ("rpsa", "xpsa", "mqa", "alta", "xlinka", "brporta", "xmixa", "lo"):
        dev = _devices(altered)[name]
        add(dev, 2400)
        add(dev._rx, 512)
        add(dev._rx[0].rps_map, 32)
        add(dev.ifalias, 32)
        add(dev.name_node, 64)
        add(dev.dev_addr, 8)
        for type in (XPS_CPUS, XPS_RXQS):
            add(netdev_xps_maps(dev, type), 64)
        for state in dev.xdp_state:
            add(state.prog, 64)
            add(state.link, 128)
    for net in for_each_net(altered.original):
        add(net.list.address_of_(), 16)
        add(net.dev_base_head.address_of_(), 16)
    return regions


def test_random_damage(altered: Altered) -> None:
    """No answer is right here; there has to be one, soon, and of the right form."""
    regions = _regions(altered)
    rng = random.Random(20261122)
    for _ in range(60):
        altered.reset()
        for _ in range(rng.choice((1, 4, 64))):
            address, size = rng.choice(regions)
            at = address + rng.randrange(size)
            altered.write(at, rng.randbytes(rng.choice((1, 4, 8))))
        if rng.random() < 0.3:
            altered.exclude(rng.choice(regions)[0])
        _take(altered)
