# SPDX-License-Identifier: LGPL-2.1-or-later
"""What devices are called in a sentence."""

from drgn_veth.analysis.names import name_of, where

from tests.support.snapshots import BAD, HOST, device

AT = "device 0xffff888000000003"


def test_name_of() -> None:
    named = device(HOST, 3, "veth0")
    assert name_of(named) == name_of(named.ref) == "veth0"


def test_a_name_that_could_not_be_read() -> None:
    """The address tells the device from others."""
    nameless = device(HOST, 3, "")._replace(name=BAD)
    assert name_of(nameless) == name_of(nameless.ref) == AT
    assert where(nameless) == f"{AT} (netns {HOST}, ifindex 3)"
