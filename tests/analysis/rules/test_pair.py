# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about the two ends of a pair."""

from typing import Any

import pytest

from tests.support.rules.case import found
from tests.support.snapshots import BAD, DOWN, HOST, POD, pair


@pytest.mark.parametrize(
    "netns, label, said",
    [
        (POD, "pod1", "eth0 (netns pod1)"),
        (POD, "", f"eth0 (netns {POD})"),
        (HOST, "pod1", "eth0"),
        (BAD, "pod1", "eth0"),
    ],
)
def test_peer_in_another_namespace(netns: Any, label: str, said: str) -> None:
    whole = pair(None, {"netns": netns, "netns_label": label, "flags": DOWN})
    (finding,) = found("peer-down", whole)
    assert finding.summary == (
        f"it is up, but its peer {said} is down: no carrier, no traffic"
    )
