# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Our answer against the kernel's own
-----------------------------------

Turns what iproute2, bpftool, ethtool and sysfs said in the guest (truth.json, see
vmcores/lab/guest/truth.py) into the values that a report has to have, and compares
every value of a report with them. A value that nothing else tells is counted and
must be of a kind in :data:`NO_SECOND_SOURCE`.
"""

import collections
from collections.abc import Collection, Iterator
import functools
import json
import re
from typing import Any, NamedTuple, Optional

from tests.support.whose_truth import expected_labels

__all__ = ("DYING", "NO_SECOND_SOURCE", "Comparison", "compare", "kind_of", "leaves")

#: What no tool in the guest tells, and what stands for it.
NO_SECOND_SOURCE = {
    "target.kind": "how the test opened the target",
    "target.types": "which symbols the test gave",
    "target.path": "which file the test gave",
    "devices.refcount": "of devices that are torn down: test_teardown checks those of "
    "its scene",
    "target.rtnl_owner": "tests of the scenes in which a task holds it check it",
    "target.rtnl_owner.pid": "likewise",
    "target.rtnl_owner.comm": "likewise",
    "target.time": "test_crash_time checks it against the time of the recording",
    "devices.net_device": "an address: no tool shows one; the device's other values "
    "were read through it",
    "devices.xdp.queues.prog_id": "test_veth_queues checks it against the programs "
    "and the history of the scene",
    "devices.xdp.queues.napi": "likewise",
    "devices.xps.cpus": "of a device made with one TX queue: sysfs answers ENOENT",
}
_NOBODY = ""

DYING = "netns is dying"

_PSEUDO_FLAGS = ("NO-CARRIER", "M-DOWN")
_MODES = {1: "driver", 2: "generic", 3: "offload"}
_PEERED = ("veth", "netkit")
#: Devices on one that may be in another namespace, which sysfs does not show.
_STACKED = ("ipvlan", "ipvtap", "macvlan", "macvtap", "vlan")

Path = tuple[str, ...]
Key = tuple[int, int]


class Comparison(NamedTuple):
    """How a report stood up."""

    compared: "collections.Counter[str]"  # values, by second source
    differences: list[str]
    alone: "collections.Counter[str]"  # values without a second source, by kind


def _kernel_text(text: str) -> str:
    # The truth has bytes that are not UTF-8 as surrogates, the contract as \xNN.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _tool_json(command: dict[str, Any]) -> Any:
    assert command["status"] == 0, command
    return json.loads(command["stdout"] or "[]", strict=False)


def _cpu_mask(text: str) -> list[int]:
    mask = int(text.replace(",", ""), 16)
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _cpu_list(text: str) -> list[int]:
    cpus: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


def _channels(text: str) -> dict[str, dict[str, dict[str, int]]]:
    # The text of `ethtool -l *`: {device: {"Pre-set maximums": {"RX": 4, ...}, ...}}
    devices: dict[str, dict[str, dict[str, int]]] = {}
    section: dict[str, int] = {}
    device: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        start = re.fullmatch(r"Channel parameters for (.*):", line)
        value = re.fullmatch(r"(RX|TX|Other|Combined):\s+(\d+|n/a)", line)
        if start:
            device = devices[start.group(1)] = {}
        elif value:
            if value.group(2) != "n/a":
                section[value.group(1)] = int(value.group(2))
        elif line.endswith(":"):
            section = device[line[:-1]] = {}
    return devices


class _Expected:
    """The values of a truth, by device, with who said so."""

    def __init__(self, truth: dict[str, Any]) -> None:
        self.truth = truth
        # What a tool says of a namespace is about all of its devices.
        self.channels = functools.cache(self._channels)
        self.addresses = functools.cache(self._addresses_shown)
        self.bpftool_net = functools.cache(self._bpftool_net_shown)
        self.links: dict[Key, dict[str, Any]] = {}
        self.by_name: dict[tuple[int, str], Key] = {}
        for inum_text, namespace in truth["namespaces"].items():
            inum = int(inum_text)
            for link in _tool_json(namespace["ip_link"]):
                key = inum, link["ifindex"]
                self.links[key] = link
                self.by_name[inum, link["ifname"]] = key
        self.frags = {r["id"]: r["frags"] for r in truth["xdp"] if r["what"] == "prog"}
        self.bpf_links = {
            (r["netns"], r["ifindex"], r["prog_id"]): r["id"]
            for r in truth["xdp"]
            if r["what"] == "link"
        }
        self.labels = expected_labels(truth) if "whose" in truth else {}
        dying = truth["dying"]
        self.dying = dying["netns"] if dying else None
        self.progs = {p["id"]: p for p in _tool_json(truth["bpftool_prog"])}
        self.link_shown = {
            (e["id"], e["ifindex"], e["prog_id"])
            for e in _tool_json(truth["bpftool_link"])
            if e["type"] == "xdp"
        }

    def reference(self, key: Key) -> dict[str, Any]:
        name = _kernel_text(self.links[key]["ifname"])
        reference = {"netns": key[0], "ifindex": key[1], "name": name}
        if key[0] == self.dying:
            reference["off_list"] = DYING
        return reference

    def target(self) -> Iterator[tuple[Path, str, Any]]:
        truth = self.truth
        yield ("release",), "uname", truth["kernel"]["release"]
        yield ("arch",), "uname", truth["kernel"]["machine"]
        possible = len(_cpu_list(truth["cpus"]["possible"]))
        yield ("possible_cpus",), "sysfs", possible
        yield ("online_cpus",), "sysfs", _cpu_list(truth["cpus"]["online"])
        entries = int(truth["sysctl"]["net.core.rps_sock_flow_entries"])
        yield ("rps_sock_flow_entries",), "sysctl", entries

    def label(self, inum: int) -> Optional[str]:
        """What a namespace is called, None if that takes more than this truth."""
        if inum == self.dying:
            return f"net:{inum}"
        if "whose" in self.truth:
            return self.labels[inum]
        namespace = self.truth["namespaces"][str(inum)]
        if namespace["init"]:
            return "host"
        if namespace["names"]:
            return _kernel_text(namespace["names"][0])
        if not namespace["pids"] or namespace["mounts"]:
            return None
        first = min(namespace["pids"], key=lambda task: task["pid"])
        return f"pid:{first['pid']}({first['comm']})"

    def namespaces(self) -> dict[int, dict[str, Any]]:
        first = next(n for n in self.truth["namespaces"].values() if n["init"])
        nsids = {inum: int(nsid) for nsid, inum in first["nsids"].items()}
        found = {
            int(inum): {
                "init": namespace["init"],
                "names": [_kernel_text(name) for name in namespace["names"]],
                "mounts": [_kernel_text(path) for path in namespace["mounts"]],
                # One that dies has lost its number.
                "nsid": None if int(inum) == self.dying else nsids.get(int(inum)),
                "device_count": len(_tool_json(namespace["ip_link"])),
                **({"dying": True} if int(inum) == self.dying else {}),
            }
            for inum, namespace in self.truth["namespaces"].items()
        }
        for inum, values in found.items():
            label = self.label(inum)
            if label is not None:
                values["label"] = label
        return found

    def pairs(self) -> list[tuple[str, Key, Key]]:
        found = set()
        for key, link in self.links.items():
            kind = link.get("linkinfo", {}).get("info_kind")
            peer = self._peer(key, link)
            if peer is not None:
                a, b = sorted((key, peer))
                found.add((kind, a, b))
        return sorted(found)

    def _peer(self, key: Key, link: dict[str, Any]) -> Optional[Key]:
        if link.get("linkinfo", {}).get("info_kind") not in _PEERED:
            return None
        if "link" in link:
            return self.by_name[key[0], link["link"]]
        if "link_index" not in link:
            return None
        nsid = link.get("link_netnsid")
        if nsid is None:
            return key[0], link["link_index"]
        nsids = self.truth["namespaces"][str(key[0])]["nsids"]
        return nsids[str(nsid)], link["link_index"]

    def _ip(self, key: Key) -> Iterator[tuple[Path, str, Any]]:
        link = self.links[key]
        source = "iproute2"
        yield ("netns",), source, key[0]
        yield ("ifindex",), source, link["ifindex"]
        yield ("name",), source, _kernel_text(link["ifname"])
        altnames = [_kernel_text(name) for name in link.get("altnames", [])]
        yield ("altnames",), source, altnames
        alias = link.get("ifalias")
        yield ("alias",), source, None if alias is None else _kernel_text(alias)
        yield ("kind",), source, link.get("linkinfo", {}).get("info_kind")
        flags = [flag for flag in link["flags"] if flag not in _PSEUDO_FLAGS]
        if "UP" in flags and "NO-CARRIER" not in link["flags"]:
            # ip leaves RUNNING out and says NO-CARRIER where it is missing.
            flags.insert(flags.index("UP") + 1, "RUNNING")
        yield ("flags",), source, flags
        yield ("operstate",), source, link["operstate"]
        for name in ("mtu", "min_mtu", "max_mtu"):
            yield (name,), source, link[name]
        yield ("mac",), source, link.get("address")
        for way in ("rx", "tx"):
            allocated = link[f"num_{way}_queues"]
            yield ("queues", way, "allocated"), source, allocated
        if "master" in link:
            master = self.reference(self.by_name[key[0], link["master"]])
        else:
            master = None
        yield ("master",), source, master
        peer = self._peer(key, link)
        yield ("peer",), source, None if peer is None else self.reference(peer)
        yield ("qdisc",), source, link.get("qdisc")
        yield from self._of_kind(link)
        yield from self._xdp(key, link)

    def _of_kind(self, link: dict[str, Any]) -> Iterator[tuple[Path, str, Any]]:
        about = link.get("linkinfo", {})
        kind, data = about.get("info_kind"), about.get("info_data", {})
        source = "iproute2"
        if kind == "vlan":
            yield ("vlan", "id"), source, data["id"]
            yield ("vlan", "protocol"), source, data["protocol"]
        elif kind in ("macvlan", "macvtap"):
            yield ("macvlan", "mode"), source, data["mode"]
        elif kind in ("ipvlan", "ipvtap"):
            yield ("ipvlan", "mode"), source, data["mode"]
            # A third one, "bridge", is neither.
            flags = [flag for flag in ("private", "vepa") if data.get(flag)]
            yield ("ipvlan", "flags"), source, flags
        elif kind == "bond":
            yield ("bond", "mode"), source, data["mode"]
        elif kind == "netkit":
            yield ("netkit", "mode"), source, data["mode"]
            yield ("netkit", "policy"), source, data["policy"]
            yield ("netkit", "primary"), source, data["type"] == "primary"
        if about.get("info_slave_kind") == "bridge":
            state = about["info_slave_data"]["state"]
            yield ("bridge_port", "state"), source, state

    @property
    def has_addresses(self) -> bool:
        """Whether the truth has the answer of `ip -j addr`."""
        return any("ip_addr" in ns for ns in self.truth["namespaces"].values())

    def _addresses(self, key: Key) -> Iterator[tuple[Path, str, Any]]:
        if not self.has_addresses:
            return
        shown = self.addresses(key[0])
        # A filter of ip may leave empty objects.
        (link,) = (link for link in shown if link and link["ifindex"] == key[1])
        addresses = [
            f"{address['local']}/{address['prefixlen']}"
            for address in link.get("addr_info", [])
            if address
        ]
        yield ("addresses",), "iproute2", addresses

    def _below(self, key: Key) -> Optional[Key]:
        # The device in another namespace that one is on.
        link = self.links[key]
        if link.get("linkinfo", {}).get("info_kind") not in _STACKED:
            return None
        nsid = link.get("link_netnsid")
        if nsid is None:
            return None
        nsids = self.truth["namespaces"][str(key[0])]["nsids"]
        return nsids[str(nsid)], link["link_index"]

    def _neighbours(
        self, key: Key, files: dict[str, Any]
    ) -> Iterator[tuple[Path, str, Any]]:
        below = self._below(key)
        above = [other for other in self.links if self._below(other) == key]
        for way, others in (
            ("lowers", [] if below is None else [below]),
            ("uppers", above),
        ):
            here = [self.by_name[key[0], name] for name in files[way]]
            refs = [self.reference(other) for other in sorted((*here, *others))]
            yield (way,), "sysfs", refs

    def _xdp(self, key: Key, link: dict[str, Any]) -> Iterator[tuple[Path, str, Any]]:
        xdp = link.get("xdp", {})
        attached = xdp.get("attached") or ([xdp] if xdp else [])
        by_mode = {_MODES[entry["mode"]]: entry["prog"] for entry in attached}
        for mode in _MODES.values():
            prog = by_mode.get(mode)
            if prog is None:
                yield ("xdp", mode), "iproute2", None
                continue
            for ours, theirs in (
                ("id", "id"),
                ("name", "name"),
                ("tag", "tag"),
                ("load_time", "load_time"),
                ("uid", "created_by_uid"),
            ):
                # ip leaves out what is 0 or empty.
                empty = "" if ours == "name" else 0
                yield ("xdp", mode, ours), "iproute2", prog.get(theirs, empty)
            shown = self.progs[prog["id"]]
            yield ("xdp", mode, "jited"), "bpftool", shown["jited"]
            for ours in ("name", "tag", "uid"):
                yield ("xdp", mode, ours), "bpftool", shown[ours]
            if prog["id"] in self.frags:
                frags = self.frags[prog["id"]]
                yield ("xdp", mode, "frags"), "loader", frags
            link_id = self.bpf_links.get((*key, prog["id"]))
            if link_id is not None:
                assert (link_id, key[1], prog["id"]) in self.link_shown
            yield ("xdp", mode, "link_id"), "bpftool", link_id
            via = "netlink" if link_id is None else "link"
            yield ("xdp", mode, "via"), "bpftool", via

    def _bpftool_net(self, key: Key) -> Iterator[tuple[Path, str, Any]]:
        for shown in self.bpftool_net(key[0]):
            for entry in shown.get("xdp", []):
                if entry["ifindex"] == key[1] and "id" in entry:
                    yield ("xdp", entry["mode"], "id"), "bpftool", entry["id"]

    def _sysfs(self, key: Key) -> Iterator[tuple[Path, str, Any]]:
        namespace = self.truth["namespaces"][str(key[0])]
        files = namespace["sysfs"].get(self.links[key]["ifname"])
        assert files is not None, f"no sysfs for {self.links[key]['ifname']!r}"
        source = "sysfs"
        yield ("ifindex",), source, int(files["ifindex"])
        yield ("mtu",), source, int(files["mtu"])
        # sysfs has a device from when it is registered until that ends.
        yield ("reg_state",), source, "REGISTERED"
        yield from self._neighbours(key, files)
        yield ("operstate",), source, files["operstate"].upper()
        # An IP tunnel's is in hexadecimal here, and an IP address for ip.
        if files["addr_len"] == "6":
            yield ("mac",), source, files["address"]
        queues = files["queues"]
        for way in ("rx", "tx"):
            count = sum(name.startswith(way) for name in queues)
            yield ("queues", way, "real"), source, count
            for i in range(count):
                yield from self._sysfs_queue(way, i, queues[f"{way}-{i}"])

    def _sysfs_queue(
        self, way: str, i: int, files: dict[str, Any]
    ) -> Iterator[tuple[Path, str, Any]]:
        place = ("rps" if way == "rx" else "xps", str(i))
        yield (*place, "queue"), "sysfs", i
        if way == "rx":
            yield (*place, "cpus"), "sysfs", _cpu_mask(files["rps_cpus"])
            yield (*place, "flow_entries"), "sysfs", int(files["rps_flow_cnt"])
            return
        for ours, theirs in (("cpus", "xps_cpus"), ("rx_queues", "xps_rxqs")):
            said = files[theirs]
            if isinstance(said, str):
                yield (*place, ours), "sysfs", _cpu_mask(said)
            else:
                # sysfs hides the map of a device of one queue, and drivers make one.
                assert said == {"errno": "ENOENT"}, said
                yield (*place, ours), _NOBODY, None

    def _ethtool(self, key: Key) -> Iterator[tuple[Path, str, Any]]:
        shown = self.channels(key[0]).get(self.links[key]["ifname"])
        if (
            shown is None
            or self.links[key].get("linkinfo", {}).get("info_kind") != "veth"
        ):
            return
        for section, ours in (
            ("Pre-set maximums", "allocated"),
            ("Current hardware settings", "real"),
        ):
            for way in ("rx", "tx"):
                value = shown[section][way.upper()]
                yield ("queues", way, ours), "ethtool", value

    def _channels(self, inum: int) -> dict[str, dict[str, dict[str, int]]]:
        command = self.truth["namespaces"][str(inum)]["ethtool_channels"]
        return _channels(command["stdout"])

    def _addresses_shown(self, inum: int) -> Any:
        return _tool_json(self.truth["namespaces"][str(inum)]["ip_addr"])

    def _bpftool_net_shown(self, inum: int) -> Any:
        return _tool_json(self.truth["namespaces"][str(inum)]["bpftool_net"])

    def device(self, key: Key) -> Iterator[tuple[Path, str, Any]]:
        if key[0] == self.dying:
            yield ("off_list",), "scene", DYING
        label = self.label(key[0])
        if label is not None:
            yield ("netns_label",), "ip netns and /proc", label
        yield from self._ip(key)
        yield from self._addresses(key)
        yield from self._bpftool_net(key)
        yield from self._sysfs(key)
        yield from self._ethtool(key)
        if self.links[key].get("linkinfo", {}).get("info_kind") == "veth":
            real = sum(
                name.startswith("rx")
                for name in self.truth["namespaces"][str(key[0])]["sysfs"][
                    self.links[key]["ifname"]
                ]["queues"]
            )
            for i in range(real):
                yield ("xdp", "queues", str(i), "queue"), "sysfs", i


# Lists and objects that are one value.
_WHOLE = (
    *("addresses", "altnames", "cpus", "flags", "lowers", "master", "online_cpus"),
    *("peer", "rx_queues", "uppers"),
)
# Lists that sysfs does not have in the kernel's order.
_UNORDERED = ("lowers", "uppers")


def _in_order(path: Path, value: Any) -> Any:
    if not path or path[-1] not in _UNORDERED or not isinstance(value, list):
        return value
    return sorted(value, key=json.dumps)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the values of a record, with where each is."""
    whole = bool(path) and path[-1] in _WHOLE
    if isinstance(value, dict) and not whole:
        for name, member in value.items():
            yield from leaves(member, (*path, name))
    elif isinstance(value, list) and not whole:
        for i, member in enumerate(value):
            yield from leaves(member, (*path, str(i)))
    else:
        yield path, value


def kind_of(where: str, path: Path) -> str:
    """Return what kind of value is somewhere."""
    return ".".join((where, *(part for part in path if not part.isdigit())))


def _check(
    result: Comparison,
    where: str,
    place: str,
    ours: dict[str, Any],
    expected: Iterator[tuple[Path, str, Any]],
    unasked: Collection[str] = (),
) -> None:
    have = dict(leaves(ours))
    told = set()
    for path, source, value in expected:
        if source == _NOBODY:
            continue
        told.add(path)
        result.compared[source] += 1
        if path not in have:
            result.differences.append(
                f"{place}.{'.'.join(path)}: missing, {source} says {value!r}"
            )
        elif _in_order(path, have[path]) != _in_order(path, value):
            result.differences.append(
                f"{place}.{'.'.join(path)}: {have[path]!r}, {source} says {value!r}"
            )
    for path in have.keys() - told:
        kind = kind_of(where, path)
        result.alone[kind] += 1
        if kind not in NO_SECOND_SOURCE and kind not in unasked:
            result.differences.append(
                f"{place}.{'.'.join(path)}: {have[path]!r}, which nothing confirms"
            )


def _check_first(result: Comparison, place: str, ours: dict[str, Any]) -> None:
    # The kernel has the master before all others.
    if isinstance(ours["uppers"], list) and ours["master"]:
        result.compared["iproute2"] += 1
        if ours["uppers"][:1] != [ours["master"]]:
            result.differences.append(f"{place}.uppers: the master is not the first")


def compare(report: dict[str, Any], truth: dict[str, Any]) -> Comparison:
    """Compare every value of a report with what the guest's tools said."""
    expected = _Expected(truth)
    result = Comparison(collections.Counter(), [], collections.Counter())
    _check(result, "target", "target", report["target"], expected.target())

    ours_ns = {n["inum"]: n for n in report["namespaces"]}
    their_ns = expected.namespaces()
    for inum in ours_ns.keys() ^ their_ns.keys():
        result.differences.append(f"namespace {inum}: only one side has it")
    for inum in ours_ns.keys() & their_ns.keys():
        for name, value in their_ns[inum].items():
            result.compared["iproute2"] += 1
            have = ours_ns[inum].get(name)
            if have != value:
                result.differences.append(
                    f"namespace {inum}.{name}: {have!r}, iproute2 says {value!r}"
                )

    # Of a truth that does not have them.
    unasked = () if expected.has_addresses else ("devices.addresses",)
    ours = {(d["netns"], d["ifindex"]): d for d in report["devices"]}
    for key in ours.keys() ^ expected.links.keys():
        result.differences.append(f"device {key}: only one side has it")
    for key in sorted(ours.keys() & expected.links.keys()):
        place = f"device {key}"
        _check(result, "devices", place, ours[key], expected.device(key), unasked)
        _check_first(result, place, ours[key])

    pairs = sorted(
        (
            pair["kind"],
            (pair["a"]["netns"], pair["a"]["ifindex"]),
            (pair["b"]["netns"], pair["b"]["ifindex"]),
        )
        for pair in report["pairs"]
    )
    result.compared["iproute2"] += len(pairs)
    if pairs != expected.pairs():
        extra = set(pairs) ^ set(expected.pairs())
        result.differences.append(f"pairs: only one side has {sorted(extra)}")
    return result
