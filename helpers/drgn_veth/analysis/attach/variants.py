# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Differences between kernels that only their code shows, and that affect an XDP attach.
"""

import itertools
from typing import NamedTuple

from ...core.unreadable import Unreadable
from ...model import Kernel
from . import core
from .decision import Decision

__all__ = ("Variant", "variants")


class Variant(NamedTuple):
    """A kernel that the Snapshot's kernel may be: its decisions, in its order."""

    attach: tuple[Decision, ...]  #: of dev_xdp_attach(), before it looks at the driver
    install: tuple[Decision, ...]  #: of dev_xdp_install()
    generic: tuple[Decision, ...]  #: of generic_xdp_install()


def _variant(late: frozenset[str], absent: frozenset[str]) -> Variant:
    # A kernel that does not make the *absent* decisions, and makes the *late* ones of
    # core.CHECKS in dev_xdp_install() instead of dev_xdp_attach().
    checks = [check for check in core.CHECKS if check.key not in absent]
    return Variant(
        (
            *(decision for decision in core.CORE if decision.key not in absent),
            *(check for check in checks if check.key not in late),
        ),
        (
            *(
                check._replace(function="dev_xdp_install")
                for check in checks
                if check.key in late
            ),
            *core.INSTALL,
        ),
        # Since v5.15, which also began to check upper devices, it accepts maps whose
        # entries may have programs.
        core.GENERIC if "upper" in absent else (),
    )


def variants(kernel: Kernel) -> list[Variant]:
    """Return all variants that this kernel may be: one, if its code was read."""
    messages = (
        None if isinstance(kernel.messages, Unreadable) else dict(kernel.messages)
    )
    if messages is not None and messages.get("dev_xdp_attach"):
        early = messages["dev_xdp_attach"]
        install = messages.get("dev_xdp_install", frozenset())
        there = early | install
        absent = frozenset(
            decision.key
            for decision in (*core.CORE, *core.CHECKS)
            if not decision.everywhere and decision.message not in there
        )
        late = frozenset(
            decision.key
            for decision in core.CHECKS
            if decision.message in install and decision.message not in early
        )
        return [_variant(late, absent)]
    found: list[Variant] = []
    in_types = {d.key: d.in_kernel(kernel) for d in (*core.CORE, *core.CHECKS)}
    never = frozenset(key for key, there in in_types.items() if there is False)
    perhaps = [key for key, there in in_types.items() if there is None]
    checks = frozenset(decision.key for decision in core.CHECKS)
    # The checks moved together.
    for moved, *taken in itertools.product((False, True), repeat=1 + len(perhaps)):
        missing = {key for key, there in zip(reversed(perhaps), taken) if not there}
        found.append(_variant(checks if moved else frozenset(), never | missing))
    return found
