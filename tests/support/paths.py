# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths of hand-made Snapshots."""

from typing import Any, Optional

from drgn_veth.analysis.path import Flow, Path, Step, trace
from drgn_veth.model import Snapshot

__all__ = ("flows_of", "only", "path_of", "step_of", "steps_of")


def path_of(snapshot: Snapshot, name: str = "veth0", **options: Any) -> Path:
    """The path of the device of that name; in a pair, veth0 sends to eth0."""
    device = next(one for one in snapshot.devices if one.name == name)
    return trace(snapshot, device, **options)


def only(path: Path) -> Flow:
    """The flow of a path that has one."""
    (flow,) = path.flows
    return flow


def steps_of(flow: Flow, kind: str) -> list[Step]:
    """The steps of a kind."""
    return [step for step in flow.steps if step.kind == kind]


def step_of(flow: Flow, kind: str) -> Step:
    """The first step of a kind."""
    return steps_of(flow, kind)[0]


def flows_of(path: Path, kind: str, number: str) -> dict[tuple[int, ...], Any]:
    """What a number of the first step of a kind is, by TX queues."""
    found: dict[tuple[int, ...], Any] = {}
    for flow in path.flows:
        step: Optional[Step] = next((s for s in flow.steps if s.kind == kind), None)
        found[flow.tx_queues] = None if step is None else step.numbers.get(number)
    return found
