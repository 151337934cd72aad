# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same kernel on two machines: what is read in its code is the same."""

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.disasm.xdp_messages import xdp_message_places
from drgn_veth.model import Snapshot
import pytest

from tests.support.answers import compare_answers
from tests.support.recorded import Recorded, recorded_core


@pytest.fixture(scope="module")
def arm64() -> Recorded:
    return recorded_core("6.12-arm64-zoo")


@pytest.fixture(scope="module")
def x86_64() -> Recorded:
    return recorded_core("6.12-zoo")


def test_messages(arm64: Recorded, x86_64: Recorded) -> None:
    places = xdp_message_places(arm64.prog)
    assert places == xdp_message_places(x86_64.prog)
    assert len(places["dev_xdp_attach"]) + len(places["dev_xdp_install"]) > 12


def test_kernel(arm64: Recorded, x86_64: Recorded) -> None:
    here, there = arm64.snapshot.kernel, x86_64.snapshot.kernel
    assert here is not None and there is not None
    assert here.messages == there.messages
    assert here.records_rx_queue == there.records_rx_queue
    assert here.veth_poll == there.veth_poll
    assert here.page_size == there.page_size == 4096


def _found(snapshot: Snapshot) -> list[tuple[str, str, bool]]:
    return sorted(
        (
            finding.rule,
            str(finding.device and finding.device.name),
            bool(finding.undecided),
        )
        for finding in diagnose(snapshot)
    )


@pytest.mark.slow
def test_no_rule_is_undecided(arm64: Recorded, x86_64: Recorded) -> None:
    found = _found(arm64.snapshot)
    assert found == _found(x86_64.snapshot)
    assert not any(undecided for *_, undecided in found)


def test_answers_for_virtio_net(arm64: Recorded) -> None:
    """They depend on a number that only the code has."""
    (nic,) = [
        device
        for device in arm64.snapshot.devices
        if device.driver.name == "virtio_net"
    ]
    asked = [
        answer
        for answer in arm64.answers["answers"]
        if (answer["netns"], answer["ifindex"]) == (nic.netns, nic.ifindex)
    ]
    compared = compare_answers(arm64.snapshot, {"answers": asked})
    assert compared.differences == []
    assert sum(compared.compared.values()) > 70
