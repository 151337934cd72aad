# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A Snapshot that is kept
-----------------------

A dump does not change: at a prompt, all commands show the same Snapshot.
"""

from collections.abc import Hashable
from typing import Callable, Optional

from drgn import Program

from ..core.moving import moves
from ..model import Snapshot

__all__ = ("keep_snapshots", "kept_or_taken")

_CACHE = "drgn_veth.snapshots"


def keep_snapshots(prog: Program) -> None:
    """Keep the Snapshot of a program from now on, unless it is live."""
    if not moves(prog):
        prog.cache.setdefault(_CACHE, {})


def _symbols(prog: Program) -> Hashable:
    # What is known of the dump: with more debug symbols, more of it can be read.
    files = sum(module.debug_file_path is not None for module in prog.modules())
    return files, tuple(prog.enabled_type_finders())


def kept_or_taken(
    prog: Program, take: Callable[[Program, bool], Snapshot], traffic: bool
) -> Snapshot:
    """
    Return the Snapshot that is kept of a program, or a new one.

    :param take: Takes one
    :param traffic: Whether it has to tell where packets go. One that does serves those
        who do not ask for it, too.
    """
    kept: Optional[dict[Hashable, tuple[Snapshot, bool]]] = prog.cache.get(_CACHE)
    if kept is None:
        return take(prog, traffic)
    symbols = _symbols(prog)
    snapshot, has_traffic = kept.get(symbols, (None, False))
    if snapshot is None or traffic and not has_traffic:
        kept.clear()
        snapshot = take(prog, traffic)
        kept[symbols] = snapshot, traffic
    return snapshot
