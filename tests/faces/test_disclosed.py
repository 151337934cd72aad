# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `slice --list` names."""

from drgn_veth.faces.disclosed import disclosed
from drgn_veth.model import Holder, XdpLink

from tests.support.recorded import smallest_core


def test_processes_that_have_a_link_open() -> None:
    core = smallest_core()
    whole = core.snapshot
    device = whole.devices[0].ref
    link = XdpLink(
        7, device, ("/run/p",), 1, True, (Holder("fd", 40, "xdp-loader", 5),)
    )
    named = disclosed(core.prog, whole._replace(links=(link,)))
    assert {("process", "xdp-loader"), ("path", "/run/p")} <= named
