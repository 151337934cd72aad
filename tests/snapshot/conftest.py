# SPDX-License-Identifier: LGPL-2.1-or-later
"""A recorded core whose memory a test changes."""

from collections.abc import Iterator

from drgn_veth.model import Snapshot
import pytest

from tests.support.damage import NEWEST
from tests.support.discovered import Core
from tests.support.memory import Altered, altered_core
from tests.support.recorded import recorded_core


@pytest.fixture(scope="module")
def memory() -> Altered:
    return altered_core(recorded_core(NEWEST))


@pytest.fixture
def altered(memory: Altered) -> Iterator[Altered]:
    memory.reset()
    yield memory
    memory.reset()


@pytest.fixture(scope="module")
def kernel(memory: Altered) -> Core:
    return Core(memory)


@pytest.fixture
def core(kernel: Core, altered: Altered) -> Core:
    return kernel


@pytest.fixture(scope="module")
def whole() -> Snapshot:
    return recorded_core(NEWEST).snapshot
