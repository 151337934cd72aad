# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Types when they are missed
--------------------------

drgn starts a plugin before it loads debug symbols, when nobody can know whether BTF
will be needed. The plugin (``drgn_veth_plugin.py``) registers these finders as the last
that drgn asks. A request that reaches them is not in any debug symbols, and only then
do they look for BTF, once.
"""

from collections.abc import Sequence
from typing import Any, Callable, Optional

from drgn import Object, Program, Symbol, Type

from . import BUSY_CACHE, FINDERS_CACHE, use_btf

__all__ = ("OnDemand",)


class OnDemand:
    """The finders of a program."""

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._asked = False

    def _first(self) -> bool:
        # Whether this is the first miss; use_btf() itself misses things, too.
        if self._asked or BUSY_CACHE in self._prog.cache:
            return False
        self._asked = True
        return bool(use_btf(self._prog).types)

    def find_type(
        self, prog: Program, kinds: Any, name: str, filename: Optional[str]
    ) -> Optional[Type]:
        """Find a type (a drgn type finder)."""
        # The finders that it registered come after this one, from the next look-up
        # on; for this one they are asked here.
        return self._again("type", prog, kinds, name, filename)

    def find_object(
        self, prog: Program, name: str, flags: Any, filename: Optional[str]
    ) -> Optional[Object]:
        """Find a variable or constant (a drgn object finder)."""
        return self._again("object", prog, name, flags, filename)

    def find_symbol(
        self, prog: Program, name: Optional[str], address: Optional[int], one: bool
    ) -> Sequence[Symbol]:
        """Find a symbol (a drgn symbol finder)."""
        return self._again("symbol", prog, name, address, one) or ()

    def _again(self, what: str, prog: Program, *args: Any) -> Any:
        if not self._first():
            return None
        finders: Any = prog.cache.get(FINDERS_CACHE, {})
        find: Optional[Callable[..., Any]] = finders.get(what)
        return find(prog, *args) if find is not None else None
