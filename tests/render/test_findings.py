# SPDX-License-Identifier: LGPL-2.1-or-later
"""Findings on the screen."""

from collections.abc import Sequence
import re
import shlex
import subprocess

from drgn_veth.analysis.diagnose import diagnose, undecided_errors
from drgn_veth.analysis.rules import RULES_BY_ID
from drgn_veth.analysis.rules.finding import Finding, KernelAnswer, Then, Undo
from drgn_veth.analysis.shell import shell_quote
from drgn_veth.analysis.shell_loop import combined
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Holder, Veth
from drgn_veth.render import findings as render_findings
from drgn_veth.render.head import severities
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.style import PLAIN, Style
import pytest

from tests.support.rules import CASES, one
from tests.support.rules.case import found
from tests.support.rules.leaked import held
from tests.support.screens import WIDTHS, assert_fits
from tests.support.snapshots import (
    BAD,
    BR0,
    HELD,
    HOST,
    PIN,
    POD,
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


def screen(found: Sequence[Finding], style: Style = PLAIN) -> str:
    """What the default screen says of findings."""
    return "\n".join(render_findings.findings(found, style))


def noted(found: Sequence[Finding], style: Style = PLAIN) -> str:
    return "\n".join(render_findings.notes(found, style))


def in_full(found: Sequence[Finding], style: Style = PLAIN) -> str:
    return "\n".join(render_findings.in_full(found, style))


def test_screen() -> None:
    whole = pair(
        {"mtu": 9000, "veth": Veth(3, 0)},
        {**queues(2, 2)},
        BR0._replace(**generic(), **rps((0,))),
    )
    found = diagnose(whole)
    assert screen(found).splitlines() == [
        (
            "warning[mtu-mismatch] veth0 (host): its MTU is 9000, but peer eth0 (netns "
            "pod1)"
        ),
        "  has 1500: larger packets are lost in one direction, up to 3 so far",
        "  fix: ip link set dev veth0 mtu 1500",
    ]
    assert noted(found).splitlines() == [
        "note[generic-xdp-cpu] br0 (4026531840): its generic program runs on the CPUs",
        "  that RPS picks (0), or on the receiving CPU if RPS skips the packet",
        (
            "note[xdp-native-queues] veth0 (host): native XDP would be refused: only 1 "
            "real"
        ),
        "  RX queue here, but peer eth0 (netns pod1) has 2 real TX queues",
        "  fix: ip netns exec pod1 ethtool -L eth0 tx 1",
        (
            "note[xdp-peer-mtu] eth0 (pod1): native XDP would be refused: peer veth0 "
            "(netns"
        ),
        "  host) has MTU 9000, the limit is 3506 (73138 for a program that supports",
        "  fragments)",
        "  fix: ip link set dev veth0 mtu 1500",
    ]


def test_in_full_has_what_was_compared() -> None:
    (found,) = [f for f in diagnose(STORY) if f.rule == "xdp-native-queues"]
    lines = in_full([found], Style(200)).splitlines()
    assert lines[1] == "  compared: real_num_rx_queues 2, peer_real_num_tx_queues 4"
    assert lines[2].startswith(
        '  kernel: veth_xdp_set(): ENOSPC: No space left on device: "veth: XDP expects'
    )


def test_screen_tells_undo_from_fix() -> None:
    """Only what cures is a fix; what comes then stands behind it."""
    wide = Style(120)
    said = noted(diagnose(STORY), wide)
    assert (
        "note[xdp-mode-conflict] veth0 (host): an attach in native mode, or without a "
        "mode, is refused: a generic program is\n"
        "  attached\n"
        "  to undo it, which detaches the program: "
        "ip link set dev veth0 xdpgeneric off\n"
        '  a native attach would then fail with ERANGE "veth: Peer MTU is too large '
        'to set XDP": peer eth0 has mtu 9000, the\n'
        "    limit is 3506: "
    ) in said
    assert (
        "  fix: ip netns exec pod1 ethtool -L eth0 tx 2\n"
        '  a native attach would then fail with EEXIST "Native and generic XDP '
        "can't be active at the same time\": veth0 has\n"
        "    program 7 in generic mode\n"
    ) in said
    masks = CASES["rps-queue-off-by-one"].fires
    said = screen(diagnose(masks), wide)
    assert (
        "  the fix writes 2,00000009 (CPUs 0,3,33), the union of all masks, to all 2 "
        "RX queues:\n"
        "  fix: ip netns exec pod1 sh -c "
    ) in said


def test_screen_of_more_than_one_command_that_undoes() -> None:
    pins = found("xdp-link-pinned-only", link(0, (PIN, "/b")))
    assert noted(pins).splitlines()[-3:] == [
        "  to undo it, which removes its pins and so detaches the program:",
        f"    rm '{PIN}'",
        "    rm /b",
    ]
    # One that is too long for the line has lines of its own.
    long = [f"/{'x' * 50}", *"yz" * 30]
    undo = Undo("which detaches the program", (shlex.join(["rm", *long]),))
    said = noted([pins[0]._replace(undo=undo)])
    start = said.index("program:\n") + len("program:\n")
    assert shlex.split(said[start:].replace("\\\n", " ")) == ["rm", *long]
    assert_fits(said, PLAIN.width)


def test_no_command_is_shown_as_a_cure_where_nothing_is_broken() -> None:
    for rule in (
        "queues-cpus",
        "xdp-link-owns-hook",
        "xdp-link-pinned-only",
        "xdp-mode-conflict",
        "xdp-upper-program",
    ):
        mine = found(rule, CASES[rule].fires)
        assert "fix: " not in screen(mine) + noted(mine) + in_full(mine)


def many(count: int, *findings: Finding) -> list[Finding]:
    return [
        finding._replace(device=device(HOST, i, f"veth{i}").ref)
        for finding in findings
        for i in range(count)
    ]


def downs(count: int) -> list[Finding]:
    """Devices in different namespaces whose peers are down, each with its command."""
    return [
        finding._replace(
            device=finding.device and finding.device._replace(label=f"pod{i}"),
            fix=(f"ip netns exec pod{i} ip link set dev veth{i} up",),
        )
        for i, finding in enumerate(many(count, one("peer-down")))
    ]


def test_many_warnings_are_one_finding() -> None:
    said = screen(downs(14)).splitlines()
    assert said[:2] == [
        (
            "warning[peer-down] 14 devices: veth0 (pod0), veth1 (pod1), veth2 (pod2), "
            "veth3"
        ),
        "  (pod3), veth4 (pod4) and 9 more",
    ]
    assert said[2].startswith("  veth0 (pod0): ")
    (start,) = (i for i, line in enumerate(said) if "fix: " in line)
    command = "\n".join(said[start:]).strip()[len("fix: ") :]
    assert command.replace("\\\n       ", "") == combined(
        [text for f in downs(14) for text in f.fix]
    )
    # A few are not.
    assert screen(downs(3)).count("warning[peer-down] ") == 3
    assert screen(downs(3)).count("fix: ") == 3
    assert in_full(downs(14)).count("warning[peer-down] ") == 14


@pytest.mark.slow
def test_ten_thousand_warnings_are_a_few_lines() -> None:
    """A loop over so many names is no command to read."""
    said = screen(downs(10_000))
    assert "10,000 devices: veth0 (pod0), " in said
    assert said.count("ip netns exec pod") == 5
    assert said.endswith("  and 9,995 more: --rule peer-down")
    assert len(said.splitlines()) < 12
    assert_fits(said, PLAIN.width)


def test_commands_that_differ_are_not_combined() -> None:
    masks = [
        f._replace(fix=(f"sh -c 'echo {i}' /sys/class/net/veth{i}/queues",))
        for i, f in enumerate(many(7, one("rps-queue-off-by-one")))
    ]
    said = screen(masks)
    assert said.count("sh -c 'echo ") == 5
    assert said.endswith("     and 2 more: --rule rps-queue-off-by-one")


def test_notes_are_folded() -> None:
    found = many(14, one("xdp-native-queues"), one("mtu-frozen"))
    lines = noted(found, Style(120)).splitlines()
    assert lines[0].startswith(
        "note[xdp-native-queues] 14 devices: veth0 (4026531840), veth1 (4026531840), "
    )
    assert "note[mtu-frozen] 14 devices: " in "\n".join(lines)
    assert screen(found) == ""
    assert len(re.findall("^note", in_full(found), re.M)) == 28


def test_one_reason_is_one_line() -> None:
    """As where veth has no types: each of its members is missing for each device."""
    lost = [
        found(rule, snapshot)[0]
        for rule, snapshot in (
            ("xdp-tx-lost", CASES["xdp-tx-lost"].lost[0][0]),
            ("mtu-mismatch", CASES["mtu-mismatch"].lost[0][0]),
        )
    ]
    assert noted(many(50, *lost), Style(120)).splitlines() == [
        f"undecided: 100, such as veth0 (4026531840): peer_rq could not be read: {WHY}",
        "  in mtu-mismatch, xdp-tx-lost",
    ]
    reasons = [
        lost[0]._replace(evidence=(("rq", Unreadable(f"fault {i}")),), undecided="rq")
        for i in range(25)
    ]
    lines = noted(reasons).splitlines()
    assert len(lines) == 2 * 10 + 1
    assert lines[-1] == "undecided: 15 more; --rule RULE lists them"


def test_many_that_are_undecided_say_why() -> None:
    """What was compared is there, so that they are an entry of their rule."""
    lost = one("mtu-mismatch")._replace(
        severity="info",
        undecided="what veth_poll() does",
        evidence=(("a", 1), ("b", BAD)),
    )
    text = " ".join(noted(many(3, lost)).split())
    assert "; undecided: what veth_poll() does" in text
    assert "undecided" not in noted(many(3, lost._replace(undecided=None)))


def test_rules_that_one_reason_stops_are_named() -> None:
    """As many as one line takes."""
    lost = [one("mtu-mismatch")._replace(rule=rule) for rule in RULES_BY_ID]
    lost = [
        f._replace(evidence=(("rq", BAD),), undecided="rq", severity="info")
        for f in lost
    ]
    line = noted(lost, Style(120)).splitlines()[-1]
    names = line[len("  in ") :].split(" and ")[0].split(", ")
    assert names == sorted(RULES_BY_ID)[: len(names)]
    assert line.endswith(f" and {len(RULES_BY_ID) - len(names)} more")
    assert 80 < len(line) <= 120
    line = noted(lost[:3]).splitlines()[-1]
    assert line == f"  in {', '.join(sorted(f.rule for f in lost[:3]))}"


def test_undecided_are_counted_apart() -> None:
    fires = CASES["veth-poll-out-of-range"].fires
    unread = fires._replace(kernel=kernel(veth_poll=BAD))
    (poll,) = found("veth-poll-out-of-range", unread)
    held = found("no-peer", CASES["no-peer"].fires._replace(kernel=HELD))[0]
    all_of_them = [
        *(one("no-peer"), *many(2, one("mtu-mismatch")), one("mtu-frozen"), poll, held)
    ]
    assert severities(all_of_them) == ["1 error", "2 warnings", "1 note", "2 undecided"]
    # What they say is more than that something is missing.
    said = noted(all_of_them, Style(200))
    assert poll.summary[:40] in said
    assert "ip (812) holds rtnl_mutex" in said
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
    assert len(re.findall("^undecided: ", noted(findings), re.M)) == 1
    assert screen(findings) == ""


def test_screen_is_empty_without_findings() -> None:
    assert screen(()) == noted(()) == in_full(()) == ""


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_screen_fits_whatever_is_in_it(width: int) -> None:
    wild = "\x1b[7m\u202e\x07" * 2
    wide = "\N{HANGUL SYLLABLE HAN}" * 70
    finding = one("rps-queue-off-by-one")._replace(
        device=device(HOST, 3, wild).ref,
        summary=f"a {wild} b {wide}" * 9,
        undecided=wild,
        fix=("x x" * 200, f"echo {'y' * 300} '{wide}'"),
        fix_effect=f"does {wild} " * 9,
        undo=Undo(f"which {wild} " * 9, ("y y" * 200, wild, "z z" * 200)),
        then=Then(KernelAnswer("f", "EBUSY", wild * 9), f"a {wild} " * 9),
    )
    for encoding in ("utf-8", "ascii"):
        style = Style(width, encoding=encoding)
        for severity in ("error", "info"):
            some = [finding._replace(severity=severity)]
            for said in (screen, noted, in_full):
                assert_fits(said(some, style), width)
                assert_fits(said([*some] * 9, style), width)
                said(some, style).encode(encoding)


@pytest.mark.parametrize(
    "words",
    [
        ["echo"] + ["word"] * 60,
        ["sh", "-c", "echo  'two  blanks' " * 20],
        ["echo", "a b" * 60],
        ["echo", "ab" * 90, "a'b" * 60, "c\\" * 70],
    ],
    ids=["words", "script", "one", "long"],
)
@pytest.mark.parametrize("width", [60, 80])
def test_long_command_can_be_copied(words: list[str], width: int) -> None:
    finding = one("mtu-mismatch")._replace(fix=(shlex.join(words),))
    said = screen([finding], Style(width))
    assert_fits(said, width)
    copied = said[said.index("fix: ") + len("fix: ") :]
    done = subprocess.run(
        ["bash", "-c", f"set -- {copied}\nprintf '%s\\0' \"$@\""],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\0")[:-1] == words


def test_name_that_no_line_has_room_for_can_be_copied() -> None:
    """Each byte of it is an escape that printf undoes."""
    name = "\x1b'%\\" + "\xe9" * 5
    text = f"printf %s {shell_quote(name)}"
    said = screen([one("mtu-mismatch")._replace(fix=(text,))], Style(60))
    assert_fits(said, 60)
    copied = said[said.index("fix: ") + len("fix: ") :]
    done = subprocess.run(["sh", "-c", copied], capture_output=True, check=True)
    assert done.stdout.decode() == name


def test_a_leaked_namespace() -> None:
    """Who holds it and the way in; on the screen of each of its devices."""
    file, nobody = Holder("fd", 236, "holds fd", 7), Holder("fd")
    socket = Holder("socket", 238, "holds socket", 9)
    way, none = "way in: nsenter --net=/proc/236/fd/7", "way in: none; no open file"
    for holders, held_by, said in (
        ((file,), "pid 236 (holds fd), fd 7", way),
        ((socket, file), f"{_SOCKET}; pid 236 (holds fd), fd 7", way),
        ((socket,), _SOCKET, none),
        ((nobody,), f"a file that no process has open {_IN_FLIGHT}", none),
    ):
        whole = held(holders=holders, holder_count=len(holders))
        flight = device(POD, 2, "to_flight", kind=None)
        whole = whole._replace(devices=(*whole.devices, flight))
        found = diagnose(whole)
        assert said in noted(found)
        text = " ".join(devices_in_full([flight], whole, found).split())
        assert "note[netns-leaked] lo (" in text and said in text
        assert f"compared: held by {held_by} way in" in text
        assert f" held by: {held_by} to_flight" in text
        for width in WIDTHS:
            style = Style(width)
            assert_fits(devices_in_full([flight], whole, found, style), width)


_IN_FLIGHT = "(perhaps in flight in a Unix socket)"
_SOCKET = "pid 238 (holds socket), fd 9"


def _fixed(effect: str, name: str, label: str = "host") -> Finding:
    finding = one("xdp-peer-mtu")
    ref = finding.device and finding.device._replace(name=name, label=label)
    inum = HOST if label == "host" else int(label[3:])
    return finding._replace(
        device=ref and ref._replace(netns=inum), fix=(f"{name}",), fix_effect=effect
    )


def test_what_the_fixes_of_many_devices_do() -> None:
    """To all devices that their commands touch."""

    def said(*group: Finding) -> str:
        return " ".join(noted(group).split())

    both = "lowers the MTU of a and of b"
    assert "the fix lowers the MTU of a and b: fix:" in said(
        _fixed(both, "a"), _fixed(both, "b")
    )
    assert "the fix lowers the MTU of a, b, c and d: fix:" in said(
        _fixed(both, "a"), _fixed("lowers the MTU of c and of d", "c")
    )
    # A name alone is in the namespace of its finding.
    assert "the fix lowers the MTU of a (pod1), b (host) and a (pod2): fix:" in said(
        _fixed("lowers the MTU of a and of b (netns host)", "a", "pod1"),
        _fixed("lowers the MTU of a and of b (netns host)", "a", "pod2"),
    )
    number = 20
    many = [_fixed(f"lowers the MTU of v{i}", f"v{i}") for i in range(number)]
    assert "of v0, v1, v2, v3, v4, v5, v6, v7 and 12 more: fix:" in said(*many)
    others = [_fixed(f"removes {i}", f"v{i}") for i in range(number)]
    text = said(_fixed(both, "a")._replace(fix_effect=None), *others)
    assert "the fix for v0 (host) removes 0; for v1 (host) removes 1; " in text
    assert "; for 15 more: --rule xdp-peer-mtu: fix:" in text
