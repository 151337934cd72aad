# SPDX-License-Identifier: LGPL-2.1-or-later
"""Collects what the modules of a folder define, so that a new file registers itself."""

from collections.abc import Iterable, Iterator
import importlib
import pkgutil
from typing import Any

__all__ = ("each",)


def each(package: str, path: Iterable[str], name: str) -> Iterator[Any]:
    """
    Yield a variable of each module of a package, by name of the module.

    :param package: Its ``__name__``
    :param path: Its ``__path__``
    :param name: Name of the variable, which a module may define
    """
    for module in sorted(info.name for info in pkgutil.iter_modules(path)):
        if module != "__main__":
            found = importlib.import_module(f"{package}.{module}")
            if hasattr(found, name):
                yield getattr(found, name)
