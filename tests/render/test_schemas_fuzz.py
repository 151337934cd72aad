# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documents that do not match the JSON Schemas: two validators agree."""

from collections.abc import Iterator
import copy
import functools
import json
import random
from typing import Any

import golden
from jsonschema import Draft202012Validator
import pytest

from tests.support.recorded import CORES
from tests.support.schemas import is_valid, schema, validate

pytestmark = pytest.mark.slow

#: What a value becomes.
OTHERS: list[Any] = [
    *(None, 0, -1, 1, 1.0, 1.5, True, False, 1 << 70, "", "x", "driver"),
    *([], [1], [1, 1], ["a", "a"]),
    *({}, {"a": 1}, {"unreadable": "x"}, {"unreadable": ""}),
]
FILES = {
    "report.json.xz": "drgn-veth-1",
    "attach.json.xz": "drgn-veth-1-attempts",
}
FEW = 3


@functools.cache
def validator(name: str) -> Any:
    Draft202012Validator.check_schema(schema(name))
    return Draft202012Validator(schema(name))


@pytest.mark.parametrize("name", [*FILES.values(), "drgn-veth-1-explain"])
def test_schema_is_valid(name: str) -> None:
    """The check of the schema itself is in there."""
    assert not validator(name).is_valid({})
    assert not is_valid({}, name)


def _part(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    # A few of each list's records, and a copy of them.
    return copy.deepcopy(
        {
            name: chance.sample(value, FEW)
            if isinstance(value, list) and len(value) > FEW
            else value
            for name, value in document.items()
        }
    )


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    # Each member: what it is in, and its name or index.
    members: Any = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for key, member in members:
        yield value, key
        yield from _places(member)


def _change(document: dict[str, Any], chance: random.Random) -> None:
    holder, key = chance.choice(list(_places(document)))
    how = chance.random()
    if how < 0.15:
        del holder[key]
    elif how < 0.25 and isinstance(holder, dict):
        holder["unknown"] = 1
    else:
        holder[key] = chance.choice(OTHERS)


@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("file", FILES)
def test_second_opinion(file: str, name: str) -> None:
    """Both validators agree on documents with a change."""
    chance = random.Random(f"{file} {name}")
    whole = json.loads(golden.read(name, file))
    said = []
    for _ in range(20):
        document = _part(whole, chance)
        validate(document, FILES[file])
        _change(document, chance)
        said.append(is_valid(document, FILES[file]))
        assert validator(FILES[file]).is_valid(document) == said[-1]
    assert set(said) == {True, False}
