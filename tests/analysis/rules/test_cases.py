# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Each rule on a Snapshot on which it fires, on near twins on which it does not (one
value is another), and on some where a value that it needs could not be read.
"""

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.rules import RULES, RULES_BY_ID
from drgn_veth.analysis.rules.finding import Finding
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Snapshot, Veth
import pytest

from tests.support.rules import CASES
from tests.support.rules.case import Lost, found
from tests.support.snapshots import (
    BAD,
    DOWN,
    HELD,
    WHY,
    Changes,
    kernel,
    native,
    pair,
    queues,
    rps,
)


def test_each_rule_has_a_case() -> None:
    assert set(CASES) == set(RULES_BY_ID)
    assert len(RULES_BY_ID) == len(RULES)


@pytest.mark.parametrize("rule", CASES)
def test_fires(rule: str) -> None:
    case = CASES[rule]
    (finding,) = found(rule, case.fires)
    named = (d.ref for d in case.fires.devices if d.name == case.name)
    ref = next(named) if case.name else None
    assert finding == Finding(
        rule,
        case.severity,
        ref,
        case.summary,
        case.evidence,
        case.kernel,
        case.fix,
        case.undecided,
        case.fix_effect,
        case.undo,
    )


@pytest.mark.parametrize("rule", CASES)
def test_is_silent_on_twins(rule: str) -> None:
    twins = CASES[rule].twins
    assert len(twins) >= 2
    for twin in twins:
        assert found(rule, twin) == []


@pytest.mark.parametrize(
    "rule, lost", [(rule, lost) for rule, case in CASES.items() for lost in case.lost]
)
def test_says_what_is_missing(rule: str, lost: Lost) -> None:
    """Of this rule, and of no others than those that need the value."""
    whole, name, *also = lost
    undecided = [f for f in diagnose(whole) if f.undecided is not None]
    assert {f.rule for f in undecided} == {rule}.union(*also)
    finding = next(f for f in undecided if f.rule == rule)
    ((where, value),) = finding.evidence
    assert where == name
    assert isinstance(value, Unreadable)
    assert finding.severity == "info"
    assert finding.undecided == f"{name} could not be read: {value.reason}"
    assert finding.fix == () and finding.kernel is None


def test_each_rule_can_be_undecided() -> None:
    """But no-peer, which is then another rule's matter: the peer is not known."""
    assert {rule for rule, case in CASES.items() if not case.lost} == {"no-peer"}


def test_what_is_missing_for_all_is_said_once() -> None:
    lost = pair(kernel=kernel(page_size=BAD))
    (finding,) = found("xdp-peer-mtu", lost)
    assert finding.device is None
    assert finding.undecided == (
        f"max_mtu could not be read: PAGE_SIZE could not be read: {WHY}"
    )


#: Two values that could not be read, for the same reason: not known to be equal.
LOST = [
    ("queues-one-sided", queues(BAD, 1, 4, 4), "real_num_rx_queues"),
    ("queues-one-sided", queues(1, 1, BAD, 4), "num_rx_queues"),
    ("mtu-mismatch", {"mtu": BAD}, "mtu"),
    ("rps-which-end", {**queues(3, 3), **rps((1,), BAD, (1,))}, "rps_map"),
    ("xdp-stale-program", {**queues(BAD, 1), "veth": Veth(0, 0, BAD)}, "rq[].xdp_prog"),
]


@pytest.mark.parametrize(("rule", "changes", "name"), LOST)
def test_two_lost_values_are_not_equal(rule: str, changes: Changes, name: str) -> None:
    findings = found(rule, pair(changes, changes))
    assert findings
    for finding in findings:
        assert finding.undecided and finding.undecided.startswith(name)


@pytest.mark.parametrize(
    "rule, snapshot",
    [
        ("no-peer", CASES["no-peer"].fires),
        ("xdp-queue-without-program", CASES["xdp-queue-without-program"].fires),
        ("xdp-queue-overflow", CASES["xdp-queue-overflow"].fires),
    ],
)
def test_somebody_is_changing_it(rule: str, snapshot: Snapshot) -> None:
    (finding,) = found(rule, snapshot._replace(kernel=HELD))
    assert finding.severity == "info"
    assert finding.undecided == (
        "ip (812) holds rtnl_mutex and may have been changing this"
    )
    # Nothing may be broken.
    assert finding.fix == () and finding.fix_effect is None
    assert finding.evidence[-1] == ("rtnl_mutex.owner", "ip (812)")
    (finding,) = found(rule, snapshot._replace(kernel=kernel(rtnl_owner=BAD)))
    assert finding.severity == "error"
    assert finding.evidence[-1] == ("rtnl_mutex.owner", BAD)


def test_peer_that_was_not_found() -> None:
    whole = pair({"mtu": 9000})
    lost = whole._replace(devices=whole.devices[:1])
    (finding,) = found("mtu-mismatch", lost)
    assert finding.undecided == (
        "peer could not be read: it was not found in any namespace"
    )


def test_dying_pairs_are_left_alone() -> None:
    gone = {"off_list": "netns is dying", "flags": DOWN, "mtu": 9000}
    sick = pair({**queues(1, 1), **native()}, {**queues(4, 4), **gone})
    assert [f for f in diagnose(sick) if f.severity != "info"] == []
