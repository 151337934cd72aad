# SPDX-License-Identifier: LGPL-2.1-or-later
"""The screens of xdp_attach.py: what they say once, and how wide they are."""

import re

from drgn_veth.analysis.attach.alike import Answered, answers_alike
from drgn_veth.analysis.attach.predictor import MODES, VIAS, Predictor
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Device, Snapshot, Task
from drgn_veth.render.attempts import Attempt, outcome, same_ways
from drgn_veth.render.attempts_device import blocked, one_device
from drgn_veth.render.attempts_table import all_devices
from drgn_veth.render.style import PLAIN, Style
from drgn_veth.render.width import width
import pytest

from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.slow import slow_but

BOTH = (False, True)
WIDTHS = pytest.mark.parametrize("columns", [60, 80, 120, 200])


def zoo() -> Snapshot:
    return recorded_core("6.12-zoo").snapshot


def named(name: str) -> Device:
    return next(device for device in zoo().devices if device.name == name)


def table(name: str, style: Style = PLAIN, modes: tuple[str, ...] = MODES) -> str:
    snapshot = recorded_core(name).snapshot
    predictor = Predictor(snapshot)
    return all_devices(
        answers_alike(predictor, snapshot.devices, "attach", modes, VIAS, BOTH), style
    )


def of_one(device: Device, style: Style = PLAIN, **kwargs: object) -> str:
    predictor = Predictor(zoo())
    answers = predictor.answers(device, "attach", MODES, VIAS, BOTH)
    attempts = [Attempt(device, *one) for one in answers]
    return one_device(attempts, style, **kwargs)  # type: ignore[arg-type]


@WIDTHS
@pytest.mark.parametrize("name", slow_but([EVERY_CORE[0], EVERY_CORE[-1]], EVERY_CORE))
def test_no_line_of_a_table_is_too_wide(name: str, columns: int) -> None:
    text = table(name, Style(columns))
    assert max(map(width, text.splitlines())) <= columns
    assert all(c.isprintable() or c == "\n" for c in text)
    assert not re.search(r" $", text, re.MULTILINE)
    for device in recorded_core(name).snapshot.devices[:60]:
        if (
            isinstance(device.name, str)
            and device.name.isascii()
            and " and " not in text
        ):
            assert device.name in text.replace("\\x", "")


@WIDTHS
def test_no_line_of_a_device_is_too_wide(columns: int) -> None:
    wide = "\N{HANGUL SYLLABLE HAN}" * 5
    odd = named("m3507b")._replace(name=wide, netns_label=wide * 6)
    for device in (*zoo().devices, odd):
        text = of_one(device, Style(columns), way_out=["ip link set dev x" * 6])
        assert max(map(width, text.splitlines())) <= columns
        assert all(c.isprintable() or c == "\n" for c in text)


def test_counts_are_those_of_the_predictor() -> None:
    snapshot = zoo()
    predictor = Predictor(snapshot)
    wanted: dict[tuple[str, str], set[int]] = {}
    for device in snapshot.devices:
        for _, mode, _, _, answer in predictor.answers(
            device, "attach", MODES, VIAS, BOTH
        ):
            key = mode, outcome(answer)
            wanted.setdefault(key, set()).add(device.net_device)
    head, *lines = table("6.12-zoo", Style(120)).split("\n\n")[1].splitlines()
    assert head.split() == ["answer", *MODES]
    told: dict[tuple[str, str], int] = {}
    for line in lines:
        *words, a, b, c, d = line.split()
        for mode, number in zip(MODES, (a, b, c, d)):
            if number != "-":
                told[mode, " ".join(words)] = int(number)
    assert told.pop(("default", "ERANGE, ok with fragments")) == 1
    assert told.pop(("driver", "ERANGE, ok with fragments")) == 1
    for mode in ("default", "driver"):
        assert len(wanted.pop((mode, "ERANGE"))) == 1
        told[mode, "ok"] += 1
    assert told == {key: len(devices) for key, devices in wanted.items()}


def test_what_all_get_is_said_once() -> None:
    """No column says the same in every row."""
    snapshot = zoo()
    predictor = Predictor(snapshot)
    some = [named(name) for name in ("q24a", "q24b", "q11b")]
    answered = list(answers_alike(predictor, some, "attach", MODES, VIAS, BOTH))
    text = all_devices(answered)
    assert "offload: EINVAL for all of them" in text
    assert "generic: ok for all of them" in text
    assert "default  driver  devices" in text
    assert "ENOSPC   ENOSPC  host: q24a q24b" in text
    assert text.count('ENOSPC   "veth: XDP expects number of rx queues') == 1
    one = all_devices(answered[:1])
    assert "for all of them" not in one
    assert "default  generic  driver  offload  devices" in one
    assert all_devices([], what="devices at all") == "no devices at all\n"


@pytest.mark.slow
def test_many_devices_are_a_page() -> None:
    """10,000 that are alike take a row, and some memory for their names."""
    device = named("q24a")
    answers = tuple(
        Answered(*one)
        for one in Predictor(zoo()).answers(device, "attach", MODES, VIAS, BOTH)
    )
    many = (
        (device._replace(name=f"veth{i}", netns_label=f"pod{i}"), answers)
        for i in range(10_000)
    )
    text = all_devices(many)
    assert text.startswith("10000 devices;")
    assert "veth0 (pod0), " in text and "and 9980 more" in text
    assert len(text.splitlines()) < 50


def test_unknown_is_told_apart() -> None:
    device = named("q24a")
    answer = Predictor(zoo()).attach(device, "driver")
    unknown = answer._replace(errno=Unreadable("gone"), because="gone")
    maybe = answer._replace(errno=None, either=(answer, answer._replace(errno=0)))
    driver = answer._replace(errno=None, either=())
    assert outcome(unknown) == "?"
    assert outcome(maybe) == "ENOSPC or ok"
    assert outcome(driver) == "up to the driver"
    rows = [
        (device, (Answered("attach", "driver", "netlink", False, one),))
        for one in (unknown, maybe, driver, answer)
    ]
    text = all_devices(rows)
    for word in ("?", "ENOSPC or ok", "up to the driver", "ENOSPC"):
        assert f"\n{word} " in text


def test_ways() -> None:
    every = [(via, frags) for via in VIAS for frags in BOTH]
    assert same_ways(every, every) == ""
    assert same_ways([("link", False), ("link", True)], every) == "by link"
    assert same_ways([("link", True), ("netlink", True)], every) == "with fragments"
    assert same_ways([("link", True)], every) == "by link with fragments"
    assert same_ways([("link", True)], [("link", False), ("link", True)]) == (
        "with fragments"
    )


def test_way_out_is_below_a_refusal_of_native_xdp() -> None:
    out = ["ip link set dev q24a xdpgeneric obj FILE"]
    text = of_one(named("q24a"), way_out=out)
    # Driver mode answers as no mode does, which is said once.
    assert text.count("generic mode would be accepted: xdpgeneric:\n") == 1
    assert text.count(f"$ {out[0]}\n") == 1
    assert "driver   as without a mode (default)\n" in text
    assert text.index("default  ENOSPC") < text.index("would be accepted")
    assert "would be accepted: xdpgeneric\n" in of_one(named("q24a"), way_out=())
    assert "would be accepted" not in of_one(named("q24a"))
    assert "would be accepted" not in of_one(named("q11b"), way_out=out)


def test_a_long_command_can_be_pasted() -> None:
    """Each line but the last ends with a backslash, as a shell wants it."""
    long = named("q24a")._replace(netns_label="cni-5c4c0c5e-8a7b-1111-2222-3333")
    out = [f"ip netns exec {'x' * 40} ip link set dev q24a xdpgeneric obj FILE"]
    lines = of_one(long, Style(80), way_out=out).splitlines()
    starts = [i for i, line in enumerate(lines) if line.lstrip().startswith("$ ")]
    texts = []
    for i in starts:
        text = lines[i].split("$ ", 1)[1]
        while text.endswith(" \\"):
            i += 1
            text = f"{text[:-1]}{lines[i].strip()}"
        texts.append(text)
    assert out[0] in texts and "ethtool -L q24b tx 2" in texts


def test_color_is_only_paint() -> None:
    for painted, plain in (
        (table("6.12-zoo", Style(80, True)), table("6.12-zoo")),
        (of_one(named("q24a"), Style(80, True)), of_one(named("q24a"))),
    ):
        assert "\x1b[31mE" in painted
        assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain


def test_who_blocks() -> None:
    assert blocked(None) == []
    (line,) = blocked(Task(7, "x" * 90), Style(60))
    assert "holds rtnl_mutex" in " ".join(line.split())
    assert max(map(len, line.splitlines())) <= 60
    (line,) = blocked(Unreadable("gone"))
    assert line.endswith("rtnl_mutex: gone\n")


def test_what_has_to_be_mended_in_which_order() -> None:
    """Where one refusal stands behind another, and only there."""
    text = of_one(named("veth_xxx0"))
    assert text.count("both have to be fixed, in this order:\n") == 1
    order, then = text.index("both have to be"), text.index("then ENOSPC")
    assert order < then
    assert "have to be fixed" not in of_one(named("q24b"))
    # Two slaves get the same answer.
    assert "both have to be fixed" in of_one(named("bond_zoo"))
    assert "the kernel's source says" in text


def test_a_detach_says_what_is_true_of_a_detach() -> None:
    predictor, device = Predictor(zoo()), named("veth_xxx0")
    answers = predictor.answers(device, "detach", ("generic",), ("netlink",), (False,))
    ((*_, answer),) = answers
    assert answer.errno == 0
    assert answer.because == "generic mode never refuses a detach"
