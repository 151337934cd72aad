# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a device of a running kernel is still the one that was found."""

from typing import Any, Optional

from drgn import Object
from drgn_veth.core.moving import CHANGING
from drgn_veth.readers.veth import veth_priv
from drgn_veth.snapshot.again import Again, is_same, is_same_device
from drgn_veth.snapshot.found import Found
from drgn_veth.snapshot.layouts import Layouts
import pytest

from tests.support.discovered import Core


@pytest.fixture
def dev(core: Core) -> Object:
    return core.names["veth_xxx0"]


def again(core: Core) -> Again:
    """Find all devices, and return what looks at them again."""
    discovery = core.look()
    discovery.label(core.namespaces.values())
    return Again(Layouts(core.altered.prog), discovery)


def found(core: Core, dev: Object) -> Found:
    core.look()
    one = core.found(dev)
    assert one is not None and one.veth is not None
    return one


def with_other(record: Any, member: str) -> Any:
    """Return a record in which one member is another one."""
    return record._replace(**{member: b"other"})


@pytest.mark.parametrize(
    ("member", "same", "same_device"),
    [
        *((name, False, False) for name in ("ifindex", "reg_state", "rx", "tx")),
        *((name, False, False) for name in ("num_rx", "num_tx")),
        *((name, False, True) for name in ("name", "net", "flags", "mtu", "dev_addr")),
        *((name, False, True) for name in ("ifalias", "rtnl_link_ops", "netdev_ops")),
        *((name, False, True) for name in ("real_rx", "real_tx", "xdp_state")),
        *((name, False, True) for name in ("xps_cpus", "xps_rxqs", "upper", "lower")),
        *((name, False, True) for name in ("qdisc", "ip_ptr", "ip6_ptr", "features")),
        # Packets change it.
        ("state", True, True),
        # Others come and go before and behind it.
        ("next", True, True),
        ("prev", True, True),
    ],
)
def test_members(
    core: Core, dev: Object, member: str, same: bool, same_device: bool
) -> None:
    one = found(core, dev)
    assert hasattr(one.raw, member)
    other = one._replace(raw=with_other(one.raw, member))
    assert is_same(one, one) and is_same_device(one, one)
    assert is_same(one, other) is same
    assert is_same_device(one, other) is same_device


@pytest.mark.parametrize(
    ("member", "same_device"),
    [("kind", False), ("peer", True), ("master", True), ("veth_rqs", True)],
)
def test_what_it_belongs_to(
    core: Core, dev: Object, member: str, same_device: bool
) -> None:
    one = found(core, dev)
    values: dict[str, Any] = {member: 1}
    other = one._replace(**values)
    assert not is_same(one, other)
    assert is_same_device(one, other) is same_device


def test_program_of_a_veth(core: Core, dev: Object) -> None:
    one = found(core, dev)
    other = one._replace(veth=with_other(one.veth, "xdp_prog"))
    assert not is_same(one, other) and is_same_device(one, other)
    # It is a veth no longer.
    assert not is_same(one, one._replace(veth=None))


def test_what_stays(core: Core, dev: Object) -> None:
    look = again(core)
    before = core.found(dev)
    assert look.look(dev.value_()) == before
    assert core.found(dev) == before


def test_what_is_renamed(core: Core, dev: Object) -> None:
    look = again(core)
    before = core.found(dev)
    assert before is not None and dev.name.address_ is not None
    core.altered.write(dev.name.address_, b"renamed\0")
    now = look.look(dev.value_())
    assert now is not None and now.ref == before.ref._replace(name="renamed")
    assert core.found(dev) == now


def _unregistering(core: Core, dev: Object) -> None:
    core.write(dev.reg_state, 2)


def _unregistered(core: Core, dev: Object) -> None:
    core.write(dev.reg_state, 3)


def _released(core: Core, dev: Object) -> None:
    core.write(dev.reg_state, 4)


def _not_registered(core: Core, dev: Object) -> None:
    core.write(dev.reg_state, 0)


def _without_address(core: Core, dev: Object) -> None:
    core.write(dev.dev_addr, 0)


def _freed(core: Core, dev: Object) -> None:
    core.altered.lose(dev.value_(), 4096)


def _elsewhere(core: Core, dev: Object) -> None:
    core.write(dev.nd_net.net, core.nets[0].value_() + 64)


def _alone(core: Core, dev: Object) -> None:
    core.unlink(dev.dev_list)
    core.write(veth_priv(dev).peer, 0)


def _forgotten_by_its_peer(core: Core, dev: Object) -> None:
    core.unlink(dev.dev_list)
    core.write(veth_priv(core.names["veth_yyy0"]).peer, 0)
    core.write(dev.mtu, 1400)


@pytest.mark.parametrize(
    "change",
    [
        *(_unregistering, _unregistered, _released, _not_registered),
        *(_without_address, _freed, _elsewhere, _alone, _forgotten_by_its_peer),
    ],
)
def test_what_is_gone(core: Core, dev: Object, change: Any) -> None:
    """It is no longer found, and what refers to it is changing."""
    look = again(core)
    change(core, dev)
    assert look.look(dev.value_()) is None
    assert core.found(dev) is None
    assert core.discovery.reference(dev.value_()) == CHANGING


@pytest.mark.parametrize("skipped", [("next",), ("prev",), ("next", "prev")])
def test_what_is_on_no_list(core: Core, dev: Object, skipped: tuple[str, ...]) -> None:
    """Its peer vouches for it, whichever of its neighbours skips it."""
    look = again(core)
    node = core.now(dev.dev_list)
    for name, at in (("next", node.prev), ("prev", node.next)):
        if name in skipped:
            core.write(getattr(at, name), getattr(node, name).value_())
    core.write(dev.mtu, 1400)
    now = look.look(dev.value_())
    assert now is not None and now.ref.off_list == "on no list, as during a move"


@pytest.mark.parametrize(("state", "why"), [(2, "unregistering"), (3, "unregistered")])
@pytest.mark.parametrize("changed", [True, False])
def test_what_was_going(
    core: Core, dev: Object, state: int, why: str, changed: bool
) -> None:
    """It stays what it was found to be."""
    core.unlink(dev.dev_list)
    core.write(dev.reg_state, state)
    look = again(core)
    before: Optional[Found] = core.found(dev)
    assert before is not None and before.ref.off_list == why
    if changed:
        core.write(dev.mtu, 1400)
    now = look.look(dev.value_())
    assert now is not None and now.ref == before.ref
