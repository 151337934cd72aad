# SPDX-License-Identifier: LGPL-2.1-or-later
"""Maps, AF_XDP sockets and programs of tc on the screens of devices."""

from drgn_veth.analysis.filters import Wanted, keep
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import (
    AfXdpSocket,
    Extension,
    Map,
    MapEntry,
    Snapshot,
    TcProgram,
    XskRing,
)
from drgn_veth.render.json import document
from drgn_veth.render.maps import Reached, socket, tc_program
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.xdp import programs

from tests.support.snapshots import HOST, PROGRAM, device, generic, snapshot

GONE = Unreadable("gone")
SOCKET = AfXdpSocket(
    *(2, "bound", False, XskRing(4, 4), None, XskRing(64, 0), XskRing(16, 3)),
    *(("rx",), 0, 7, 321, "dp\x1b"),
)
LOST = AfXdpSocket(*(GONE,) * 12)


def _whole() -> Snapshot:
    target = device(HOST, 9, "to")
    entries = (
        MapEntry(1, target.ref, 9, prog_id=77),
        MapEntry(GONE, GONE, GONE, GONE),
        *(MapEntry(i, target.ref, 9) for i in range(2, 64)),
    )
    maps = (
        Map(3, "devmap", "to\x1b", 4096, 100, entries),
        Map(4, "cpumap", "", 4, 1, (MapEntry(0, cpu=0, qsize=GONE),)),
        Map(5, "xskmap", "x", 4, GONE, (MapEntry(0, target.ref, 9, socket=SOCKET),)),
        Map(6, "xskmap", "lost", 4, GONE, GONE),
        Map(7, "devmap", "of another", 4, 0, ()),
    )
    program = PROGRAM._replace(
        maps=(3, 4, 5, 6),
        extensions=(Extension(8, "slot\x1b", "prog0"), Extension(GONE, GONE, GONE)),
    )
    carrier = device(
        *(HOST, 7, "veth0"),
        **generic(program),
        af_xdp=(SOCKET, LOST),
        tc=(TcProgram("tcx/ingress", 5, "cil"), TcProgram("clsact/egress", None, "")),
    )
    return snapshot(carrier, target, maps=maps, pairs=())


def test_lines() -> None:
    assert socket(SOCKET) == (
        "queue 2: dp\\x1b (pid 321), copies, RX ring full (4 of 4), fill ring empty (0 "
        "of 64), completion ring 3 of 16, need_wakeup rx, rx_ring_full 7"
    )
    assert socket(LOST).startswith("queue ?: ? (pid ?), ?, zero copy ?")
    assert tc_program(TcProgram("tcx/egress", 5, "cil")) == "tcx/egress cil#5"
    assert tc_program(TcProgram("clsact/egress", None, "")).endswith("classic BPF")


def test_maps_are_cut() -> None:
    whole = _whole()
    program = whole.devices[0].xdp.generic
    lines = Reached(whole).maps(program, 2)  # type: ignore[arg-type]
    assert lines == [
        *(
            "devmap to\\x1b#3, 100 of 4096 entries",
            "[1] to (4026531840), program #77",
        ),
        *("[?] ?, program #?", "and 98 more"),
        *("cpumap #4, 1 of 4 entries", "[0] CPU 0, qsize ?"),
        "xskmap x#5, ? of 4 entries",
        "[0] AF_XDP to (4026531840) queue 2, dp\\x1b (pid 321)",
        "xskmap lost#6: ?",
    ]


def test_screens() -> None:
    whole = _whole()
    for text in (
        programs(whole.devices, whole),
        devices_in_full(whole.devices, whole, ()),
    ):
        words = " ".join(text.split())
        for said in ("prog0 is slot\\x1b#8", "? is ?#?", "100 of 4096", "fill ring"):
            assert said in words
        assert text.replace("\n", "").isprintable()
    lost = PROGRAM._replace(maps=GONE, extensions=GONE)
    one = device(HOST, 7, "veth0", **generic(lost), af_xdp=GONE, tc=GONE)
    text = programs([one], snapshot(one))
    assert "maps ?" in text and "programs in it ?" in text and "AF_XDP ?" in text


def test_json() -> None:
    whole = _whole()
    told = document(whole)
    assert [one["id"] for one in told["maps"]] == [3, 4, 5, 6, 7]
    first, lost = told["maps"][0]["entries"][:2]
    assert set(first) == {"key", "device", "ifindex", "prog_id"}
    assert lost["key"] == {"unreadable": "gone"}
    assert any(one["what"] == "maps[0].entries[1].key" for one in told["unreadable"])
    assert told["devices"][0]["tc"][1]["id"] is None
    assert "af_xdp" not in told["devices"][1]


def test_a_filter_keeps_the_maps_of_its_devices() -> None:
    whole = _whole()
    assert [one.id for one in keep(whole, Wanted(names=["veth0"])).maps] == [3, 4, 5, 6]
    kept = keep(whole, Wanted(names=["to"]))
    assert kept.maps == ()
    assert "maps" not in document(kept)
