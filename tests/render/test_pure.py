# SPDX-License-Identifier: LGPL-2.1-or-later
"""What needs no kernel: walks, filters, renderers, files."""

import csv as csv_module
import io
import json
from pathlib import Path
import struct

from drgn_veth.analysis.filters import (
    FilterError,
    find_all_netns,
    find_netns,
    keep,
    named,
)
from drgn_veth.core.english import number_list
from drgn_veth.core.errors import WalkError
from drgn_veth.core.unreadable import Maybe
from drgn_veth.dump.kdump import missing_from_kdump
from drgn_veth.model import (
    DeviceRef,
    Namespace,
    QueueCount,
    Queues,
    RpsQueue,
    Snapshot,
    Xdp,
    XdpProgram,
    unreadable_in,
)
from drgn_veth.readers.bounded import bounded_list
from drgn_veth.readers.netdev import (
    LinkState,
    flags_from,
    netdev_flag_names,
    operstate_from,
)
from drgn_veth.readers.queues import checked_count
from drgn_veth.render import csv, table, words
from drgn_veth.render import json as render_json
from drgn_veth.render.escape import for_terminal
import pytest

from tests.support.snapshots import BAD, HOST, POD, device, snapshot

# Walks: lists of nodes in a dict, {node: (next, prev)}


def walked(
    nodes: dict[int, tuple[Maybe[int], Maybe[int]]], limit: int = 100
) -> tuple[list[int], str]:
    head = 1

    def read(pos: int) -> tuple[Maybe[int], Maybe[int], int]:
        following, previous = nodes.get(pos, (BAD, BAD))
        return following, previous, pos

    found = []
    try:
        for node in bounded_list(head, *nodes[head], read, limit):
            found.append(node)
    except WalkError as e:
        return found, str(e)
    return found, ""


def ring(count: int) -> dict[int, tuple[Maybe[int], Maybe[int]]]:
    nodes = list(range(1, count + 2))
    return {
        node: (nodes[(i + 1) % len(nodes)], nodes[i - 1])
        for i, node in enumerate(nodes)
    }


def test_walk_whole() -> None:
    assert walked(ring(0)) == ([], "")
    assert walked(ring(3)) == ([2, 3, 4], "")


def test_walk_reaches_the_rest_from_the_other_end() -> None:
    nodes = ring(6)
    del nodes[4]
    found, error = walked(nodes)
    assert sorted(found) == [2, 3, 4, 5, 6, 7]  # 4: both its neighbours name it
    assert error == BAD.reason


def test_walk_with_two_breaks() -> None:
    nodes = ring(6)
    del nodes[3], nodes[6]
    found, error = walked(nodes)
    assert sorted(found) == [2, 7]
    assert error == BAD.reason


def test_walk_in_a_circle() -> None:
    nodes = ring(6)
    nodes[5] = (3, 4)
    found, error = walked(nodes)
    assert sorted(found) == [2, 3, 4, 5, 6, 7]
    assert "loops" in error


def test_walk_limit() -> None:
    found, error = walked(ring(50), limit=10)
    assert len(found) == 10
    assert "gave up" in error


def test_walk_without_a_beginning() -> None:
    nodes = ring(3)
    nodes[1] = (BAD, 4)
    found, error = walked(nodes)
    assert found == [4, 3, 2]
    assert error == BAD.reason
    nodes[1] = (0, 0)
    assert walked(nodes) == ([], "a NULL pointer in the list")


# What the kernel computes

MASKS = LinkState(START=1, NOCARRIER=4, DORMANT=16)


@pytest.mark.parametrize(
    "flags, gflags, state, operstate, names",
    [
        (0x1003, 0, 1, 6, "BROADCAST MULTICAST UP RUNNING LOWER_UP"),
        (0x1003, 0, 1 | 4, 2, "BROADCAST MULTICAST UP"),
        (0x1003, 0, 1 | 16, 5, "BROADCAST MULTICAST UP LOWER_UP DORMANT"),
        (0x1002, 0, 0, 6, "BROADCAST MULTICAST"),
        # A bridge makes its ports promiscuous, which is not told; a user's wish is.
        (0x1103, 0, 1, 6, "BROADCAST MULTICAST UP RUNNING LOWER_UP"),
        (0x1103, 0x100, 1, 6, "BROADCAST MULTICAST PROMISC UP RUNNING LOWER_UP"),
        (0x49, 0, 1, 0, "LOOPBACK UP RUNNING LOWER_UP"),
    ],
)
def test_flags(flags: int, gflags: int, state: int, operstate: int, names: str) -> None:
    told = flags_from(flags, gflags, state, operstate, MASKS)
    assert " ".join(netdev_flag_names(told)) == names


def test_operstate() -> None:
    assert operstate_from(6, 1, MASKS) == "UP"
    assert operstate_from(6, 0, MASKS) == "DOWN"
    with pytest.raises(ValueError, match="operstate is 9"):
        operstate_from(9, 1, MASKS)


def test_queue_counts() -> None:
    assert checked_count(14, 48, "rx") == 14
    with pytest.raises(ValueError, match="real_num_rx_queues is 49, more than"):
        checked_count(49, 48, "rx")
    with pytest.raises(ValueError, match="num_tx_queues is 70000, more than any"):
        checked_count(1, 70000, "tx")


# Filters


def test_filters() -> None:
    whole = snapshot(
        device(HOST, 3, "veth0", altnames=("uplink",)),
        device(POD, 3, "eth0"),
        device(POD, 4, "br0", kind="bridge"),
    )
    part = keep(whole, netns={POD})
    assert [d.name for d in part.devices] == ["eth0", "br0"]
    assert len(part.pairs) == 1
    assert [n.inum for n in part.namespaces] == [POD]
    assert [d.name for d in keep(whole, names=["up*"]).devices] == ["veth0"]
    assert [d.name for d in keep(whole, kinds=["bridge"]).devices] == ["br0"]
    assert keep(whole, kinds=["bridge"]).pairs == ()
    assert keep(whole) is whole
    for wrong in (
        {"netns": {POD, 7}},
        {"names": ["eth0", "no*"]},
        {"kinds": ["netkit"]},
    ):
        with pytest.raises(FilterError):
            keep(whole, **wrong)


def named_namespaces(*more: Namespace) -> Snapshot:
    """The first one, one of `ip netns`, one with a mount elsewhere, and more."""
    whole = snapshot(device(HOST, 3, "a"), device(POD, 3, "a"), device(POD + 1, 4, "b"))
    namespaces = (
        Namespace(HOST, True, 1),
        Namespace(POD, False, 1, names=("pod1",), mounts=("/run/netns/pod1",)),
        Namespace(POD + 1, False, 1, mounts=("/var/lib/x/ns",)),
    )
    return whole._replace(namespaces=namespaces + more)


@pytest.mark.parametrize(
    "given, inum",
    [
        ("host", HOST),
        (str(POD), POD),
        (f"{POD:#x}", POD),
        (f"net:[{POD}]", POD),
        ("pod1", POD),
        (f"pod1@{POD}", POD),
        (f"host@{HOST}", HOST),
        ("/run/netns/pod1", POD),
        ("/var/run/netns/pod1", POD),
        ("/run//netns/./pod1", POD),
        ("/var/lib/x/ns", POD + 1),
    ],
)
def test_namespace_by_what_it_is_called(given: str, inum: int) -> None:
    whole = named_namespaces()
    assert find_netns(whole, given) == inum
    assert find_all_netns(whole, [given]) == frozenset({inum})
    assert {d.netns for d in named(whole, [], [given])} == {inum}


@pytest.mark.parametrize(
    "given", ["", "/", "no", "pod", "net:[pod1]", "net:[7]", "run/netns/pod1", "@"]
)
def test_namespace_that_is_not_there(given: str) -> None:
    more = [Namespace(i, False, 0, names=(f"n{i}",)) for i in range(100, 130)]
    with pytest.raises(FilterError) as error:
        find_netns(named_namespaces(*more), given)
    said = str(error.value)
    assert said.startswith(
        f"no network namespace has the name, path or inode number {given}"
    )
    assert said.count("(") == 12 and said.endswith(" and 21 more")


def test_namespaces_that_are_called_the_same() -> None:
    """`host` is the first one; `ip netns` may have another, and so with a number."""
    other = Namespace(POD + 9, False, 0, names=("host", str(POD)))
    whole = named_namespaces(other)
    for given, exact in (
        ("host", {f"host@{HOST}": HOST, f"host@{POD + 9}": POD + 9}),
        (str(POD), {f"net:[{POD}]": POD, f"{POD}@{POD + 9}": POD + 9}),
    ):
        with pytest.raises(FilterError) as error:
            find_netns(whole, given)
        said = str(error.value)
        assert said.startswith(f"2 network namespaces are called {given}; choose one")
        for text, inum in exact.items():
            assert text in said
            assert find_netns(whole, text) == inum


def test_namespaces_at_one_path() -> None:
    """A mount hides another."""
    whole = named_namespaces(Namespace(7, False, 0, mounts=("/run/netns/pod1",)))
    with pytest.raises(FilterError, match=rf"net:\[{POD}\], net:\[7\]"):
        find_netns(whole, "/run/netns/pod1")


def test_namespace_whose_name_is_no_text() -> None:
    whole = named_namespaces(Namespace(7, False, 0, names=("n\\xff",)))
    assert find_netns(whole, "n\udcff") == 7


def test_names_of_namespaces_that_could_not_be_read() -> None:
    whole = named_namespaces(Namespace(7, False, 0, names=BAD, mounts=BAD))
    with pytest.raises(FilterError, match=f"names could not be read: {BAD.reason}"):
        find_netns(whole, "pod2")


def test_several_namespaces() -> None:
    whole = named_namespaces()
    assert find_all_netns(whole, []) is None
    both = find_all_netns(whole, ["host", "pod1", "/run/netns/pod1"])
    assert both == frozenset({HOST, POD})
    part = keep(whole, netns=both)
    assert [d.netns for d in part.devices] == [HOST, POD]
    assert [n.inum for n in part.namespaces] == [HOST, POD]
    assert [d.netns for d in named(whole, ["a"], ["pod1", "host"])] == [HOST, POD]
    nowhere = "no device named 'b' in the network namespace pod1 or host$"
    with pytest.raises(FilterError, match=nowhere):
        named(whole, ["b"], ["pod1", "host"])
    with pytest.raises(FilterError, match="2 devices are named 'a'"):
        named(whole, ["a"])


# Renderers


@pytest.mark.parametrize(
    "text, shown",
    [
        ("veth0", "veth0"),
        ("höker☃", "höker☃"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("evil\u202egnp", "evil\\u202egnp"),
        ("\U000e0041", "\\U000e0041"),
        ("a\xa0b", "a\\xa0b"),
    ],
)
def test_terminal(text: str, shown: str) -> None:
    assert for_terminal(text) == shown
    assert shown.isprintable()


def test_number_list() -> None:
    assert number_list(()) == ""
    assert number_list((0, 1, 2, 5, 7, 8)) == "0-2,5,7-8"


def test_rps_words() -> None:
    same = device(HOST, 3, "a", rps=(RpsQueue(0, (0, 1), 0), RpsQueue(1, (0, 1), 0)))
    assert words.rps(same) == "0-1"
    some = device(
        HOST,
        3,
        "a",
        rps=(RpsQueue(0, (2,), 512), RpsQueue(1, (), 0), RpsQueue(2, BAD, 0)),
    )
    assert words.rps(some) == "rx0:2 rx2:?"
    assert words.rfs(some) == "rx0:512"
    assert words.rps(device(HOST, 3, "a")) == ""
    assert words.rps(device(HOST, 3, "a", rps=BAD)) == "?"


PROGRAM = XdpProgram(
    10, "xdp_pass", "3b185187f1855c4c", "link", 7, True, True, 2023271173, 0
)


def test_table_shows_both_ends() -> None:
    whole = snapshot(
        device(
            HOST,
            5,
            "veth_xxx0",
            queues=Queues(QueueCount(14, 14), QueueCount(14, 14)),
            xdp=Xdp(PROGRAM, None, None, ()),
        ),
        device(
            POD,
            2,
            "veth_yyy0",
            queues=Queues(QueueCount(48, 48), QueueCount(48, 64)),
            off_list="netns is dying",
        ),
    )
    screen = table.pairs(whole, whole.devices)
    for part in ("5: veth_xxx0", "rx 14/14", "tx 48/64", "frags", "(netns is dying)"):
        assert part in screen
    assert table.totals(whole) == (
        "1 pair (1 veth), 2 devices in 2 namespaces; XDP: 1 generic, 0 driver, "
        "0 offload; RPS on 0 devices"
    )


def test_table_fits_whatever_is_in_it() -> None:
    wild = device(
        HOST,
        2**31 - 1,
        "\x1b" * 15,
        mtu=2**32 - 1,
        queues=Queues(QueueCount(BAD, 65536), QueueCount(65536, 65536)),
        xdp=Xdp(PROGRAM._replace(name="\x07" * 15), BAD, PROGRAM, BAD),
        rps=tuple(RpsQueue(i, (i * 3,), 1 << i) for i in range(30)),
        peer=DeviceRef(BAD, BAD, "\xff" * 15, 1, "on no list"),
        master=BAD,
    )
    whole = snapshot(wild, wild._replace(ifindex=5))
    for screen in (table.pairs(whole, whole.devices), table.devices(whole)):
        for line in screen.splitlines():
            assert len(line) <= 120
            assert line.isprintable()


def test_totals_count_what_is_there() -> None:
    """What could not be read is neither attached nor off."""
    lost = device(HOST, 3, "a", xdp=Xdp(BAD, BAD, BAD, BAD), rps=BAD)
    some = device(HOST, 4, "b", rps=(RpsQueue(0, BAD, 0), RpsQueue(1, (0,), 0)))
    line = table.totals(snapshot(lost, some))
    assert "XDP: 0 generic, 0 driver, 0 offload; RPS on 1 device;" in line
    assert line.endswith("6 values unreadable")


def test_many_ways_to_steer_are_cut_short() -> None:
    queues = tuple(RpsQueue(i, (i,), 0) for i in range(100))
    assert words.rps(device(HOST, 3, "a", rps=queues)).endswith(" ...")


def test_json_keeps_the_contract() -> None:
    whole = snapshot(
        device(HOST, 5, "a\x1b", xdp=Xdp(PROGRAM, None, None, BAD), master=BAD),
        device(POD, 2, "b", kind="netkit", xdp=Xdp(None, None, None, None)),
        incomplete=(("devices of namespace 7", "the list loops"),),
    )
    text = render_json.render(whole)
    report = json.loads(text)
    assert report == json.loads(json.dumps(render_json.document(whole)))
    assert text.isascii()
    assert list(report)[0] == "schema"
    first, second = report["devices"]
    assert first["name"] == "a\x1b"
    assert first["xdp"]["queues"] == {"unreadable": BAD.reason}
    assert "queues" not in second["xdp"]
    assert report["unreadable"] == [
        {"what": "devices of namespace 7", "why": "the list loops"},
        {"what": f"devices[({HOST}, 5)].master", "why": BAD.reason},
        {"what": f"devices[({HOST}, 5)].xdp.queues", "why": BAD.reason},
    ]
    assert len(list(unreadable_in(whole))) == 3


def test_csv() -> None:
    whole = snapshot(
        device(HOST, 5, 'q"uo,te', alias="one\ntwo", mtu=BAD), device(POD, 2, "b")
    )
    rows = list(csv_module.DictReader(io.StringIO(csv.devices(whole))))
    assert [row["name"] for row in rows] == ['q"uo,te', "b"]
    assert rows[0]["alias"] == "one\\x0atwo"
    assert rows[0]["mtu"] == "?"
    (pair,) = csv_module.DictReader(io.StringIO(csv.pairs(whole, whole.devices)))
    assert (pair["a_name"], pair["b_name"], pair["kind"]) == ('q"uo,te', "b", "veth")


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_csv_that_a_spreadsheet_would_run(start: str) -> None:
    name = f"{start}cmd|' /C calc'!A0"
    whole = snapshot(
        device(HOST, 5, name, alias=name, altnames=(name, "b")),
        device(POD, 2, f"a{start}"),
    )
    for text in (csv.devices(whole), csv.pairs(whole, whole.devices)):
        cells = [cell for row in csv_module.reader(io.StringIO(text)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
        assert {f"'{name}", f"'{name} b", f"a{start}"} <= set(cells)


def test_csv_of_control_characters() -> None:
    """A tab or a carriage return at the begin of a cell is an escape already."""
    whole = snapshot(device(HOST, 5, "a", alias="\t=1"), device(POD, 2, "\r=1"))
    rows = list(csv_module.DictReader(io.StringIO(csv.devices(whole))))
    assert (rows[0]["alias"], rows[1]["name"]) == ("\\x09=1", "\\x0d=1")


# kdump files


def kdump_file(path: Path, size: int) -> str:
    header = struct.pack(
        "<8s4x390x6x16x4xiiI", b"KDUMP   ", 4096, 2, 4
    )  # two bitmaps of two blocks
    bitmaps = bytes(2 * 4096) + b"\x07" + bytes(2 * 4096 - 1)
    whole = header.ljust(3 * 4096, b"\0") + bitmaps + bytes(3 * 24)
    path.write_bytes(whole[:size])
    return str(path)


def test_kdump_length(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    full = 3 * 4096 + 4 * 4096 + 3 * 24
    assert missing_from_kdump(kdump_file(path, full)) is None
    for size in (20, 500, 4096, 5 * 4096, full - 1):
        said = missing_from_kdump(kdump_file(path, size))
        assert said is not None and f"after {size} bytes" in said
    path.write_bytes(b"\x7fELF")
    assert missing_from_kdump(str(path)) is None
