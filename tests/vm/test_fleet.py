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
    asked = [one for one in screens if one.command.startswith("duckdb ")]
    of_tables = [one for one in asked if "build/results" in one.command]
    assert (len(asked), len(of_tables)) == (14, 11)
    # An answer without rows would not show that the question is right.
    assert not any("0 rows" in line for one in asked for line in one.lines)
    for one in screens:
        printed = output_of(one.command)
        assert shows(one.lines, printed), "\n".join([one.command, *printed])
