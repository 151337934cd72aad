# SPDX-License-Identifier: LGPL-2.1-or-later
"""The recorded core of the scene whose: who is behind each namespace."""

import json
from typing import Any

import golden
import pytest

from tests.support import oracle, whose
from tests.support.booted import Tally
from tests.support.recorded import EVERY_CORE, Recorded, recorded_core, said_of
from tests.support.schemas import validate

NAMES = [name for name in EVERY_CORE if name.endswith("-whose")]


@pytest.fixture(scope="module", params=NAMES)
def core(request: pytest.FixtureRequest) -> Recorded:
    return recorded_core(request.param)


@pytest.fixture(scope="module")
def said(core: Recorded) -> dict[str, str]:
    """What every command prints, in every format."""
    return said_of(core)


@pytest.fixture(scope="module")
def report(said: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said["report.json.xz"])
    return found


def test_there_is_one() -> None:
    assert NAMES


def test_every_value(core: Recorded, report: dict[str, Any], tally: Tally) -> None:
    comparison = oracle.compare(report, core.truth)
    tally[f"{core.name} core"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert sum(comparison.compared.values()) > 4000
    assert report["unreadable"] == []
    validate(report)


def test_who_is_in_each_namespace(core: Recorded, report: dict[str, Any]) -> None:
    comparison = whose.compare(report, core.truth)
    assert not comparison.differences, "\n".join(comparison.differences)
    assert sum(comparison.compared.values()) > 1000


def test_golden_output(core: Recorded, said: dict[str, str]) -> None:
    """Look at what differs, then `make golden`."""
    for file, now in said.items():
        assert not golden.difference(file, golden.read(core.name, file), now)
