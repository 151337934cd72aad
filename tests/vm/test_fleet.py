# SPDX-License-Identifier: LGPL-2.1-or-later
"""What docs/fleet.md shows is what comes out, of DuckDB, too."""

import pytest

from tests.support.pages import output_of, screens_in, shows
from tests.support.scripts import REPOSITORY

pytestmark = pytest.mark.vm

PAGE = (REPOSITORY / "docs" / "fleet.md").read_text()


def test_screens() -> None:
    """Each works on what those before it have made."""
    screens = screens_in(PAGE)
    assert sum(one.command.startswith("duckdb ") for one in screens) == 3
    for one in screens:
        printed = output_of(one.command)
        assert shows(one.lines, printed), "\n".join([one.command, *printed])
