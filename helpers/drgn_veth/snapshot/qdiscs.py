# SPDX-License-Identifier: LGPL-2.1-or-later
"""The root qdiscs of devices."""

from collections.abc import Mapping
import functools
from typing import Optional

from drgn import Program

from ..core.errors import attempt
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..readers.qdisc import Qdisc, qdisc_ops_id
from .found import Found
from .layouts import layout_of

__all__ = ("Qdiscs",)


class Qdiscs:
    """
    Reads the names of the root qdiscs of devices.

    :param found: All devices, by address; complete when the first is asked for
    """

    def __init__(self, prog: Program, found: Mapping[int, Found]) -> None:
        self._prog = prog
        self._found = found
        #: Layout of ``struct Qdisc``.
        self.layout = layout_of(self._prog, "struct Qdisc", Qdisc)
        self._ids: dict[int, Maybe[str]] = {}  # by Qdisc.ops: there are only a few

    def id(self, qdisc: Maybe[int]) -> Maybe[Optional[str]]:
        """
        Return the name of a qdisc, None if there is none.

        :param qdisc: ``struct Qdisc *`` of one of the devices
        """
        if not qdisc:
            return None
        return qdisc if isinstance(qdisc, Unreadable) else self._all[qdisc]

    @functools.cached_property
    def _all(self) -> dict[int, Maybe[str]]:
        # In the order of memory: a dump's page is unpacked for each read of it that
        # comes too late.
        qdiscs = {found.raw.qdisc for found in self._found.values()}
        known = sorted(q for q in qdiscs if not isinstance(q, Unreadable))
        return {qdisc: self._read(qdisc) for qdisc in known}

    def _read(self, qdisc: int) -> Maybe[str]:
        layout = self.layout
        if isinstance(layout, Unreadable):
            return layout
        ops = layout.read_span(qdisc).ops
        if isinstance(ops, Unreadable):
            return ops
        try:
            return self._ids[ops]
        except KeyError:
            id = attempt(lambda: decode(qdisc_ops_id(self._prog, ops)))
            self._ids[ops] = id
            return id
