# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Differences between kernels that only their code shows, and that affect an XDP attach.
"""

import itertools
from typing import NamedTuple

from ...core.unreadable import Unreadable
from ...model import Kernel
from . import core

__all__ = ("Variant", "variants")


class Variant(NamedTuple):
    """A kernel that the Snapshot's kernel may be."""

    #: Keys of ``CHECKS`` (:mod:`drgn_veth.analysis.attach.core`) that dev_xdp_install()
    #: decides instead of dev_xdp_attach().
    install: frozenset[str]
    absent: frozenset[str]  #: keys of decisions that it does not make

    @property
    def refuses_program_maps(self) -> bool:
        """Whether generic XDP refuses maps whose entries may have programs."""
        # It accepts them since v5.15, which also began to check upper devices.
        return "upper" in self.absent


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
        return [Variant(late, absent)]
    found: list[Variant] = []
    in_types = {d.key: d.in_kernel(kernel) for d in (*core.CORE, *core.CHECKS)}
    never = frozenset(key for key, there in in_types.items() if there is False)
    perhaps = [key for key, there in in_types.items() if there is None]
    checks = frozenset(decision.key for decision in core.CHECKS)
    # The checks moved together.
    for moved, *taken in itertools.product((False, True), repeat=1 + len(perhaps)):
        missing = {key for key, there in zip(reversed(perhaps), taken) if not there}
        found.append(Variant(checks if moved else frozenset(), never | missing))
    return found
