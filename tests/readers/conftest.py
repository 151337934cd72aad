# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of this room share."""

import pytest

from tests.support.toy import Toy


@pytest.fixture
def toy() -> Toy:
    made = Toy()
    made.struct("list_head", next="void *", prev="void *")
    return made
