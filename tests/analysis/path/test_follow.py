# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a device sends, which queue and CPU, and through bridges to the next pair."""

from typing import Any, Optional

from drgn_veth.analysis.path import Path, PathError, Step
from drgn_veth.analysis.path.sender import forwarded_queues
from drgn_veth.model import Device, Snapshot, XpsQueue
import pytest

from tests.support.paths import only, path_of, step_of
from tests.support.snapshots import (
    BAD,
    BR0,
    HOST,
    NIC,
    NO_XDP,
    POD,
    TARGET,
    device,
    node,
    pair,
    queues,
    rps,
    rqs,
    snapshot,
    xps,
)


def test_through_a_bridge() -> None:
    whole = node(4)
    sender = whole.devices[4]
    path = path_of(whole._replace(devices=(sender, *whole.devices)), "eth0")
    assert path.following == ()
    path = path_of(
        whole._replace(devices=(sender, *whole.devices)), "eth0", follow=True
    )
    assert [one.device.name for one in path.following] == ["veth1", "veth2", "veth3"]
    assert all(one.ends.startswith("IP stack of net:") for one in path.following)


def _ring() -> Snapshot:
    # Two bridges with two pairs between them.
    other = BR0._replace(name="br1", ifindex=10, net_device=0x10)
    ends: list[Device] = []
    for i in range(2):
        a = device(HOST, 20 + i, f"a{i}", master=BR0.ref, net_device=0x100 + i)
        b = device(HOST, 30 + i, f"b{i}", master=other.ref, net_device=0x200 + i)
        ends += [a._replace(peer=b.ref), b._replace(peer=a.ref)]
    return snapshot(BR0, other, *ends)


def _all(path: Path) -> list[Path]:
    return [path, *(one for below in path.following for one in _all(below))]


def test_loop() -> None:
    path = path_of(_ring(), "a0", follow=True)
    ends = [one.ends for one in _all(path)]
    assert any(end.startswith("a loop: a0") for end in ends)
    assert len(ends) < 10


def test_many_ports() -> None:
    """It is bounded."""
    whole = node(200)
    first = whole.devices[4]
    path = path_of(whole._replace(devices=(first, *whole.devices)), "eth0", follow=True)
    followed = [one for one in path.following if one.flows]
    assert len(path.following) == 199 and len(followed) == 64
    assert "too many" in path.following[-1].ends


def test_leaves() -> None:
    nic = device(HOST, 40, "ens1", kind=None, master=BR0.ref)
    whole = pair({"master": BR0.ref}, {}, BR0, nic)
    path = path_of(whole, "eth0", follow=True)
    assert [one.ends for one in path.following] == ["leaves by ens1"]


@pytest.mark.parametrize(
    "mapping, chosen", [(0, (0, 1, 2, 3)), (1, (0,)), (3, (2,)), (6, (1,))]
)
def test_queue_of_a_forwarded_packet(mapping: int, chosen: Any) -> None:
    """skb_tx_hash() takes the RX queue that the mapping stands for."""
    one = device(HOST, 3, "veth0", **queues(4, 4))
    assert forwarded_queues(one, mapping, None) == chosen
    assert forwarded_queues(one._replace(**queues(1, 1)), mapping, None) == (0,)
    steered = one._replace(**xps((0,), (1,), (), ()))
    assert forwarded_queues(steered, mapping, 1) == (1,)
    assert forwarded_queues(one._replace(**queues(1, BAD)), mapping, None) == BAD


def test_xps() -> None:
    sender = {**queues(4, 4), **xps((0,), (1, 2), (2,), ())}
    path = path_of(pair(sender, queues(4, 4)))
    assert sorted(n for flow in path.flows for n in flow.tx_queues) == [0, 1, 2, 3]
    step = step_of(path.flows[0], "xps")
    assert "tx-0 from CPU 0, tx-1 from CPUs 1-2" in step.text
    for cpu, chosen in ((0, {0}), (2, {1, 2}), (3, {0, 1, 2, 3})):
        path = path_of(pair(sender, queues(4, 4)), cpu=cpu)
        assert {n for flow in path.flows for n in flow.tx_queues} == chosen
    unread = {**queues(2, 2), "xps": (XpsQueue(0, BAD, ()), XpsQueue(1, (), ()))}
    path = path_of(pair(unread, queues(2, 2)), cpu=1)
    assert BAD.reason in step_of(path.flows[0], "xps").text


def test_what_xps_says() -> None:
    """By the RX queues of sockets, by no map, and of more queues than fit."""

    def of(sender: Any, **options: Any) -> Step:
        return step_of(path_of(pair(sender, queues(1, 1)), **options).flows[0], "xps")

    of_socket = "the queue that XPS has for the RX queue of its socket"
    plain = {**queues(2, 2), "xps": (XpsQueue(0, (), ()), XpsQueue(1, (), ()))}
    step = of(plain)
    assert step.function == "skb_tx_hash"
    assert step.text == "no XPS: each flow has one of 2 real TX queues, by its hash"
    assert of_socket not in step.alternatives
    assert of(plain, queue=1).text == "no XPS: tx 1 of 2 real TX queues"
    by_rx = {**plain, "xps": (XpsQueue(0, (), (1,)), XpsQueue(1, (), ()))}
    assert of_socket in of(by_rx).alternatives
    for number in (8, 9):
        many = {**queues(number, number), **xps(*[(cpu,) for cpu in range(number)])}
        text = of(many).text
        assert text.endswith(", ...") is (number == 9)
        assert text.count(" from CPU ") == 8


def test_one_queue() -> None:
    path = path_of(pair(queues(4, 4), queues(2, 2)), queue=3)
    assert only(path).tx_queues == (3,)
    assert step_of(only(path), "rps").numbers["index"] == 2


@pytest.mark.parametrize(
    "options, said",
    [
        ({"queue": 4}, "veth0 has no TX queue 4: it has 4 real TX queues"),
        ({"queue": -1}, "has no TX queue -1"),
        ({"cpu": 4}, "there is no CPU 4: there are CPUs 0 to 3"),
        ({"cpu": 3}, "CPU 3 is offline"),
    ],
)
def test_out_of_range(options: Any, said: str) -> None:
    online = TARGET._replace(online_cpus=(0, 1, 2))
    with pytest.raises(PathError, match=said):
        path_of(pair(queues(4, 4), {}, target=online), **options)


def test_rx_queue_out_of_range() -> None:
    nic = device(POD, 2, "ens1", kind=None, **queues(2, 4))
    with pytest.raises(PathError, match="no RX queue 2: it has 2 real RX queues"):
        path_of(snapshot(nic), "ens1", queue=2)


def _bridged(napi: bool) -> Snapshot:
    # eth0 -> veth0, whose RPS steers to CPU 3; br0 steers to CPU 2; veth1 -> eth1.
    port = {"master": BR0.ref, "uppers": (BR0.ref,)}
    veth0 = {**port, **rps((3,)), "xdp": NO_XDP._replace(queues=rqs(napi))}
    whole = pair(veth0, {}, BR0._replace(**rps((2,))))
    out = device(HOST, 40, "veth1", **queues(2, 2), **xps((0,), (3,)), **port)
    away = device(POD + 1, 40, "eth1", **queues(2, 2), net_device=0x4000)
    out = out._replace(peer=away.ref, net_device=0x4001)
    away = away._replace(peer=out.ref)
    return whole._replace(devices=(*whole.devices, out, away))


@pytest.mark.parametrize("napi, queue", [(False, 0), (True, 1)])
def test_cpu_of_a_forwarded_packet(napi: bool, queue: int) -> None:
    """
    RPS of the bridge steers only what the bridge keeps. XPS looks at the CPU that has
    sent the packet first, unless a NAPI has had it.
    """
    path = path_of(_bridged(napi), "eth0", cpu=0, follow=True)
    (following,) = path.following
    assert only(following).tx_queues == (queue,)
    assert "CPU 3" in step_of(only(following), "cpu").text


def test_queue_of_what_a_tap_gets() -> None:
    """No CPU has sent it before: XPS looks at the CPU that it is on."""
    port = {"master": BR0.ref, "uppers": (BR0.ref,)}
    tap = device(HOST, 30, "tap0", kind="tun", **port, **rps((3,)))
    whole = _bridged(False)
    path = path_of(
        whole._replace(devices=(*whole.devices, tap)), "tap0", cpu=0, follow=True
    )
    queues_of = {one.device.name: only(one).tx_queues for one in path.following}
    assert queues_of["veth1"] == (1,)


def test_sender_that_may_be_any() -> None:
    """It stays so behind the second bridge."""
    whole = _bridged(False)
    (following,) = path_of(whole, "eth0", follow=True).following
    assert {n for flow in following.flows for n in flow.tx_queues} == {0, 1}


@pytest.mark.parametrize("kind", ["tun", None])
def test_queue_of_what_a_tap_with_one_queue_gets(kind: Optional[str]) -> None:
    """tun_get_user() records it: it is the TX queue of the next device, too."""
    port = {"master": BR0.ref, "uppers": (BR0.ref,)}
    driver = NIC.driver._replace(name="tun" if kind else "e1000")
    tap = device(HOST, 30, "tap0", kind=kind, driver=driver, **port, **queues(1, 1))
    whole = _bridged(False)
    plain = tuple(
        one._replace(xps=()) if one.name == "veth1" else one for one in whole.devices
    )
    whole = whole._replace(devices=(*plain, tap))
    path = path_of(whole, "tap0", cpu=0, follow=True)
    of = {one.device.name: one for one in path.following}["veth1"]
    chosen = {queue for flow in of.flows for queue in flow.tx_queues}
    assert chosen == ({0} if kind else {0, 1})
