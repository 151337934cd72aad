# SPDX-License-Identifier: LGPL-2.1-or-later
"""Predictions of other requests than attaches, against what the kernel answered."""

import json
from typing import Any

import drgn
from drgn_veth.btf import use_btf
from drgn_veth.model import Snapshot
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.asked import compare_asked
from tests.support.asked_fixes import all_fixes, refused_fixes
from tests.support.booted import Dump


def _snapshot(dump: Dump, symbols: bool) -> Snapshot:
    prog = drgn.Program()
    prog.set_core_dump(str(dump.vmcore))
    if symbols:
        modules = dump.made.kernel.debug_modules.values()
        prog.load_debug_info([str(dump.vmlinux), *map(str, modules)])
    use_btf(prog)
    return take_snapshot(prog)


@pytest.mark.parametrize("symbols", [True, False], ids=["dwarf", "btf"])
def test_every_answer(asked_more: Dump, symbols: bool) -> None:
    """errno, and where there is one the message: all of them."""
    document: dict[str, Any] = json.loads(asked_more.made.asked.read_text())
    snapshot = _snapshot(asked_more, symbols)
    compared = compare_asked(snapshot, document)
    assert compared.differences == []
    count = sum(compared.compared.values())
    # What only drivers that are not modelled could tell is little.
    assert sum(compared.untold.values()) * 20 < count
    assert set(compared.compared) >= {
        *("attach", "bind", "channels", "devmap", "enslave", "mtu", "netns"),
    }
    # Nor is a fix printed that would be refused.
    asked, refused = refused_fixes(snapshot, all_fixes(snapshot))
    assert refused == [] and asked > 5


def test_enough_answers(asked_more: Dump) -> None:
    """At least 10,000 on four kernels in two scenes."""
    document: dict[str, Any] = json.loads(asked_more.made.asked.read_text())
    assert len(document["answers"]) >= 10000 / 4 / 2
