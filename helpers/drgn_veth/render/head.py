# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The head of a screen
--------------------

What was looked at, how much there is, and which namespaces the labels stand for.
"""

from collections import Counter
from collections.abc import Sequence
import datetime

from ..analysis.missing import missing_from
from ..analysis.rules.finding import SEVERITIES, Finding, severity_word
from ..analysis.shown import Shown
from ..core.english import count, number_list, plural
from ..core.unreadable import Unreadable
from ..model import (
    XDP_MODES,
    Device,
    Namespace,
    Snapshot,
    Target,
    XdpProgram,
)
from . import words
from .commands import hint
from .style import PLAIN, Style
from .width import flow, wrap

__all__ = (
    "blocked",
    "crashed",
    "legend",
    "namespace",
    "severities",
    "target",
    "totals",
)

_KINDS = {"elf": "ELF", "kcore": "running kernel", "qemu": "QEMU guest"}
_LEGEND = 60  # namespaces
_LEGEND_LINES = 4
_GAP = 4


def _cpus(target: Target) -> str:
    possible, online = target.possible_cpus, target.online_cpus
    isolated = target.isolated_cpus
    said = f"{words.cell(possible)} CPUs" if possible != 1 else "1 CPU"
    if not isinstance(online, Unreadable) and len(online) != possible:
        said += f", {len(online)} online ({number_list(online)})"
    if isolated and not isinstance(isolated, Unreadable):
        said += f", {len(isolated)} isolated ({number_list(isolated)})"
    return said


def crashed(target: Target) -> str:
    """Return when the kernel crashed, "" if that is not known."""
    if not isinstance(target.time, int):
        return ""
    try:
        when = datetime.datetime.fromtimestamp(target.time, datetime.timezone.utc)
    except (OverflowError, OSError, ValueError):
        return ""
    return f"crashed {when:%Y-%m-%d %H:%M:%S} UTC"


def target(snapshot: Snapshot, style: Style = PLAIN) -> list[str]:
    """Return what was looked at: the file, the kernel, its CPUs."""
    target = snapshot.target
    kind = _KINDS.get(target.kind, target.kind)
    name = f"{words.cell(target.path)} ({kind})" if target.path else kind
    parts = (
        style.shown(name),
        f"Linux {words.cell(target.release)} {words.cell(target.arch)}",
        _cpus(target),
        crashed(target),
        f"types: {target.types.upper()}",
    )
    return flow(parts, style.width)


def _has_rps(device: Device) -> bool:
    if isinstance(device.rps, Unreadable):
        return False
    return any(isinstance(q.cpus, tuple) and q.cpus for q in device.rps)


def _things(snapshot: Snapshot) -> str:
    # 44 pairs (42 veth, 2 netkit) and 24 other devices in 6 namespaces
    kinds = Counter(pair.kind for pair in snapshot.pairs).most_common()
    number = len(snapshot.pairs)
    ends = {end.net_device for pair in snapshot.pairs for end in (pair.a, pair.b)}
    others = sum(device.net_device not in ends for device in snapshot.devices)
    spaces = len(snapshot.namespaces)
    where = f"in {spaces:,} {plural('namespace', spaces)}"
    if not number:
        return f"no pairs, {others:,} {plural('device', others)} {where}"
    if len(kinds) == 1:
        pairs = f"{number:,} {words.cell(kinds[0][0])} {plural('pair', number)}"
    else:
        each = ", ".join(f"{n:,} {words.cell(kind)}" for kind, n in kinds)
        pairs = f"{number:,} pairs ({each})"
    return f"{pairs} and {others:,} {plural('other device', others)} {where}"


def _features(snapshot: Snapshot) -> str:
    # Unreadable values are counted separately.
    modes = {
        mode: sum(
            isinstance(getattr(device.xdp, mode), XdpProgram)
            for device in snapshot.devices
        )
        for mode in XDP_MODES
    }
    programs = ", ".join(f"{number} {mode}" for mode, number in modes.items() if number)
    rps = sum(_has_rps(device) for device in snapshot.devices)
    return f"XDP: {programs or 'none'}; RPS: {count(rps, 'device') if rps else 'none'}"


def severities(found: Sequence[Finding]) -> list[str]:
    """Return how many findings of each severity there are; infos are called notes."""
    settled = Counter(f.severity for f in found if f.undecided is None)
    said = [
        f"{settled[s]:,} {plural(severity_word(s), settled[s])}"
        for s in SEVERITIES
        if settled[s]
    ]
    undecided = len(found) - sum(settled.values())
    return [*said, f"{undecided:,} undecided"] if undecided else said


def totals(
    snapshot: Snapshot, found: Sequence[Finding] = (), style: Style = PLAIN
) -> list[str]:
    """Return how much there is of what, and how much could not be read."""
    parts = (
        _things(snapshot),
        _features(snapshot),
        ", ".join(severities(found)),
        missing_from(snapshot).brief(),
    )
    return flow(parts, style.width, _GAP)


def blocked(snapshot: Snapshot, style: Style = PLAIN) -> list[str]:
    """Return who holds ``rtnl_mutex``, nothing if nobody does."""
    owner = snapshot.target.rtnl_owner
    if owner is None or isinstance(owner, Unreadable):
        return []
    who = f"{words.cell(owner.comm)} (pid {words.cell(owner.pid)})"
    said = (
        f"rtnl_mutex is held by {who}: "
        "what it changes may be half done, and all other changes wait"
    )
    return wrap(style.shown(said), style.width, rest="  ")


def namespace(namespace: Namespace) -> str:
    """Return a namespace as the legend has it: ``pod1 4026532309``."""
    text = f"{words.cell(namespace.label)} {words.cell(namespace.inum)}"
    hostname = namespace.hostname
    # What a host is called that nobody has named.
    if isinstance(hostname, str) and hostname != "(none)" and not namespace.init:
        text += f" ({words.cell(hostname)})"
    return text + (" (dying)" if namespace.dying else "")


def legend(snapshot: Snapshot, shown: Shown, style: Style = PLAIN) -> list[str]:
    """
    Return which namespaces the labels in a table stand for: a few lines, and how many
    more there are.

    :param shown: What is in the table; its namespaces come first
    """
    used = {end.netns for row in shown.rows for end in row}
    ordered = sorted(snapshot.namespaces, key=lambda n: n.inum not in used)
    parts = [style.shown(namespace(one)) for one in ordered[:_LEGEND]]
    kept = len(parts)
    while True:
        left = len(ordered) - kept
        more, *below = (
            hint(f"and {left:,} more", style.calls.netns, style, "  ") if left else [""]
        )
        lines = flow([*parts[:kept], more.strip()], style.width, _GAP)
        if len(lines) <= _LEGEND_LINES or not kept:
            return [*lines, *below]
        kept -= 1
