# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a rule of diagnosis is made of
-----------------------------------

A rule looks at one device at a time, with its peer. What several rules need is computed
once, in a :class:`.context.Context`.
"""

from collections.abc import Iterable, Iterator
from typing import Callable, NamedTuple, Optional

from ...core.unreadable import Unreadable
from ...model import DeviceRef
from ..need import CannotTell
from .context import Context, End
from .finding import INFO, Finding, Symptom

__all__ = ("KINDS", "Rule", "Sign")

#: What a symptom can be: an errno, the message with it, a line in the kernel's log, a
#: counter, or something else that is seen.
KINDS = ("errno", "message", "log", "counter", "seen")


class Sign(NamedTuple):
    """A symptom that leads to a rule."""

    kind: str  #: one of :data:`KINDS`
    text: str  #: name of an errno, a message of :mod:`drgn_veth.core.messages`, words


class Rule(NamedTuple):
    """A rule: what it looks at, what it reports, and its documentation."""

    id: str
    severity: str  # the worst that it gives
    title: str
    predicate: str  # in struct members
    sees: str  # what the user sees
    fix: str
    why: str  # with the kernel's source
    subjects: Callable[[Context], Iterable[End]]
    check: Callable[[Context, End], Optional[Symptom]]
    symptoms: tuple[Sign, ...]  # at least one

    def findings(self, context: Context) -> Iterator[Finding]:
        """Yield what it finds."""
        check = self.check
        missing: set[str] = set()
        for end in self.subjects(context):
            try:
                symptom = check(context, end)
            except CannotTell as e:
                if not e.everywhere:
                    yield self._undecided(e, end.device.ref)
                elif e.name not in missing:
                    missing.add(e.name)
                    yield self._undecided(e, None)
            else:
                if symptom is not None:
                    about = None if symptom.everywhere else end.device.ref
                    yield self._finding(symptom, about)

    def _finding(self, symptom: Symptom, device: Optional[DeviceRef]) -> Finding:
        fix, undo = symptom.fix, symptom.undo
        return Finding(
            rule=self.id,
            severity=symptom.severity or self.severity,
            device=device,
            summary=symptom.summary,
            evidence=symptom.evidence,
            kernel=symptom.kernel,
            fix=fix.commands,
            undecided=symptom.undecided,
            fix_effect=fix.fix_effect,
            undo=undo,
            then=symptom.then if fix.commands or undo else None,
        )

    def _undecided(self, error: CannotTell, device: Optional[DeviceRef]) -> Finding:
        value, why = error.value, f"{error.name} is unreadable"
        if value is None:
            value, why = Unreadable(str(error)), str(error)
        return Finding(
            rule=self.id,
            severity=INFO,
            device=device,
            summary=f"cannot be decided: {why}",
            evidence=((error.name, value),),
            kernel=None,
            fix=(),
            undecided=str(error),
        )
