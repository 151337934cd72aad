# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two reports of one small kernel, to be changed."""

import pytest

from tests.support.reports import Document, small


@pytest.fixture
def a() -> Document:
    return small()


@pytest.fixture
def b() -> Document:
    return small()
