# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values that could not be read, thresholds of screens, and what a page says."""

from collections.abc import Sequence
import errno
from typing import Any

from drgn_veth.analysis.attach.alike import Answered
from drgn_veth.analysis.attach.question import Answer
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.explain.check import Check
from drgn_veth.analysis.explain.checks import CHECKS
from drgn_veth.analysis.explain.met import Met, Undecided
from drgn_veth.analysis.explain.topics import find_topic
from drgn_veth.analysis.rules.finding import INFO, WARNING, Finding
from drgn_veth.model import Device, Map, MapEntry, RpsQueue, Snapshot, Task, Xdp
from drgn_veth.render.attempts_table import all_devices
from drgn_veth.render.explain import Here, topic
from drgn_veth.render.maps import socket
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.picture import page
from drgn_veth.render.picture.tables import findings_list
from drgn_veth.render.style import Style
import pytest

from tests.support.pictures import Page
from tests.support.rules.xdp_reach import SOCKET
from tests.support.screens import pairs_screen
from tests.support.snapshots import (
    BAD,
    HOST,
    KERNEL,
    PROGRAM,
    STORY,
    WHY,
    device,
    generic,
    native,
    pair,
    queues,
    rps,
    rqs,
    xps,
)

WIDE = Style(200)

# The screen of a device


def _facts(**changes: Any) -> dict[str, str]:
    """What is in the table of a device alone, by the name of the line."""
    maps = changes.pop("maps", ())
    one = device(HOST, 9, "ens1", kind=None, **changes)
    whole = Snapshot(pair().target, pair().namespaces, (one,), (), maps=maps)
    lines = devices_in_full([one], whole, (), WIDE).splitlines()
    found = {line[:12].strip(): line[12:] for line in lines if line[:12].strip()}
    # More lines of one name are joined.
    name = ""
    for line in lines:
        name = line[:12].strip() or name
        if not line[:12].strip() and name in found and line.strip():
            found[name] += f" | {line.strip()}"
    return found


def test_what_of_a_device_could_not_be_read() -> None:
    lost = _facts(af_xdp=BAD, tc=BAD, rps=BAD, xps=BAD)
    assert {name: lost[name] for name in ("AF_XDP", "tc", "RPS", "RFS", "XPS")} == {
        "AF_XDP": "?", "tc": "?", "RPS": "?", "RFS": "?", "XPS": "?",
    }  # fmt: skip
    lost = _facts(**rps((1, 2), BAD, ()), **xps((1,), BAD))
    assert lost["RPS"].split(" | ") == ["rx0: 1-2", "rx1: ?"]
    lost = _facts(rps=(RpsQueue(0, (), 64), RpsQueue(1, (), BAD), RpsQueue(2, (), 0)))
    assert lost["RFS"].split(" | ") == ["rx0: 64 flows", "rx1: ? flows"]


def test_queues_that_have_programs() -> None:
    (ready, *_) = rqs(True, prog=7)
    for queue, said in (
        (ready, "NAPI, program 7"),
        (ready._replace(prog_id=None), "NAPI"),
        (ready._replace(napi=False, prog_id=BAD), "program ?"),
        (ready._replace(napi=BAD), "?, program 7"),
        (ready._replace(tx_errors=3), "NAPI, program 7, 3 xdp_tx_err"),
        (ready._replace(tx_errors=BAD), "NAPI, program 7"),
    ):
        found = _facts(xdp=Xdp(None, None, None, (queue,)))
        assert found["veth queues"].strip() == said


def test_how_many_masks_are_shown() -> None:
    for number, cut in ((32, False), (33, True)):
        masks = _facts(**queues(number, 1), **rps(*[(i,) for i in range(number)]))
        lines = masks["RPS"].split(" | ")
        assert len(lines) == 32 + cut and (lines[-1] == "...") == cut


def test_a_socket_in_a_map_could_not_be_read() -> None:
    """It is not shown as if none was there."""
    target = device(HOST, 9, "ens1").ref
    entries = (MapEntry(0, target, socket=SOCKET), MapEntry(1, target, socket=BAD))
    maps = (Map(4, "xskmap", "to", 64, 2, entries),)
    program = PROGRAM._replace(maps=(4,))
    said = " ".join(_facts(**generic(program), maps=maps).values())
    assert "AF_XDP ?" in said and said.count("AF_XDP ?") == 1


def test_what_a_socket_has_lost() -> None:
    plain = SOCKET._replace(rx_dropped=0, rx_ring_full=0)
    for changes, said in (
        ({}, []),
        ({"rx_dropped": 1}, ["rx_dropped 1"]),
        ({"rx_dropped": BAD}, ["rx_dropped ?"]),
        ({"rx_ring_full": 1}, ["rx_ring_full 1"]),
        ({"rx_ring_full": BAD}, ["rx_ring_full ?"]),
    ):
        parts = socket(plain._replace(**changes)).split(", ")
        assert [one for one in parts if one.startswith("rx_")] == said


# The table of pairs


@pytest.mark.parametrize(
    ("columns", "header"),
    [
        (60, "DEVICE (NETNS) STATE MTU RX/TX XDP, RPS NATIVE XDP"),
        (75, "DEVICE (NETNS) STATE MTU RX/TX XDP, RPS NATIVE XDP"),
        (76, "NETNS DEVICE STATE MTU RX/TX XDP, RPS NATIVE XDP"),
        (99, "NETNS DEVICE STATE MTU RX/TX XDP, RPS NATIVE XDP"),
        (100, "NETNS DEVICE STATE MTU RX/TX XDP RPS NATIVE XDP"),
    ],
)
def test_columns_of_a_width(columns: int, header: str) -> None:
    headers = [
        " ".join(line.split())
        for line in pairs_screen(STORY, Style(columns)).splitlines()
    ]
    assert header in headers


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_marks_are_painted(columns: int) -> None:
    """That of an end with a warning, and no other."""
    whole = pair(
        {**queues(4, 1), **native(*[True] * 4)},
        {**queues(1, 1, 1, 2), **native(), "name": "Warm"},
    )
    (mark, other) = (
        line
        for line in pairs_screen(whole, Style(columns, True)).splitlines()
        if ("veth0" in line or "Warm" in line) and "driver p#7" in line
    )
    assert mark.startswith("\x1b[33;1mW\x1b[0m ") and "\x1b" not in other


# What would be answered, for many devices


def _answered(number: int, **changes: Any) -> list[tuple[Device, Sequence[Answered]]]:
    refused = Answer(errno.EINVAL, None, "f", "")
    same = (Answered("attach", "driver", "netlink", False, refused),)
    return [
        (device(HOST, i, f"d{i}", netns_label="host")._replace(**changes), same)
        for i in range(1, number + 1)
    ]


@pytest.mark.parametrize(
    ("number", "named", "more"), [(100, 100, None), (101, 20, "and 81 more")]
)
def test_how_many_devices_are_named(number: int, named: int, more: Any) -> None:
    words = all_devices(_answered(number), WIDE).split()
    assert sum(f"d{i}" in words for i in range(1, number + 1)) == named
    text = " ".join(words)
    assert f"{number} devices; how many get each answer:" in text
    assert (" more" in text) == (more is not None) and (more or "") in text


def test_devices_without_a_name_are_told_by_their_number() -> None:
    text = all_devices(_answered(1, name=BAD), WIDE).replace("\xa0", " ")
    assert "? 1 (host)" in text or "host: ? 1" in text


def test_refusals_come_first() -> None:
    """Then what is not known, then what is accepted."""
    unread = Answer(BAD, None, None, WHY)
    answers = [Answer(0, None, None, ""), unread, Answer(errno.ENOSPC, None, "f", "")]
    answers.append(Answer(errno.EBUSY, None, "f", ""))
    answered = [
        (one, (same[0]._replace(answer=answer),))
        for (one, same), answer in zip(_answered(4), answers)
    ]
    lines = all_devices(answered, WIDE).splitlines()
    (begin,) = (i for i, line in enumerate(lines) if line.startswith("answer"))
    words = [line.split()[0] for line in lines[begin + 1 : begin + 5]]
    assert words[:2] == ["EBUSY", "ENOSPC"] and words[3] == "ok"


# Explanations


def _here(*met: Met, findings: Sequence[Finding] = ()) -> Here:
    return Here("6.1.0", KERNEL, met, Undecided({}, 0), findings)


def _explained(what: str, here: Here) -> str:
    text = topic(find_topic(what), WIDE, here)
    return " ".join(text.replace("\xa0", " ").split())


def _check(key: str) -> Check:
    return next(one for one in CHECKS if one.key == key)


def _met(name: str, **changes: Any) -> Met:
    one = device(HOST, 9, name, netns_label="host")
    modes = ("default", "driver")
    met = Met(one, _check("veth-queues"), "b", modes, ("netlink", "link"), (), (), None)
    return met._replace(**changes)


def test_how_a_check_is_met() -> None:
    for changes, said in (
        ({}, "va (host): default, driver b"),
        ({"vias": ("link",)}, "va (host): default, driver by link b"),
        ({"frags": (True,)}, "va (host): default, driver with fragments b"),
        ({"frags": (False,)}, "va (host): default, driver without fragments b"),
        ({"frags": (False, True)}, "va (host): default, driver b"),
    ):
        assert said in _explained("ENOSPC", _here(_met("va", **changes)))


def test_how_many_devices_meet_a_check() -> None:
    one, other = _met("va"), _met("vb")
    assert "none here meets it now" in _explained("ENOSPC", _here())
    assert "1 device here meets it now" in _explained("ENOSPC", _here(one))
    assert "2 devices here meet it now" in _explained("ENOSPC", _here(one, other))
    hw = one._replace(modes=("offload",))
    said = "2 devices here meet it now, for offload"
    assert said in _explained("ENOSPC", _here(hw, other._replace(modes=hw.modes)))
    assert "it now, for offload" not in _explained("ENOSPC", _here(hw, other))
    later = one._replace(after=("EEXIST",))
    said = _explained("ENOSPC", _here(later))
    assert "none here meets it now 1 device is refused earlier and would meet" in said
    said = _explained("ENOSPC", _here(later, other._replace(after=("EEXIST",))))
    assert "2 devices are refused earlier and would meet it next" in said


def test_what_a_rule_finds_here() -> None:
    whole = pair({"mtu": 9000})
    sure = [one for one in diagnose(whole) if one.rule == "xdp-peer-mtu"]
    unsure = [one._replace(undecided=WHY) for one in sure]
    assert len(sure) == 1
    for found, said, cannot in (
        ((), "On 6.1.0, this rule finds no device here.", False),
        (sure, "this rule finds 1 device: ", False),
        (unsure, "finds no device here. It cannot decide on 1 device: ", True),
    ):
        text = _explained("xdp-peer-mtu", _here(findings=found))
        assert said in text
        assert ("It cannot decide" in text) == cannot
        assert ("--rule xdp-peer-mtu" in text) == bool(found)


# The page


def _page(whole: Snapshot) -> str:
    return " ".join(Page(page.render(whole, diagnose(whole), ())).text)


def test_what_the_head_of_a_page_says() -> None:
    whole = pair()
    text = _page(whole)
    assert "could not be read" not in text and "rtnl_mutex" not in text
    assert "None" not in text
    named = whole.target._replace(path="/var/crash/vmcore")
    assert "/var/crash/vmcore (kdump)" in _page(whole._replace(target=named))
    text = _page(pair({"mtu": BAD}))
    assert "1 value could not be read" in text and WHY in text
    held = whole.target._replace(rtnl_owner=Task(812, "ip"))
    assert "rtnl_mutex is held by ip (pid 812)" in _page(whole._replace(target=held))
    lost = whole.target._replace(online_cpus=BAD)
    assert "4 CPUs, ? online" in _page(whole._replace(target=lost))


def _list(*findings: Finding) -> str:
    return " ".join(" ".join(Page(findings_list(findings, {})).text).split())


def test_findings_of_a_page() -> None:
    """Notes do not make one say that there are errors or warnings."""
    (finding, *_) = diagnose(pair({"mtu": 9000}))
    plain = finding._replace(
        severity=WARNING, undecided=None, fix=(), fix_effect=None, undo=None, then=None
    )
    none = "No errors and no warnings."
    assert none in _list() and none in _list(plain._replace(severity=INFO))
    assert none in _list(plain._replace(undecided=WHY))
    text = _list(plain)
    assert none not in text and plain.summary in text
    for sign in ("undecided:", "to fix it:", "to undo it", "would then fail"):
        assert sign not in text
    assert f"undecided: {WHY}" in _list(plain._replace(undecided=WHY))
    assert "to fix it: true" in _list(plain._replace(fix=("true",)))
    text = _list(plain._replace(fix=("true",), fix_effect="sets x"))
    assert "this sets x: true" in text and "to fix it" not in text


def test_whom_a_finding_is_about() -> None:
    (finding, *_) = diagnose(pair({"mtu": 9000}))
    assert finding.device is not None
    text = _list(finding)
    assert "the kernel" not in text and str(finding.device.name) in text
    assert f"the kernel {finding.rule}" in _list(finding._replace(device=None))


def test_what_is_refused_after_a_fix() -> None:
    """The next refusal, with its message if there is one."""
    findings = [one for one in diagnose(STORY) if one.then is not None]
    (finding, *_) = findings
    assert finding.then is not None
    answer = finding.then.answer
    text = _list(finding)
    said = f"a native attach would then fail with {answer.errno}"
    assert f'{said} "{answer.message}": {finding.then.because}' in text
    silent = finding.then._replace(answer=answer._replace(message=None))
    text = _list(finding._replace(then=silent))
    assert f"{said}: {finding.then.because}" in text
