# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documents that are no reports, and all of a comparison."""

from typing import Any

from drgn_veth.analysis.compare.document import DocumentError
from drgn_veth.analysis.compare.records import Unknown
from drgn_veth.render import compare_table
from drgn_veth.render.compare_table import Source
import pytest

from tests.support.reports import (
    Document,
    compared,
    document_of,
    small,
)
from tests.support.snapshots import node


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda d: d.pop("devices"), "it has no devices"),
        (lambda d: d.update(devices=7), "devices is not a list"),
        (lambda d: d["devices"].append(7), "devices[2] is not an object"),
        (lambda d: d["devices"][1].update(mtu="x"), "devices[1].mtu is not a whole"),
        (lambda d: d["devices"][1].pop("name"), "devices[1] has no name"),
        (lambda d: d["devices"][0]["flags"].append(1), "devices[0].flags[5] is not a"),
        (lambda d: d["namespaces"][0].update(init=1), "namespaces[0].init is not true"),
    ],
)
def test_what_is_wrong_with_a_document(change: Any, why: str) -> None:
    document: Document = small()
    change(document)
    with pytest.raises(DocumentError) as raised:
        compared(document, small())
    assert str(raised.value).startswith(why)


def test_everything_is_listed_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    most = compare_table._Most(1, 1, 1)
    monkeypatch.setattr(compare_table, "_FEW", most)
    sources = (Source("a.json"), Source("live", 1795674663))
    found = compared(document_of(node(1)), document_of(node(8)))
    few = compare_table.table(found, sources)
    assert " more" in few.replace("more, which --notes", "")
    every = compare_table.table(found, sources, everything=True)
    assert "veth7" in every and " more" not in every.replace("more, which", "")


def test_parts_of_one_line_are_not_spaced() -> None:
    sources = (Source("a.json"), Source("b.json"))
    found = compared(document_of(node(3)), document_of(node(1)))
    text = compare_table.table(found, sources)
    gone = "- namespace net:4026532282 with 0 devices\n"
    gone += "- namespace net:4026532283 with 0 devices\n"
    assert f"\n\n{gone}\n" in text


def test_what_is_not_known_has_a_place() -> None:
    sources = (Source("a.json"), Source("b.json"))
    found = compared(document_of(node(1)), document_of(node(1)))
    for netns, name, place in (
        (None, None, "rtnl_owner of the kernel"),
        ("pod1", None, "rtnl_owner of namespace pod1"),
        ("pod1", "eth0", "rtnl_owner of eth0 (pod1)"),
    ):
        unknown = Unknown(netns, name, "rtnl_owner", "a", "a hole")
        text = compare_table.table(found._replace(unknown=(unknown,)), sources)
        said = f"not known, so not compared: 1 in A; the first is {place}: a hole"
        assert said in " ".join(text.split())
