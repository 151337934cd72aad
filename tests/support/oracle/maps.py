# SPDX-License-Identifier: LGPL-2.1-or-later
"""Maps, AF_XDP sockets and programs of tc.

The scene "maps" recorded what it made (vmcores/lab/guest/maps.py), and bpftool showed
the maps and the programs.
"""

from collections.abc import Iterator
import functools
import struct
from typing import Any, Optional

from .comparison import Comparison, Told
from .said import Key, Truth, tool_json

__all__ = ("check_maps", "expected_reached", "expected_sockets", "expected_tc")

_MOST = 1024
_DEVICES = ("devmap", "devmap_hash")
#: bpf_map_lookup_elem() from user space does not know the sockets of an XSKMAP.
_UNSHOWN = ("xskmap",)


def _made(truth: Truth, what: str) -> list[dict[str, Any]]:
    maps = truth.said.get("maps")
    return [one for one in maps["made"] if one["what"] == what] if maps else []


@functools.lru_cache(maxsize=8)
def _extensions(truth: Truth) -> dict[int, list[dict[str, Any]]]:
    # By the program that has them. bpftool knows the target since v5.14, but not the
    # function.
    found: dict[int, list[dict[str, Any]]] = {}
    for made in _made(truth, "extension"):
        own = {name: made[name] for name in ("id", "name", "function")}
        found.setdefault(made["target"], []).append(own)
    for link in tool_json(truth.said["bpftool_link"]):
        if link.get("prog_type") != "ext" or "target_obj_id" not in link:
            continue
        here = found.setdefault(link["target_obj_id"], [])
        if link["prog_id"] not in {one["id"] for one in here}:
            name = truth.progs[link["prog_id"]]["name"]
            here.append({"id": link["prog_id"], "name": name, "function": None})
    return found


def expected_reached(truth: Truth, mode: str, prog_id: int) -> Iterator[Told]:
    """Yield which maps and extensions an attached program has to have."""
    where = ("xdp", mode)
    for made in _made(truth, "reach"):
        if made["prog_id"] == prog_id and made["maps"]:
            yield (*where, "maps"), "loader", sorted(made["maps"])
    for i, extension in enumerate(_extensions(truth).get(prog_id, ())):
        for name, value in extension.items():
            if value is not None:
                yield (*where, "extensions", str(i), name), "loader", value


def _socket(made: dict[str, Any]) -> Iterator[Told]:
    for name in ("rx", "tx", "fill", "completion"):
        if made[name] is None:
            yield (name,), "mmap", None
            continue
        for what in ("size", "used"):
            yield (name, what), "mmap", made[name][what]
    yield ("need_wakeup",), "mmap", made["need_wakeup"]
    yield ("zero_copy",), "getsockopt", made["zero_copy"]
    yield ("rx_dropped",), "getsockopt", made["rx_dropped"]
    yield ("rx_ring_full",), "getsockopt", made["rx_ring_full"]
    for name in ("queue", "state", "pid", "comm"):
        yield (name,), "loader", made[name]


def expected_sockets(truth: Truth, key: Key) -> Iterator[Told]:
    """Yield what the AF_XDP sockets on a device have to be."""
    here = [
        made
        for made in _made(truth, "socket")
        if made["state"] == "bound" and (made["netns"], made["ifindex"]) == key
    ]
    # The newest first, of one queue and one process.
    here.sort(key=lambda made: (made["queue"], made["pid"], -made["number"]))
    for i, made in enumerate(here):
        for path, source, value in _socket(made):
            yield ("af_xdp", str(i), *path), source, value


def expected_tc(truth: Truth, key: Key) -> Iterator[Told]:
    """Yield which programs of tc a device has to have, in their order."""
    here: list[tuple[str, int, Optional[str]]] = []
    peer = truth.peer(key) if truth.kind(key) == "netkit" else None
    if truth.kind(key) == "netkit":
        # bpftool shows those of both ends at the primary one.
        primary = truth.links[key]["linkinfo"]["info_data"]["type"] == "primary"
        shown_at, wanted = (key, "netkit/primary") if primary else (peer, "netkit/peer")
        assert shown_at is not None
        here += _shown(truth, shown_at, (wanted,))
    for way in ("ingress", "egress"):
        here += _shown(truth, key, (f"tcx/{way}",))
        here += _shown(truth, key, (f"clsact/{way}",))
    for i, (where, ident, name) in enumerate(here):
        at = ("tc", str(i))
        yield (*at, "where"), "bpftool", where
        yield (*at, "id"), "bpftool", ident
        yield (*at, "name"), "bpftool", name


def _has_ingress(truth: Truth, key: Key) -> bool:
    maps = truth.said.get("maps")
    if maps is None:
        return False
    name = truth.links[key]["ifname"]
    qdiscs = tool_json(maps["qdisc"])
    return any(q.get("dev") == name and q["kind"] == "ingress" for q in qdiscs)


def _shown(
    truth: Truth, key: Key, kinds: tuple[str, ...]
) -> list[tuple[str, int, Optional[str]]]:
    found = []
    for shown in truth.shown(key[0], "bpftool_net"):
        for entry in shown.get("tc", []):
            if entry["ifindex"] != key[1] or entry["kind"] not in kinds:
                continue
            # It takes the filters of an "ingress" qdisc for those of a clsact's egress.
            if entry["kind"] == "clsact/egress" and _has_ingress(truth, key):
                continue
            # Of a filter it shows the name that tc gave it.
            ident = entry["prog_id"] if "prog_id" in entry else entry["id"]
            found.append((entry["kind"], ident, truth.progs[ident]["name"]))
    return found


def _word(parts: list[str], at: int = 0) -> int:
    data = bytes(int(part, 16) for part in parts)
    (value,) = struct.unpack_from("<I", data, at)
    return int(value)


def _dump(truth: Truth, made: dict[str, Any]) -> list[tuple[int, int, Optional[int]]]:
    # Key, ifindex or size of the queue, and the program, as bpftool shows them.
    dumped = tool_json(truth.said["maps"]["dump"][str(made["id"])])
    entries = []
    for entry in dumped:
        if isinstance(entry["value"], dict):  # There is none.
            continue
        program = _word(entry["value"], 4) if len(entry["value"]) > 4 else 0
        if not _word(entry["value"]):
            continue
        entries.append((_word(entry["key"]), _word(entry["value"]), program or None))
    return entries


def _entry(
    truth: Truth, made: dict[str, Any], key: int, told: dict[str, Any]
) -> dict[str, Any]:
    entry: dict[str, Any] = {"key": key}
    if made["type"] in _DEVICES:
        entry["device"] = truth.reference((made["netns"], told["ifindex"]))
        entry["ifindex"] = told["ifindex"]
    elif made["type"] == "cpumap":
        entry["cpu"], entry["qsize"] = key, told["qsize"]
    else:
        (socket,) = (
            one for one in _made(truth, "socket") if one["number"] == told["socket"]
        )
        if socket["state"] == "bound":
            entry["ifindex"] = socket["ifindex"]
            entry["device"] = truth.reference((socket["netns"], socket["ifindex"]))
        names = ("queue", "state", "zero_copy", "rx", "tx", "fill", "completion")
        entry["socket"] = {name: socket[name] for name in names}
        for name in ("need_wakeup", "rx_dropped", "rx_ring_full", "pid", "comm"):
            entry["socket"][name] = socket[name]
    if told.get("prog_id") is not None:
        entry["prog_id"] = told["prog_id"]
    return entry


def _first(entry: tuple[int, int, Optional[int]]) -> int:
    return entry[0]


def check_maps(result: Comparison, ours: list[dict[str, Any]], truth: Truth) -> None:
    """Compare the maps of a report, value by value."""
    made = {one["id"]: one for one in _made(truth, "map")}
    found = {one["id"]: one for one in ours}

    def same(place: str, source: str, have: Any, want: Any) -> None:
        result.compared[source] += 1
        if have != want:
            result.differences.append(f"{place}: {have!r}, {source} says {want!r}")

    same("maps", "loader", [one["id"] for one in ours], sorted(made))
    shown = {}
    if made:
        shown = {one["id"]: one for one in tool_json(truth.said["maps"]["show"])}
    for ident in made.keys() & found.keys():
        have, want, place = found[ident], made[ident], f"map {ident}"
        for name in ("type", "name", "max_entries"):
            same(f"{place}.{name}", "loader", have[name], want[name])
            same(f"{place}.{name}", "bpftool", have[name], shown[ident][name])
        entries = {key: _entry(truth, want, key, told) for key, told in want["entries"]}
        same(f"{place}.entry_count", "loader", have["entry_count"], len(entries))
        first = min(len(entries), _MOST)
        same(f"{place}.entries", "loader", len(have["entries"]), first)
        for entry in have["entries"]:
            expected = entries.get(entry["key"], {})
            for name in {**entry, **expected}:
                at = f"{place}.entries[{entry['key']}].{name}"
                same(at, "loader", entry.get(name), expected.get(name))
        if want["type"] in _UNSHOWN:
            continue
        dumped = _dump(truth, want)
        same(f"{place}.entry_count", "bpftool", have["entry_count"], len(dumped))
        told = [
            (e["key"], e.get("ifindex", e.get("qsize")), e.get("prog_id"))
            for e in have["entries"]
        ]
        same(f"{place}.entries", "bpftool", told, sorted(dumped[:_MOST], key=_first))
