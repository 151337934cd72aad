# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the rules find is what the path says."""

import itertools
from typing import Any

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.rules.finding import Finding
from drgn_veth.core.english import number_list
from drgn_veth.model import Features, RecordsRxQueue, Snapshot
import pytest

from tests.support.paths import path_of, step_of
from tests.support.snapshots import (
    NO_XDP,
    PROGRAM,
    TSO,
    kernel,
    native,
    pair,
    queues,
    rps,
    rqs,
)

SIZES = (1, 2, 3, 5)


def _found(whole: Snapshot, rule: str) -> list[Finding]:
    eth0 = next(one.ref for one in whole.devices if one.name == "eth0")
    return [one for one in diagnose(whole) if one.rule == rule and one.device == eth0]


def _queues(whole: Snapshot, kind: str, number: str) -> list[int]:
    # The TX queues whose step says so.
    return sorted(
        queue
        for flow in path_of(whole).flows
        if step_of(flow, kind).numbers[number] is True
        for queue in flow.tx_queues
    )


@pytest.mark.parametrize("records", [RecordsRxQueue.NEVER, RecordsRxQueue.ALWAYS])
@pytest.mark.parametrize("tx, rx", list(itertools.product(SIZES, SIZES)))
def test_rps_skips(tx: int, rx: int, records: RecordsRxQueue) -> None:
    off = NO_XDP._replace(queues=rqs(*[False] * rx))
    receiver = {**queues(rx, rx), **rps(*[(0, 1)] * rx), "xdp": off}
    whole = pair(queues(tx, tx), receiver, kernel=kernel(records_rx_queue=records))
    skipped = _queues(whole, "rps", "skipped")
    found = _found(whole, "rps-queue-out-of-range")
    assert len(found) == bool(skipped)
    for finding in found:
        assert f" {number_list(skipped)} ({len(skipped)} of {tx})" in finding.summary


@pytest.mark.parametrize("tx, rx", list(itertools.product(SIZES, SIZES)))
def test_native_is_bypassed(tx: int, rx: int) -> None:
    receiver = {**queues(rx, rx), **native(*[True] * rx)}
    whole = pair(queues(tx, tx), receiver)
    bypassed = _queues(whole, "native", "bypassed")
    found = _found(whole, "xdp-queue-overflow")
    assert len(found) == bool(bypassed)
    for finding in found:
        assert f"packets from {len(bypassed)} of" in finding.summary


def test_tso_bypasses_all() -> None:
    sender: Any = {**queues(2, 2), "features": Features(TSO, TSO, 0)}
    whole = pair(sender, {**queues(2, 2), **native(True, True)})
    assert _queues(whole, "native", "bypassed") == [0, 1]
    assert "TSO" in _found(whole, "xdp-queue-overflow")[0].summary


def test_queue_without_program() -> None:
    ready = rqs(True, True, prog=7)
    bare = (ready[0], ready[1]._replace(prog_id=None))
    xdp = NO_XDP._replace(driver=PROGRAM, queues=bare)
    whole = pair(queues(2, 2), {**queues(2, 2), "xdp": xdp})
    assert _queues(whole, "native", "bypassed") == [1]
    (finding,) = _found(whole, "xdp-queue-without-program")
    assert finding.summary.startswith("rx-1 of 2")
