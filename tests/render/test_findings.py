# SPDX-License-Identifier: LGPL-2.1-or-later
"""Findings on the screen."""

import re
import shlex
import subprocess

from drgn_veth.analysis.diagnose import diagnose, undecided_errors
from drgn_veth.analysis.rules import RULES_BY_ID
from drgn_veth.analysis.rules.finding import Finding, KernelAnswer, Then, Undo
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Veth
from drgn_veth.render import findings as render_findings
import pytest

from tests.support.rules import CASES, one
from tests.support.rules.case import found
from tests.support.snapshots import (
    BAD,
    BR0,
    HELD,
    HOST,
    PIN,
    STORY,
    WHY,
    device,
    generic,
    kernel,
    link,
    node,
    pair,
    queues,
    rps,
)


def test_screen() -> None:
    whole = pair(
        {"mtu": 9000, "veth": Veth(3, 0)},
        {**queues(2, 2)},
        BR0._replace(**generic(), **rps((0,))),
    )
    assert render_findings.findings(diagnose(whole)) == (
        "found: 1 warning, 3 infos; --explain RULE says more\n"
        "\n"
        "warning  mtu-mismatch  host 3: veth0\n"
        "    its MTU is 9000, but peer eth0 (netns pod1) has 1500: larger packets are "
        "lost in one direction; it has dropped 3 so\n"
        "    far\n"
        "    $ ip link set dev veth0 mtu 1500\n"
        "info     generic-xdp-cpu  4026531840 9: br0\n"
        "    its generic program runs on the CPUs that RPS picks (0), or on the "
        "receiving CPU if RPS skips the packet\n"
        "info     xdp-native-queues  host 3: veth0\n"
        "    native XDP would be refused: only 1 real RX queue here, but peer eth0 "
        "(netns pod1) has 2 real TX queues\n"
        "    $ ip netns exec pod1 ethtool -L eth0 tx 1\n"
        "info     xdp-peer-mtu  pod1 2: eth0\n"
        "    native XDP would be refused: peer veth0 (netns host) has MTU 9000, "
        "the limit is 3506 (73138 for a program that\n"
        "    supports fragments)\n"
        "    $ ip link set dev veth0 mtu 1500"
    )


def test_screen_tells_undo_from_fix() -> None:
    """Only what cures has a "$"; what comes then stands behind it."""
    screen = render_findings.findings(diagnose(STORY), unfold=True)
    assert (
        "info     xdp-mode-conflict  host 3: veth0\n"
        "    an attach in native mode, or without a mode, is refused: a generic "
        "program is attached\n"
        "    to undo it, which detaches the program: "
        "ip link set dev veth0 xdpgeneric off\n"
        '    a native attach would then fail with ERANGE "veth: Peer MTU is too large '
        'to set XDP": peer eth0 has mtu 9000, the\n'
        "    limit is 3506: "
    ) in screen
    assert (
        "    $ ip netns exec pod1 ethtool -L eth0 tx 2\n"
        '    a native attach would then fail with EEXIST "Native and generic XDP '
        "can't be active at the same time\": veth0 has\n"
        "    program 7 in generic mode\n"
    ) in screen
    masks = CASES["rps-queue-off-by-one"].fires
    screen = render_findings.findings(diagnose(masks))
    assert (
        "    this writes 2,00000009 (CPUs 0,3,33), the union of all masks, to all 2 RX "
        "queues:\n"
        "    $ ip netns exec pod1 sh -c "
    ) in screen


def test_screen_of_more_than_one_command_that_undoes() -> None:
    pins = found("xdp-link-pinned-only", link(0, (PIN, "/b")))
    assert render_findings.findings(pins).splitlines()[-3:] == [
        "    to undo it, which removes its pins and so detaches the program:",
        f"       rm '{PIN}'",
        "       rm /b",
    ]
    # One that is too long for the line has lines of its own.
    long = [f"/{'x' * 50}", *"yz" * 30]
    undo = Undo("which detaches the program", (shlex.join(["rm", *long]),))
    screen = render_findings.findings([pins[0]._replace(undo=undo)])
    start = screen.index("program:\n") + len("program:\n")
    assert shlex.split(screen[start:].replace("\\\n", " ")) == ["rm", *long]
    assert all(len(line) <= 120 for line in screen.splitlines())


def test_no_command_is_shown_as_a_cure_where_nothing_is_broken() -> None:
    for rule in (
        "queues-cpus",
        "xdp-link-owns-hook",
        "xdp-link-pinned-only",
        "xdp-mode-conflict",
        "xdp-upper-program",
    ):
        assert "$" not in render_findings.findings(found(rule, CASES[rule].fires))


def many(count: int, *findings: Finding) -> list[Finding]:
    return [
        finding._replace(device=device(HOST, i, f"veth{i}").ref)
        for finding in findings
        for i in range(count)
    ]


def test_many_warnings_are_counted() -> None:
    found = many(14, one("mtu-mismatch"))
    screen = render_findings.findings(found)
    assert "found: 14 warnings;" in screen
    assert len(re.findall("^warning  mtu-mismatch  4026531840", screen, re.M)) == 10
    assert screen.endswith("warning  mtu-mismatch  4 more; --findings all lists them")
    whole = render_findings.findings(found, unfold=True)
    assert len(re.findall("^warning  mtu-mismatch  4026531840", whole, re.M)) == 14


def test_infos_are_folded() -> None:
    found = many(14, one("xdp-native-queues"), one("mtu-frozen"))
    lines = render_findings.findings(found).splitlines()
    assert lines[2:] == [
        (
            "info     xdp-native-queues  14, such as 4026531840 0: veth0: native XDP "
            "would be refused: only 14 real RX queues here,"
        ),
        "    but peer eth0 (netns pod1) has 48 real TX queues",
        (
            "info     mtu-frozen  14, such as 4026531840 0: veth0: its native program "
            "limits the MTU of peer eth0 (netns pod1) to"
        ),
        "    3506",
    ]
    assert lines[0] == "found: 28 infos; --explain RULE says more"
    unfolded = render_findings.findings(found, unfold=True)
    assert len(re.findall("^info ", unfolded, re.M)) == 28


def test_one_reason_is_one_line() -> None:
    """As where veth has no types: each of its members is missing for each device."""
    lost = [
        found(rule, snapshot)[0]
        for rule, snapshot in (
            ("xdp-tx-lost", CASES["xdp-tx-lost"].lost[0][0]),
            ("mtu-mismatch", CASES["mtu-mismatch"].lost[0][0]),
        )
    ]
    lines = render_findings.findings(many(50, *lost)).splitlines()
    assert lines == [
        "found: 100 undecided; --explain RULE says more",
        "",
        (
            "info     undecided  100, such as 4026531840 0: veth0: peer_rq could not "
            f"be read: {WHY}"
        ),
        "    in mtu-mismatch, xdp-tx-lost",
    ]
    reasons = [
        lost[0]._replace(evidence=(("rq", Unreadable(f"fault {i}")),), undecided="rq")
        for i in range(25)
    ]
    lines = render_findings.findings(reasons).splitlines()
    assert len(lines) == 2 + 2 * 10 + 1
    assert lines[-1] == "info     15 more undecided; --findings all lists them"


def test_rules_that_one_reason_stops_are_named() -> None:
    """As many as one line takes."""
    lost = [one("mtu-mismatch")._replace(rule=rule) for rule in RULES_BY_ID]
    lost = [
        f._replace(evidence=(("rq", BAD),), undecided="rq", severity="info")
        for f in lost
    ]
    line = render_findings.findings(lost).splitlines()[-1]
    names = line[len("    in ") :].split(" and ")[0].split(", ")
    assert names == sorted(RULES_BY_ID)[: len(names)]
    assert line.endswith(f" and {len(RULES_BY_ID) - len(names)} more")
    assert 80 < len(line) <= 120
    line = render_findings.findings(lost[:3]).splitlines()[-1]
    assert line == f"    in {', '.join(sorted(f.rule for f in lost[:3]))}"


def test_undecided_are_counted_apart() -> None:
    fires = CASES["veth-poll-out-of-range"].fires
    unread = fires._replace(kernel=kernel(veth_poll=BAD))
    (poll,) = found("veth-poll-out-of-range", unread)
    held = found("no-peer", CASES["no-peer"].fires._replace(kernel=HELD))[0]
    screen = render_findings.findings(
        [one("no-peer"), *many(2, one("mtu-mismatch")), one("mtu-frozen"), poll, held]
    )
    assert screen.startswith("found: 1 error, 2 warnings, 1 info, 2 undecided; ")
    # What they say is more than that something is missing.
    assert poll.summary[:40] in screen
    assert "ip (812) holds rtnl_mutex" in screen
    assert undecided_errors([one("no-peer"), poll]) is None
    everywhere = held._replace(device=None)
    assert undecided_errors([held, held, *many(3, held)]) == (
        "--check does not count rules that are undecided (on 4 devices): no-peer"
    )
    assert undecided_errors([everywhere]) == (
        "--check does not count rules that are undecided (on all devices): no-peer"
    )


def test_types_that_are_missing_are_one_line() -> None:
    """veth is a module, and its types are not there: nothing of it can be read."""
    whole = node(200)
    devices = tuple(
        d._replace(veth=Veth(BAD, BAD, BAD, BAD), xdp=d.xdp._replace(queues=BAD))
        if d.kind == "veth"
        else d
        for d in whole.devices
    )
    findings = diagnose(whole._replace(devices=devices))
    assert len([f for f in findings if f.undecided is not None]) > 500
    screen = render_findings.findings(findings)
    assert len(re.findall("^info     undecided ", screen, re.M)) == 1
    assert re.match(r"found: \d+ infos, \d+ undecided; ", screen)


def test_screen_is_empty_without_findings() -> None:
    assert render_findings.findings(()) == ""


def test_screen_fits_whatever_is_in_it() -> None:
    wild = "\x1b[7m\u202e\x07" * 2
    finding = one("rps-queue-off-by-one")._replace(
        device=device(HOST, 3, wild).ref,
        summary=f"a {wild} b" * 9,
        undecided=wild,
        fix=("x " * 200,),
        fix_effect=f"does {wild} " * 9,
        undo=Undo(f"which {wild} " * 9, ("y " * 200, wild, "z " * 200)),
        then=Then(KernelAnswer("f", "EBUSY", wild * 9), f"a {wild} " * 9),
    )
    for unfold in (True, False):
        for severity in ("error", "info"):
            found = [finding._replace(severity=severity)]
            for line in render_findings.findings(found, unfold).splitlines():
                assert len(line) <= 120 or " " not in line.strip()[2:]
                assert line.isprintable()


@pytest.mark.parametrize(
    "words",
    [
        ["echo"] + ["word"] * 60,
        ["sh", "-c", "echo  'two  blanks' " * 20],
        ["echo", "a b" * 60],
    ],
    ids=["words", "script", "one"],
)
def test_long_command_can_be_copied(words: list[str]) -> None:
    finding = one("mtu-mismatch")._replace(fix=(shlex.join(words),))
    lines = render_findings.findings([finding]).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("    $ "))
    copied = "\n".join(lines[start:])[len("    $ ") :]
    assert shlex.split(copied.replace("\\\n", " ")) == words
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"set -- {copied.replace('echo', 'echo', 1)}; printf '%s\\0' \"$@\"",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\0")[:-1] == words
