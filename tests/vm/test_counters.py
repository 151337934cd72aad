# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counters against ``ip -s``, ``ethtool -S``, ``tc -s`` and /proc/net/softnet_stat."""

import copy
import json
from pathlib import Path
from typing import Any, Callable

from drgn import Object, Program
from drgn.helpers.linux.net import netdev_priv
from drgn_veth import (
    dev_get_stats,
    netdev_kind,
    netdev_qdisc_stats,
    netdev_real_num_rx_queues,
    softnet_stat,
    veth_peer,
    veth_rqs,
    veth_stats,
)
from drgn_veth.model import unreadable_in
from drgn_veth.readers.netns import for_each_net_bounded, for_each_netdev_bounded
from drgn_veth.render import json as render_json
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support import oracle
from tests.support.booted import NO_SYMBOLS, SCRIPT, SLICE_SCRIPT, Dump, Tally, drgn
from tests.support.kernel import TYPES, program_of
from tests.support.memory import Altered
from tests.support.schemas import validate

pytestmark = pytest.mark.vm

#: Drivers and kinds whose counters the scene compares, where a kernel has them.
EVERYWHERE = {
    *("bond", "bridge", "dummy", "ipip", "ipvlan", "macvlan", "tun", "veth", "vlan"),
    "vrf",
}


def test_every_counter(counted: Dump, tally: Tally) -> None:
    report = counted.report()
    comparison, left_out = oracle.compare_counters(report, counted.truth)
    name = f"{counted.made.kernel.release} counters, {left_out} moved"
    tally[name] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert sum(comparison.compared.values()) > 2500
    assert left_out < 50
    assert report["unreadable"] == []
    assert {device["kind"] for device in report["devices"]} >= EVERYWHERE
    validate(report)


def test_something_was_counted(counted: Dump) -> None:
    """Of each kind of counter that the scene moves, some are not zero."""
    report = counted.report()
    moved = {
        name
        for device in report["devices"]
        for record in (device["stats"], *device.get("queue_stats", ()))
        for name, value in record.items()
        if value
    }
    assert moved >= {
        *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "tx_errors"),
        *("rx_dropped", "tx_dropped"),
        *("rx_drops", "xdp_packets", "xdp_bytes", "xdp_redirect", "xdp_drops"),
        *("xdp_tx", "xdp_tx_err", "peer_tq_xdp_xmit"),
    }
    by_name = {device["name"]: device for device in report["devices"]}
    # tbf alone, and under mq.
    for name in ("cq0", "cm0"):
        assert all(by_name[name]["qdisc_stats"].values())
    for name in ("processed", "received_rps"):
        assert any(cpu[name] for cpu in report["cpus"])
    ring = by_name["cd1"]["queue_stats"][0]["ring"]
    assert ring == {"size": 256, "used": 0}
    assert "ring" not in by_name["ca0"]["queue_stats"][0]


def _found(report: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    return [finding for finding in report["findings"] if finding["rule"] == rule]


def test_losses_have_a_cause(counted: Dump) -> None:
    """Rules tell of what the kernel's tools have counted, and of nothing else."""
    report = counted.report()
    devices = {device["name"]: device for device in report["devices"]}
    lost = sum(cpu["dropped"] for cpu in report["cpus"])
    backlogs = _found(report, "backlog-overflow")
    assert len(backlogs) == bool(lost)
    for finding in backlogs:
        assert finding["device"] is None
        assert f"dropped {lost} packet" in finding["summary"]
    # Of 9 packets, a program redirects each to an ifindex that no device has.
    (failed,) = _found(report, "xdp-redirect-failed")
    assert failed["device"]["name"] == "cf1"
    assert "has lost 9 packets so far, and redirected 0:" in failed["summary"]
    full = {finding["device"]["name"] for finding in _found(report, "qdisc-drops")}
    assert full == {
        name
        for name, device in devices.items()
        if device.get("qdisc_stats", {}).get("drops")
    }
    assert full >= {"cq0", "cm0"}
    for finding in _found(report, "veth-packets-lost"):
        device = devices[finding["device"]["name"]]
        assert device["stats"]["tx_dropped"] > 0


def test_the_comparison_can_fail(counted: Dump) -> None:
    """Each counter, altered in the report, is noticed."""
    report = counted.report()

    def altered(change: Any) -> list[str]:
        other = copy.deepcopy(report)
        change(other)
        return oracle.compare_counters(other, counted.truth)[0].differences

    device = next(d for d in report["devices"] if d["name"] == "cp1")
    at = report["devices"].index(device)
    for kind in ("stats", "qdisc_stats"):
        for name, value in device[kind].items():
            changed = {**device[kind], name: value + 1}
            assert altered(lambda r, k=kind, c=changed: r["devices"][at].update({k: c}))
    for name in oracle.QUEUE_COUNTERS:
        value = device["queue_stats"][1][name] + 1
        assert altered(
            lambda r, n=name, v=value: r["devices"][at]["queue_stats"][1].update({n: v})
        )
    for name in set(report["cpus"][0]) - {"cpu"}:
        assert altered(lambda r, n=name: r["cpus"][2].update({n: 1 << 40}))


def _devices(report: dict[str, Any]) -> list[Any]:
    kinds = ("stats", "queue_stats", "qdisc_stats")
    return [[device.get(kind) for kind in kinds] for device in report["devices"]]


def test_counters_of_a_slice(counted: Dump, tmp_path: Path) -> None:
    symbols = counted.symbols if counted.is_old else NO_SYMBOLS
    path = tmp_path / "slice.core"
    done = drgn("-c", counted.vmcore, *symbols, SLICE_SCRIPT, path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "report.json"
    arguments = ("--format", "json", "--output", out)
    done = drgn("-c", path, *NO_SYMBOLS, SCRIPT, *arguments)
    assert done.returncode == 0, done.stderr
    of_slice, whole = json.loads(out.read_text()), counted.report()
    assert of_slice["cpus"] == whole["cpus"]
    assert _devices(of_slice) == _devices(whole)
    assert of_slice["unreadable"] == []


def test_readers_at_a_prompt(counted: Dump) -> None:
    """They say what the Snapshot has."""
    for types in TYPES[:1] if counted.is_old else TYPES:
        _check_readers(program_of(counted, types))


def _check_readers(prog: Program) -> None:
    snapshot = take_snapshot(prog)
    assert snapshot.cpus == tuple(softnet_stat(prog))
    records = {device.net_device: device for device in snapshot.devices}
    seen = 0
    for net in for_each_net_bounded(prog):
        for dev in for_each_netdev_bounded(net):
            record = records[dev.value_()]
            stats = record.stats
            assert isinstance(stats, tuple)
            have = {n: v for n, v in stats._asdict().items() if v is not None}
            assert dev_get_stats(dev) == have
            assert netdev_qdisc_stats(dev) == record.qdisc_stats
            seen += 1
            if netdev_kind(dev) != b"veth":
                continue
            rqs, queues = veth_rqs(dev), record.queue_stats
            assert isinstance(queues, tuple)
            assert len(queues) == netdev_real_num_rx_queues(dev)
            for queue in queues:
                told = veth_stats(rqs + queue.queue)
                assert told == {name: getattr(queue, name) for name in told}
    assert seen == len(records)
    assert take_snapshot(prog, traffic=False).devices[0].stats is None


def _priv(dev: Object) -> Object:
    return netdev_priv(dev, "struct veth_priv")


#: What is wrong with a device, and what of it is lost by that.
DAMAGE: dict[str, tuple[str, Callable[[Altered, Object], None], str]] = {
    "tstats leads nowhere": (
        "ca0",
        lambda altered, dev: altered.write_pointer(dev.tstats, 1 << 63),
        "stats",
    ),
    "tstats is NULL": (
        "cdum",
        lambda altered, dev: altered.write_pointer(dev.lstats, 0),
        "stats",
    ),
    "the queues of another": (
        "ca0",
        lambda altered, dev: altered.write_pointer(
            _priv(dev).rq, _priv(veth_peer(dev)).rq.value_()
        ),
        "queue_stats",
    ),
    "more queues than there are": (
        "cd1",
        lambda altered, dev: altered.write(
            dev.num_rx_queues.address_, (4000).to_bytes(4, "little")
        ),
        "queue_stats",
    ),
    "no operations": (
        "cvl",
        lambda altered, dev: altered.write_pointer(dev.netdev_ops, 8),
        "stats",
    ),
    "operations of nobody": (
        "cmv",
        lambda altered, dev: altered.write_pointer(dev.netdev_ops.ndo_get_stats64, 8),
        "",  # The next device of this kind has the same.
    ),
    "slaves in a ring": (
        "cbond",
        lambda altered, dev: altered.write_pointer(
            dev.adj_list.lower.next.next, dev.adj_list.lower.next.value_()
        ),
        "stats",
    ),
    "TX queues without end": (
        "cm0",
        lambda altered, dev: altered.write(dev.num_tx_queues.address_, b"\xff" * 4),
        "qdisc_stats",
    ),
    "a qdisc that is none": (
        "cq0",
        lambda altered, dev: altered.write_pointer(dev.qdisc, dev.value_()),
        "",
    ),
    "a ring that is none": (
        "cp1",
        lambda altered, dev: altered.write(
            _priv(dev).rq[0].xdp_ring.producer.address_, b"\xff" * 4
        ),
        "queue_stats",
    ),
}


def test_damaged_counters(one_counted: Dump) -> None:
    """What is lost is said, and other devices keep their counters."""
    altered = Altered(one_counted.vmcore, one_counted.symbol_files)
    devices = {
        dev.name.string_().decode(): dev
        for dev in for_each_netdev_bounded(next(for_each_net_bounded(altered.original)))
    }
    whole = {d.net_device: d for d in take_snapshot(altered.prog).devices}
    for what, (name, damage, member) in DAMAGE.items():
        altered.reset()
        damage(altered, devices[name])
        snapshot = take_snapshot(altered.prog)
        assert altered.reads < 1_000_000
        render_json.render(snapshot)
        for device in snapshot.devices:
            before = whole[device.net_device]
            if device.name == name:
                lost = list(unreadable_in(snapshot._replace(devices=(device,))))
                assert not member or any(f".{member}" in where for where, _ in lost), (
                    what
                )
            elif device.kind == "dummy" or before.peer is None:
                assert (device.stats, device.qdisc_stats) == (
                    before.stats,
                    before.qdisc_stats,
                ), (what, device.name)
