# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices, what they lie on, and pairs."""

from collections.abc import Iterator
from typing import Any

from .comparison import Comparison, Told
from .maps import expected_sockets, expected_tc
from .namespaces import label_of
from .queues import expected_queues
from .said import DYING, Key, Truth, kernel_text
from .xdp import expected_xdp

__all__ = ("check_first", "expected_device", "expected_pairs")

_PSEUDO_FLAGS = ("NO-CARRIER", "M-DOWN")


def _of_kind(link: dict[str, Any]) -> Iterator[Told]:
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


def _ip(truth: Truth, key: Key) -> Iterator[Told]:
    link = truth.links[key]
    source = "iproute2"
    yield ("netns",), source, key[0]
    yield ("ifindex",), source, link["ifindex"]
    yield ("name",), source, kernel_text(link["ifname"])
    altnames = [kernel_text(name) for name in link.get("altnames", [])]
    yield ("altnames",), source, altnames
    alias = link.get("ifalias")
    yield ("alias",), source, None if alias is None else kernel_text(alias)
    yield ("kind",), source, truth.kind(key)
    flags = [flag for flag in link["flags"] if flag not in _PSEUDO_FLAGS]
    if "UP" in flags and "NO-CARRIER" not in link["flags"]:
        # ip leaves RUNNING out and says NO-CARRIER where it is missing.
        flags.insert(flags.index("UP") + 1, "RUNNING")
    yield ("flags",), source, flags
    yield ("operstate",), source, link["operstate"]
    for name in ("mtu", "min_mtu", "max_mtu"):
        yield (name,), source, link[name]
    yield ("mac",), source, link.get("address")
    if "master" in link:
        master = truth.reference(truth.by_name[key[0], link["master"]])
    else:
        master = None
    yield ("master",), source, master
    peer = truth.peer(key)
    yield ("peer",), source, None if peer is None else truth.reference(peer)
    yield ("qdisc",), source, link.get("qdisc")


def _addresses(truth: Truth, key: Key) -> Iterator[Told]:
    if not truth.has_addresses:
        return
    shown = truth.shown(key[0], "ip_addr")
    # A filter of ip may leave empty objects.
    (link,) = (link for link in shown if link and link["ifindex"] == key[1])
    addresses = [
        f"{address['local']}/{address['prefixlen']}"
        for address in link.get("addr_info", [])
        if address
    ]
    yield ("addresses",), "iproute2", addresses


def _neighbours(truth: Truth, key: Key) -> Iterator[Told]:
    files = truth.sysfs(key)
    below = truth.below(key)
    above = [other for other in truth.links if truth.below(other) == key]
    for way, others in (
        ("lowers", [] if below is None else [below]),
        ("uppers", above),
    ):
        here = [truth.by_name[key[0], name] for name in files[way]]
        refs = [truth.reference(other) for other in sorted((*here, *others))]
        yield (way,), "sysfs", refs


def _sysfs(truth: Truth, key: Key) -> Iterator[Told]:
    files = truth.sysfs(key)
    source = "sysfs"
    yield ("ifindex",), source, int(files["ifindex"])
    yield ("mtu",), source, int(files["mtu"])
    yield ("type",), source, int(files["type"])
    # sysfs has a device from when it is registered until that ends.
    yield ("reg_state",), source, "REGISTERED"
    yield ("operstate",), source, files["operstate"].upper()
    # An IP tunnel's is in hexadecimal here, and an IP address for ip.
    if files["addr_len"] == "6":
        yield ("mac",), source, files["address"]


#: Kinds of devices that count in their own structs, which no reader follows.
UNCOUNTED = ("ifb", "macsec", "team")


def expected_device(truth: Truth, key: Key) -> Iterator[Told]:
    """Yield what a device has to be."""
    if key[0] == truth.dying:
        yield ("off_list",), "scene", DYING
    label = label_of(truth, key[0])
    if label is not None:
        yield ("netns_label",), "ip netns and /proc", label
    if truth.kind(key) in UNCOUNTED:
        said = f"only the driver {truth.kind(key)} knows what it has counted"
        yield ("stats", "unreadable"), "drivers that are not modelled", said
    yield from _ip(truth, key)
    yield from _of_kind(truth.links[key])
    yield from _addresses(truth, key)
    yield from _sysfs(truth, key)
    yield from _neighbours(truth, key)
    yield from expected_queues(truth, key)
    yield from expected_xdp(truth, key)
    yield from expected_sockets(truth, key)
    yield from expected_tc(truth, key)


def check_first(result: Comparison, place: str, ours: dict[str, Any]) -> None:
    """Check that a device has its master before all others, as the kernel does."""
    if isinstance(ours["uppers"], list) and ours["master"]:
        result.compared["iproute2"] += 1
        if ours["uppers"][:1] != [ours["master"]]:
            result.differences.append(f"{place}.uppers: the master is not the first")


def expected_pairs(truth: Truth) -> list[tuple[str, Key, Key]]:
    """Return the kind and the ends of each pair."""
    found = set()
    for key in truth.links:
        peer = truth.peer(key)
        if peer is not None:
            a, b = sorted((key, peer))
            found.add((str(truth.kind(key)), a, b))
    return sorted(found)
