# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of namespaces."""

from typing import Optional

from drgn_veth.readers.nsfs import netns_name
import pytest


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/run/netns/pod1", "pod1"),
        ("/var/run/netns/pod1", "pod1"),
        ("/run/netns/a b", "a b"),
        ("/run/netns/", None),
        ("/run/netns/a/b", None),
        ("/host/run/netns/pod1", None),
        ("/run/docker/netns/pod1", None),
        ("/run/netns/pod1\n", "pod1\n"),
        ("", None),
    ],
)
def test_netns_name(path: str, name: Optional[str]) -> None:
    assert netns_name(path) == name
