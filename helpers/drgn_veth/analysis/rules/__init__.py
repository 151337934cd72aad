# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The rules of diagnosis
----------------------

What can be wrong with veths, XDP and RPS, by subject. Each rule carries what is to be
known of it: ``--explain`` prints that, and ``python -m drgn_veth.analysis.rules`` makes
docs/rules.md of it.
"""

from typing import Dict, Tuple

from . import hooks, links, mtu, queues, rps, xdp
from .base import SEVERITIES, Rule

__all__ = ("RULES", "RULES_BY_ID")

#: All rules, worst first.
RULES: Tuple[Rule, ...] = tuple(
    sorted(
        (
            rule
            for subject in (hooks, links, mtu, queues, rps, xdp)
            for rule in subject.RULES
        ),
        key=lambda rule: (SEVERITIES.index(rule.severity), rule.id),
    )
)

RULES_BY_ID: Dict[str, Rule] = {rule.id: rule for rule in RULES}
