# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way through a netkit pair."""

from typing import Any

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Netkit

from tests.support.paths import only, path_of, step_of, steps_of
from tests.support.snapshots import BAD, DOWN, NO_XDP, pair, queues, rps

PLAIN = {"xdp": NO_XDP}
FORWARD = {"netkit": Netkit("l2", "forward", True)}


def _flow(sender: Any, receiver: Any) -> Any:
    return only(path_of(pair(sender, {**PLAIN, **receiver}, kind="netkit")))


def test_a_receiver_that_is_down() -> None:
    flow = _flow(FORWARD, {"flags": DOWN})
    assert flow.ends == "dropped: the receiver is down"
    step = step_of(flow, "receive")
    assert (step.text, step.numbers["via"]) == ("down: drops", None)
    assert flow.steps[-1] == step
    flow = _flow(FORWARD, {})
    assert step_of(flow, "receive").text == "netif_rx()"
    assert flow.ends == "IP stack of pod1"


def test_the_receiver_gets_no_queue() -> None:
    """So the mask of rx-0 steers, whichever TX queue it was."""
    sender = {**FORWARD, **queues(4, 4)}
    flow = only(
        path_of(
            pair(sender, {**PLAIN, **queues(2, 2), **rps((1,), (2,))}, kind="netkit")
        )
    )
    assert step_of(flow, "rx-queue").numbers["rx_queue"] is None
    step = step_of(flow, "rps")
    assert "1" in step.text and "rx-0" in step.text and "rx-1" not in step.text


def test_what_it_keeps_could_not_be_read() -> None:
    flow = _flow({"netkit": BAD}, {})
    (step,) = steps_of(flow, "tc-egress")
    assert step.text == f"its programs and policy could not be read: {BAD.reason}"
    assert isinstance(step.numbers["policy"], Unreadable)
    # It goes on: most do.
    assert flow.ends == "IP stack of pod1"
