# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The page
--------

One file of HTML that asks for nothing outside: the picture, what is wrong, the tables,
and all that is known of each device. Its policy allows its own script and style, and
nothing else.
"""

import base64
from collections.abc import Iterator, Sequence
import hashlib
import string
from typing import Optional

from ...analysis.missing import missing_from
from ...analysis.rules.finding import SEVERITIES, Finding, severity_word
from ...core.english import count
from ...core.unreadable import Unreadable
from ...model import Snapshot, Task
from .. import words
from ..attempts import Attempt
from ..head import crashed
from . import tables
from .layout import place_scene
from .markup import element, in_script, text
from .records import records
from .scene import make_scene
from .svg import drawing, own_file, top

__all__ = ("render",)


_SCRIPT = ("boxes", "view", "details", "search", "keys")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _script() -> str:
    # The parts share their names, and nothing else sees them.
    parts = "\n".join(own_file(f"{name}.js") for name in _SCRIPT)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _cpus(snapshot: Snapshot) -> str:
    possible, online = snapshot.target.possible_cpus, snapshot.target.online_cpus
    there = words.UNKNOWN if isinstance(online, Unreadable) else str(len(online))
    return f"{words.cell(possible)} CPUs, {there} online"


def _machine(snapshot: Snapshot) -> Iterator[str]:
    target = snapshot.target
    if target.path is not None:
        yield f"{target.path} ({target.kind})"
    else:
        yield target.kind
    yield target.arch
    yield _cpus(snapshot)
    yield f"types: {target.types}"
    when = crashed(target)
    if when:
        yield when


def _totals(snapshot: Snapshot) -> str:
    kinds: dict[str, int] = {}
    for pair in snapshot.pairs:
        kinds[words.cell(pair.kind)] = kinds.get(words.cell(pair.kind), 0) + 1
    by_kind = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return (
        f"{count(len(snapshot.pairs), 'pair')}{f' ({by_kind})' if by_kind else ''}, "
        f"{count(len(snapshot.devices), 'device')} in "
        f"{count(len(snapshot.namespaces), 'namespace')}"
    )


def _found(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    # A word and its severity.
    decided = [finding for finding in findings if finding.undecided is None]
    for severity in SEVERITIES:
        number = sum(finding.severity == severity for finding in decided)
        if number:
            yield count(number, severity_word(severity)), severity
    undecided = len(findings) - len(decided)
    if undecided:
        yield f"{undecided} undecided", "undecided"


def _head(snapshot: Snapshot, findings: Sequence[Finding]) -> str:
    lines = [
        element("p", text(" \N{MIDDLE DOT} ".join(_machine(snapshot)))),
        element(
            "p",
            text(_totals(snapshot)),
            *(
                " " + element("a", text(said), href="#findings", class_=f"chip {kind}")
                for said, kind in _found(findings)
            ),
        ),
    ]
    owner = snapshot.target.rtnl_owner
    if isinstance(owner, Task):
        who = f"{words.cell(owner.comm)} (pid {words.cell(owner.pid)})"
        lines.append(element("p", text(f"rtnl_mutex is held by {who}"), class_="alert"))
    missing = missing_from(snapshot).line()
    if missing is not None:
        lines.append(element("p", text(missing), class_="alert"))
    title = f"Linux {words.cell(snapshot.target.release)}"
    return element("h1", text(title)) + "".join(lines)


def _section(name: str, title: str, number: Optional[int], inside: str) -> str:
    shown = title if number is None else f"{title} ({number})"
    number = number or 0
    return element(
        "details",
        element("summary", element("h2", text(shown))),
        tables.later(inside, number),
        id=name,
        class_="section",
        open=not tables.is_long(number),
    )


def render(
    snapshot: Snapshot,
    findings: Sequence[Finding],
    attempts: Sequence[Attempt],
    unasked: Optional[str] = None,
) -> str:
    """
    Return a Snapshot as a page.

    :param findings: What :func:`~drgn_veth.analysis.diagnose.diagnose()` found
    :param attempts: Answers to XDP attaches
    :param unasked: Why there are none
    """
    scene = make_scene(snapshot, findings)
    layout = place_scene(scene)
    index = {device.net_device: i for i, device in enumerate(snapshot.devices)}
    begin = top(scene, layout, page=True)
    data = records(snapshot, scene, layout, begin, findings, attempts)
    style = own_file("picture.css") + own_file("page.css")
    script = _script()
    devices = len({attempt.device.net_device for attempt in attempts})
    matrix = (
        tables.attach_table(attempts, index)
        if unasked is None
        else element("p", text(unasked))
    )
    sections = [
        _section(
            *("findings", "Findings", None), tables.findings_list(findings, index)
        ),
        _section(
            *("pairs", "Pairs", len(snapshot.pairs)),
            tables.pairs_table(snapshot, index),
        ),
        _section(
            *("attach", "What an XDP attach would return", devices or None), matrix
        ),
        _section(
            *("namespaces", "Network namespaces", len(snapshot.namespaces)),
            tables.namespaces_table(snapshot),
        ),
        _section(
            *("devices", "Devices", len(snapshot.devices)),
            tables.devices_table(snapshot, index),
        ),
    ]
    return string.Template(own_file("page.html")).substitute(
        title=text(scene.title),
        policy=text(_policy(style, script)).replace("&#x27;", "'"),
        style=style,
        head=_head(snapshot, findings),
        picture=drawing(snapshot, scene, layout, page=True),
        sections="\n".join(sections),
        data=in_script(data),
        script=script,
    )
