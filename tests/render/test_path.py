# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths as a table and in JSON."""

import json
from typing import Any

from drgn_veth.analysis.path import Path, trace
from drgn_veth.core.netdev_features import NETIF_F_GRO
from drgn_veth.core.unreadable import Maybe
from drgn_veth.model import Features, Snapshot
from drgn_veth.render.json import path as as_json
from drgn_veth.render.path import path
from drgn_veth.render.style import PLAIN
from drgn_veth.render.width import width
import pytest

from tests.support.paths import path_of
from tests.support.schemas import validate
from tests.support.snapshots import (
    BAD,
    BR0,
    NO_XDP,
    generic,
    native,
    node,
    pair,
    queues,
    rps,
    rqs,
    sick,
)

ALL = (0, 1, 2, 3)


def _story() -> Snapshot:
    off = NO_XDP._replace(generic=generic()["xdp"].generic, queues=rqs(*[False] * 14))
    receiver = {**queues(14, 14), "xdp": off, **rps(*[ALL] * 14)}
    return pair(queues(48, 48), receiver)


STORY = """\
veth0 (host) sends on 48 TX queues -> eth0 (pod1)

QUEUES    STEP      WHAT HAPPENS
all       xps       no XPS: each flow has one of 48 real TX queues, by its hash
                      (skb_tx_hash)
                    or: a socket keeps the queue that it had
                    or: a forwarded packet keeps the number of its RX queue
          qdisc     noqueue: straight to the driver (dev_hard_start_xmit)
tx 0-13   rx-queue  rx 0-13 (veth_xmit)
          receive   NAPI off: netif_rx() (veth_forward_skb)
          rps       RPS of rx 0-12 -> CPUs 0-3 (get_rps_cpu)
"""


def test_of_the_story() -> None:
    text = path(path_of(_story()))
    assert " ".join(text.split()).startswith(" ".join(STORY.split()))
    assert text.count("XDP_TX") == 1  # What may happen is told once.
    assert "tx 15-47" in text and "queue index 14-46 (TX queue - 1) >= 14" in text
    assert text.splitlines()[-1] == (
        "then      stack     IP stack of pod1 (deliver_skb)"
    )


def test_no_step_that_does_nothing() -> None:
    off = {"xdp": NO_XDP._replace(queues=rqs(False))}
    text = path(path_of(pair({}, off)))
    assert "native" not in text and "generic" not in text
    assert "end " not in text  # The last step tells it.


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (NETIF_F_GRO, "gro GRO on: packets of a flow become one"),
        (BAD, f"gro features could not be read: {BAD.reason}"),
    ],
)
def test_what_gro_does(features: Maybe[int], said: str) -> None:
    masks = Features(features, 0, None)
    text = path(path_of(pair({}, {**native(), "features": masks})))
    assert said in " ".join(text.split())


def test_end() -> None:
    text = path(path_of(pair({"peer": BAD}, {})))
    assert f"end    the peer of veth0 could not be read: {BAD.reason}" in text
    assert text.startswith("veth0 (host) sends on 1 TX queue\n")


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_width(columns: int) -> None:
    style = PLAIN._replace(width=columns)
    for whole in (_story(), sick(), pair({}, native())):
        for device in whole.devices:
            lines = path(trace(whole, device), style).splitlines()
            assert max(map(width, lines)) <= columns


def test_escapes() -> None:
    whole = sick()
    text = path(trace(whole, whole.devices[0]))
    assert "\x1b" not in text and "\\x1b" in text


def test_another_device_is_named() -> None:
    bridge = BR0._replace(**rps((1, 2)))
    off = {"xdp": NO_XDP._replace(queues=rqs(False)), "master": bridge.ref}
    text = path(path_of(pair({}, off, bridge)))
    assert "br0: RPS of rx-0 -> CPUs 1-2" in text


def test_following() -> None:
    whole = node(3)
    sender = whole.devices[4]
    nic = whole.devices[1]._replace(master=whole.devices[2].ref)
    devices = (sender, nic, *whole.devices[2:])
    path_there = trace(whole._replace(devices=devices), sender, follow=True)
    text = path(path_there)
    assert "ens1 (4026531840): leaves by ens1" in text
    assert "veth2 (4026531840) sends on 1 TX queue -> eth0" in text


def _document(found: Path) -> Any:
    return json.loads("".join(as_json(found)))


def test_json() -> None:
    document = _document(path_of(_story(), queue=20))
    validate(document, "drgn-veth-1-path")
    (flow,) = document["path"]["flows"]
    assert flow["tx_queues"] == [20]
    (step,) = (one for one in flow["steps"] if one["kind"] == "rps")
    assert step["numbers"] == {
        **{"cpus": None, "index": 19, "skipped": True, "real_num_rx_queues": 14}
    }
    assert step["function"] == "get_rps_cpu"


def test_schema() -> None:
    for whole in (sick(), _story(), node(3), pair({"peer": BAD}, {"rps": BAD})):
        for device in whole.devices:
            for follow in (False, True):
                validate(
                    _document(trace(whole, device, follow=follow)), "drgn-veth-1-path"
                )
