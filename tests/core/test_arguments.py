# SPDX-License-Identifier: LGPL-2.1-or-later
"""What helpers say to arguments that are not what they take."""

import inspect
import re
from typing import Any

from drgn import NULL, FaultError, Object, Program
from drgn.helpers.linux.net import netdev_get_by_name
import drgn_veth
from drgn_veth.analysis.attach.predictor import MODES, Predictor
from drgn_veth.core.arguments import queue_index
from drgn_veth.core.xdp_modes import MODE_WORDS
from drgn_veth.readers.veth import veth_peer
import pytest

from tests.support.recorded import recorded_core


@pytest.fixture(scope="module")
def prog() -> Program:
    return recorded_core("6.12-zoo").prog


@pytest.fixture(scope="module")
def dev(prog: Program) -> Object:
    return netdev_get_by_name(prog, "rpsa")


def parameters(name: str) -> list[inspect.Parameter]:
    """Return the parameters of a helper."""
    return list(inspect.signature(getattr(drgn_veth, name)).parameters.values())


FIRST = re.compile(r":param (\w+): ``struct (\w+) \*``")
#: Helpers whose first parameter is an object, and the struct.
TAKE_OBJECTS = {
    name: match[2]
    for name in drgn_veth.__all__
    for match in [FIRST.search(inspect.getdoc(getattr(drgn_veth, name)) or "")]
    if inspect.isfunction(getattr(drgn_veth, name)) and match
    if parameters(name)[0].name == match[1]
}


def test_all_helpers_say_what_they_take() -> None:
    taking = {
        name
        for name in drgn_veth.__all__
        if inspect.isfunction(getattr(drgn_veth, name))
        for first in parameters(name)[:1]
        if first.annotation is Object
    }
    assert taking == set(TAKE_OBJECTS)
    assert len(taking) > 80


#: Of types that this kernel lacks, by its config.
NOT_THERE = {"ref_tracker_stack"}
THERE = [name for name in TAKE_OBJECTS if name not in NOT_THERE]


@pytest.mark.parametrize("name", sorted(NOT_THERE))
def test_not_there(name: str, prog: Program) -> None:
    with pytest.raises(LookupError):
        prog.type(f"struct {TAKE_OBJECTS[name]}")


def test_wrong_type(prog: Program) -> None:
    for name in THERE:
        helper, struct = getattr(drgn_veth, name), TAKE_OBJECTS[name]
        more = [0] * (len(parameters(name)) - 1)
        wrongs = [
            ("veth0", "str"),
            (None, "NoneType"),
            (prog, "Program"),
            (prog["init_net"].dev_base_head.address_of_(), "struct list_head *"),
            (Object(prog, "int", 1), "int"),
            (Object(prog, f"struct {struct} **", 8), f"struct {struct} **"),
        ]
        for wrong, what in wrongs:
            said = f"{helper.__name__}(): expected struct {struct} *, not {what}"
            with pytest.raises(TypeError, match=rf"^{re.escape(said)}(;|$)"):
                helper(wrong, *more)


def test_null(prog: Program) -> None:
    for name in THERE:
        helper = getattr(drgn_veth, name)
        if name in ("nsfs_inode_net_ns", "rps_map_cpus"):
            assert not helper(NULL(prog, "void *"))
            continue
        more = [0] * (len(parameters(name)) - 1)
        said = rf"^{helper.__name__}\(\): the struct \w+ \* is NULL"
        with pytest.raises(FaultError, match=said):
            helper(NULL(prog, f"struct {TAKE_OBJECTS[name]} *"), *more)


def test_where_to_get_one(prog: Program, dev: Object) -> None:
    with pytest.raises(
        TypeError, match=r"netdev_get_by_name\('veth0'\) or find_netdev"
    ):
        drgn_veth.veth_peer("veth0")
    with pytest.raises(TypeError, match=r"find_net\('pod1'\) returns one"):
        drgn_veth.net_inum("pod1")
    with pytest.raises(TypeError, match=r"not struct net \*; netdev_get_by_name\(\)"):
        drgn_veth.veth_peer(drgn_veth.dev_net(dev))
    record: Any = recorded_core("6.12-zoo").snapshot.devices[0]
    with pytest.raises(TypeError) as raised:
        drgn_veth.netdev_kind(record)
    code = str(raised.value).partition("; ")[2].rpartition(" is one")[0]
    found = eval(code, {"Object": Object, "prog": prog})
    assert found.name.string_().decode() == record.name


def test_what_is_accepted(prog: Program, dev: Object) -> None:
    assert drgn_veth.netdev_kind(dev=dev) == b"veth"
    assert drgn_veth.netdev_kind(dev[0]) == b"veth"
    assert drgn_veth.net_is_init(prog["init_net"])
    const = Object(prog, "const struct net_device *", dev.value_())
    assert drgn_veth.netdev_kind(const) == b"veth"
    assert drgn_veth.netdev_flags is drgn_veth.dev_get_flags


@pytest.mark.parametrize("name", ["eth0", "br_zoo", "lo", "nkl3a"])
def test_no_veth(name: str, prog: Program) -> None:
    """Its private data is not that of a veth: a pointer in it leads anywhere."""
    dev = netdev_get_by_name(prog, name)
    kind = drgn_veth.netdev_kind(dev).decode()
    what = f"of kind {kind!r}" if kind else "without a kind"
    for helper in (drgn_veth.veth_peer, drgn_veth.veth_priv, drgn_veth.veth_rqs):
        with pytest.raises(ValueError) as raised:
            helper(dev)
        said = f"expected a device of kind 'veth', not a device {what}; netdev_peer()"
        assert str(raised.value).startswith(f"{helper.__name__}(): {said}")


def test_no_netkit(dev: Object) -> None:
    with pytest.raises(ValueError, match="kind 'netkit', not a device of kind 'veth'"):
        drgn_veth.netkit_peer(dev=dev)


def test_kind_that_cannot_be_read(prog: Program) -> None:
    """Then the helper reads what it can."""
    nowhere = Object(prog, "struct net_device *", 1 << 12)
    with pytest.raises(FaultError):
        drgn_veth.veth_peer(nowhere)


def test_a_snapshot_does_not_pay() -> None:
    """Functions check where they are exported, not where they are defined."""
    assert drgn_veth.veth_peer is not veth_peer
    assert inspect.unwrap(drgn_veth.veth_peer) is veth_peer
    assert drgn_veth.veth_peer.__doc__ == veth_peer.__doc__


@pytest.mark.parametrize("queue", [4, -1, 1 << 40])
def test_no_such_queue(queue: int, dev: Object) -> None:
    for helper in (
        drgn_veth.netdev_rx_queue,
        drgn_veth.netdev_rps_map,
        drgn_veth.netdev_rps_flow_entries,
    ):
        with pytest.raises(IndexError) as raised:
            helper(dev, queue)
        said = f"no RX queue {queue}: the device has 4 RX queues, 0 to 3"
        assert str(raised.value) == said
    for helper in (drgn_veth.netdev_xps_cpus, drgn_veth.netdev_xps_rxqs):
        with pytest.raises(IndexError, match="has 4 TX queues, 0 to 3"):
            helper(dev, queue)


def test_queue_index() -> None:
    assert queue_index(0, 1, "RX") == 0
    with pytest.raises(IndexError, match="the device has 1 RX queue$"):
        queue_index(1, 1, "RX")
    wrong: Any = "0"
    with pytest.raises(TypeError):
        queue_index(wrong, 1, "RX")


def test_modes(dev: Object) -> None:
    numbers = {"generic": 0, "driver": 1, "offload": 2}
    for mode, number in numbers.items():
        for word in (mode, *MODE_WORDS[mode], mode.upper()):
            named: Any = word
            assert drgn_veth.XdpMode(named) == number
            drgn_veth.dev_xdp_prog(dev, word)
            drgn_veth.dev_xdp_link(dev, word)


@pytest.mark.parametrize("mode", ["nativ", "default", 3, -1, None])
def test_no_such_mode(mode: Any, dev: Object) -> None:
    for helper in (drgn_veth.dev_xdp_prog, drgn_veth.dev_xdp_link):
        with pytest.raises(ValueError) as raised:
            helper(dev, mode)
        assert str(raised.value) == (
            f"no XDP mode is {mode!r}; the modes are SKB (generic), DRV (driver), HW "
            "(offload)"
        )


def test_predictor(prog: Program) -> None:
    """It takes what is at hand: a record or a device, and any name of a mode."""
    snapshot = recorded_core("6.12-zoo").snapshot
    predictor = Predictor(snapshot)
    for device in snapshot.devices[:12]:
        dev = Object(prog, "struct net_device *", device.net_device)
        for mode in MODES:
            answer = predictor.attach(device, mode)
            for word in (mode, *MODE_WORDS[mode]):
                assert predictor.attach(dev, word) == answer
            assert predictor.replace(dev, mode) == predictor.replace(device, mode)
            assert predictor.detach(dev, mode) == predictor.detach(device, mode)
        for xdp_mode, mode in zip(drgn_veth.XdpMode, MODES[1:]):
            answer = predictor.attach(device, mode)
            assert predictor.attach(device, xdp_mode) == answer


def test_mistakes_of_a_predictor(prog: Program) -> None:
    snapshot: Any = recorded_core("6.12-zoo").snapshot
    device = snapshot.devices[0]
    predictor = Predictor(snapshot)
    wrong: Any = "rpsa"
    with pytest.raises(TypeError, match="not str; find_netdev"):
        predictor.attach(wrong, "driver")
    with pytest.raises(ValueError, match="no XDP mode is called 'drvv'; nearest: drv"):
        predictor.attach(device, "drvv")
    with pytest.raises(ValueError, match="no XDP mode is 3; the modes are default"):
        predictor.attach(device, 3)
    with pytest.raises(ValueError, match="'wire': netlink or link"):
        predictor.attach(device, "driver", via="wire")
    gone = Object(prog, "struct net_device *", 4096)
    with pytest.raises(LookupError, match="no device at 0x1000"):
        predictor.attach(gone, "driver")
    not_taken: Any = prog
    with pytest.raises(TypeError, match="take_snapshot"):
        Predictor(not_taken)


def test_names(prog: Program) -> None:
    with pytest.raises(LookupError, match="'rpsaa'; nearest: rpsa"):
        drgn_veth.find_netdev(prog, "host", "rpsaa")
    with pytest.raises(LookupError, match="'pdo1'; nearest: pod1"):
        drgn_veth.find_net(prog, "pdo1")
