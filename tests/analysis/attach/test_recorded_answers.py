# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's own answers, recorded."""

import drgn
from drgn_veth.btf import use_btf
from drgn_veth.model import Snapshot
from drgn_veth.snapshot import take_snapshot

from tests.support.answers import compare_answers
from tests.support.recorded import Recorded


def _snapshot(recorded: Recorded) -> Snapshot:
    prog = drgn.Program()
    prog.set_core_dump(str(recorded.core))
    use_btf(prog)
    return take_snapshot(prog)


def test_recorded_answers(recorded: Recorded) -> None:
    compared = compare_answers(_snapshot(recorded), recorded.answers)
    assert compared.differences == []
    assert sum(compared.compared.values()) > 1000
