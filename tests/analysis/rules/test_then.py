# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel would refuse after a fix."""

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.core.unreadable import Unreadable
import pytest

from tests.support.rules.case import EEXIST, ENOSPC, ERANGE, found
from tests.support.snapshots import (
    OLD,
    STORY,
    UPPER,
    generic,
    kernel,
    messages,
    pair,
    queues,
)


@pytest.mark.parametrize(
    "rule, then, because",
    [
        ("xdp-native-queues", EEXIST, "veth0 has program 7 in generic mode"),
        ("xdp-peer-mtu", EEXIST, "veth0 has program 7 in generic mode"),
        ("xdp-mode-conflict", ERANGE, "peer eth0 has mtu 9000, the limit is 3506"),
    ],
)
def test_what_refuses_then(rule: str, then: KernelAnswer, because: str) -> None:
    finding = next(f for f in found(rule, STORY) if f.device and f.device.ifindex == 3)
    assert finding.fix or finding.undo
    assert finding.then is not None
    assert finding.then.answer == then
    assert finding.then.because.startswith(because)


def test_what_refuses_then_of_another_kernel() -> None:
    """It takes the decision in dev_xdp_install()."""
    late = messages("dev_xdp_install", EEXIST.message or "")
    late = late._replace(
        messages=(*late.messages, ("dev_xdp_attach", frozenset({UPPER})))
        if not isinstance(late.messages, Unreadable)
        else late.messages
    )
    (finding,) = found("xdp-native-queues", STORY._replace(kernel=late))
    assert finding.then is not None
    assert finding.then.answer == EEXIST._replace(function="dev_xdp_install")


def test_two_obstacles_each_show_the_other() -> None:
    both = pair(queues(2, 2), {**queues(4, 4), "mtu": 9000})
    (finding,) = found("xdp-native-queues", both)
    assert finding.then is not None and finding.then.answer == ERANGE
    (finding,) = found("xdp-peer-mtu", both)
    assert finding.then is not None and finding.then.answer == ENOSPC
    for one in (pair(queues(2, 2), queues(4, 4)), pair(None, {"mtu": 9000})):
        assert {f.then for f in diagnose(one)} == {None}


def test_rules_of_a_kernel_that_nobody_can_predict() -> None:
    """Before v5.9; what is found stays, without what comes then."""
    old = kernel(xdp_state=False)
    before = {f.rule: f for f in diagnose(STORY)}
    after = {f.rule: f for f in diagnose(STORY._replace(kernel=old))}
    assert set(before) == set(after)
    for rule, finding in after.items():
        assert finding == before[rule]._replace(then=None)
    assert after["xdp-mode-conflict"].undo is not None


def test_no_then_without_a_command() -> None:
    """Of kernels before v5.15, whose queues cannot be set."""
    (finding,) = found(
        "xdp-native-queues",
        pair({**queues(2, 2), **generic(), **OLD}, {**queues(4, 4), **OLD}),
    )
    assert finding.fix == () and finding.then is None
