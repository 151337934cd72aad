# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is found on large nodes: nothing on sound ones, and in linear time."""

import time

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.model import Veth
from drgn_veth.render import findings as render_findings
import pytest

from tests.support.snapshots import node


def test_a_sound_node_is_quiet() -> None:
    findings = diagnose(node(1000))
    assert {finding.rule for finding in findings} == {"rps-which-end"}
    assert render_findings.findings(findings) == []
    assert len(render_findings.notes(findings)) == 4


def test_one_sick_pair_in_a_thousand_is_seen() -> None:
    whole = node(1000)
    devices = list(whole.devices)
    devices[500] = devices[500]._replace(mtu=9000, veth=Veth(1, 0))
    findings = diagnose(whole._replace(devices=tuple(devices)))
    assert [f.rule for f in findings if f.severity != "info"] == ["mtu-mismatch"]


@pytest.mark.slow
def test_time_is_linear() -> None:
    def seconds(pairs: int) -> float:
        whole = node(pairs)
        times = []
        for _ in range(5):
            start = time.process_time()
            diagnose(whole)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(2000) < 10 * seconds(500)
