# SPDX-License-Identifier: LGPL-2.1-or-later
"""A core for scripts to read, and to write over; the log level of drgn."""

from collections.abc import Iterator
import logging
from pathlib import Path
import shutil

import pytest

from tests.support.recorded import smallest_core


@pytest.fixture(scope="module")
def kept_core() -> Path:
    return smallest_core().core


@pytest.fixture
def core(kept_core: Path, tmp_path: Path) -> Path:
    """A copy, which may be lost."""
    return Path(shutil.copy(kept_core, tmp_path / "vmcore"))


@pytest.fixture
def drgn_log_level() -> Iterator[None]:
    """Opening a target makes drgn silent: afterwards it is as before."""
    logger = logging.getLogger("drgn")
    before = logger.level
    yield
    logger.setLevel(before)
