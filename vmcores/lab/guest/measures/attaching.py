# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel answers to an attach or a detach of XDP."""

from __future__ import annotations

import json
import os
from pathlib import Path
import re
import socket
from typing import Any, Optional

from bpf import open_pinned
from devices import Routing
from places import XDP_RECORDS, lines
from traffic import netns

from .ends import PASS, End, Measure, ifindex_of, inum_of, must, set_link, show_link

__all__ = (
    "answer",
    "detach_refused",
    "native",
    "native_alone",
    "pinned_only",
)

# include/uapi/linux/if_link.h
XDP_FLAGS_NOEXIST, XDP_FLAGS_DRV = 1, 4


def native(expected: str, *mode: str) -> Measure:
    """The kernel refuses a native attach with this message."""
    words = mode or ("xdpdrv",)

    def measured(end: End) -> tuple[bool, str]:
        before = show_link(end.name, end.where).get("xdp")
        status, said = set_link(end.name, *words, "pinned", PASS, where=end.where)
        told = f"ip link set dev {end.name} {' '.join(words)} pinned ..."
        if status == 0:
            if before != show_link(end.name, end.where).get("xdp"):
                must(set_link(end.name, *words, "off", where=end.where), "detach")
            return False, f"{told}: accepted (and taken off again)"
        return expected in said, f"{told}: refused: {said}"

    return measured


def native_alone(expected: str) -> Measure:
    """The same, while its generic program is off."""
    measure_native = native(expected)

    def measured(end: End) -> tuple[bool, str]:
        must(set_link(end.name, "xdpgeneric", "off", where=end.where), "detach")
        shown, told = measure_native(end)
        again = set_link(end.name, "xdpgeneric", "pinned", end.prog, where=end.where)
        must(again, "attach again")
        return shown, f"with its generic program off: {told}"

    return measured


def answer(end: End) -> dict[str, Any]:
    """Return what the kernel answers to a native attach; nothing stays attached."""
    fd = open_pinned(PASS)
    with netns(end.where):
        routing = Routing()
        try:
            ifindex = socket.if_nametoindex(end.name)
            reply = routing.set_xdp(ifindex, fd, XDP_FLAGS_DRV | XDP_FLAGS_NOEXIST)
            if reply.errno == 0:
                off = routing.set_xdp(ifindex, -1, XDP_FLAGS_DRV)
                must((off.errno, str(off.message)), "detach")
        finally:
            routing.close()
            os.close(fd)
    return {"name": end.name, "errno": reply.errno, "message": reply.message}


def detach_refused(end: End) -> tuple[bool, str]:
    """The kernel refuses a detach because a link owns the hook."""
    before = show_link(end.name, end.where).get("xdp")
    status, said = set_link(end.name, "xdp", "off", where=end.where)
    told = f"ip link set dev {end.name} xdp off"
    if status:
        return "Can't replace active BPF XDP link" in said, f"{told}: refused: {said}"
    if before:
        again = set_link(end.name, "xdpdrv", "pinned", end.prog, where=end.where)
        must(again, "attach again")
    return False, f"{told}: accepted (and attached again)"


def _xdp_link(end: End) -> Optional[int]:
    """Return the id of the link that xdp.py made for it."""
    here = inum_of(end.where), ifindex_of(end.name, end.where)
    for line in lines(XDP_RECORDS):
        record = json.loads(line)
        if record["what"] == "link" and (record["netns"], record["ifindex"]) == here:
            return int(record["id"])
    return None


def pinned_only(end: End) -> tuple[bool, str]:
    """The kernel refuses a detach though no process has the link open."""
    refused, told = detach_refused(end)
    link = _xdp_link(end)
    if link is None:
        return False, f"{told}; it never had a link"
    holders = []
    for info in Path("/proc").glob("[0-9]*/fdinfo/*"):
        try:
            text = info.read_text()
        except OSError:
            continue
        if re.search(rf"^link_id:\s*{link}$", text, re.M):
            holders.append(info.parts[2])
    told += f"; link {link} is open in {len(holders)} processes"
    return refused and not holders, told
