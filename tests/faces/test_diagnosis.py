# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the report prints of its findings, and its exit status."""

import json
from pathlib import Path
import re
from typing import Any

from drgn_veth.analysis.rules import RULES_BY_ID
from drgn_veth.analysis.rules.page import explain
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.faces import opening, veth_report
from drgn_veth.faces.status import UsageError
from drgn_veth.model import Snapshot, Veth, Xdp
import pytest

from tests.support.scripts import SCRIPT, one_line, run, without
from tests.support.snapshots import HOST, POD, STORY, device, node, pair


@pytest.fixture
def report(monkeypatch: Any) -> Any:
    """The script, which is given a Snapshot to report."""
    monkeypatch.setattr(opening, "open_target", lambda prog, args: prog)

    def run_on(snapshot: Snapshot, *argv: str) -> int:
        monkeypatch.setattr(opening, "take", lambda prog, traffic=False: snapshot)
        return veth_report.main(None, list(argv))

    return run_on


def test_check(report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sick, sound = pair({"peer": None}), pair({"mtu": 9000, "veth": Veth(1, 0)})
    assert report(sick) == 0
    assert report(sound, "--check") == 0
    plain = capsys.readouterr().out
    assert "\nerror[no-peer] veth0 (host): " in plain
    assert "\nwarning[mtu-mismatch] veth0 (host): " in plain
    for extra in ((), ("--notes",), ("--format", "csv"), ("--all",), ("--tree",)):
        assert report(sick, "--check", *extra) == 1
    assert capsys.readouterr().err == ""
    assert report(sick, "--check", "--device", "veth0") == 1
    assert report(sick, "--check", "veth0") == 1
    # Only of these rules.
    assert report(sick, "--check", "--rule", "no-*") == 1
    assert report(sick, "--check", "--rule", "mtu-mismatch") == 0
    # An error counts if the pair is shown because of its other end.
    other = device(HOST, 9, "br0", kind="bridge")
    assert report(pair({"peer": None}, None, other), "--check", "--kind", "bridge") == 0


def test_check_of_what_is_undecided(
    report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no error, and a warning names the rules."""
    missing = Unreadable("page not in dump")
    lost = pair({"xdp": Xdp(None, missing, None, missing)})
    assert report(lost, "--check") == 0
    (line,) = [
        line
        for line in capsys.readouterr().err.splitlines()
        if "partial report" not in line
    ]
    assert line.endswith(
        "--check does not count rules that are undecided (on 1 device): "
        "xdp-queue-overflow, xdp-queue-without-program, xdp-tx-lost"
    )
    assert report(lost) == 0
    assert "undecided" not in capsys.readouterr().err


def test_findings_on_the_screen(
    report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    sick = pair({"mtu": 9000, "veth": Veth(1, 0)}, {"mtu": 3507})
    assert report(sick) == 0
    plain = capsys.readouterr().out
    assert "\nwarning[mtu-mismatch] veth0 (host): " in plain
    assert "note[" not in plain
    assert "\n  1 warning, 2 notes\n" in plain
    assert "\n\n2 notes: --notes, or --rule RULE; " in plain
    assert report(sick, "--notes") == 0
    noted = capsys.readouterr().out
    assert noted.startswith(plain[: plain.index("\n\n2 notes: ")])
    assert "\nnote[xdp-peer-mtu] 2 devices: veth0 (host), eth0 (pod1)\n" in noted
    assert report(pair()) == 0
    assert "note" not in capsys.readouterr().out


def test_only_some_rules(report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sick = pair({"mtu": 9000, "veth": Veth(1, 0)}, {"mtu": 3507})
    assert report(sick, "--rule", "xdp-peer-*", "--rule", "no-peer") == 0
    screen = capsys.readouterr().out
    assert len(re.findall(r"^note\[xdp-peer-mtu\] ", screen, re.M)) == 2
    assert "  compared: " in screen
    assert "mtu-mismatch" not in screen
    assert report(sick, "--rule", "no-peer") == 0
    assert capsys.readouterr().out.endswith("\n\nthese rules find nothing\n")
    report(sick, "--rule", "xdp-peer-mtu", "--format", "json")
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [f["rule"] for f in found] == ["xdp-peer-mtu"] * 2
    assert {f["severity"] for f in found} == {"info"}
    with pytest.raises(UsageError, match="'xdp-peer-mut'.*; nearest: xdp-peer-mtu"):
        report(sick, "--rule", "xdp-peer-mut")


def test_what_native_xdp_would_meet(
    report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(STORY) == 0
    screen = capsys.readouterr().out
    (row,) = (line for line in screen.splitlines() if line.startswith("  host "))
    assert row.endswith(" EEXIST, then ERANGE,")
    assert (
        '\n  ENOSPC  No space left on device: "veth: XDP expects number of rx queues'
        ' not\n          less than peer tx queues"\n          veth0\n'
    ) in screen


def test_one_device(report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(STORY, "veth0") == 0
    screen = capsys.readouterr().out
    for part in (
        *("            veth0 (host)", "peer eth0 (pod1)", "RX queues   2 of 2"),
        "XDP         generic p, id 7, tag 0000000000000000",
        *("\ndefault     as driver: ", "\ngeneric     EBUSY: "),
        "\ndriver      all 3 have to be fixed, in this order:\n            EEXIST: ",
        "\noffload     EINVAL: ",
        "\n            then ENOSPC: No space left on device: ",
        "namespace host 4026531840",
        "namespace pod1 4026532281\n",
        "\n  mounted at\n    /run/netns/",
    ):
        assert part in screen
    # The answers say why native XDP is refused.
    assert "note[xdp-mode-conflict] veth0" not in screen


def test_a_name_in_many_namespaces(
    report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(node(12), "eth0") == 0
    screen = capsys.readouterr().out
    assert len(re.findall(r"^ +eth0 \(", screen, re.M)) == 12
    with pytest.raises(UsageError) as raised:
        report(node(13), "eth0")
    said = str(raised.value)
    assert said.startswith(f"13 devices match eth0: eth0 ({POD}), ")
    assert said.count("eth0 (") == 12
    assert "and 1 more" in said
    with pytest.raises(UsageError, match="no device matches 'nosuch'"):
        report(node(2), "nosuch")


@pytest.mark.slow
def test_a_large_node_is_a_page(
    report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = node(10_000)
    assert report(whole) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 130
    assert lines[1].startswith("10,000 veth pairs and 3 other devices in 10,001 name")
    pairs, others = (line for line in lines if line.startswith("  not shown: "))
    assert " plain pairs" in pairs and "3 devices without a pair" in others
    assert report(node(200), "--all-pairs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(" veth" in line for line in lines) >= 200


def test_json_has_all_findings(report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    report(pair({"mtu": 9000}, {"mtu": 3507}), "--format", "json")
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [f["rule"] for f in found] == ["mtu-mismatch"] + ["xdp-peer-mtu"] * 2


@pytest.mark.parametrize("rule", RULES_BY_ID)
def test_explain(rule: str, report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(pair(), "--explain", rule) == 0
    assert capsys.readouterr().out == explain(RULES_BY_ID[rule])


@pytest.mark.slow
def test_explain_needs_no_target(tmp_path: Path) -> None:
    done = run("--explain", "no-peer")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == explain(RULES_BY_ID["no-peer"])
    # With one, it says which devices the rule finds there.
    one_line(run("-c", "/nosuch", "--explain", "no-peer"), 3, "/nosuch: ")
    assert without("tabulate", SCRIPT, "--explain", "no-peer").stdout == done.stdout
    run("--explain", "no-peer", "--output", tmp_path / "page")
    assert (tmp_path / "page").read_text() == done.stdout


def test_explain_an_unknown_rule() -> None:
    done = run("--explain", "nosuch")
    one_line(done, 2, "no errno, rule or message is called 'nosuch'; ")
    for given in ("xdp-native-queue", "native-queues"):
        one_line(run("--explain", given), 2, "nearest: xdp-native-queues")
