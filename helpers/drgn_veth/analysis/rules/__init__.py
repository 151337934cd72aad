# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The rules of diagnosis
----------------------

What can be wrong with veths, XDP and RPS, by subject. Every rule that a module here
lists in ``RULES`` is applied. Each rule carries its own documentation: ``--explain``
prints it, and ``python -m drgn_veth.analysis.rules`` makes docs/rules.md from it.
"""

from .. import modules
from .finding import SEVERITIES
from .rule import Rule

__all__ = ("RULES", "RULES_BY_ID")

#: All rules, worst first.
RULES: tuple[Rule, ...] = tuple(
    sorted(
        (rule for rules in modules.each(__name__, __path__, "RULES") for rule in rules),
        key=lambda rule: (SEVERITIES.index(rule.severity), rule.id),
    )
)

RULES_BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
