# SPDX-License-Identifier: LGPL-2.1-or-later
"""veth_path.py on a recorded core."""

from collections.abc import Callable
import json
from typing import Any

from drgn import Program
from drgn_veth.analysis.path import Path, trace
from drgn_veth.faces import veth_path
from drgn_veth.faces.kept import keep_snapshots, kept_or_taken
from drgn_veth.faces.status import UsageError
from drgn_veth.model import Snapshot
import pytest

from tests.support.recorded import Recorded, recorded_core
from tests.support.schemas import validate

NAME = "6.12-zoo"


@pytest.fixture(scope="module")
def prog() -> Program:
    """It has the Snapshot already, as at a prompt."""
    one = Recorded(NAME).prog
    keep_snapshots(one)
    kept_or_taken(one, lambda *_: recorded_core(NAME).snapshot, True)
    return one


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return recorded_core(NAME).snapshot


Ran = Callable[..., int]


@pytest.fixture
def ran(prog: Program) -> Ran:
    return lambda *words: veth_path.main(prog, list(words))


def test_table(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("veth_yyy0", "--queue", "20") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "veth_yyy0 (host) sends on TX queue 20 -> veth_xxx0 (host)" in printed
    skipped = "queue index 19 (TX queue - 1) >= 14 real RX queues (get_rps_cpu)"
    assert f"RPS skipped: {skipped}" in printed
    # Which queue it is was asked for.
    assert "a socket keeps" not in printed


def test_json(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("q42b", "--format", "json", "--cpu", "1") == 0
    document: Any = json.loads(capsys.readouterr().out)
    validate(document, "drgn-veth-1-path")
    assert document["path"]["peer"]["name"] == "q42a"


def test_queues_of_some_devices(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    def labels(*words: str) -> set[str]:
        assert ran("--in-flight", "--format", "json", *words) == 0
        document = json.loads(capsys.readouterr().out)
        validate(document, "drgn-veth-1-path")
        found = document["in_flight"]
        return {queue["device"]["name"] for queue in found if queue.get("device")}

    assert labels() == labels("--netns", "host") == {"eth0"}
    assert labels("--netns", "pod1") == labels("--kind", "veth") == set()
    assert ran("--in-flight", "--netns", "pod1") == 0
    assert "eth0" not in capsys.readouterr().out


def test_several(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    """A name may be there in several namespaces."""
    assert ran("eth0", "--kind", "veth") == 0
    printed = capsys.readouterr().out
    assert "eth0 (pod1) sends" in printed and "\n\neth0 (pod2) sends" in printed
    with pytest.raises(UsageError, match="devices match: .*use --netns"):
        ran("eth0", "--kind", "veth", "--format", "json")
    assert ran("eth0", "--netns", "pod2", "--format", "json") == 0


@pytest.mark.parametrize(
    "words, said",
    [
        ("--in-flight --netns pod1 --follow", "need a DEVICE"),
        ("--in-flight --cpu 1", "need a DEVICE"),
        ("", "which device"),
        ("veth_xxx", "nearest: veth_xxx0"),
        ("veth_xxx0 20", "; for a queue: --queue 20$"),
        ("dev veth_xxx0", "; name the device, without dev$"),
        ("veth_xxx0 drv", "; drv is a mode: xdp_attach.py .*DEVICE --mode drv$"),
        ("veth_yyy0 --queue 48", "has no TX queue 48: it has 48 real TX queues"),
        ("veth_yyy0 --queue x", "'x' is not a number"),
        ("veth_yyy0 --queue 9999999999", "is not a number"),
        ("veth_yyy0 --cpu 4", "there is no CPU 4: there are CPUs 0 to 3"),
        ("br_zoo --queue 1", "br_zoo has no RX queue 1"),
    ],
)
def test_wrong_use(ran: Ran, words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ran(*words.split())


def test_every_device(snapshot: Snapshot) -> None:
    """What is sent on a pair arrives at its peer, or the path says why not."""
    for device in snapshot.devices:
        path = trace(snapshot, device)
        assert isinstance(path, Path) and path.ends
        real = device.queues.tx.real if path.sends else device.queues.rx.real
        assert isinstance(real, int)
        found = [
            queue for flow in path.flows for queue in (*flow.tx_queues, *flow.rx_queues)
        ]
        assert sorted(found) == list(range(real))
