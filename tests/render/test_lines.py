# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lines of screens: when each is there, and how much is in it."""

from typing import Any

from drgn_veth.analysis.attach.below import Below
from drgn_veth.analysis.attach.question import Answer
from drgn_veth.analysis.netns_names import FilterError
from drgn_veth.analysis.shell_loop import combined
from drgn_veth.analysis.shown import all_of, few
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import (
    Holder,
    Map,
    MapEntry,
    Namespace,
    Netkit,
    PacketInFlight,
    QueueInFlight,
    Snapshot,
    XdpLink,
)
from drgn_veth.render import findings as render_findings
from drgn_veth.render import words
from drgn_veth.render.attempts import Attempt
from drgn_veth.render.attempts_device import one_device as attempts_of
from drgn_veth.render.head import legend, target
from drgn_veth.render.in_flight import in_flight
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.report import of_rules
from drgn_veth.render.style import Style
from drgn_veth.render.tree import tree
from drgn_veth.render.xdp import carries_xdp, programs
import pytest

from tests.support.rules import one
from tests.support.rules.xdp_reach import SOCKET
from tests.support.snapshots import (
    BAD,
    DOWN,
    HOST,
    LINKED,
    NO_XDP,
    POD,
    PROGRAM,
    TARGET,
    device,
    generic,
    pair,
    rps,
    snapshot,
)

WIDE = Style(200)


# The head


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "4 CPUs"),
        ({"possible_cpus": 1, "online_cpus": (0,)}, "1 CPU"),
        ({"online_cpus": (0, 1, 3)}, "4 CPUs, 3 online (0-1,3)"),
        ({"online_cpus": BAD}, "4 CPUs"),
        ({"possible_cpus": BAD, "online_cpus": (0, 1)}, "? CPUs, 2 online (0-1)"),
        ({"isolated_cpus": (3,)}, "4 CPUs, 1 isolated (3)"),
        ({"isolated_cpus": BAD}, "4 CPUs"),
    ],
)
def test_cpus(changes: Any, said: str) -> None:
    text = "  ".join(target(pair(target=TARGET._replace(**changes)), WIDE))
    assert said in [part.strip() for part in text.split("  ")]


def _namespaces(count: int) -> Snapshot:
    spaces = tuple(Namespace(i, i == 0, 1, label=f"n{i:03}") for i in range(count))
    return snapshot()._replace(namespaces=spaces)


@pytest.mark.parametrize(("columns", "number"), [(1000, 60), (1000, 61), (80, 200)])
def test_namespaces_below_a_table(columns: int, number: int) -> None:
    """Sixty, if four lines have room for them; of the others, how many there are."""
    whole = _namespaces(number)
    lines = legend(whole, all_of(whole), Style(columns))
    text = " ".join(lines)
    there = [one for one in whole.namespaces if f"{one.label} " in f"{text} "]
    left = number - len(there)
    assert ("more" in text) == (left > 0)
    if left:
        assert f"and {left} more" in text
    assert len([line for line in lines if "n0" in line]) <= 4
    assert len(there) == (60 if columns == 1000 else len(there)) > 0
    assert there == list(whole.namespaces[: len(there)])


# A tree, and devices


def test_a_tree_tells_what_is_not_as_usual() -> None:
    plain = tree(pair())[1]
    assert plain.endswith("veth0 <-> eth0 (pod1)")
    for changes, said in (
        ({"flags": DOWN, "operstate": "DOWN"}, " DOWN"),
        (rps((0, 1)), " RPS 0-1"),
        ({"off_list": "netns is dying"}, " (netns is dying)"),
        (generic(), " XDP generic p#7"),
    ):
        assert tree(pair(changes))[1] == f"{plain}{said}"
    assert tree(pair({"peer": BAD}))[1].endswith("veth0 (veth) <-> ?")


def test_a_peer_that_is_nowhere() -> None:
    whole = pair()
    (first, _) = whole.devices
    alone = whole._replace(devices=(first,))
    text = devices_in_full([first], alone, ())
    assert "\npeer eth0 (pod1) was not found\n" in text
    assert "was not found" not in devices_in_full([first], whole, ())
    lost = first._replace(peer=BAD)
    text = devices_in_full([lost], whole._replace(devices=(lost,)), ())
    assert f"\npeer could not be read: {BAD.reason}\n" in text


def test_which_mode_no_mode_means() -> None:
    for bpf, said in (
        (True, "default    as driver: its driver has ndo_bpf"),
        (False, "default    as generic: its driver has no ndo_bpf"),
    ):
        (first, *_) = pair().devices
        first = first._replace(driver=first.driver._replace(ndo_bpf=bpf))
        whole = pair({"driver": first.driver})
        text = devices_in_full([whole.devices[0]], whole, ())
        assert (
            said.split()
            == next(
                line for line in text.splitlines() if line.startswith("default ")
            ).split()
        )


def test_an_end_of_a_netkit() -> None:
    for primary, said in (
        (True, "l2 forward primary"),
        (False, "l2 forward peer"),
        (BAD, "l2 forward ?"),
    ):
        end = device(HOST, 5, "nk0", netkit=Netkit("l2", "forward", primary))
        assert words.netkit(end) == said


def test_how_a_device_is_called() -> None:
    """With its number where the name alone does not tell which."""
    ref = device(POD, 5, "eth0", netns_label="pod1").ref
    assert words.reference(ref) == "eth0 (pod1)"
    for near, said in (
        ({"name": BAD}, "? (pod1, ifindex 5)"),
        ({"name": ""}, " (pod1, ifindex 5)"),
        ({"off_list": "unregistered"}, "eth0 (pod1, ifindex 5)"),
        ({"name": BAD, "ifindex": BAD}, "? (pod1, ifindex ?)"),
    ):
        assert words.reference(ref._replace(**near)) == said


def test_devices_in_full_are_few() -> None:
    for number in (12, 13, 14):
        devices = [
            device(HOST, i + 1, f"d{i}", matched=True, netns_label="host")
            for i in range(number)
        ]
        devices[0] = devices[0]._replace(netns_label="")
        whole = snapshot(*devices)
        if number == 12:
            assert list(few(whole, ["d*"])) == devices
            continue
        with pytest.raises(FilterError) as raised:
            few(whole, ["d*", "e*"])
        said = str(raised.value)
        assert said.startswith(
            f"{number} devices match d* or e*: d0 ({HOST}), d1 (host)"
        )
        assert f"d11 (host) and {number - 12} more; at most 12 are shown" in said
        assert "d12" not in said
    lost = [one._replace(netns=BAD, netns_label="") for one in devices]
    with pytest.raises(FilterError, match=r"d0 \(\?\), d1 \(\?\)"):
        few(snapshot(*lost), ["d*"])


# XDP


def test_a_device_that_carries_xdp() -> None:
    plain = device(HOST, 5, "veth0", xdp=NO_XDP, af_xdp=())
    assert not carries_xdp(plain)
    for changes in (
        {"xdp": NO_XDP._replace(generic=PROGRAM)},
        {"xdp": NO_XDP._replace(offload=BAD)},
        {"af_xdp": BAD},
        {"af_xdp": (SOCKET,)},
    ):
        assert carries_xdp(plain._replace(**changes))
    text = programs([plain], snapshot(plain))
    assert text.splitlines()[1:] == ["  no XDP program"]
    text = programs([plain._replace(**generic())], snapshot(plain))
    assert "no XDP program" not in text


def test_a_socket_of_a_map_could_not_be_read() -> None:
    carrier = device(HOST, 7, "veth0", **generic(PROGRAM._replace(maps=(5,))))
    for socket, said in ((BAD, "[0] AF_XDP ?"), (None, f"[0] veth0 ({HOST})")):
        entry = MapEntry(0, carrier.ref, socket=socket)
        whole = snapshot(carrier, maps=(Map(5, "xskmap", "x", 4, 1, (entry,)),))
        assert said in programs([carrier], whole)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "held by nothing"),
        ({"pins": ("/sys/fs/bpf/a", "/b")}, "pinned at /sys/fs/bpf/a, pinned at /b"),
        ({"pins": BAD}, "pins that could not be read"),
        ({"holders": BAD}, "references that could not be read"),
        ({"holders": 1}, "open in 1 file"),
        ({"holders": 2, "tasks": BAD}, "open in 2 files"),
        ({"holders": 1, "tasks": ()}, "open in 1 file"),
        ({"holders": 1, "tasks": (Holder("kernel"),)}, "open in kernel"),
        ({"holders": 1, "tasks": (Holder("fd", 7, "p"),)}, "open in p (pid 7)"),
        (
            {"holders": 1, "tasks": (Holder("fd", BAD, "p", 3),)},
            "open in p (pid ?) as fd 3",
        ),
        (
            {"pins": ("/b",), "holders": 1, "tasks": (Holder("fd", 7, "p", 0),)},
            "pinned at /b, open in p (pid 7) as fd 0",
        ),
    ],
)
def test_what_holds_a_link(changes: Any, said: str) -> None:
    carrier = device(HOST, 7, "veth0", **generic(LINKED))
    link = XdpLink(3, carrier.ref, (), 0)._replace(**changes)
    text = programs([carrier], snapshot(carrier, links=(link,)), WIDE)
    assert f"by link 3: {said}\n" in f"{text}\n"


# Packets in flight


def test_packets_in_flight() -> None:
    """Those that are not listed have a sign; so has what kind they are."""
    frame, skb = PacketInFlight("xdp_frame", None, 80), PacketInFlight("skb", None, 46)
    for length, packets, said in (
        (2, (frame, frame), "2 x 80 XDP"),
        (3, (frame, frame), "2 x 80 XDP, ..."),
        (BAD, (frame,), "80 XDP"),
        (2, (frame, skb._replace(protocol="0x0800")), "80 XDP, 46 IPv4"),
        (1, (skb._replace(protocol="0x9999"),), "46 0x9999"),
        (1, (skb._replace(protocol=BAD),), "46 ?"),
        # Whatever a frame has as its protocol.
        (1, (frame._replace(protocol="0x0800"),), "80 XDP"),
    ):
        queue = QueueInFlight("backlog", length, 0, 0, packets, cpu=3)
        row = in_flight([queue], WIDE)[1]
        assert row.rstrip().endswith(f" {said}"), row
        assert ("..." in row) == ("..." in said)


# Findings


def test_rules_that_find_nothing() -> None:
    whole = pair()
    assert of_rules(whole, whole, ()).endswith("\n\nthese rules find nothing\n")
    found = [one("peer-down")]
    assert "these rules find nothing" not in of_rules(whole, whole, found)


def _downs(count: int, length: int = 0) -> list[Any]:
    # So many findings; the command of the last is longer.
    return [
        one("peer-down")._replace(
            device=device(HOST, i, f"veth{i}").ref,
            fix=(f"ip link set dev veth{i}{'x' * length * (i == count - 1)} up",),
        )
        for i in range(count)
    ]


def test_findings_of_a_rule_that_stand_apart() -> None:
    """Three do; four are one entry."""
    for number, entries in ((1, 1), (3, 3), (4, 1)):
        text = "\n".join(render_findings.findings(_downs(number), WIDE))
        assert text.count("warning[peer-down]") == entries
        assert ("4 devices: " in text) == (number == 4)


def test_names_of_findings() -> None:
    for number, more in ((5, None), (6, "and 1 more"), (7, "and 2 more")):
        first = render_findings.findings(_downs(number), WIDE)[0]
        names = ", ".join(f"veth{i} ({HOST})" for i in range(5))
        assert first.endswith(f"{names} {more}" if more else names)


def test_a_command_for_many_is_no_longer_than_that() -> None:
    """Up to 1,000 letters; beyond, five commands stand for all."""

    def command(length: int) -> str:
        found = _downs(20, length)
        text = combined([fix for one in found for fix in one.fix])
        assert text is not None
        return text

    rest = 1000 - len(command(0))
    assert rest > 0
    for length in (rest, rest + 1):
        assert len(command(length)) == 1000 + length - rest
        lines = render_findings.findings(_downs(20, length), Style(2000))
        text = "\n".join(lines)
        many = length > rest
        assert ("and 15 more: --rule peer-down" in text) == many
        assert text.count("ip link set dev") == (5 if many else 1)


@pytest.mark.parametrize("number", [9, 10, 11])
def test_reasons_of_what_is_undecided(number: int) -> None:
    lost = [
        one("mtu-mismatch")._replace(
            severity="info",
            evidence=(("rq", Unreadable(f"fault {i}")),),
            undecided=f"rq {i}",
        )
        for i in range(number)
    ]
    lines = render_findings.notes(lost, WIDE)
    assert sum(line.startswith("undecided: ") for line in lines) == number
    more = "undecided: 1 more; --rule RULE lists them"
    assert (lines[-1] == more) == (number == 11)


# Answers


def _answer(errno: Any, message: Any = None, **changes: Any) -> Answer:
    return Answer(errno, message, "f", "why")._replace(**changes)


def _said(answer: Answer, **changes: Any) -> list[str]:
    (first, *_) = pair().devices
    attempt = Attempt(first, "attach", "driver", "netlink", False, answer)
    attempt = attempt._replace(**changes)
    return attempts_of([attempt], WIDE).splitlines()


def test_messages_of_answers() -> None:
    """User space sees one by netlink alone."""
    refused = _answer(22, "veth: no")
    with_none, others = (refused, _answer(22)), (refused, _answer(22, "other"))
    said = "\n".join(_said(refused))
    assert '"veth: no"' in said and "no message by a link" not in said
    said = "\n".join(_said(refused, via="link"))
    assert 'no message by a link; the kernel\'s source says "veth: no"' in said
    for either, none in ((with_none, True), (others, False), ((), False)):
        said = "\n".join(_said(refused._replace(either=either)))
        assert '"veth: no"' in said and ("or no message" in said) == none


def test_what_an_answer_depends_on() -> None:
    """Each error is explained; for the same error, only the message differs."""
    either = (_answer(22), _answer(0))
    text = "\n".join(_said(Answer(None, None, None, "code", (), either)))
    assert "EINVAL if f(): why" in text and "ok if f(): why" in text
    assert " if f()" not in "\n".join(_said(_answer(22, either=either)))


def test_devices_below_a_refusal() -> None:
    (first, second) = pair().devices
    below = (Below(second, _answer(22)),)
    text = "\n".join(_said(_answer(95), below=below))
    assert "eth0 (pod1) below it: EINVAL" in text
    # What is accepted needs no reason.
    fine = (Below(second, _answer(0)),)
    text = "\n".join(_said(_answer(95), below=fine))
    assert "eth0 (pod1) below it: ok" in text and text.count("f(): why") == 1
    text = "\n".join(_said(_answer(95), below=(*below, *fine, *fine)))
    assert "the 3 devices below it: 1 EINVAL, 2 ok" in text
    # It matters only if the device itself refuses.
    assert "below it" not in "\n".join(_said(_answer(0), below=below))
