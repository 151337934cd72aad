# SPDX-License-Identifier: LGPL-2.1-or-later
"""The findings about a booted kernel, and what their commands mend."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import lab

from tests.support.booted import SCRIPT, Dump, run_on, symbols_of

__all__ = ("OF_AN_ATTACH", "OF_A_PAIR", "RulesRun", "rules_run", "try_fixes")

#: Rules that say how the kernel refuses a native attach, and what it answers after the
#: fix.
OF_AN_ATTACH = (
    "xdp-native-queues",
    "xdp-peer-mtu",
    "xdp-mode-conflict",
    "xdp-upper-program",
)

#: Rules about a pair: the finding is at the end that its maker did not ask for.
OF_A_PAIR = ("queues-one-sided",)


class RulesRun(NamedTuple):
    """What the rules found, and what came of the fixes."""

    symptoms: list[dict[str, Any]]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    #: For each symptom with a finding: its commands, what they leave of the symptom,
    #: and what the kernel then answers to a native attach.
    fixed: list[dict[str, Any]]
    has_channels: bool


def _findings(guest: lab.Guest, folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / f"findings.{name}.json"
    target = ("--qemu", guest.qmp_socket, *symbols_of(guest))
    run_on(SCRIPT, target, "--format", "json", "--output", path)
    findings: list[dict[str, Any]] = json.loads(path.read_text())["findings"]
    return findings


def _symptoms(text: str) -> list[dict[str, Any]]:
    word = "symptom: "
    lines = [line for line in text.splitlines() if line.startswith(word)]
    return [json.loads(line[len(word) :]) for line in lines]


def _is_of(finding: dict[str, Any], symptom: dict[str, Any]) -> bool:
    device = finding["device"]
    if finding["rule"] != symptom["rule"] or device is None:
        return False
    if symptom["rule"] in OF_A_PAIR:  # The scene calls the ends ...a and ...b.
        return bool(device["name"][:-1] == symptom["name"][:-1])
    return bool(
        (device["netns"], device["ifindex"]) == (symptom["netns"], symptom["ifindex"])
    )


def _commands(finding: dict[str, Any]) -> list[str]:
    undo = finding.get("undo")
    return [*finding["fix"], *(undo["commands"] if undo else ())]


def _mend(guest: lab.Guest, plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = guest.run(
        f"python3 /lab/guest/mending.py <<'END'\n{json.dumps(plan)}\nEND", timeout=600
    )
    mended: list[dict[str, Any]] = json.loads(said.splitlines()[-1])
    return mended


def try_fixes(guest: lab.Guest, folder: Path) -> None:
    """Run the commands of the findings in the guest (a hook of the lab)."""
    symptoms = _symptoms((folder / "scene.log").read_text())
    before = _findings(guest, folder, "before")
    fixed = []
    plan = []
    for symptom in symptoms:
        found = [finding for finding in before if _is_of(finding, symptom)]
        if symptom["shown"] is not True or not found:
            continue
        finding = found[0]
        plan.append(
            {
                "rule": symptom["rule"],
                "name": symptom["name"],
                "commands": _commands(finding),
                "attach": symptom["rule"] in OF_AN_ATTACH,
            }
        )
        kept = {name: finding.get(name) for name in ("fix", "undo", "then")}
        fixed.append({**symptom, **kept})
    for one, mended in zip(fixed, _mend(guest, plan)):
        again = mended["again"]
        one.update(mended, shown=again and again["shown"])
    after = _findings(guest, folder, "after")
    status, _ = guest.try_run("ethtool -l rnqa")
    document = {
        "symptoms": symptoms,
        "before": before,
        "after": after,
        "fixed": fixed,
        "has_channels": status == 0,
    }
    (folder / "rules.json").write_text(json.dumps(document, indent=1))


def rules_run(dump: Dump) -> RulesRun:
    """Return what :func:`try_fixes()` left."""
    return RulesRun(**json.loads((dump.made.folder / "rules.json").read_text()))
