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
from drgn_veth.model import Snapshot, Veth, Xdp
import pytest

from tests.support.scripts import SCRIPT, one_line, run, without
from tests.support.snapshots import HOST, device, pair


@pytest.fixture
def report(monkeypatch: Any) -> Any:
    """The script, which is given a Snapshot to report."""
    monkeypatch.setattr(opening, "open_target", lambda prog, args: prog)

    def run_on(snapshot: Snapshot, *argv: str) -> int:
        monkeypatch.setattr(opening, "take", lambda prog: snapshot)
        return veth_report.main(None, list(argv))

    return run_on


def test_check(report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sick, sound = pair({"peer": None}), pair({"mtu": 9000, "veth": Veth(1, 0)})
    assert report(sick) == 0
    assert report(sound, "--check") == 0
    plain = capsys.readouterr().out
    assert "\nerror    no-peer  host 3: veth0\n" in plain
    assert "\nwarning  mtu-mismatch  host 3: veth0\n" in plain
    for extra in ((), ("--findings", "none"), ("--format", "csv"), ("--all",)):
        assert report(sick, "--check", *extra) == 1
    assert capsys.readouterr().err == ""
    assert report(sick, "--check", "--device", "veth0") == 1
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
    screens = {}
    for how in ("folded", "all", "none"):
        assert report(sick, "--findings", how) == 0
        screens[how] = capsys.readouterr().out
    table = screens["none"]
    assert table.endswith("RPS on 0 devices\n")
    assert screens["folded"].startswith(f"{table}\nfound: 1 warning, 2 infos; ")
    assert "xdp-peer-mtu  2, such as host 3: veth0: " in screens["folded"]
    assert len(re.findall("^info     xdp-peer-mtu", screens["all"], re.M)) == 2
    assert report(pair()) == 0
    assert capsys.readouterr().out.endswith("RPS on 0 devices\n")


def test_json_has_all_findings(report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    report(pair({"mtu": 9000}, {"mtu": 3507}), "--format", "json", "--findings", "none")
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [f["rule"] for f in found] == ["mtu-mismatch"] + ["xdp-peer-mtu"] * 2


@pytest.mark.parametrize("rule", RULES_BY_ID)
def test_explain(rule: str, report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(pair(), "--explain", rule) == 0
    assert capsys.readouterr().out == explain(RULES_BY_ID[rule])


def test_explain_needs_no_target(tmp_path: Path) -> None:
    done = run("--explain", "no-peer")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == explain(RULES_BY_ID["no-peer"])
    assert run("-c", "/nosuch", "--explain", "no-peer").stdout == done.stdout
    assert without("tabulate", SCRIPT, "--explain", "no-peer").stdout == done.stdout
    run("--explain", "no-peer", "--output", tmp_path / "page")
    assert (tmp_path / "page").read_text() == done.stdout


def test_explain_an_unknown_rule() -> None:
    done = run("--explain", "nosuch")
    one_line(done, 2, "no errno, rule or message is called 'nosuch'; ")
    for given in ("xdp-native-queue", "native-queues"):
        one_line(run("--explain", given), 2, "nearest: xdp-native-queues")
