# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of network namespaces."""

import json
from typing import Any

from drgn_veth.analysis.held import NO_WAY_IN
from drgn_veth.faces import netns_report, opening
from drgn_veth.faces.status import UsageError
from drgn_veth.model import Container, Holder, NetTask
from drgn_veth.render import csv, netns
from drgn_veth.render.style import Style
import pytest

from tests.support.screens import WIDTHS, assert_fits
from tests.support.snapshots import HOST, POD, pair

ID = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def test_each_fact_once() -> None:
    """Containers that no label names; no mount where there is a holder."""
    whole = pair()
    one = Container(ID, "docker", None, f"/docker/{ID}")
    host, pod = whole.namespaces
    pod = pod._replace(
        label=one.label,
        tasks=(NetTask(7, "nginx", ID),),
        task_count=1,
        containers=(one, one._replace(id="b" * 64)),
        hostname="web",
    )
    held = host._replace(
        hostname="(none)", tasks=(), holders=(Holder("fd", 12, "holds", 3),)
    )
    whole = whole._replace(namespaces=(held, pod))
    _, *rows = netns.table(whole, Style(120))
    first, second, below = rows
    assert [row.split("  ")[0] for row in (first, second)] == [
        *("host", "docker:9f86d081884c")
    ]
    assert below == "    host name web"
    assert [row.split()[2:] for row in (first, second)] == [
        ["1", "fd:", "12(holds)", "fd", "3", "-"],
        ["1", "7(nginx)", "bbbbbbbbbbbb"],
    ]
    assert f"docker:9f86d081884c,{POD},,web,1,," in netns.csv(whole)
    assert csv.devices(whole)
    for width in WIDTHS:
        assert_fits("\n".join(netns.table(whole, Style(width))), width)


def test_what_keeps_a_namespace_without_a_process() -> None:
    """Its mounts; and a holder that has no process, in the words of the rule."""
    whole = pair()
    host, pod = whole.namespaces
    mounted = pod._replace(
        tasks=(), mounts=("/run/netns/web",), other_mounts=("/srv/web",)
    )
    held = host._replace(tasks=(), holders=(Holder("fd"), Holder("kernel")))
    whole = whole._replace(namespaces=(held, mounted))
    text = "\n".join(netns.table(whole, Style(120)))
    for said in (
        "a file that no process has open",
        "the kernel",
        "mounted at /run/netns/web",
        "mounted at /srv/web (elsewhere)",
    ):
        assert said in text
    assert netns.ways_in(whole)[1:] == [f"  no way into host: {NO_WAY_IN}"]
    entered = held._replace(holders=(Holder("socket"), Holder("fd", 12, "holds", 3)))
    assert netns.ways_in(whole._replace(namespaces=(entered, mounted)))[1:] == [
        "  way into host: nsenter --net=/proc/12/fd/3"
    ]
    assert netns.ways_in(whole._replace(namespaces=(mounted,))) == []
    mounted = mounted._replace(tasks=(NetTask(7, "nginx", None),), task_count=1)
    text = "\n".join(netns.table(whole._replace(namespaces=(mounted,))))
    assert "7(nginx)" in text and "mounted" not in text


def test_namespaces_are_positional(
    monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "open_target", lambda prog, args: prog)
    monkeypatch.setattr(opening, "take", lambda prog, traffic=False: pair())
    screens = []
    for argv in (["pod1"], ["--netns", "pod1"], ["pod*"]):
        assert netns_report.main(None, argv) == 0
        screens.append(capsys.readouterr().out)
    assert screens[0] == screens[1] == screens[2]
    assert "pod1 " in screens[0] and "host " not in screens[0]
    assert netns_report.main(None, ["host", "pod1", "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [n["inum"] for n in said["namespaces"]] == [HOST, POD]
    with pytest.raises(UsageError, match="nowhere"):
        netns_report.main(None, ["nowhere"])
