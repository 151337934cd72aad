# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is offered for a name that is not there."""

from drgn_veth.core.nearest import listed, nearest, offer
from drgn_veth.core.xdp_modes import MODE_WORDS, mode_named
from drgn_veth.model import XDP_MODES
import pytest


def test_nearest() -> None:
    there = ["ENOSPC", "ENOENT", "xdp-native-queues", "lo"]
    assert nearest("enospace", there)[0] == "ENOSPC"
    assert nearest("queues", there) == ["xdp-native-queues"]
    assert nearest("x", there) == []
    many = [f"veth{i}" for i in range(100)]
    assert len(nearest("vteh1", many)) == 12
    assert nearest("", many) == []


def test_listed() -> None:
    many = [f"n{i:02}" for i in range(30)]
    assert listed(many, ["n20"]).startswith("n20, n00, n01")
    assert listed(many).endswith("n11 and 18 more")
    assert listed([]) == ""


def test_offer() -> None:
    assert offer("", []) == "available: none"
    assert offer("vteh0", ["lo", "veth0"]) == "nearest: veth0"
    assert offer("?", ["lo", "veth0"]) == "available: lo, veth0"


def test_modes() -> None:
    """Each name means one mode, and the modes are the model's."""
    assert tuple(MODE_WORDS) == ("default", *XDP_MODES)
    words = [word for mode, more in MODE_WORDS.items() for word in (mode, *more)]
    assert len(words) == len(set(words))
    for mode, more in MODE_WORDS.items():
        for word in (mode, *more):
            assert mode_named(word) == mode_named(word.upper()) == mode
    with pytest.raises(ValueError, match="nearest: xdpgeneric, generic"):
        mode_named("xdpgenerc")
    with pytest.raises(ValueError, match="the modes are default, generic, driver"):
        mode_named("zzz")
