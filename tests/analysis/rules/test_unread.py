# SPDX-License-Identifier: LGPL-2.1-or-later
"""What rules do with values that could not be read, and who reaches a device."""

from typing import Any

from drgn_veth.analysis.remedies import Remedy
from drgn_veth.analysis.rules.context import Context
from drgn_veth.analysis.rules.poll import gro_is_safe
from drgn_veth.core.messages import OTHER_DEVICE
from drgn_veth.model import Kernel, LoadedProgram
import pytest

from tests.support.rules.case import AGAIN, again, found
from tests.support.snapshots import (
    BAD,
    BR0,
    BY_RXQ,
    CHECKED,
    HOST,
    NO_XDP,
    PROGRAM,
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


def test_native_programs_beside_a_device() -> None:
    """One may redirect to a device by its index; that of its peer sends elsewhere."""
    whole = pair(None, {"netns": HOST, "xdp": WITH_XDP})
    (veth0, eth0) = whole.devices
    context = Context(whole)
    assert not context.natives_beside(veth0)
    # Its own does not count either.
    assert not context.natives_beside(eth0)
    # Without a peer, eth0 is just another device.
    assert context.natives_beside(veth0._replace(peer=None))
    assert context.natives_beside(veth0._replace(peer=BAD))
    assert context.natives_beside(veth0._replace(netns=BAD))
    other = BR0._replace(net_device=0xFFFF888000007000, xdp=WITH_XDP)
    beside = Context(pair(None, {"netns": HOST, "xdp": WITH_XDP}, other))
    assert beside.natives_beside(veth0) and beside.natives_beside(eth0)
    silent = WITH_XDP._replace(driver=PROGRAM._replace(redirects=False))
    beside = Context(pair(None, {"netns": HOST}, other._replace(xdp=silent)))
    assert not beside.natives_beside(veth0)


# A program that is attached again


def _attached(program: Any = PROGRAM, **whole: Any) -> Remedy:
    made = pair({**queues(1, 1), **native(program=program)}, **whole)
    return Context(made).attach_again(made.devices[0])


def test_a_program_that_is_attached_again() -> None:
    assert _attached() == Remedy((again("veth0"),), AGAIN)
    for unknown in (None, BAD, PROGRAM._replace(frags=BAD), PROGRAM._replace(id=BAD)):
        assert _attached(unknown).commands == ()


def test_a_program_that_may_not_be_attached_again() -> None:
    """It is bound to another device: it could not have been attached here."""
    loaded = LoadedProgram(7, 0x77, "p", False, 0, False, False, 0, False)
    # Since v6.3.
    known = messages("dev_xdp_attach", OTHER_DEVICE)._replace(dev_bound=True)
    assert _attached(programs=(loaded,), kernel=known).commands
    bound = loaded._replace(dev_bound=True, bound_to=0x99)
    assert _attached(programs=(bound,), kernel=known) == Remedy()
    # Of another program, that does not matter.
    assert _attached(programs=(bound._replace(id=8),), kernel=known).commands


# GRO alone


@pytest.mark.parametrize(
    ("poll", "ends", "safe"),
    [
        # veth_poll() wakes the queue of the same number: it has to be there.
        (UNCHECKED, (2, 2, 2), True),
        (UNCHECKED, (3, 2, 2), False),
        (UNCHECKED, (3, 2, 3), True),
        (UNCHECKED, (BAD, 2, 2), False),
        (UNCHECKED, (2, 2, BAD), False),
        # It asks whether it is there.
        (CHECKED, (3, 2, 2), True),
        (CHECKED, (BAD, 2, 2), True),
        # It wakes queue 0 instead, unless a program has registered the queue.
        (BY_RXQ, (2, 2, 2), False),
        (BY_RXQ, (1, 2, 2), True),
        (BY_RXQ, (2, 1, 2), True),
        (BY_RXQ, (3, 1, 2), False),
        # It is not known which it does.
        (BAD, (2, 2, 2), False),
        (BAD, (1, 2, 2), True),
    ],
)
def test_whether_gro_alone_does_harm(poll: Any, ends: Any, safe: bool) -> None:
    rx, tx, allocated = ends
    whole = pair(queues(1, tx, 1, allocated), queues(rx, 1), kernel=_polls(poll))
    context = Context(whole)
    assert gro_is_safe(context, *whole.devices) == safe
    never = messages("veth_xmit")._replace(veth_poll=poll)
    assert gro_is_safe(Context(whole._replace(kernel=never)), *whole.devices)


def _polls(poll: Any) -> Kernel:
    return kernel(veth_poll=poll)


def _gro_alone(*napi: Any) -> Changes:
    ready = tuple(one._replace(rxq_index=0) for one in rqs(*napi))
    return {**queues(len(napi), 1), "xdp": NO_XDP._replace(queues=ready)}


def test_which_queue_sleeps() -> None:
    """Of two or more, those but the first, with NAPI that no program has set up."""
    rule, known = "tx-queue-stuck", _polls(BY_RXQ)
    for tx, receiver, numbers in (
        (1, _gro_alone(True), None),
        (2, _gro_alone(True), None),
        (2, _gro_alone(True, True), "1"),
        (2, _gro_alone(True, True, True), "1"),
        (3, _gro_alone(True, False, True), "2"),
        (3, _gro_alone(True, BAD, False), None),
        (2, indexed(0, 1), None),
    ):
        one = found(rule, pair(queues(1, tx), receiver, kernel=known))
        if numbers is None:
            assert one == []
            continue
        (finding,) = one
        assert finding.evidence == (
            ("real_num_tx_queues", tx),
            ("peer_rq[].napi != NULL", numbers),
            ("peer_rq[].xdp_rxq.queue_index", 0),
        )
        assert (
            f"TX queue {numbers}, once stopped (with a qdisc), stays" in finding.summary
        )


def test_whether_queues_are_stopped_at_all_is_not_known() -> None:
    whole = pair(queues(1, 2), _gro_alone(True, True), kernel=kernel(messages=BAD))
    unknown = kernel(messages=BAD, veth_poll=BAD)
    assert found("tx-queue-stuck", whole._replace(kernel=unknown)) == []
    stops = kernel(veth_poll=BAD)
    (finding,) = found("tx-queue-stuck", whole._replace(kernel=stops))
    assert finding.undecided is not None and WHY in finding.undecided
    # What is down is not said to sleep.
    veth = pair({**queues(1, 2), "flags": BAD}, _gro_alone(True, True), kernel=stops)
    assert found("tx-queue-stuck", veth) == []
