# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A comparison in words
---------------------

How a table shows what differs.
"""

from collections.abc import Callable, Mapping
import datetime
from typing import Any, Optional

from ..analysis.compare.document import Record
from ..analysis.compare.records import CAME, CHANGED, WENT, Change
from ..analysis.compare.values import Label, PerQueue, Program, Reference
from ..core.english import number_list, per_queue
from ..core.unreadable import Unreadable
from .words import UNKNOWN, cell

__all__ = ("MARKS", "change", "key_words", "summary", "target_words", "value")

MARKS: Mapping[str, str] = {CAME: "+", WENT: "-", CHANGED: "~"}

_NONE = "none"
_ID = 12  # characters of a container's, as in labels
#: What a key is called where its own words are not the best.
_KEYS: Mapping[str, str] = {
    "netns_label": "namespace",
    "label": "name",
    "reg_state": "registration",
    "off_list": "on no list",
    "mtu": "MTU",
    "min_mtu": "lowest MTU",
    "max_mtu": "highest MTU",
    "mac": "MAC",
    "bridge_port.state": "bridge port",
    "bond.mode": "bond",
    "lowers": "on",
    "queues.rx.real": "RX queues",
    "queues.rx.allocated": "RX queues, at most",
    "queues.tx.real": "TX queues",
    "queues.tx.allocated": "TX queues, at most",
    "xdp.generic": "XDP generic",
    "xdp.driver": "XDP driver",
    "xdp.offload": "XDP offload",
    "xdp.queues.napi": "queues with NAPI",
    "xdp.queues.prog_id": "queues with XDP",
    "rps.cpus": "RPS CPUs",
    "rps.flow_entries": "RFS entries",
    "xps.cpus": "XPS CPUs",
    "xps.rx_queues": "XPS RX queues",
    "rps_sock_flow_entries": "RFS table",
    "rtnl_owner.comm": "rtnl_mutex held by",
    "names": "ip netns",
    "task_count": "has processes",
    "holders": "held by",
    "possible_cpus": "possible CPUs",
    "online_cpus": "online CPUs",
    "isolated_cpus": "isolated CPUs",
}


def key_words(key: str) -> str:
    """
    Return what a table calls a key.

    >>> key_words("xdp.generic"), key_words("vlan.id")
    ('XDP generic', 'vlan id')
    """
    return _KEYS.get(key) or cell(key.replace(".", " "))


def _place(reference: Reference) -> str:
    return f"{cell(reference.name)} ({cell(reference.netns)})"


def _of_queue(one: object) -> str:
    if isinstance(one, Unreadable):
        return UNKNOWN
    if isinstance(one, tuple):
        return number_list(one) if UNKNOWN not in map(cell, one) else UNKNOWN
    return cell(one) if one else ""


def _queues(key: str, queues: PerQueue) -> str:
    values = queues.values
    if any(isinstance(one, bool) for one in values):
        on = [i for i, one in enumerate(values) if one is True]
        lost = f", {UNKNOWN}" if any(map(_is_lost, values)) else ""
        text = "all" if len(on) == len(values) else number_list(on)
        return f"{text}{lost}" if on or not lost else UNKNOWN
    text = per_queue((i, _of_queue(one)) for i, one in enumerate(values))
    # The queues of XPS send.
    return text.replace("rx", "tx") if key.startswith("xps") else text


def _is_lost(one: object) -> bool:
    return isinstance(one, Unreadable)


def value(key: str, one: Any) -> str:
    """Return one value of a key."""
    if isinstance(one, Label):
        return cell(one.text)
    if isinstance(one, Reference):
        return _place(one)
    if isinstance(one, Program):
        words = [cell(one.name)]
        words += ["link"] if one.via == "link" else []
        words += ["frags"] if one.frags is True else []
        words += ["not jited"] if one.jited is False else []
        return " ".join(words)
    if isinstance(one, PerQueue):
        return _queues(key, one) or _NONE
    if isinstance(one, bool):
        return "yes" if one else "no"
    if isinstance(one, tuple):
        if one and all(isinstance(number, int) for number in one):
            return number_list(one)
        if key == "containers":
            one = tuple(cell(member)[:_ID] for member in one)
        return " ".join(value(key, member) for member in one) or _NONE
    return cell(one, _NONE)


def _with_tag(key: str, one: Any) -> str:
    tag = one.tag if isinstance(one, Program) else None
    return value(key, one) + (f" tag {cell(tag)}" if tag is not None else "")


def _differences(key: str, old: tuple[Any, ...], new: tuple[Any, ...]) -> str:
    # Of a list of words: what went and what came.
    texts = [[value(key, (one,)) for one in side] for side in (old, new)]
    gone = [f"-{text}" for text in texts[0] if text not in texts[1]]
    here = [f"+{text}" for text in texts[1] if text not in texts[0]]
    return " ".join([*gone, *here])


def _are_words(one: Any) -> bool:
    return type(one) is tuple and not any(isinstance(n, (int, tuple)) for n in one)


def _are_references(one: Any) -> bool:
    return type(one) is tuple and all(isinstance(n, Reference) for n in one)


def change(change: Change) -> str:
    """
    Return what became of a value.

    >>> change(Change("mtu", 1500, 9000))
    '1500 -> 9000'
    >>> change(Change("addresses", ("10.0.0.1/24",), ("10.0.0.2/24",)))
    '-10.0.0.1/24 +10.0.0.2/24'
    """
    key, old, new = change
    if all(map(_are_words, (old, new))) or all(map(_are_references, (old, new))):
        text = _differences(key, old, new)
        if text:
            return text
    show: Callable[[str, Any], str] = value
    if isinstance(old, Program) and isinstance(new, Program) and old.tag != new.tag:
        show = _with_tag
    texts = [show(key, one) for one in (old, new)]
    if texts[0] == texts[1]:
        return f"{texts[0]} -> changed (--format json shows all of it)"
    return " -> ".join(texts)


def summary(values: Mapping[str, Any]) -> str:
    """
    Return what a device is that came or went.

    :param values: All that is compared
    """
    netns = values["netns_label"].text

    def show(key: str, one: Any) -> str:
        if isinstance(one, Reference) and one.netns == netns:
            return cell(one.name)
        if _are_references(one):
            return " ".join(show(key, reference) for reference in one)
        return value(key, one)

    parts = [cell(values["kind"]), show("state", values["state"])]
    parts.append(f"mtu {show('mtu', values['mtu'])}")
    for key, before in (("master", "in"), ("lowers", "on"), ("peer", "peer")):
        if values[key]:
            parts.append(f"{before} {show(key, values[key])}")
    if values["addresses"]:
        parts.append(show("addresses", values["addresses"]))
    for mode in ("generic", "driver", "offload"):
        key = f"xdp.{mode}"
        if values[key] is not None:
            parts.append(f"{key_words(key)} {show(key, values[key])}")
    rps = show("rps.cpus", values["rps.cpus"])
    if rps != _NONE:
        parts.append(f"RPS CPUs {rps}")
    return ", ".join(filter(None, parts))


def _time(seconds: int) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (OverflowError, OSError, ValueError):
        return UNKNOWN
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def target_words(target: Record, read: Optional[int]) -> list[str]:
    """
    Return what a report is of: the kernel, and when it was.

    :param read: When it was read, in seconds since 1970; None: not known
    """
    words = [f"Linux {cell(target['release'])} {cell(target['arch'])}"]
    time = target["time"]
    if isinstance(time, int):
        words.append(f"crashed {_time(time)}")
    elif read is not None:
        words.append(f"read {_time(read)}")
    return words
