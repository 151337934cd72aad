# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about numbers of queues, and commands that set them."""

from typing import Optional

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.model import StaleProgram, Veth
import pytest

from tests.support.rules.case import AGAIN, found
from tests.support.snapshots import (
    BAD,
    MANY_CPUS,
    OLD,
    TARGET,
    Changes,
    indexed,
    native,
    pair,
    queues,
    rps,
    xps,
)


def test_second_end_alone_was_given_queues() -> None:
    (finding,) = found("queues-one-sided", pair(queues(1, 1, 4, 4), queues(1, 1, 3, 2)))
    assert finding.device is not None and finding.device.name == "eth0"
    assert finding.summary == (
        "queue counts differ: 1 real RX queue and 1 TX here (created with 3 and 2), "
        "but peer veth0 (netns host) has 1 and 1, as if counts were given for "
        "one end only"
    )
    assert finding.fix == (
        "ip netns exec pod1 ethtool -L eth0 rx 3 tx 2",
        "ethtool -L veth0 rx 3 tx 2",
    )


@pytest.mark.parametrize(
    "a, b",
    [
        # The ends would have a program, and too few queues for it.
        (queues(2, 3), {**queues(4, 4), **native(*[True] * 4)}),
        # Or leave it in queues that are not in use.
        (queues(2, 2), {**queues(4, 4), **native(*[True] * 4)}),
        (queues(1, 1, 4, 4), {**queues(1, 1, 3, 3), **native()}),
        ({**queues(1, 1, 4, 4), **native()}, queues(1, 1, 3, 3)),
        # There are no more.
        (queues(1, 1, 4, 4), queues(1, 1, 5, 3)),
        (queues(1, 1, 4, 4), queues(1, 1, 3, 5)),
        (queues(5, 3), queues(4, 4)),
        # It would be found again, for the other reason.
        (queues(1, 1, 4, 4), queues(4, 4, 8, 8)),
    ],
)
def test_no_fix_that_would_be_refused(a: Changes, b: Changes) -> None:
    (finding,) = found("queues-one-sided", pair(a, b))
    assert finding.device is not None and finding.device.name == "eth0"
    assert finding.fix == ()


def test_fix_of_both_ends_where_that_of_one_would_do_nothing() -> None:
    """With one queue each, the end that was made with 3 would be found again."""
    first, second = found("queues-one-sided", pair(queues(1, 1, 3, 3), queues(4, 4)))
    assert first.fix == (
        "ethtool -L veth0 rx 3 tx 3",
        "ip netns exec pod1 ethtool -L eth0 rx 3 tx 3",
    )
    assert second.fix == ()


def test_one_queue_for_one_cpu() -> None:
    alone = TARGET._replace(possible_cpus=1)
    assert not found("queues-one-sided", pair(queues(2, 2), target=alone))


@pytest.mark.parametrize("rx", [3, 2])
def test_fix_takes_what_there_is(rx: int) -> None:
    """RX queues that can be had are better than TX queues that are taken away."""
    few = queues(1, 1, rx, 1)
    (finding,) = found("xdp-native-queues", pair(few, queues(1, 3)))
    wanted = (
        "ethtool -L veth0 rx 3"
        if rx == 3
        else "ip netns exec pod1 ethtool -L eth0 tx 1"
    )
    assert finding.fix == (wanted,)


def test_no_fix_where_queues_cannot_be_set() -> None:
    before = pair({**queues(1, 1), **rps((0,)), **OLD}, {**queues(4, 4), **OLD})
    for rule in ("xdp-native-queues", "rps-queue-out-of-range"):
        (finding,) = found(rule, before)
        assert finding.fix == ()


def test_native_program_with_fewer_queues_than_cpus() -> None:
    """Those that are online; and no command, as new queues might run no program."""
    few = {**queues(1, 1, 8, 8), **native()}
    for target in (TARGET, MANY_CPUS):
        (finding,) = found("queues-cpus", pair(few, target=target))
        assert finding.summary == (
            "1 real RX queue and 1 TX for 4 online CPUs: CPUs that redirect frames to "
            "its peer share RX queues and their locks"
        )
        assert finding.evidence[-1] == ("online_cpus", 4)
        assert finding.fix == ()


def test_native_program_with_more_queues_than_cpus() -> None:
    many = {**queues(5, 5), "xdp": native(*[True] * 5)["xdp"]}
    (finding,) = found("queues-cpus", pair(many))
    assert "4 possible CPUs: more queues than there are CPUs" in finding.summary
    (finding,) = found("queues-cpus", pair(queues(5, 5)))
    assert finding.fix == () and finding.undo is None


STALE_VETHS = [
    Veth(0, 0, stale=(StaleProgram(2, 0x77),)),
    Veth(0, 0, stale=BAD),
]


@pytest.mark.parametrize("veth", STALE_VETHS, ids=["stale", "unreadable"])
def test_queues_with_stale_programs_are_not_put_to_use(veth: Veth) -> None:
    few = {**queues(2, 2, 4, 4), "veth": veth}
    (finding,) = found("xdp-native-queues", pair(few, queues(2, 3)))
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 tx 2",)
    # For either end; fewer are no danger.
    one = {**queues(1, 1, 4, 4), "veth": veth}
    for a, b in ((one, queues(1, 1, 3, 2)), (queues(1, 1, 4, 4), {"veth": veth})):
        made = {**queues(1, 1, 3, 2), **b}
        (finding,) = found("queues-one-sided", pair(a, made))
        assert finding.fix == ()
    larger = pair(queues(5, 3), {**queues(4, 4, 8, 8), "veth": veth})
    (finding,) = found("queues-one-sided", larger)
    assert finding.fix == ()
    smaller = pair(queues(2, 3), {**queues(4, 4), "veth": veth})
    assert len(found("queues-one-sided", smaller)[0].fix) == 1
    for snapshot in (pair(few, queues(2, 3)), larger, smaller):
        raised = [line for f in diagnose(snapshot) for line in f.fix if " rx 5" in line]
        assert raised == []


def test_queues_are_not_added_before_there_is_set_channels() -> None:
    lost = {**native(), **OLD, "flags": BAD}
    assert not found("xdp-queue-without-program", pair(lost))


@pytest.mark.parametrize(
    "masks, lost",
    [
        (rps((0,), (0,), (), ()), None),
        (rps((0,), (), (1,), (1,)), "also removes the RPS settings of rx-2-3"),
        (rps((), (), BAD, ()), "also removes the RPS settings of rx-2"),
        ({"rps": BAD}, "also removes any RPS settings of rx-2 and above"),
    ],
)
def test_rps_that_is_lost_with_the_queues(masks: Changes, lost: Optional[str]) -> None:
    """A queue that goes takes its mask along."""
    (finding,) = found(
        "queues-one-sided", pair(queues(2, 3), {**queues(4, 4), **masks})
    )
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 rx 2 tx 3",)
    assert finding.fix_effect == lost
    (finding,) = found(
        "veth-poll-out-of-range",
        pair({**queues(4, 1), **indexed(0, 1, 2, 3), **masks}, queues(1, 1, 1, 2)),
    )
    assert finding.fix == ("ethtool -L veth0 rx 2",)
    assert finding.fix_effect == lost
    native_too = {**queues(4, 1), **native(*[True] * 4), **masks}
    (finding,) = found("veth-poll-out-of-range", pair(native_too, queues(1, 1, 1, 2)))
    assert finding.fix_effect == (AGAIN if lost is None else f"{AGAIN}; {lost}")


@pytest.mark.parametrize(
    "maps, lost",
    [
        (xps((0,), (), (), ()), None),
        (xps((0,), (1,), (), (3,)), "also removes the XPS settings of tx-1,3 of eth0"),
        ({"xps": BAD}, "also removes any XPS settings of tx-1 and above of eth0"),
    ],
)
def test_xps_that_is_lost_with_the_queues(maps: Changes, lost: Optional[str]) -> None:
    """As XPS maps of the peer's TX queues."""
    lost = None if lost is None else f"{lost} (netns pod1)"
    few = {**queues(1, 1), **rps((0,))}
    many = {**queues(1, 4), **maps}
    for rule, changes in (
        ("rps-queue-out-of-range", few),
        ("xdp-native-queues", few),
        ("xdp-queue-overflow", {**few, **native()}),
    ):
        (finding,) = found(rule, pair(changes, many))
        assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 tx 1",)
        assert finding.fix_effect == lost
    # None where RX queues are added, or none at all.
    (finding,) = found("xdp-native-queues", pair(queues(1, 1, 4, 4), many))
    assert finding.fix == ("ethtool -L veth0 rx 4",) and finding.fix_effect is None
    both = pair(queues(2, 1), {**queues(4, 4), **rps((), (), (1,), ()), **maps})
    (finding,) = found("queues-one-sided", both)
    settings = "also removes the RPS settings of rx-2"
    if lost is not None:
        more = lost.split(" of eth0")[0].replace("also removes ", "")
        settings += f" and {more}"
    assert finding.fix_effect == settings


def test_end_that_has_what_it_should_is_left_alone() -> None:
    (finding,) = found("queues-one-sided", pair(queues(3, 2, 4, 4), queues(1, 1, 3, 2)))
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 rx 3 tx 2",)


def test_both_ends_lose_settings() -> None:
    larger = {**queues(4, 3, 4, 4), **rps((), (), (), (2,))}
    (finding,) = found("queues-one-sided", pair(larger, queues(1, 1, 3, 2)))
    assert len(finding.fix) == 2
    assert finding.fix_effect == (
        "also removes the RPS settings of rx-3 of veth0 (netns host)"
    )


def test_only_what_changes_is_set() -> None:
    (finding,) = found("queues-one-sided", pair(queues(4, 2), queues(4, 4)))
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 tx 2",)
