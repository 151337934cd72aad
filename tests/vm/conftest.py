# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted kernel, with types from debug symbols and from BTF."""

from drgn import Program
import lab
import pytest

from tests.support.booted import Dump
from tests.support.kernel import TYPES, program_of


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    # The first test may start QEMU itself.
    lab.need_programs()


@pytest.fixture(scope="session", autouse=True)
def _boots(_programs: None, booted: object) -> None:
    """What boots starts before the first test that waits for it."""


@pytest.fixture(scope="module", params=TYPES)
def kernel(request: pytest.FixtureRequest, every_zoo: Dump) -> tuple[Program, Dump]:
    return program_of(every_zoo, request.param), every_zoo


@pytest.fixture(scope="module")
def with_symbols(every_zoo: Dump) -> Program:
    return program_of(every_zoo, "dwarf")
