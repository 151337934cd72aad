# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What is kept between dumps
--------------------------

Many dumps are of a few kernels. What is made of a kernel's BTF, and of the names of its
symbols, is the same in each of them. A process that reads one dump after the other
keeps it: see :func:`keep_types()`.

The key is the contents, not the release or the build ID: a dump that claims to be of a
kernel cannot spoil the next one.
"""

from collections import OrderedDict
from typing import Callable, Optional, TypeVar, Union

__all__ = ("keep_types", "kept")

T = TypeVar("T")

#: Bytes of BTF and of names that are kept; those of a kernel are 10 MB.
_MOST = 160 << 20


class _Store:
    # What was used last is at the end.
    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._made: OrderedDict[object, tuple[object, int]] = OrderedDict()

    def get(self, key: object) -> Optional[object]:
        found = self._made.get(key)
        if found is None:
            return None
        self._made.move_to_end(key)
        return found[0]

    def put(self, key: object, made: object, size: int) -> None:
        if size > self._most:
            return
        self._made[key] = made, size
        self._size += size
        while self._size > self._most:
            _, (_, freed) = self._made.popitem(last=False)
            self._size -= freed


_store: Optional[_Store] = None


def keep_types(most: int = _MOST) -> None:
    """
    Keep from now on what is made of BTF and of the names of symbols.

    :param most: Bytes of input to keep the results of
    """
    global _store
    _store = _Store(most)


def kept(make: Callable[[], T], *parts: Union[bytes, int, str]) -> T:
    """
    Return what is made of some input; what was made of the same before, if it is kept.

    :param make: Makes it; the result must not be changed
    :param parts: All that it depends on
    """
    if _store is None:
        return make()
    import hashlib  # It takes longer to import than a report may lose.

    key = tuple(
        hashlib.blake2b(part).digest() if isinstance(part, bytes) else part
        for part in parts
    )
    found = _store.get(key)
    if found is None:
        found = make()
        size = sum(len(part) for part in parts if isinstance(part, bytes))
        _store.put(key, found, size)
    return found  # type: ignore[return-value]
