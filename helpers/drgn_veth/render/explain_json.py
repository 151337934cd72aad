# SPDX-License-Identifier: LGPL-2.1-or-later
"""
An explanation as JSON
----------------------

The contract is docs/drgn-veth-1-explain.schema.json. There is one record per line.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Optional

from ..analysis.attach.question import errno_name
from ..analysis.explain.check import Check
from ..analysis.explain.checks import CHECKS, function_in, is_made
from ..analysis.explain.met import Met
from ..analysis.explain.topics import Topic
from ..analysis.rules import RULES
from ..analysis.rules.finding import Finding
from ..analysis.rules.rule import Rule
from .explain import Here, rules_of
from .json import SCHEMA, parts_of
from .plain import plain

__all__ = ("render",)

_Json = dict[str, Any]


def _topic(topic: Topic) -> _Json:
    rules = topic.rules if topic.rule is None else (topic.rule,)
    return {
        "errno": topic.errno,
        "error": None if topic.errno is None else errno_name(topic.errno),
        "message": topic.message,
        "rule": None if topic.rule is None else topic.rule.id,
        "checks": [check.key for check in topic.checks],
        "rules": [rule.id for rule in rules],
    }


def _met(met: Met) -> _Json:
    effect = {} if met.fix_effect is None else {"fix_effect": met.fix_effect}
    return {
        "device": plain(met.device.ref),
        "modes": list(met.modes),
        "via": list(met.vias),
        "frags": list(met.frags),
        "after": list(met.after),
        "because": met.because,
        "fix": list(met.fix),
        **effect,
        "generic_accepted": met.generic_ok,
    }


def _check(check: Check, here: Optional[Here]) -> _Json:
    kernel = None if here is None else here.kernel
    record: _Json = {
        "check": check.key,
        "error": check.errno,
        "message": check.message,
        "functions": function_in(check, kernel).split("(), "),
        "place": check.place,
        "compares": check.compares,
        "modes": list(check.modes),
        "via": check.via,
        "mend": check.mend,
        "kernels": check.kernels,
        "rules": rules_of(check),
        "predicted": check.predicted,
    }
    if here is not None and kernel is not None:
        record["in_this_kernel"] = plain(is_made(check, kernel))
        if check.predicted:
            found = [_met(one) for one in here.met if one.check is check]
            record["devices"] = found
    return record


def _finding(finding: Finding) -> _Json:
    undecided = finding.undecided
    return {
        "device": plain(finding.device),
        "severity": finding.severity,
        "summary": finding.summary,
        **({} if undecided is None else {"undecided": undecided}),
    }


def _rule(rule: Rule, here: Optional[Here], asked: bool) -> _Json:
    record: _Json = {
        "rule": rule.id,
        "severity": rule.severity,
        "title": rule.title,
        "when": rule.predicate,
        "sees": rule.sees,
        "fix": rule.fix,
        "why": rule.why,
        "symptoms": [{"kind": sign.kind, "text": sign.text} for sign in rule.symptoms],
    }
    if here is not None and asked:
        found = [_finding(one) for one in here.findings if one.rule == rule.id]
        record["findings"] = found
    return record


def _sections(
    topics: Sequence[Topic], here: Optional[Here]
) -> Iterator[tuple[str, Any]]:
    keys = {check.key for topic in topics for check in topic.checks}
    asked = {topic.rule.id for topic in topics if topic.rule is not None}
    ids = asked.union(rule.id for topic in topics for rule in topic.rules)
    yield "schema", SCHEMA
    yield "release", None if here is None else here.name
    yield "topics", map(_topic, topics)
    checks = (one for one in CHECKS if not topics or one.key in keys)
    yield "checks", (_check(one, here) for one in checks)
    rules = (one for one in RULES if not topics or one.id in ids)
    yield "rules", (_rule(one, here, one.id in asked) for one in rules)
    if here is not None and here.kernel is not None:
        drivers, unread = here.undecided
        yield "undecided", {"drivers": drivers, "unread": unread}


def render(topics: Sequence[Topic], here: Optional[Here] = None) -> str:
    """
    Return as JSON text what is known about errnos, messages and rules.

    :param topics: What is asked for; empty: all checks and all rules
    :param here: What was found on one kernel, None without one
    """
    return "".join(parts_of(_sections(topics, here)))
