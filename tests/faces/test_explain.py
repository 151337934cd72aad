# SPDX-License-Identifier: LGPL-2.1-or-later
"""``explain`` and ``veth_report.py --explain`` from the command line."""

import json
import lzma
from pathlib import Path
import re
from typing import Any

from drgn_veth.analysis.explain.topics import errnos
from drgn_veth.analysis.rules import RULES
from drgn_veth.faces import explain, opening, veth_report, xdp_attach
from drgn_veth.faces.status import TargetError, UsageError
import pytest

from tests.support.recorded import EVERY_CORE, Recorded, recorded_core
from tests.support.schemas import validate
from tests.support.scripts import SCRIPT, one_line, run


def said(capsys: pytest.CaptureFixture[str], *argv: str, prog: Any = None) -> str:
    assert explain.main(prog, list(argv)) == 0
    return " ".join(capsys.readouterr().out.split())


def test_without_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    """It opens none: not even the running kernel."""
    everything = said(capsys)
    assert all(rule.id in everything for rule in RULES)
    assert all(name in everything for name in errnos())
    text = said(capsys, "ENOSPC")
    assert "real RX queues >= the peer's real TX queues" in text
    assert "here" not in text
    for given in (["28"], ["enospc"], ["No", "space", "left", "on", "device"]):
        assert said(capsys, *given) == text
    both = said(capsys, "ENOSPC", "no-peer")
    assert both == f"{text} {said(capsys, 'no-peer')}"


@pytest.mark.parametrize(
    "given, near",
    [
        (["ENOSPCE"], "nearest: ENOSPC"),
        (["xdp-native-queus"], "nearest: xdp-native-queues"),
        (["ENOSPC", "qwertz"], "'qwertz'; explain alone lists all of them"),
    ],
)
def test_what_is_not_known(given: list[str], near: str) -> None:
    with pytest.raises(UsageError) as error:
        explain.main(None, given)
    assert near in str(error.value)
    assert str(error.value).count(",") <= 12


def test_how_to_see_one_rule(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "drop")
    assert "Rules: mtu-mismatch: " in text
    assert text.endswith("what one means: veth_report.py --explain RULE")


def test_a_file_is_not_ignored(tmp_path: Path) -> None:
    path = tmp_path / "x.core.xz"
    path.write_bytes(lzma.compress(b"x"))
    with pytest.raises(TargetError, match="it is compressed: xz -d it first"):
        explain.main(None, [str(path)])


def test_the_report_explains_it_too(tmp_path: Path) -> None:
    done = run("--explain", "ENOSPC")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ENOSPC (28): No space left on device\n")
    assert run("--explain", "no space left").stdout == done.stdout
    alone = run("--explain")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout.startswith("errnos of an XDP attach\n")
    one_line(run("--explain", "ENOSPCE"), 2, "nearest: ENOSPC")
    run("--explain", "ENOSPC", "--output", tmp_path / "page")
    assert (tmp_path / "page").read_text() == done.stdout
    assert run("-c", "/nosuch", "--explain", "ENOSPC").returncode == 3


@pytest.mark.slow
def test_the_report_names_the_devices() -> None:
    core = recorded_core("6.12-zoo").core
    done = run("-c", core, "--explain", "ENOSPC")
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 devices here meet it now" in done.stdout
    assert SCRIPT.name == "veth_report.py"


@pytest.mark.slow
def test_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = recorded_core("6.12-zoo")
    monkeypatch.setattr(opening, "take", lambda prog, traffic=False: recorded.snapshot)

    def document(*words: str, prog: Any = None) -> Any:
        found = json.loads(said(capsys, *words, "--format", "json", prog=prog))
        validate(found, "drgn-veth-1-explain")
        return found

    everything = document()
    assert {one["error"] for one in everything["checks"]} == set(errnos())
    assert [one["rule"] for one in everything["rules"]] == [rule.id for rule in RULES]
    general = document("ENOSPC", "no-peer")
    assert [topic["error"] for topic in general["topics"]] == ["ENOSPC", None]
    assert (general["release"], "devices" in general["checks"][0]) == (None, False)
    here = document("ENOSPC", "rps-queue-out-of-range", prog=recorded.prog)
    (check,) = here["checks"]
    met = {one["device"]["name"]: one for one in check["devices"]}
    assert {name: one["after"] for name, one in met.items()} == {
        **{"q24b": [], "q24a": [], "onea": []},
        "veth_xxx0": ["EEXIST"],
    }
    assert met["q24b"]["fix"] == ["ethtool -L q24a tx 2"]
    assert here["undecided"] == {"drivers": {}, "unread": 0}
    rules = {one["rule"]: one for one in here["rules"]}
    assert "findings" not in rules["xdp-native-queues"]
    (finding,) = rules["rps-queue-out-of-range"]["findings"]
    assert finding["device"]["name"] == "veth_xxx0"
    (line,) = run("--explain", "ENOSPC", "--format", "csv").stderr.splitlines()
    assert line.endswith("no --format csv: table or json")


def attempts(recorded: Recorded, path: Path) -> list[dict[str, Any]]:
    argv = ["--all", "--format", "json", "--output", str(path)]
    assert xdp_attach.main(recorded.prog, argv) == 0
    found: list[dict[str, Any]] = json.loads(path.read_text())["attempts"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_CORE)
def test_devices_are_those_of_xdp_attach(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How many there are, and that each is named, for each errno."""
    recorded = recorded_core(name)
    monkeypatch.setattr(opening, "take", lambda prog, traffic=False: recorded.snapshot)
    devices = {(d.netns, d.ifindex): d for d in recorded.snapshot.devices}
    wanted: dict[str, set[tuple[int, int]]] = {}
    for one in attempts(recorded, tmp_path / "json"):
        if one["error"] is not None:
            place = one["netns"], one["ifindex"]
            wanted.setdefault(one["error"], set()).add(place)
    assert len(wanted) >= 2
    for error, places in wanted.items():
        text = said(capsys, error, prog=recorded.prog)
        number = len(places)
        now = re.search(r" ([0-9]+) devices? would get it now: ", text)
        rest = re.search(r"; for offload, ([0-9]+) (?:more|devices?) would", text)
        assert sum(int(one[1]) for one in (now, rest) if one) == number
        if not rest and number <= 12:
            for place in places:
                device = devices[place]
                assert f"{device.name} ({device.netns_label})" in text
    for error in errnos().keys() - wanted.keys():
        assert " no device would get it now" in said(capsys, error, prog=recorded.prog)


@pytest.mark.slow
def test_a_rule_names_the_devices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page stays as it is, and the devices come after it."""
    recorded = recorded_core("6.12-zoo")
    monkeypatch.setattr(opening, "take", lambda prog, traffic=False: recorded.snapshot)
    text = said(capsys, "xdp-native-queues", prog=recorded.prog)
    page = said(capsys, "xdp-native-queues")
    assert text.startswith(page)
    here = text[len(page) :]
    assert "this rule finds 4 devices: veth_xxx0 (host), q24b (host), q24a" in here
    assert here.endswith("Each of them: veth_report.py --rule xdp-native-queues")
    text = said(capsys, "xdp-native-queues", "--device", "lo", prog=recorded.prog)
    assert text.endswith("this rule finds no device here.")
    both = said(capsys, "ENOSPC", "xdp-native-queues", prog=recorded.prog)
    assert "3 devices would get it now: " in both and "finds 4 devices: " in both


def test_a_device_that_meets_it_later(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = recorded_core("6.12-zoo")
    monkeypatch.setattr(opening, "take", lambda prog, traffic=False: recorded.snapshot)
    text = said(capsys, "ENOSPC", "--device", "veth_xxx0", prog=recorded.prog)
    later = "; 1 device is refused earlier and would get it next: veth_xxx0 (host)."
    assert f"no device would get it now{later}" in text


def test_filters_choose_devices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = recorded_core("6.12-zoo")
    monkeypatch.setattr(opening, "take", lambda prog, traffic=False: recorded.snapshot)
    text = said(capsys, "ENOSPC", "--device", "q24*", prog=recorded.prog)
    assert "2 devices here meet it now" in text and "onea" not in text


def test_filters_choose_the_running_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in every other command: only an explanation needs no kernel at all."""

    def refuse(*_: object) -> None:
        raise TargetError("the running kernel")

    monkeypatch.setattr(opening, "open_target", refuse)
    for words in (["--netns", "pod1"], ["--device", "x"], ["--kind", "veth"]):
        with pytest.raises(TargetError, match="the running kernel"):
            explain.main(None, ["ENOSPC", *words])
    assert explain.main(None, ["ENOSPC"]) == 0


def test_names_and_check_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def explanation(_: object, args: Any, __: object) -> str:
        asked.append(args.devices)
        return ""

    monkeypatch.setattr(veth_report, "explanation", explanation)
    assert veth_report.main(None, ["veth0", "--explain", "ENOSPC"]) == 0
    assert asked == [["veth0"]]
    with pytest.raises(UsageError, match="--check does not go with --explain"):
        veth_report.main(None, ["--explain", "ENOSPC", "--check"])
