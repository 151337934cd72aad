# SPDX-License-Identifier: LGPL-2.1-or-later
"""Any two reports, and any document."""

import copy
import json
import random
from typing import Any

from drgn_veth.analysis.compare.document import DocumentError
from drgn_veth.render import compare_json, compare_table
from drgn_veth.render.compare_table import Source
from drgn_veth.render.style import Style
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from tests.support.recorded import EVERY_CORE
from tests.support.reports import compared, document_of, recorded_report, signs, small
from tests.support.schemas import validate
from tests.support.snapshots import node

pytestmark = pytest.mark.slow

SOURCES = (Source("a.json"), Source("live", 1795674663))


def _places(value: Any) -> list[tuple[Any, Any]]:
    # Each container in a document, and each key or index in it.
    found = []
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inside:
        found.append((value, key))
        if isinstance(one, (dict, list)):
            found += _places(one)
    return found


_VALUES = st.sampled_from(
    [1, 0, -5, 2**70, 1.5, True, None, "", "x\x1b[31m", [], [1], ["a"], {}, {"id": 1}]
)
_VALID = ("mtu", "alias", "altnames", "flags", "rps", "xps", "peer", "master", "xdp")


def check_screens(found: Any) -> None:
    validate(json.loads(compare_json.render(found, SOURCES)), "drgn-veth-1-compare")
    for width in (60, 80, 200):
        text = compare_table.table(found, SOURCES, Style(width), notes=True)
        for line in text.splitlines():
            assert len(line) <= width
            assert line.isprintable()
        assert text.count("\n\n\n") == 0


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False))
def test_two_reports(chance: random.Random) -> None:
    """Take away devices, names and values of each, and mirror the comparison."""
    documents = [document_of(node(4)) for _ in "ab"]
    for document in documents:
        document["findings"] = document["findings"][:20]
        for _ in range(chance.randrange(12)):
            device = chance.choice(document["devices"])
            key = chance.choice(_VALID)
            what = chance.randrange(5)
            if what == 0 and len(document["devices"]) > 2:
                document["devices"].remove(device)
            elif what == 1:
                device[key] = {"unreadable": "gone"}
            elif what == 2:
                device[key] = copy.deepcopy(chance.choice(document["devices"])[key])
            elif what == 3:
                device["name"] = chance.choice(["x", "y", "lo", {"unreadable": "gone"}])
            else:
                device["mac"] = f"02:00:00:00:00:{chance.randrange(40):02x}"
    a, b = documents
    assert not compared(a, a).differ
    found, mirrored = compared(a, b), compared(b, a)
    assert signs(found) == signs(mirrored, mirrored=True)
    check_screens(found)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_document(data: st.DataObject) -> None:
    """What is no report is refused, with the place; nothing else happens."""
    document, other = small(), small()
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(_places(document)))
        # A copy: two of the same list would contain each other.
        value = copy.deepcopy(data.draw(_VALUES))
        if isinstance(container, list) and key >= len(container):
            continue
        if value is None and isinstance(container, dict):
            container.pop(key, None)
        else:
            container[key] = value
        if not document:
            break
    try:
        found = compared(document, other)
    except DocumentError as e:
        assert " is not " in str(e) or " has no " in str(e)
        return
    check_screens(found)
    check_screens(compared(other, document))


@pytest.mark.parametrize("name", EVERY_CORE)
def test_screens_of_recorded_cores(name: str) -> None:
    for other in ("6.12-zoo", "6.1-whose"):
        check_screens(compared(recorded_report(name), recorded_report(other)))
