# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values that changed, in words."""

from typing import Any

from drgn_veth.render.compare_words import value
import pytest


@pytest.mark.parametrize(
    ("key", "one", "text"),
    [
        ("rps", (0, 1, 2, 7), "0-2,7"),
        ("rps", (), "none"),
        ("flags", ("UP", "RUNNING"), "UP RUNNING"),
        ("containers", ("0123456789abcdef",), "0123456789ab"),
        ("lockless", True, "yes"),
        ("lockless", False, "no"),
        ("mtu", 1500, "1500"),
        ("alias", None, "none"),
        ("alias", "a\tb", r"a\x09b"),
    ],
)
def test_value(key: str, one: Any, text: str) -> None:
    assert value(key, one) == text
