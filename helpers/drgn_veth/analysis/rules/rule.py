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

__all__ = ("Rule",)


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

    def findings(self, context: Context) -> Iterator[Finding]:
        """Yield what it finds."""
        check = self.check
        missing: set[str] = set()
        for end in self.subjects(context):
            try:
                symptom = check(context, end)
            except CannotTell as e:
                if e.everywhere and e.name in missing:
                    continue
                if e.everywhere:
                    missing.add(e.name)
                yield self._undecided(e, None if e.everywhere else end.device.ref)
                continue
            if symptom is not None:
                fix = symptom.fix
                yield Finding(
                    self.id,
                    symptom.severity or self.severity,
                    end.device.ref,
                    symptom.summary,
                    symptom.evidence,
                    symptom.kernel,
                    fix.commands,
                    symptom.undecided,
                    fix.fix_effect,
                    symptom.undo,
                    symptom.then if fix.commands or symptom.undo else None,
                )

    def _undecided(self, error: CannotTell, device: Optional[DeviceRef]) -> Finding:
        value = Unreadable(str(error)) if error.value is None else error.value
        return Finding(
            self.id,
            INFO,
            device,
            "cannot be decided: "
            + (str(error) if error.value is None else f"{error.name} is unreadable"),
            ((error.name, value),),
            None,
            (),
            str(error),
        )
