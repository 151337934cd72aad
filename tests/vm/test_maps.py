# SPDX-License-Identifier: LGPL-2.1-or-later
"""Maps, AF_XDP sockets and programs of tc against who made them, on booted kernels."""

from collections.abc import Callable, Iterator
import errno
import json
from pathlib import Path

from drgn import Object, Program, container_of, offsetof
import drgn_veth
from drgn_veth.analysis.ask import Asker, Question, parse
from drgn_veth.core.errors import UNEXPECTED_TYPE
from drgn_veth.model import Snapshot, unreadable_in
from drgn_veth.render import json as render_json
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.style import PLAIN
from drgn_veth.render.xdp import programs
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support import oracle
from tests.support.booted import (
    NO_SYMBOLS,
    SCRIPT,
    SLICE_SCRIPT,
    Dump,
    Tally,
    run_on,
)
from tests.support.memory import Altered
from tests.support.schemas import validate


def _report(dump: Dump, types: str, folder: Path) -> Path:
    # An old kernel tells its types only by debug symbols.
    path = folder / "report.json"
    whole = ("-c", dump.vmcore, *(dump.symbols if dump.is_old else NO_SYMBOLS))
    target: tuple[object, ...] = ("-c", dump.vmcore, *dump.symbols)
    if types == "btf":
        target = whole
    elif types == "slice":
        core = folder / "slice.core"
        run_on(SLICE_SCRIPT, whole, core)
        target = ("-c", core, *NO_SYMBOLS)
    run_on(SCRIPT, target, "--format", "json", "--output", path)
    return path


@pytest.mark.parametrize("types", ["dwarf", "btf", "slice"])
def test_every_value(maps: Dump, types: str, tally: Tally, tmp_path: Path) -> None:
    report = json.loads(_report(maps, types, tmp_path).read_text())
    comparison = oracle.compare(report, maps.truth)
    tally[f"{maps.made.kernel.release} maps {types}"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert report["unreadable"] == []
    validate(report)
    assert comparison.compared["mmap"] > 30
    assert comparison.compared["loader"] > 500
    assert len(report["maps"]) == 16
    assert any(one.get("tc") for one in report["devices"])


def test_the_comparison_can_fail(maps: Dump) -> None:
    """Each value of a map, a socket and a program of tc, altered, is noticed."""
    report = maps.report()
    places = [(one, "maps") for one in report["maps"]]
    places += [(one, "devices") for one in report["devices"]]
    seen = set()
    for record, where in places:
        for path, value in oracle.leaves(record):
            kind = oracle.kind_of(where, path)
            if where == "devices" and path[0] not in ("af_xdp", "tc") or kind in seen:
                continue
            holder = record
            for part in path[:-1]:
                holder = holder[int(part) if part.isdigit() else part]
            last = int(path[-1]) if path[-1].isdigit() else path[-1]
            holder[last] = "other"
            assert oracle.compare(report, maps.truth).differences, kind
            holder[last] = value
            seen.add(kind)
    assert len(seen) > 30


def test_findings(maps: Dump) -> None:
    """Of sockets and maps; the twins of these devices have none."""
    found: dict[str, set[str]] = {}
    for one in maps.report()["findings"]:
        if one["device"] is not None:
            found.setdefault(one["rule"], set()).add(one["device"]["name"])
    # Entries 3 and 4 have no socket on their queue; 0 and 2 have.
    assert found["xskmap-without-socket"] == {"msb"}
    # Sockets on queues whose devices have no program that could reach them.
    assert found["af-xdp-no-packets"] == {"eth0", "eth1"}
    assert found["xdp-behind-dispatcher"] == {"mda"}


def map_ids(maps: Iterator[Object]) -> set[int]:
    """Return the identifiers of maps."""
    return {drgn_veth.bpf_map_id(one) for one in maps}


def test_readers(maps: Dump) -> None:
    """The helpers at a prompt give what the report has."""
    prog = Program()
    prog.set_core_dump(maps.vmcore)
    prog.load_debug_info([str(path) for path in maps.symbols if path != "-s"])
    report = maps.report()
    by_id = {one["id"]: one for one in report["maps"]}
    seen = 0
    for xdp_prog in drgn_veth.for_each_xdp_prog(prog):
        for map in drgn_veth.for_each_used_map(xdp_prog):
            kind = drgn_veth.bpf_map_type(map)
            inner = [
                drgn_veth.bpf_map_id(one) for one in drgn_veth.for_each_inner_map(map)
            ]
            assert set(inner) <= by_id.keys()
            if kind not in ("devmap", "devmap_hash", "cpumap", "xskmap"):
                continue
            told = by_id[drgn_veth.bpf_map_id(map)]
            assert drgn_veth.bpf_map_name(map).decode() == told["name"]
            walk: Callable[[Object], Iterator[tuple[int, Object]]] = {
                "cpumap": drgn_veth.for_each_cpumap_entry,
                "xskmap": drgn_veth.for_each_xskmap_entry,
            }.get(kind, drgn_veth.for_each_devmap_entry)
            keys = [key for key, _ in walk(map)]
            assert len(keys) == told["entry_count"]
            assert {entry["key"] for entry in told["entries"]} <= set(keys)
            seen += len(keys)
    assert seen > 400
    msb = drgn_veth.find_netdev(prog, "host", "msb")
    held = [bool(drgn_veth.xsk_get_pool_from_qid(msb, queue)) for queue in range(4)]
    assert held == [True, False, True, False]


def test_bind_to_a_queue_that_has_a_socket(memory: Altered) -> None:
    """The sockets are in the dump; no earlier question has added them."""
    snapshot = take_snapshot(memory.prog)
    (msb,) = [device for device in snapshot.devices if device.name == "msb"]
    assert msb.xsk_queues == (0, 2)
    asker = Asker(snapshot)

    def errno_of(text: str) -> int:
        answer = asker.ask(Question(msb.net_device, parse(text)[1]))
        assert isinstance(answer.errno, int)
        return answer.errno

    assert [errno_of(f"bind queue {queue}") for queue in range(4)] == [
        *(errno.EBUSY, 0, errno.EBUSY, 0),
    ]
    # Queue 2, which goes away, has a socket. 5.10 has no veth_set_channels().
    refused = errno.EINVAL if msb.driver.set_channels else errno.EOPNOTSUPP
    assert errno_of("channels rx 1 tx 1") == refused


@pytest.fixture(scope="module")
def memory(maps: Dump) -> Altered:
    return Altered(maps.vmcore, maps.symbol_files)


def _take(altered: Altered) -> Snapshot:
    snapshot = take_snapshot(altered.prog)
    told = json.loads(render_json.render(snapshot))
    validate(told)
    assert UNEXPECTED_TYPE not in json.dumps(told["unreadable"])
    programs(snapshot.devices, snapshot, PLAIN)
    devices_in_full(snapshot.devices, snapshot, ())
    assert altered.reads < 1_000_000
    return snapshot


def _maps_of(prog: Program) -> dict[str, Object]:
    found = {}
    for xdp_prog in drgn_veth.for_each_xdp_prog(prog):
        for map in drgn_veth.for_each_used_map(xdp_prog):
            found[drgn_veth.bpf_map_name(map).decode()] = map
            for inner in drgn_veth.for_each_inner_map(map):
                found[drgn_veth.bpf_map_name(inner).decode()] = inner
    return found


def test_map_of_itself(memory: Altered) -> None:
    """No kernel makes one: it is not walked again and again."""
    memory.reset()
    whole = _take(memory)
    maps = _maps_of(memory.original)
    outer = maps["m_of_array"]
    slot = container_of(outer, "struct bpf_array", "map").ptrs.address_
    assert slot is not None
    memory.write(slot, outer.value_().to_bytes(8, "little"))
    snapshot = _take(memory)
    memory.reset()
    names = {one.name for one in snapshot.maps}
    assert {one.name for one in whole.maps} - names <= {"m_inner0"}


def test_damaged(memory: Altered) -> None:
    """Each pointer and count on the way, astray: the rest is there."""
    prog = memory.original
    memory.reset()
    whole = _take(memory)
    assert list(unreadable_in(whole)) == []
    maps = _maps_of(prog)

    def member(type: str, name: str, address: int) -> Object:
        at = address + offsetof(prog.type(type), name)
        return Object(prog, "void *", address=at)

    def table(name: str) -> Object:
        return container_of(maps[name], "struct bpf_dtab", "map")

    (_, first), *_ = drgn_veth.for_each_devmap_entry(maps["m_hash"])
    sockets = [
        one.value_()
        for net in drgn_veth.readers.netns.for_each_net_bounded(prog)
        for one in drgn_veth.for_each_xdp_sock(net)
    ]
    xdp_progs = list(drgn_veth.for_each_xdp_prog(prog))
    places = [
        table("m_dev").netdev_map,
        table("m_hash").dev_index_head,
        member("struct bpf_dtab_netdev", "index_hlist.next", first.value_()),
        member("struct bpf_dtab_netdev", "dev", first.value_()),
        container_of(maps["m_cpu"], "struct bpf_cpu_map", "map").cpu_map,
        Object(prog, "void *", address=maps["m_of_array"].value_() + 8),
        *(one.aux.used_maps for one in xdp_progs[:3]),
        xdp_progs[2].aux,
        *(
            member("struct xdp_sock", name, at)
            for at in sockets[:3]
            for name in ("dev", "pool", "rx", "sk.sk_socket")
        ),
        *(
            member("struct xdp_sock", "sk.__sk_common.skc_node.next", at)
            for at in sockets[:3]
        ),
    ]
    for name in ("m_dev", "m_hash", "m_cpu", "m_xsk"):
        # max_entries, and what is beside it.
        at = maps[name].max_entries.address_ & ~7
        places.append(Object(prog, "void *", address=at))
    for place in places:
        # A loop, and nothing; both are addresses that can be read or are NULL.
        for value in (0, place.address_):
            memory.reset()
            memory.write_pointer(place, value)
            snapshot = _take(memory)
            assert len(snapshot.devices) == len(whole.devices)
            assert len(snapshot.pairs) == len(whole.pairs)
    memory.reset()
