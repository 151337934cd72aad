# SPDX-License-Identifier: LGPL-2.1-or-later
"""XDP programs, and how they are attached."""

from collections.abc import Iterator

from .comparison import Told
from .maps import expected_reached
from .said import Key, Truth

__all__ = ("expected_xdp",)

_MODES = {1: "driver", 2: "generic", 3: "offload"}


def _attached(truth: Truth, key: Key) -> Iterator[Told]:
    xdp = truth.links[key].get("xdp", {})
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
        shown = truth.progs[prog["id"]]
        yield ("xdp", mode, "jited"), "bpftool", shown["jited"]
        for ours in ("name", "tag", "uid"):
            yield ("xdp", mode, ours), "bpftool", shown[ours]
        if prog["id"] in truth.frags:
            frags = truth.frags[prog["id"]]
            yield ("xdp", mode, "frags"), "loader", frags
        link_id = truth.bpf_links.get((*key, prog["id"]))
        if link_id is not None:
            assert (link_id, key[1], prog["id"]) in truth.link_shown
        yield ("xdp", mode, "link_id"), "bpftool", link_id
        via = "netlink" if link_id is None else "link"
        yield ("xdp", mode, "via"), "bpftool", via
        yield from expected_reached(truth, mode, prog["id"])


def _bpftool_net(truth: Truth, key: Key) -> Iterator[Told]:
    for shown in truth.shown(key[0], "bpftool_net"):
        for entry in shown.get("xdp", []):
            if entry["ifindex"] == key[1] and "id" in entry:
                yield ("xdp", entry["mode"], "id"), "bpftool", entry["id"]


def expected_xdp(truth: Truth, key: Key) -> Iterator[Told]:
    """Yield what the XDP programs of a device have to be."""
    yield from _attached(truth, key)
    yield from _bpftool_net(truth, key)
