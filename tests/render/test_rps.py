# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the screen of RPS says first: of the CPUs, and of new queues."""

from typing import Any

from drgn_veth.render.head import target
from drgn_veth.render.rps import queues

from tests.support.snapshots import BAD, HOST, TARGET, device, pair, rps


def test_isolated_cpus_are_named() -> None:
    """Neither here nor in the head of a report, where there are none."""
    cases: tuple[tuple[Any, str], ...] = (
        *(((), ""), ((3,), "3"), ((2, 3), "2-3"), (BAD, "?")),
    )
    for isolated, numbers in cases:
        whole = pair(target=TARGET._replace(isolated_cpus=isolated))
        head = queues(whole.devices, whole).splitlines()[0]
        assert (f"; isolated: {numbers}; " in head) is bool(numbers)
        assert ("isolated" in head) is bool(numbers)
        of_report = " ".join(target(whole))
        known = numbers not in ("", "?")
        assert ("isolated" in of_report) is known
        if isinstance(isolated, tuple) and isolated:
            assert f", {len(isolated)} isolated ({numbers})" in of_report


def test_mask_of_new_queues() -> None:
    """Of the namespaces of the devices that are shown."""
    whole = pair()
    host, pod = whole.namespaces
    for mask, numbers in (((0, 1), "0-1"), (BAD, "?")):
        changed = host._replace(rps_default_mask=mask)
        whole = whole._replace(namespaces=(changed, pod))
        said = f"rps_default_mask of host: {numbers}, which its new RX queues get"
        assert said in queues(whole.devices, whole).splitlines()
        assert said not in queues(whole.devices[1:], whole)
    for unset in ((), None):
        whole = pair(namespaces=(host._replace(rps_default_mask=unset), pod))
        assert "rps_default_mask" not in queues(whole.devices, whole)


def test_masks_that_the_kernel_does_not_look_at() -> None:
    """Of a bond none, of a macvlan some."""
    for kind, steers in (("bond", "nothing"), ("macvlan", "only broadcast"), ("", "")):
        one = device(HOST, 9, "up0", kind=kind or "veth", **rps((0, 1)))
        text = " ".join(queues((one,), pair()).split())
        assert "RPS to CPUs 0-1" in text
        assert (f"its own RPS steers {steers}" in text) is bool(steers)
    plain = device(HOST, 9, "bond0", kind="bond", **rps(()))
    assert "steers" not in queues((plain,), pair())
