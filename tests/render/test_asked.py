# SPDX-License-Identifier: LGPL-2.1-or-later
"""The screen of questions in a row."""

from drgn_veth.analysis.ask.in_a_row import in_a_row
from drgn_veth.render import asked
from drgn_veth.render.style import PLAIN
import pytest

from tests.support.screens import assert_fits
from tests.support.snapshots import BAD, pair, queues

SCREEN = """\
veth0 (host), veth: mtu 1500, queues rx 1/4 tx 1/4

1. attach driver  ENOSPC: No space left on device
   "veth: XDP expects number of rx queues not less than peer tx queues"
   veth_xdp_set(): veth0 has only 1 real RX queue, but its peer eth0 has 2 real
     TX queues
   $ ethtool -L veth0 rx 2

2. peer channels tx 1  ok
   veth_set_channels(): tx 2 -> 1

3. mtu 70000  EINVAL: Invalid argument
   "mtu greater than device maximum"
   dev_validate_mtu(): mtu 70000 > 65535, the max_mtu of veth0
"""
FEW = ("attach driver", "peer channels tx 1", "mtu 70000")


def _text(width: int, *questions: str, **changes: object) -> str:
    whole = pair({**queues(1, 1, 4, 4), **changes}, queues(1, 2, 4, 4))
    steps = in_a_row(whole, whole.devices[0], questions)
    return asked.in_a_row(steps, PLAIN._replace(width=width))


def test_what_each_says() -> None:
    assert _text(80, *FEW) == SCREEN


def test_what_is_not_known_counts_as_granted() -> None:
    said = "what follows is asked as if it were granted"
    assert said not in _text(100, *FEW)
    assert said in _text(100, "mtu 70000", "attach driver", max_mtu=BAD)


@pytest.mark.parametrize("width", [60, 80])
def test_it_fits(width: int) -> None:
    assert_fits(_text(width, *FEW), width)
