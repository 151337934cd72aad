# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rule about devices that cannot go."""

from typing import Any

from drgn_veth.model import Task
import pytest

from tests.support.rules.case import found
from tests.support.rules.unregister import gone
from tests.support.snapshots import BAD


@pytest.mark.parametrize(
    ("tasks", "who", "evidence"),
    [
        (BAD, "what holds it could not be determined", BAD),
        ((), "no task has its address on its kernel stack", ()),
        (
            (Task(7, "ip"),),
            "its address is on the kernel stack of ip (pid 7)",
            ("ip (pid 7)",),
        ),
    ],
)
def test_who_works_with_it(tasks: Any, who: str, evidence: Any) -> None:
    """This kernel does not track references."""
    (finding,) = found("device-stuck-unregistering", gone(ref_tasks=tasks))
    assert finding.summary.endswith(f'Usage count = 2"): {who}')
    assert finding.evidence[1:] == (("tasks", evidence),)


def test_trackers_that_could_not_be_read() -> None:
    lost = gone(ref_tasks=(), ref_trackers=BAD)
    (finding,) = found("device-stuck-unregistering", lost)
    assert finding.summary.endswith("on its kernel stack")
    assert finding.evidence[2:] == (("refcnt_tracker", BAD),)
