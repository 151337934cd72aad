# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the predictor says of a dump, against what the kernel answered before."""

import json
import re
from typing import Any

import drgn as drgn_module
from drgn_veth.analysis.attach.caller import CALLER
from drgn_veth.analysis.attach.question import errno_name
from drgn_veth.btf import use_btf
from drgn_veth.model import Snapshot
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.answers import FRESH, Answers, before_anyone_asked, compare_answers
from tests.support.booted import KERNELS, NO_SYMBOLS, REPOSITORY, Dump, drgn, run_alone

SCRIPT = REPOSITORY / "scripts" / "xdp_attach.py"


def _document(dump: Dump) -> dict[str, Any]:
    assert dump.made.answers is not None
    document: dict[str, Any] = json.loads(dump.made.answers.read_text())
    return document


def _snapshot(dump: Dump, symbols: bool) -> Snapshot:
    prog = drgn_module.Program()
    prog.set_core_dump(str(dump.vmcore))
    if symbols:
        prog.load_debug_info([str(dump.vmlinux), str(dump.veth)])
    use_btf(prog)
    return take_snapshot(prog)


@pytest.mark.parametrize("symbols", [True, False], ids=["dwarf", "btf"])
def test_every_answer(
    asked: Dump, symbols: bool, answer_tally: dict[str, Answers]
) -> None:
    """errno, and over netlink the message: all of them."""
    compared = compare_answers(_snapshot(asked, symbols), _document(asked))
    assert compared.differences == []
    assert sum(compared.compared.values()) >= 1000
    if symbols:
        made = asked.made
        answer_tally[f"{made.kernel.release} {made.lab['scene']}"] = compared


def test_every_answer_before_anyone_asked(
    zoo: Dump, answer_tally: dict[str, Answers]
) -> None:
    """By a dump that was taken before the first question."""
    prog = drgn_module.Program()
    prog.set_core_dump(zoo.slice_of("unasked"))
    use_btf(prog)
    asked = before_anyone_asked(take_snapshot(prog), _document(zoo))
    compared = compare_answers(*asked)
    assert compared.differences == []
    assert sum(compared.compared.values()) >= 1000
    answer_tally[f"{zoo.made.kernel.release} zoo unasked"] = compared


@pytest.mark.vm
def test_enough_answers(answer_tally: dict[str, Answers]) -> None:
    """After the test above: at least 4,000 on four kernels."""
    total = sum(sum(one.compared.values()) for one in answer_tally.values())
    assert total >= 1000 * len(KERNELS)


def test_the_contract_is_what_was_compared(asked: Dump) -> None:
    """``--all --format json`` has an entry for each attach that the kernel was asked
    for, and says what it answered."""
    symbols = asked.symbols if asked.is_old else NO_SYMBOLS
    done = drgn("-c", asked.vmcore, *symbols, SCRIPT, "--all", "--format", "json")
    assert done.returncode == 0 and done.stderr == ""
    report = json.loads(done.stdout)
    assert report["schema"] == "drgn-veth/1" and report["blocked_by"] is None
    entries = {
        (e["netns"], e["ifindex"], e["mode"], e["via"], e["frags"]): e
        for e in report["attempts"]
    }
    assert len(entries) == len(report["attempts"])
    found = 0
    document = _document(asked)
    fresh = {p["id"] for p in document["programs"] if p["name"] in FRESH} | {None}
    for said in document["answers"]:
        if said["op"] != "attach" or said["own"] or said["program"] not in fresh:
            continue
        key = (said["netns"], said["ifindex"], said["mode"], said["via"], said["frags"])
        entry = entries[key]
        assert entry["errno"] == said["errno"], (entry, said)
        assert (entry["error"] is None) == (said["errno"] == 0)
        if said["via"] == "netlink":
            assert entry["message"] == said["message"], (entry, said)
        found += 1
    assert found == len(entries)


def test_blocked(dying: Dump) -> None:
    """In this scene a process holds rtnl_mutex: the answer would have to wait."""
    said = (dying.made.folder / "scene.log").read_text()
    found = re.search(r"process (\d+) holds rtnl_mutex", said)
    assert found is not None
    holder = int(found.group(1))
    done = dying.run_script(SCRIPT, "--all", "--format", "json")
    blocked_by = json.loads(done.stdout)["blocked_by"]
    assert blocked_by["pid"] == holder
    (init,) = [n for n, one in dying.truth["namespaces"].items() if one["init"]]
    done = dying.run_script(SCRIPT, "lo", "--netns", init)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        f"the attach would block: {blocked_by['comm']} (pid {holder}) holds "
        "rtnl_mutex; after that:"
    )


def test_bad_input(one_zoo: Dump) -> None:
    def said(*args: object) -> str:
        done = run_alone("-c", one_zoo.vmcore, *args, script=SCRIPT)
        assert done.returncode == 2, done
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        return line

    assert "no device named 'nosuch' in any network namespace" in said("nosuch")
    line = said("eth0")
    assert "(pod1)" in line and "(pod2)" in line and "--netns" in line
    assert "no network namespace has the name" in said("eth0", "--netns", "nowhere")
    assert "ID 4000000 is loaded" in said("xnata", "--program", "4000000")
    assert "name one or more devices" in said()
    assert "name one or more devices" in said("lo", "--all")


def test_mistakes_of_a_caller(corners: tuple[Dump, dict[str, Any]]) -> None:
    """What is said to be answered to them is."""
    dump, told = corners
    said = {
        (via, one.function): one.errno.split(" or ")
        for one in CALLER
        for via in one.vias
    }
    met = set()
    for via, function, number in told["mistakes"]:
        # Since v5.19, a descriptor of a program is all that BPF_LINK_CREATE wants.
        if (function, number) != ("__sys_bpf", 0):
            assert errno_name(number) in said[via, function], (via, function)
        met.add((via, function))
    assert met == said.keys()
