# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who has a BPF link open: what is asked, and where the answer goes."""

from collections.abc import Collection, Mapping

from drgn import Object
from drgn_veth import dev_xdp_link, for_each_net_bounded, for_each_netdev_bounded
from drgn_veth.core.moving import CHANGING
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import DeviceRef, Holder
from drgn_veth.readers.xdp import XdpMode
from drgn_veth.snapshot.links import record_links
import pytest

from tests.support.memory import altered_core
from tests.support.recorded import CORES, Recorded, recorded_core

ZOOS = [name for name in CORES if name.endswith("-zoo")]
HOLDER = Holder("fd", 42, "holder", 3)


@pytest.fixture(scope="module", params=ZOOS)
def core(request: pytest.FixtureRequest) -> Recorded:
    return recorded_core(request.param)


def links_of(core: Recorded) -> list[tuple[Object, DeviceRef]]:
    refs = {device.net_device: device.ref for device in core.snapshot.devices}
    return [
        (link, refs[dev.value_()])
        for net in for_each_net_bounded(core.prog)
        for dev in for_each_netdev_bounded(net)
        for link in (dev_xdp_link(dev, mode) for mode in XdpMode)
        if link
    ]


def test_who_has_them_open(core: Recorded) -> None:
    """In the scene, one process holds two links."""
    held = {link.device.name: link.tasks for link in core.snapshot.links if link.tasks}
    assert set(held) == {"xholda", "eth0"}
    assert not any(isinstance(tasks, Unreadable) for tasks in held.values())
    (one,), (other,) = (tasks for tasks in held.values() if isinstance(tasks, tuple))
    assert one.kind == other.kind == "fd" and one.comm == "python3"
    assert (one.pid, one.comm) == (other.pid, other.comm) and one.fd != other.fd
    for link in core.snapshot.links:
        assert (link.tasks == ()) == (link.holders == 0)


def test_nobody_has_looked(core: Recorded) -> None:
    assert {link.tasks for link in record_links(core.prog, links_of(core))} == {None}


def test_only_links_that_someone_holds_are_asked_about(core: Recorded) -> None:
    links = links_of(core)
    known = {link.link.address_of_().value_(): ref.name for link, ref in links}
    asked: list[set[object]] = []

    def look(addresses: Collection[int]) -> Mapping[int, tuple[Holder, ...]]:
        asked.append({known[address] for address in addresses})
        return dict.fromkeys(addresses, (HOLDER,))

    records = record_links(core.prog, links, look)
    (held,) = asked
    assert "xholda" in held and "xlinka" not in held
    assert [record._replace(tasks=None) for record in records] == list(
        record_links(core.prog, links)
    )
    for record in records:
        expected = (HOLDER,) if record.device.name in held else ()
        assert record.tasks == expected
        assert bool(record.holders) == bool(expected)


def test_a_walk_that_fails(core: Recorded) -> None:
    def look(addresses: Collection[int]) -> Mapping[int, tuple[Holder, ...]]:
        raise ValueError("no task could be read")

    for record in record_links(core.prog, links_of(core), look):
        assert getattr(record.tasks, "reason", None) == "no task could be read"


def test_link_whose_memory_is_that_of_another(core: Recorded) -> None:
    """While tasks are looked for, it was closed, and the next one was made there."""
    altered = altered_core(core)
    links = [
        (Object(altered.prog, "struct bpf_xdp_link *", link.value_()), ref)
        for link, ref in links_of(core)
    ]
    (taken, of), (numbered, _), *rest = links

    def look(addresses: Collection[int]) -> Mapping[int, tuple[Holder, ...]]:
        altered.add(taken.dev.address_of_().value_(), bytes(8))
        altered.write(numbered.link.id.address_of_().value_(), b"\x63\0\0\0")
        return {}

    before = record_links(core.prog, links_of(core), lambda addresses: {})
    one, other, *others = record_links(altered.prog, links, look)
    assert others == list(before[2:])
    for record in one, other:
        for value in record.id, record.pins, record.holders, record.tasks:
            assert value == CHANGING
    assert one.device == of
