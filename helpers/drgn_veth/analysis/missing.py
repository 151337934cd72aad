# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a report lacks
-------------------

Without the types of the bonding module, a report lacks the mode of each bond, and the
dump is as good as before. That is one thing to say, not as many as there are bonds.
"""

from typing import NamedTuple, Optional

from ..core.english import count
from ..core.module_types import module_without_types
from ..model import Snapshot, unreadable_in

__all__ = ("Missing", "missing_from")

# Without its types there is not much of a report.
_NEEDED = "veth"


class Missing(NamedTuple):
    """Values that a report lacks."""

    #: Where each is, in the terms of the JSON, and why it is missing.
    values: tuple[tuple[str, str], ...]
    #: How many more are missing since types of modules are.
    without_types: int
    modules: tuple[str, ...]  #: these modules

    def brief(self) -> str:
        """Return how much is missing, ``""`` if nothing is."""
        parts = []
        if self.values:
            parts.append(f"{count(len(self.values), 'value')} unreadable")
        if self.modules:
            parts.append(f"no types of {', '.join(self.modules)}")
        return "; ".join(parts)

    def line(self) -> Optional[str]:
        """Return in one line what is missing, None if nothing is."""
        parts = []
        if self.values:
            what, why = self.values[0]
            lost = count(len(self.values), "value")
            parts.append(f"{lost} could not be read; the first is {what}: {why}")
        if self.modules:
            number = count(self.without_types, "value")
            these = ", ".join(self.modules)
            parts.append(
                f"{number} missing: no types of {these} "
                f"(drgn -s vmlinux -s .../{self.modules[0]}.ko loads them)"
            )
        return f"partial report: {'; '.join(parts)}" if parts else None


def missing_from(snapshot: Snapshot) -> Missing:
    """Return what a report of a Snapshot lacks."""
    values = []
    modules = []
    for what, why in unreadable_in(snapshot):
        module = module_without_types(why)
        if module is None or module == _NEEDED:
            values.append((what, why))
        else:
            modules.append(module)
    return Missing(tuple(values), len(modules), tuple(sorted(set(modules))))
