# SPDX-License-Identifier: LGPL-2.1-or-later
"""ELF cores that are broken by chance."""

from pathlib import Path
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import pytest

from tests.support.elf import core_of, notes_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elf") / "core"


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32))
def test_changed_by_chance(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(core_of())
    # Where the headers are, most of the time.
    for _ in range(chance.randint(1, 8)):
        end = chance.choice((64, 64 + 4 * 56, len(data)))
        data[chance.randrange(end)] = chance.choice((0, 1, 0x7F, 0xFF))
    notes_of(path, bytes(data[: chance.choice((len(data), 300))]))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=400))
def test_any_bytes(path: Path, data: bytes) -> None:
    notes_of(path, data)
    notes_of(path, b"\x7fELF\2\1\1" + data)
