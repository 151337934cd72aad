# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each line is a record of the document, with two members before its own."""

import json
from typing import Any, Optional

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Snapshot
from drgn_veth.render.json import document
from drgn_veth.render.jsonl import lines

from tests.support.recorded import Recorded, recorded_core

_LISTS = {
    "namespace": "namespaces",
    "device": "devices",
    "pair": "pairs",
    "cpu": "cpus",
    "map": "maps",
    "queue": "in_flight",
    "finding": "findings",
    "unreadable": "unreadable",
}


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), f"a member is there twice: {pairs}"
    return found


def _gathered(snapshot: Snapshot, source: Optional[str]) -> dict[str, Any]:
    # The document again.
    gathered: dict[str, Any] = {"findings": [], "unreadable": []}
    for line in lines(snapshot, list(diagnose(snapshot)), source):
        assert line.endswith("}\n") and line.isascii()
        record = json.loads(line, object_pairs_hook=_members)
        assert [*record][:2] == ["record", "source"]
        name, said = record.pop("record"), record.pop("source")
        assert said == source
        if name == "target":
            gathered["target"] = record
        else:
            gathered.setdefault(_LISTS[name], []).append(record)
    return gathered


def test_all_records(recorded: Recorded) -> None:
    snapshot = recorded.snapshot
    expected = document(snapshot, list(diagnose(snapshot)))
    assert expected.pop("schema") == "drgn-veth/1"
    expected = json.loads(json.dumps(expected))
    for name in ("maps", "in_flight"):
        if not expected.get(name, True):
            del expected[name]
    assert _gathered(snapshot, 'a "dump"') == expected


def test_unreadable_list() -> None:
    snapshot = recorded_core("5.10-zoo").snapshot
    why = Unreadable("page excluded")
    gathered = _gathered(snapshot._replace(cpus=why, in_flight=why), None)
    assert gathered["cpus"] == gathered["in_flight"] == [{"unreadable": why.reason}]
