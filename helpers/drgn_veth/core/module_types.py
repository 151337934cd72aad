# SPDX-License-Identifier: LGPL-2.1-or-later
"""Why a type of a module is missing, in words that can be found again."""

import re
from typing import Optional

__all__ = ("module_without_types", "no_module_types")


def no_module_types(type: str, module: str) -> str:
    """Return why a type of a module is missing, and how to provide it."""
    return (
        f"no type {type}: {module} is a module here, and its types are not loaded "
        f"(drgn -s vmlinux -s .../{module}.ko loads them)"
    )


_NO_TYPES = re.compile(r"no type [^:]*: (\S+) is a module here, and its types are not")


def module_without_types(reason: str) -> Optional[str]:
    """
    Return the module that a reason is about, None for another reason than
    :func:`no_module_types()` gives.
    """
    match = _NO_TYPES.match(reason)
    return match.group(1) if match else None
