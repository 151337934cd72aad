# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a page knows of each device
--------------------------------

Plain values for the page's script, which shows them when a device is clicked, and
places boxes when one is folded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import itertools
import os
from typing import Any, Optional

from ...analysis.attach.question import Answer
from ...analysis.native import chain
from ...analysis.rules.finding import Finding
from ...core.unreadable import Unreadable
from ...model import Device, Namespace, Snapshot
from ..attempts import Attempt, outcome
from ..columns import HEADER, columns_with
from ..plain import plain
from .layout import Layout, Placed, Shape
from .scene import Scene
from .svg import open_shapes

__all__ = ("outcomes", "records", "ways")

_Json = dict[str, Any]


def outcomes(answer: Answer) -> str:
    """Return an answer and those after its fixes: ``EEXIST, then ENOSPC``."""
    return ", then ".join(map(outcome, chain(answer)))


def _told(answer: Answer) -> _Json:
    errno = answer.errno
    said: _Json = {"outcome": outcome(answer), "because": answer.because}
    if isinstance(errno, int) and errno:
        said["error"] = os.strerror(errno)
    if answer.message is not None:
        said["message"] = answer.message
    if answer.function:
        said["function"] = f"{answer.function}()"
    if answer.fix:
        said["fix"] = list(answer.fix)
    if answer.fix_effect is not None:
        said["effect"] = answer.fix_effect
    if answer.errno is None and answer.either:
        said["either"] = [_told(one) for one in answer.either]
    if answer.then is not None:
        said["then"] = _told(answer.then)
    return said


def ways(same: Sequence[Attempt]) -> str:
    """Return which of the ways to attach in a mode get an answer, if not all do."""
    vias = list(dict.fromkeys(attempt.via for attempt in same))
    frags = list(dict.fromkeys(attempt.frags for attempt in same))
    kinds = ["with frags" if one else "without frags" for one in frags]
    if len(vias) * len(frags) != len(same):
        return "; ".join(
            f"by {a.via} {'with' if a.frags else 'without'} frags" for a in same
        )
    parts = [] if len(vias) > 1 else [f"by {vias[0]}"]
    parts += kinds if len(kinds) == 1 else []
    return " ".join(parts)


class _Answers:
    # Each answer once: many devices get the same.

    def __init__(self, attempts: Iterable[Attempt]) -> None:
        self.all: list[_Json] = []
        self._places: dict[Answer, int] = {}
        self._of: dict[int, dict[tuple[str, int], list[Attempt]]] = {}
        for attempt in attempts:
            place = self._places.get(attempt.answer)
            if place is None:
                place = self._places[attempt.answer] = len(self.all)
                self.all.append(_told(attempt.answer))
            of_device = self._of.setdefault(attempt.device.net_device, {})
            of_device.setdefault((attempt.mode, place), []).append(attempt)

    def of(self, device: Device) -> list[list[Any]]:
        # Mode, ways ("": all of them), answer.
        of_device = self._of.get(device.net_device, {})
        number: dict[str, int] = {}
        for mode, _ in of_device:
            number[mode] = number.get(mode, 0) + 1
        return [
            [mode, "" if number[mode] == 1 else ways(same), place]
            for (mode, place), same in of_device.items()
        ]


def _is_empty(value: object) -> bool:
    return value is None or value == [] or value == "" or value == {}


def _filled(value: Any) -> Any:
    # Without members that say nothing.
    if isinstance(value, dict):
        kept = {key: _filled(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if not _is_empty(one)}
    if isinstance(value, list):
        return [_filled(one) for one in value]
    return value


def _per_queue(records: Any, off: Mapping[str, Any]) -> Any:
    # Queues on which something is set.
    if not isinstance(records, list):
        return records
    return [
        one
        for one in records
        if any(one.get(name) != nothing for name, nothing in off.items())
    ]


def _more(device: Device) -> _Json:
    # What the columns do not have.
    return {
        "xdp": {
            **{
                mode: plain(getattr(device.xdp, mode))
                for mode in device.xdp._fields[:3]
            },
            "queues": _per_queue(
                plain(device.xdp.queues), {"prog_id": None, "napi": False}
            ),
        },
        "rps": _per_queue(plain(device.rps), {"cpus": [], "flow_entries": 0}),
        "xps": _per_queue(plain(device.xps), {"cpus": [], "rx_queues": []}),
        "driver": plain(device.driver),
        "bond": plain(device.bond),
        "veth": plain(device.veth),
        "refcount": plain(device.refcount),
        "ref_tasks": plain(device.ref_tasks),
    }


def _shape(shape: Shape, devices: Sequence[int]) -> _Json:
    places: list[float] = []
    for device in devices:
        places += (round(n, 1) for n in shape.inside.devices[device])
    return {"k": shape.columns, "h": round(shape.height, 1), "p": places}


def _box(placed: Placed, snapshot: Snapshot, drawn: Optional[str]) -> _Json:
    box = placed.box
    devices = [row.device for row in box.all()]
    namespace: Optional[Namespace] = None
    if box.namespace is not None:
        namespace = snapshot.namespaces[box.namespace]
    return {
        "label": box.label,
        "facts": _filled(plain(namespace)),
        "devices": devices,
        "open": _shape(placed.open, devices),
        "folded": _shape(placed.folded, devices),
        **({} if drawn is None else {"drawn": drawn}),
    }


def _devices(
    snapshot: Snapshot,
    scene: Scene,
    findings: Sequence[Finding],
    answers: _Answers,
) -> Iterator[_Json]:
    columns = columns_with(snapshot.devices)
    index = {device.net_device: i for i, device in enumerate(snapshot.devices)}
    of_device: dict[int, list[int]] = {}
    for i, finding in enumerate(findings):
        if finding.device is not None:
            of_device.setdefault(finding.device.net_device, []).append(i)
    for device in snapshot.devices:
        peer = device.peer
        there = None
        if peer is not None and not isinstance(peer, Unreadable):
            there = index.get(peer.net_device)
        yield {
            "facts": [column.text(device) for column in columns],
            "peer": there,
            "findings": of_device.get(device.net_device, []),
            "answers": answers.of(device),
            "more": _filled(_more(device)),
        }


def records(
    snapshot: Snapshot,
    scene: Scene,
    layout: Layout,
    top: float,
    findings: Sequence[Finding],
    attempts: Iterable[Attempt],
) -> _Json:
    """
    Return what a page's script needs.

    :param top: Where the boxes begin
    """
    answers = _Answers(attempts)
    later: Iterable[Optional[str]] = itertools.repeat(None)
    if layout.folded:
        later = open_shapes(snapshot, layout)
    return {
        "columns": list(HEADER),
        "devices": list(_devices(snapshot, scene, findings, answers)),
        "answers": answers.all,
        "findings": [_filled(plain(finding)) for finding in findings],
        "boxes": [
            _box(placed, snapshot, drawn) for placed, drawn in zip(layout.boxes, later)
        ],
        "edges": [[edge.a, edge.b] for edge in scene.edges],
        "grid": {
            "columns": layout.grid.columns,
            "width": layout.grid.width,
            "gapX": layout.grid.gap_x,
            "gapY": layout.grid.gap_y,
            "top": top,
        },
    }
