# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about RPS and RFS."""

from collections.abc import Sequence
from typing import Any, Optional

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.analysis.rules.values import rps_words
from drgn_veth.model import RecordsRxQueue, RpsQueue
import pytest

from tests.support.rules.case import found
from tests.support.snapshots import (
    BAD,
    BR0,
    DOWN,
    HOST,
    TARGET,
    WHY,
    device,
    generic,
    kernel,
    native,
    pair,
    queues,
    rps,
)


def test_nothing_is_logged_with_one_rx_queue() -> None:
    (finding,) = found(
        "rps-queue-out-of-range", pair({**queues(1, 1), **rps((0,))}, queues(4, 4))
    )
    assert finding.kernel == KernelAnswer("get_rps_cpu")
    assert "from TX queues 2-3 (2 of 4) of peer" in finding.summary


def test_rfs_alone_is_left_out_too() -> None:
    flows = {**queues(1, 1), **rps((), flows=64)}
    both = TARGET._replace(rps_sock_flow_entries=1024)
    (finding,) = found("rps-queue-out-of-range", pair(flows, queues(4, 4), target=both))
    assert finding.summary.startswith("RFS skips packets from TX queues 2-3 (2 of 4)")
    assert finding.evidence[2:] == (
        ("rps_flow_table", "64"),
        ("rps_sock_flow_table", 1024),
    )
    masks = {**queues(1, 1), **rps((0,), flows=64)}
    (finding,) = found("rps-queue-out-of-range", pair(masks, queues(4, 4), target=both))
    assert finding.summary.startswith("RPS skips packets")


@pytest.mark.parametrize(
    "tx, masks, said",
    [
        (1, ((), (3,)), "the mask of rx-1 (CPU 3) steers nothing: "),
        (1, ((0, 1), (3,)), "and rx-0, which is used, has CPUs 0-1"),
        (2, ((), (), (1, 2)), "has 2 real TX queues, and rx-0, which is used, has no "),
        (3, ((1,), (1,), (1,), (2,)), "the mask of rx-3 (CPU 2) steers nothing: "),
        (1, (BAD, (3,), (4,)), None),
        (2, ((1,), (1,), BAD), None),
    ],
)
def test_mask_of_a_queue_that_is_not_used(
    tx: int, masks: Sequence[Any], said: Optional[str]
) -> None:
    rx = len(masks)
    (finding,) = found(
        "rps-queue-off-by-one", pair(queues(1, tx), {**queues(rx, 1), **rps(*masks)})
    )
    if said is None:
        assert finding.undecided is not None
        return
    assert said in finding.summary
    assert finding.severity == "warning"
    (command,) = finding.fix
    assert "rx-*/rps_cpus" in command


def test_end_with_masks_that_nothing_uses_does_not_speak_for_both() -> None:
    unused = {**queues(2, 2), **rps((), (3,))}
    (finding,) = found("rps-which-end", pair(unused, rps((1,))))
    assert finding.device is not None and finding.device.name == "eth0"
    assert finding.evidence == (("rps_map", "1"), ("peer_rps_map", ""))


def test_rfs_alone_sends_no_program_elsewhere() -> None:
    flows = BR0._replace(**generic(), **rps((), flows=64))
    assert not found("generic-xdp-cpu", pair(None, None, flows))


def test_rps_of_both_ends_is_said_once() -> None:
    (finding,) = found("rps-which-end", pair(rps((0,)), rps((1,))))
    assert finding.device is not None and finding.device.name == "veth0"
    assert finding.evidence == (("rps_map", "0"), ("peer_rps_map", "1"))


def test_mask_of_the_first_queue_alone() -> None:
    """Written before there were more: TX queues 2 and 3 are not steered, 1 is."""
    snapshot = pair({**queues(4, 4), **rps((0, 1, 2), (), (), ())}, queues(4, 4))
    assert not found("rps-queue-off-by-one", snapshot)
    (finding,) = found("rps-queue-without-mask", snapshot)
    assert "from TX queues 2-3 (2 of 4) of peer" in finding.summary


def test_mask_of_a_queue_that_could_not_be_read() -> None:
    """It hides no TX queue that is not steered, but there may be more."""
    masks = {**queues(4, 4), **rps((0,), BAD, (), ())}
    (finding,) = found("rps-queue-without-mask", pair(queues(4, 4), masks))
    assert finding.undecided is None
    assert "from TX queue 3 (at least 1 of 4) of peer" in finding.summary
    assert finding.fix == ()


def test_only_tx_queue_is_no_part_of_them() -> None:
    """Whether it is steered or not, no other is."""
    masks = {**queues(2, 2), **rps(BAD, (0,))}
    assert not found("rps-queue-without-mask", pair(queues(1, 1), masks))


def test_mask_whose_cpus_are_offline_steers_nothing() -> None:
    """rps-which-end does not claim that it does."""
    snapshot = pair(rps((2,)), rps((3,)))
    assert found("rps-which-end", snapshot)
    offline = snapshot._replace(target=TARGET._replace(online_cpus=(0, 1)))
    assert not found("rps-which-end", offline)
    assert found("rps-cpu-offline", offline)


def test_rps_that_hurts_nothing() -> None:
    many = {**queues(2, 2), **rps((0, 1), ())}
    (finding,) = found("rps-queue-off-by-one", pair(many, queues(2, 2)))
    assert finding.severity == "info"
    both = {**queues(3, 3), **rps((0, 1), (), (2,))}
    (finding,) = found("rps-queue-off-by-one", pair(both, queues(3, 3)))
    assert finding.severity == "warning" and "TX queue 2" in finding.summary
    for ends in (({**both, "flags": DOWN}, queues(3, 3)), (both, {"flags": DOWN})):
        a, b = ends
        (finding,) = found("rps-queue-off-by-one", pair(a, {**queues(3, 3), **b}))
        assert finding.severity == "info"
    down = {**queues(1, 1), **rps((0,)), "flags": DOWN}
    (finding,) = found("rps-queue-out-of-range", pair(down, queues(4, 4)))
    assert finding.severity == "info"


@pytest.mark.parametrize(
    ("records", "program", "outcome"),
    [
        (RecordsRxQueue.NEVER, False, "shifted"),
        (RecordsRxQueue.NEVER, True, "shifted"),
        (RecordsRxQueue.ALWAYS, False, "as numbered"),
        (RecordsRxQueue.ALWAYS, True, "as numbered"),
        (RecordsRxQueue.WITH_XDP, True, "as numbered"),
        (RecordsRxQueue.WITH_XDP, False, "undecided"),
        (BAD, True, "undecided"),
        (None, False, "undecided"),
    ],
)
def test_who_writes_the_rx_queue(records: Any, program: bool, outcome: str) -> None:
    """Where veth_xmit() does, masks are used as they are numbered."""
    end = {**queues(2, 2), **rps((0, 1), (2,))}
    if program:
        end.update(native(True, True))
    snapshot = pair(queues(2, 2), end, kernel=kernel(records_rx_queue=records))
    findings = found("rps-queue-off-by-one", snapshot)
    if outcome == "as numbered":
        assert findings == []
        return
    (finding,) = findings
    assert finding.severity == ("info" if outcome == "undecided" else "warning")
    assert bool(finding.undecided) == (outcome == "undecided")
    assert bool(finding.fix) == bool(finding.fix_effect) == (outcome == "shifted")
    if outcome == "undecided":
        assert "skb_record_rx_queue()" in (finding.undecided or "")


@pytest.mark.parametrize(
    ("records", "steers"),
    [(RecordsRxQueue.NEVER, 1), (RecordsRxQueue.ALWAYS, 2)],
)
def test_which_masks_steer(records: RecordsRxQueue, steers: int) -> None:
    """Of two, with two TX queues at the peer: rx-0 serves both, or each its own."""
    end = {**queues(2, 2), **rps((1,), (2,))}
    snapshot = pair(queues(2, 2), end, kernel=kernel(records_rx_queue=records))
    (finding,) = found("rps-which-end", snapshot)
    masks = snapshot.devices[1].rps
    assert isinstance(masks, tuple)
    assert f"its RPS ({rps_words(masks[:steers])}) steers" in finding.summary


def test_mask_that_could_not_be_read_is_not_written_over() -> None:
    masks = rps((0,), (1,), BAD)
    (finding,) = found(
        "rps-queue-off-by-one", pair({**queues(3, 3), **masks}, queues(3, 3))
    )
    assert finding.undecided is None
    assert finding.fix == () and finding.fix_effect is None


@pytest.mark.parametrize(
    ("online", "off"), [((0, 1, 3), "CPU 2 of {} is"), ((0, 1), "CPUs 2-3 of {} are")]
)
def test_mask_that_names_an_offline_cpu_among_others(
    online: tuple[int, ...], off: str
) -> None:
    """CPUs that were taken offline after the masks were written."""
    target = TARGET._replace(online_cpus=online)
    (finding,) = found("rps-cpu-offline", pair(b=rps((0, 2, 3)), target=target))
    them = "it" if off.endswith("is") else "them"
    assert finding.summary == (
        f"{off.format('its RPS masks')} offline: the flows that the masks give to "
        f"{them} are not steered"
    )
    assert finding.severity == "warning"


def test_mask_without_the_isolated_cpus() -> None:
    """All CPUs were written; the kernel leaves out those of isolcpus."""
    target = TARGET._replace(isolated_cpus=(3,))
    (finding,) = found("rps-isolated-cpus", pair(b=rps((0, 1, 2)), target=target))
    assert finding.summary == (
        "its RPS goes to all online CPUs but 3, which is isolated: the kernel leaves "
        "isolated CPUs out of a mask that is written"
    )
    assert finding.undo is None and finding.fix == ()


def test_global_flow_table_without_one_of_a_queue() -> None:
    """The other half of RFS: rps_sock_flow_entries is set, rps_flow_cnt nowhere."""
    target = TARGET._replace(rps_sock_flow_entries=1024)
    (finding,) = found("rfs-half-set", pair(b=rps((0, 1)), target=target))
    assert finding.severity == "info"
    assert finding.summary.startswith(
        "RFS does nothing: no RX queue of any device has a flow table (rps_flow_cnt)"
    )
    assert finding.undo is not None
    assert finding.undo.commands == ("sysctl -w net.core.rps_sock_flow_entries=0",)


def test_a_mask_that_is_not_known_may_name_other_cpus() -> None:
    off = TARGET._replace(online_cpus=(0, 1, 3))
    masks = {**queues(3, 3), **rps((2,), BAD, ())}
    (finding,) = found("rps-cpu-offline", pair(queues(3, 3), masks, target=off))
    assert finding.summary == (
        "CPU 2 of its RPS masks is offline: the flows that the masks give to it are "
        "not steered"
    )
    assert not finding.fix


@pytest.mark.parametrize(
    ("kind", "number"), [("tun", 1), ("bridge", 1), ("ipvlan", 1), ("vlan", 0)]
)
def test_whose_masks_the_kernel_looks_at(kind: str, number: int) -> None:
    """A generic program on a tap runs behind RPS, as on any device."""
    one = device(HOST, 9, "x0", kind=kind, **generic(), **rps((0, 1)))
    assert len(found("generic-xdp-cpu", pair(None, None, one))) == number


@pytest.mark.parametrize(
    ("masks", "found_all"),
    [(((0, 3), BAD), False), ((BAD, (0,)), False), (((1,), BAD, (1,), (2,)), True)],
)
def test_lost_mask_among_those_that_steer(
    masks: Sequence[Any], found_all: bool
) -> None:
    """It may be off by one; a mask beyond them steers nothing, whatever it is."""
    end = {**queues(len(masks), 2), **rps(*masks)}
    (finding,) = found("rps-queue-off-by-one", pair(queues(3, 3), end))
    if not found_all:
        assert finding.undecided == f"rps_map could not be read: {WHY}"
        return
    assert finding.undecided is None
    assert finding.summary.startswith("the mask of rx-3 (CPU 2) steers nothing: ")
    assert finding.fix == ()


def test_masks_on_all_queues_leave_nothing_out() -> None:
    """Whatever veth_xmit() does."""
    masks = {**queues(3, 3), **rps((0,), (0,), (0,))}
    whole = pair(queues(3, 3), masks, kernel=kernel(records_rx_queue=BAD))
    assert not found("rps-queue-without-mask", whole)


def test_rfs_on_one_queue_alone_is_no_rps() -> None:
    """So no RPS is left out of the other queue."""
    flows = (RpsQueue(0, (), 64), RpsQueue(1, (), 0))
    target = TARGET._replace(rps_sock_flow_entries=1024)
    whole = pair(queues(3, 3), {**queues(2, 2), "rps": flows}, target=target)
    assert not found("rps-queue-without-mask", whole)


def test_generic_program_stays_where_rps_has_no_cpu() -> None:
    bridge = BR0._replace(**generic(), **rps((2,)))
    whole = pair(None, None, bridge)
    assert found("generic-xdp-cpu", whole)
    offline = whole._replace(target=TARGET._replace(online_cpus=(0, 1)))
    assert not found("generic-xdp-cpu", offline)
