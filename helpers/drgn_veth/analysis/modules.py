# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the modules of a folder have: a file that is there is registered."""

from collections.abc import Iterable, Iterator
import importlib
import pkgutil
from typing import Any

__all__ = ("each",)


def each(package: str, path: Iterable[str], name: str) -> Iterator[Any]:
    """
    Yield what each module of a package calls so, by name of the module.

    :param package: Its ``__name__``
    :param path: Its ``__path__``
    :param name: What a module may have
    """
    for module in sorted(info.name for info in pkgutil.iter_modules(path)):
        if module != "__main__":
            found = importlib.import_module(f"{package}.{module}")
            if hasattr(found, name):
                yield getattr(found, name)
