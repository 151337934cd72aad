# SPDX-License-Identifier: LGPL-2.1-or-later
"""What ``make test`` leaves to ``make test-slow``: all of a kind but a few."""

from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ("slow_but",)


def slow_but(kept: Iterable[object], values: Iterable[object]) -> list[Any]:
    """
    Return the values of a parameter, of which most are slow.

    :param kept: Those that ``make test`` runs, too
    :param values: All; a tuple is a value of several parameters
    """
    fast, found = list(kept), list(values)
    assert fast and all(value in found for value in fast)
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=() if value in fast else pytest.mark.slow,
        )
        for value in found
    ]
