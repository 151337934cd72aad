# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted kernel, with types from debug symbols and from BTF."""

from drgn import (
    Program,
)
import pytest

from tests.support.booted import Dump
from tests.support.kernel import TYPES, program_of


@pytest.fixture(scope="module", params=TYPES)
def kernel(request: pytest.FixtureRequest, zoo: Dump) -> tuple[Program, Dump]:
    return program_of(zoo, request.param), zoo


@pytest.fixture(scope="module")
def with_symbols(zoo: Dump) -> Program:
    return program_of(zoo, "dwarf")
