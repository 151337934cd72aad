# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Walks that break off
--------------------

One bad page must not hide everything behind it. A walk over kernel memory yields all
that it can reach, and raises one error after that.
"""

from collections.abc import Iterable, Iterator
from typing import Callable, Optional, TypeVar

from .errors import WalkError, is_read_error, reason

__all__ = ("Salvage",)

T = TypeVar("T")


class Salvage:
    """
    Continues if something cannot be read, and keeps the reason.

    :param what: What the walk is over, for the error: ``"a mount: "``
    """

    def __init__(self, what: str = "") -> None:
        self._what = what
        #: Why something is missing, None while nothing is.
        self.lost: Optional[str] = None

    def lose(self, why: str) -> None:
        """Keep why something is missing: the last reason, if there are several."""
        self.lost = why

    def _keep(self, error: Exception) -> None:
        if not is_read_error(error):
            raise error
        self.lose(reason(error))

    def walk(self, entries: Iterable[T]) -> Iterator[T]:
        """Yield entries until the walk over them breaks off."""
        try:
            yield from entries
        except Exception as e:
            self._keep(e)

    def read(self, read: Callable[..., T], *args: object) -> Optional[T]:
        """Return what *read* returns, None if reading fails."""
        try:
            return read(*args)
        except Exception as e:
            self._keep(e)
            return None

    def finish(self) -> None:
        """
        Report what is missing. Call this after the walk.

        :raises WalkError: if anything is missing
        """
        if self.lost is not None:
            raise WalkError(f"{self._what}{self.lost}")
