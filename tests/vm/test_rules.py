# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The rules of diagnosis against the symptoms that the kernel shows
-----------------------------------------------------------------

The scene ``rules`` has, for each rule, a device that is in trouble and a near twin
that is not, and vmcores/lab/guest/symptoms.py measures both. A finding has to be where
the symptom is, and not at the twin; its commands, those that cure and those that undo,
run in the guest as they are printed, have to make both go away. What the kernel then
answers to a native attach has to be what the finding says.
"""

from collections.abc import Sequence
from typing import Any

from drgn_veth.analysis.attach.question import errno_name
from drgn_veth.analysis.rules import RULES
from drgn_veth.readers.bpf_insn import bpf_prog_calls
from drgn_veth.readers.bpf_prog import bpf_prog_name, for_each_xdp_prog
import pytest

from tests.support.booted import KERNELS, Dump
from tests.support.fixes import OF_A_PAIR, RulesRun, rules_run
from tests.support.kernel import program_of

#: Rules whose symptom none of these kernels need show, and why.
NOT_SHOWN = {
    "xdp-queue-without-program": "only old builds, and the archive may drop them",
    "xdp-stale-program": "likewise",
    "tx-queue-stuck": "likewise",
    "veth-poll-out-of-range": "likewise",
    "xdp-queue-overflow": "veth_set_channels() and veth_fix_features() prevent it",
    "no-peer": "only an instant under rtnl_mutex",
    "rps-first-32-cpus": "the lab's machines have fewer",
    "xdp-behind-dispatcher": "scene maps",
    "xskmap-without-socket": "scene maps",
    "af-xdp-no-packets": "scene maps",
    "device-stuck-unregistering": "scene teardown: see test_teardown.py",
    "netns-leaked": "likewise",
    "backlog-overflow": "the whole kernel: see test_counters.py",
}
#: Rules whose symptom only some of these kernels show.
SHOWN_BY = {
    "netkit-default-attach": {"7"},
    "xdp-max-mtu-stale": {"6.1"},
    "xdp-upper-program": {"6.1", "6.12", "7"},
}
#: Rules for which no command is printed on some kernel or device, and why.
NO_FIX = {
    "netkit-default-attach": "generic mode has to be asked for",
    "xdp-tx-lost": "it takes a program on the peer, which is the user's to choose",
    "generic-xdp-cpu": "it is as it is meant to be",
    "rps-which-end": "likewise",
    "queues-cpus": "nothing is broken",
    "mtu-frozen": "it takes a program with fragments, or none",
    "xdp-stale-program": "the pair has to be created again",
    "tx-queue-stuck": "likewise",
    "rps-isolated-cpus": "masks are as they should be",
    "xdp-virtio-slow-tx": "it takes more queues in the host",
    "xdp-no-ethernet-header": "it takes a program for such a device",
    "veth-packets-lost": "what was counted stays; rules about the causes have commands",
    "veth-not-delivered": "likewise",
    "xdp-redirect-failed": "likewise",
    "qdisc-drops": "likewise",
}


@pytest.fixture(scope="module")
def run(rules: Dump) -> RulesRun:
    return rules_run(rules)


Findings = Sequence[dict[str, Any]]

#: What is measured is the state alone: whether it does harm is in the kernel's code.
STATE_ONLY = ("veth-poll-out-of-range",)


def _at(findings: Findings, rule: str, place: dict[str, Any]) -> list[Any]:
    def is_there(device: dict[str, Any]) -> bool:
        if rule in OF_A_PAIR:  # The scene calls them ...a and ...b.
            return bool(device["name"][:-1] == place["name"][:-1])
        where = (device["netns"], device["ifindex"])
        return where == (place["netns"], place["ifindex"])

    return [
        finding
        for finding in findings
        if finding["rule"] == rule and is_there(finding["device"])
    ]


def test_findings_are_where_the_symptoms_are(run: RulesRun) -> None:
    wrong = []
    for symptom in run.symptoms:
        rule = symptom["rule"]
        name = symptom["name"]
        if name is None or (rule in OF_A_PAIR and not run.has_channels):
            continue  # Before v5.15 each end has the queues that it was given.
        found = _at(run.before, rule, symptom)
        if rule in STATE_ONLY and not found:
            continue
        found = [finding for finding in found if "undecided" not in finding]
        if symptom["shown"] is True and not found:
            wrong.append(
                f"{rule}: not found at {symptom['name']}: {symptom['symptom']}"
            )
        if symptom["shown"] is not True and found:
            wrong.append(f"{rule}: found at {name}: {found[0]['summary']}")
    assert wrong == []


def test_no_findings_at_the_twins(run: RulesRun) -> None:
    wrong = []
    for symptom in run.symptoms:
        twin = symptom["twin"]
        if twin is not None and twin["name"] is not None:
            found = _at(run.before, symptom["rule"], twin)
            wrong += [f"{twin['name']}: {f['rule']}: {f['summary']}" for f in found]
    assert wrong == []


def test_fixes(run: RulesRun) -> None:
    """As printed: they run, and then finding and symptom are gone."""
    wrong = []
    tried = 0
    for one in run.fixed:
        rule, name = one["rule"], one["name"]
        commands = one["fix"] or one["undo"]
        if not commands:
            if rule not in NO_FIX and run.has_channels:
                wrong.append(f"{rule} at {name}: there is no fix")
            continue
        tried += 1
        wrong += [f"{rule} at {name}: {said}" for said in one["failed"]]
        if _at(run.after, rule, one):
            wrong.append(f"{rule} at {name}: still found after {commands}")
        if one["shown"] is not False:
            wrong.append(f"{rule} at {name}: still shown after {commands}")
    wrong += _made_worse(run)
    assert wrong == []
    assert tried >= (15 if run.has_channels else 8)


def test_states_that_may_be_wanted_have_no_fix(run: RulesRun) -> None:
    """What only undoes them is no cure."""
    undone = {one["rule"] for one in run.fixed if one["undo"]}
    assert undone >= {"xdp-link-owns-hook", "xdp-link-pinned-only", "xdp-mode-conflict"}
    assert not [one["rule"] for one in run.fixed if one["undo"] and one["fix"]]
    assert "queues-cpus" in {one["rule"] for one in run.fixed if not one["fix"]}


def test_what_the_kernel_answers_then(run: RulesRun) -> None:
    """To a native attach once the commands were run: errno and message."""
    wrong = []
    asked = {}
    for one in run.fixed:
        answer = one["answer"]
        if answer is None:
            continue
        then = one["then"]
        errno = errno_name(answer["errno"]) if answer["errno"] else None
        said = (errno, answer["message"])
        wanted = (then["errno"], then["message"]) if then else (None, None)
        asked[one["name"]] = errno
        if said != wanted:
            wrong.append(f"{one['rule']} at {one['name']}: {said}, not {wanted}")
    assert wrong == []
    assert asked["rmqa"] == asked["rpqa"] == "ENOSPC"
    assert asked["rmca"] is asked["rpma"] is None
    if run.has_channels:
        assert asked["rnga"] == "EEXIST"
        assert asked["rnqa"] is None


def _made_worse(run: RulesRun) -> list[str]:
    # What is found after the fixes, and was not before.
    def place(finding: dict[str, Any]) -> tuple[Any, ...]:
        device = finding["device"] or {}
        return finding["rule"], device.get("netns"), device.get("ifindex")

    before = {place(finding) for finding in run.before}
    return [
        f"{finding['rule']} is new after the fixes: {finding['summary']}"
        for finding in run.after
        if finding["severity"] != "info" and place(finding) not in before
    ]


def test_programs_that_redirect(rules: Dump) -> None:
    """The scene has one that calls bpf_redirect()."""
    prog = program_of(rules, "dwarf")
    calls = {
        bpf_prog_name(one): bpf_prog_calls(one, "bpf_xdp_redirect")
        for one in for_each_xdp_prog(prog)
    }
    assert len(calls) >= 6
    assert [name for name, found in calls.items() if found] == [b"redirect"]


def test_every_rule_has_its_symptom(all_rules: dict[str, RulesRun]) -> None:
    shown = {
        symptom["rule"]
        for run in all_rules.values()
        for symptom in run.symptoms
        if symptom["shown"] is True
    }
    missing = {rule.id for rule in RULES} - shown - set(NOT_SHOWN)
    here = set(KERNELS)
    assert {rule for rule in missing if SHOWN_BY.get(rule, here) & here} == set()
