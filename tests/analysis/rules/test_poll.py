# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about veth_poll(): queues that it reads, and queues that it wakes."""

from typing import Any, Optional

from drgn_veth.model import Features, Kernel, StoppedTxQueue, Veth, Xdp
import pytest

from tests.support.rules.case import found
from tests.support.snapshots import (
    BAD,
    BR0,
    BY_RXQ,
    CHECKED,
    DOWN,
    NO_XDP,
    POD,
    STUCK,
    TSO,
    UNCHECKED,
    WHY,
    WITH_XDP,
    Changes,
    indexed,
    kernel,
    messages,
    native,
    pair,
    queues,
    rqs,
)


@pytest.mark.parametrize(
    "poll, reason",
    [
        (BAD, WHY),
        (None, "its address is unknown"),
        (frozenset(), "could not be analyzed"),
    ],
)
def test_poll_that_is_not_known(poll: Any, reason: str) -> None:
    case = {**queues(4, 1), **native(*[True] * 4)}
    unknown = kernel(veth_poll=poll)
    (finding,) = found("veth-poll-out-of-range", pair(case, kernel=unknown))
    assert finding.severity == "info" and finding.fix
    assert finding.undecided is not None and reason in finding.undecided
    (finding,) = found("tx-queue-stuck", pair(queues(1, 3), GRO_ALONE, kernel=unknown))
    assert finding.severity == "info"
    assert finding.undecided is not None and reason in finding.undecided
    assert finding.summary == (
        "TX queue 1-2, once stopped, may stay stopped: NAPI of rx-1-2 on peer eth0 "
        "(netns pod1) runs for GRO alone"
    )


def test_back_pressure_that_is_not_known() -> None:
    case = {**queues(4, 1), **native(*[True] * 4)}
    unknown = kernel(messages=BAD, veth_poll=BAD)
    (finding,) = found("veth-poll-out-of-range", pair(case, kernel=unknown))
    assert finding.undecided is not None and WHY in finding.undecided
    # The code of veth_poll() alone decides.
    known = kernel(messages=BAD)
    (finding,) = found("veth-poll-out-of-range", pair(case, kernel=known))
    # No program is there that would send frames.
    assert finding.severity == "info" and finding.undecided is None
    # A queue that is stopped shows that this kernel does so.
    stopped = {"veth": Veth(0, 0, stopped=(STUCK._replace(peer_ring_empty=False),))}
    unread = kernel(messages=BAD, veth_poll=frozenset())
    assert not found("veth-poll-out-of-range", pair(case, kernel=unread))
    (finding,) = found("veth-poll-out-of-range", pair(case, stopped, kernel=unread))
    assert (
        finding.undecided is not None and "could not be analyzed" in finding.undecided
    )


def test_no_fix_where_it_is_not_known_whether_there_is_a_program() -> None:
    case = {**queues(4, 1), **native(*[True] * 4, program=BAD)}
    (finding,) = found("veth-poll-out-of-range", pair(case, queues(1, 1, 1, 2)))
    assert finding.undecided is None and finding.fix == ()


def test_frames_that_another_program_redirects() -> None:
    case = {**queues(4, 1), **native(*[True] * 4)}
    other = BR0._replace(netns=POD, net_device=0xFFFF888000007000, xdp=WITH_XDP)
    (finding,) = found("veth-poll-out-of-range", pair(case, None, other))
    assert finding.severity == "warning"


def test_programs_may_redirect_into_a_namespace_that_is_not_known() -> None:
    case = {**queues(4, 1), **native(*[True] * 4)}
    (finding,) = found("veth-poll-out-of-range", pair(case, {"netns": BAD}))
    assert finding.severity == "warning"


def test_only_the_index_of_the_xdp_rxq_is_out_of_range() -> None:
    """Of NAPI for GRO alone, too, it stays what a native program made it."""
    case = {**queues(4, 1), **indexed(0, 1, 0, 3)}
    by_rxq = kernel(veth_poll=BY_RXQ)
    (finding,) = found(
        "veth-poll-out-of-range", pair(case, queues(1, 1, 1, 2), kernel=by_rxq)
    )
    assert finding.summary.startswith("veth_poll() of rx-3 accesses")
    # No program that would have to be detached.
    assert finding.fix == ("ethtool -L veth0 rx 2",)


@pytest.mark.parametrize(
    "queue",
    [
        STUCK._replace(peer_ring_empty=BAD, peer_napi_scheduled=True),
        STUCK._replace(peer_ring_empty=False, peer_napi_scheduled=BAD),
    ],
)
def test_tx_queue_that_will_be_woken_whatever_is_missing(queue: StoppedTxQueue) -> None:
    assert not found("tx-queue-stuck", pair({"veth": Veth(0, 0, stopped=(queue,))}))


def gro_alone(*napi: Any, index: Any = 0) -> Changes:
    ready = tuple(q._replace(registered=False, rxq_index=index) for q in rqs(*napi))
    return {**queues(3, 1), "xdp": Xdp(None, None, None, ready)}


GRO_ALONE = gro_alone(True, True, True)
#: A kernel whose veth_poll() wakes TX queue 0 for them.
SLEEPY = kernel(veth_poll=BY_RXQ)


def test_tx_queue_that_could_be_stuck() -> None:
    (finding,) = found("tx-queue-stuck", pair(queues(1, 3), GRO_ALONE, kernel=SLEEPY))
    assert finding.device is not None and finding.device.name == "veth0"
    assert finding.severity == "info" and finding.undecided is None
    assert finding.summary == (
        "TX queue 1-2, once stopped (with a qdisc), stays stopped: NAPI of rx-1-2 on "
        "peer eth0 (netns pod1) wakes TX queue 0 instead"
    )
    # Two are enough.
    two = {**gro_alone(True, True), **queues(2, 1)}
    (finding,) = found("tx-queue-stuck", pair(queues(1, 2), two, kernel=SLEEPY))
    assert finding.summary.startswith("TX queue 1, once stopped")
    # What is so now is more than what could be.
    whole = pair(
        {**queues(1, 3), "veth": Veth(0, 0, stopped=(STUCK,))},
        GRO_ALONE,
        kernel=SLEEPY,
    )
    (finding,) = found("tx-queue-stuck", whole)
    assert finding.severity == "error"
    waits = STUCK._replace(peer_ring_empty=False)
    whole = pair(
        {**queues(1, 3), "veth": Veth(0, 0, stopped=(waits,))},
        GRO_ALONE,
        kernel=SLEEPY,
    )
    (finding,) = found("tx-queue-stuck", whole)
    assert finding.severity == "info"


@pytest.mark.parametrize(
    "a, b, whose",
    [
        (queues(1, 3), GRO_ALONE, kernel(veth_poll=UNCHECKED)),
        (queues(1, 3), GRO_ALONE, kernel(veth_poll=CHECKED)),
        (queues(1, 3), GRO_ALONE, kernel(messages=BAD, veth_poll=BAD)),
        (queues(1, 1), GRO_ALONE, SLEEPY),
        (queues(1, 3), {**GRO_ALONE, **native(*[True] * 3)}, SLEEPY),
        (queues(1, 3), {**queues(3, 1), "xdp": NO_XDP}, SLEEPY),
        (queues(1, 3), {**GRO_ALONE, "xdp": Xdp(None, None, None, BAD)}, SLEEPY),
        (queues(1, 3), gro_alone(True, False, False), SLEEPY),
        (queues(1, 3), gro_alone(True, BAD, BAD), SLEEPY),
        (queues(1, 3), gro_alone(True, True, True, index=1), SLEEPY),
        (queues(1, 3), gro_alone(True, True, True, index=BAD), SLEEPY),
        (queues(1, 3), GRO_ALONE, messages("veth_xmit")),
        (queues(1, 3), GRO_ALONE, kernel(messages=BAD, veth_poll=None)),
        (queues(1, 3), GRO_ALONE, None),
        ({**queues(1, 3), "flags": DOWN}, GRO_ALONE, SLEEPY),
        ({**queues(1, 3), "flags": BAD}, GRO_ALONE, SLEEPY),
        (queues(1, BAD, 1, 3), GRO_ALONE, SLEEPY),
        ({**queues(1, 3), "peer": BAD}, GRO_ALONE, SLEEPY),
    ],
)
def test_tx_queue_that_could_not_be_stuck(
    a: Changes, b: Changes, whose: Optional[Kernel]
) -> None:
    assert not found("tx-queue-stuck", pair(a, b, kernel=whose))


def test_what_goes_past_the_ring_stops_no_queue() -> None:
    sender = {**queues(1, 3), "features": Features(TSO, 0, None)}
    assert not found("tx-queue-stuck", pair(sender, GRO_ALONE, kernel=SLEEPY))
    fraglist = {**GRO_ALONE, "features": Features(1 << 57, 0, None)}
    assert found("tx-queue-stuck", pair(sender, fraglist, kernel=SLEEPY))
    unknown = {**queues(1, 3), "features": Features(BAD, 0, None)}
    assert found("tx-queue-stuck", pair(unknown, GRO_ALONE, kernel=SLEEPY))


def test_types_that_are_missing_where_no_queue_is_stopped() -> None:
    """The code says so: it is of no matter what could not be read."""
    lost = {"veth": Veth(BAD, BAD, BAD, BAD), "xdp": Xdp(None, None, None, BAD)}
    never = messages("veth_xmit")
    for rule in ("tx-queue-stuck", "veth-poll-out-of-range"):
        assert not found(rule, pair({**queues(4, 1), **lost}, lost, kernel=never))
    assert found("tx-queue-stuck", pair(lost, lost))


def test_gro_that_would_do_harm() -> None:
    """What redirects are lost without wants NAPI at the peer, and not at any price."""
    other = BR0._replace(net_device=0xFFFF888000007000, xdp=WITH_XDP)

    def fix(a: Changes, b: Changes, poll: Any) -> tuple[str, ...]:
        whole = pair(a, b, other, kernel=kernel(veth_poll=poll))
        (finding,) = found("xdp-redirect-not-ready", whole)
        return finding.fix

    gro = ("ip netns exec pod1 ethtool -K eth0 gro on",)
    assert fix(queues(1, 1), queues(3, 1), CHECKED) == gro
    assert fix(queues(1, 1), queues(3, 1), UNCHECKED) == ()
    assert fix(queues(1, 3), queues(3, 1), UNCHECKED) == gro
    assert fix(queues(1, 3), queues(3, 1), BY_RXQ) == ()
    assert fix(queues(1, 1), queues(1, 1), BY_RXQ) == gro
    # Of one RX queue, or of one TX queue, 0 is the right number.
    assert fix(queues(1, 3), queues(1, 1), BY_RXQ) == gro
    assert fix(queues(1, 1, None, 3), queues(3, 1), BY_RXQ) == gro
    assert fix(queues(1, 1), queues(3, 1), BAD) == ()
