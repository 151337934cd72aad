# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Diagnosis
---------

Applies the rules (:mod:`drgn_veth.analysis.rules`) to a Snapshot. Pure functions.
"""

from collections.abc import Sequence
from typing import Optional

from ..core.english import count
from ..core.unreadable import Maybe, Unreadable
from ..model import Snapshot
from .rules import RULES, RULES_BY_ID
from .rules.context import Context
from .rules.finding import ERROR, SEVERITIES, Finding

__all__ = ("diagnose", "has_error", "keep_findings", "undecided_errors")

_RANK = {severity: i for i, severity in enumerate(SEVERITIES)}


def _number(value: Maybe[int]) -> tuple[bool, int]:
    return (True, 0) if isinstance(value, Unreadable) else (False, value)


def _sort_key(finding: Finding) -> tuple[object, ...]:
    rank = _RANK[finding.severity]
    device = finding.device
    if device is None:
        return rank, finding.rule, False
    place = (*_number(device.netns), *_number(device.ifindex))
    return rank, finding.rule, True, place, device.net_device


def diagnose(snapshot: Snapshot) -> tuple[Finding, ...]:
    """Return what the rules find: worst first, then by rule, then by device."""
    context = Context(snapshot)
    findings: list[Finding] = []
    for rule in RULES:
        findings.extend(rule.findings(context))
    return tuple(sorted(findings, key=_sort_key))


def keep_findings(findings: Sequence[Finding], kept: Snapshot) -> tuple[Finding, ...]:
    """
    Return the findings on what a filter keeps: its devices, and the other ends of its
    pairs.
    """
    there = {device.net_device for device in kept.devices}
    for pair in kept.pairs:
        there.update((pair.a.net_device, pair.b.net_device))
    return tuple(
        finding
        for finding in findings
        if finding.device is None or finding.device.net_device in there
    )


def has_error(findings: Sequence[Finding]) -> bool:
    """Return whether something is broken."""
    return any(finding.severity == ERROR for finding in findings)


def undecided_errors(findings: Sequence[Finding]) -> Optional[str]:
    """Return which rules might have found something broken, and on how many devices."""
    open_ones = [
        finding
        for finding in findings
        if finding.undecided is not None and RULES_BY_ID[finding.rule].severity == ERROR
    ]
    if not open_ones:
        return None
    rules = ", ".join(sorted({finding.rule for finding in open_ones}))
    devices = {finding.device for finding in open_ones}
    where = "all devices" if None in devices else count(len(devices), "device")
    return f"--check does not count rules that are undecided (on {where}): {rules}"
