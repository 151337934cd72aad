# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The JSON Schemas in docs/
-------------------------

``tests/render/test_schemas_fuzz.py`` asks another validator for a second opinion.
"""

import functools
import json
from typing import Any, Callable

import fastjsonschema

from tests.support.scripts import REPOSITORY

__all__ = ("is_valid", "schema", "validate")


def schema(name: str) -> dict[str, Any]:
    """Return a schema."""
    path = REPOSITORY / "docs" / f"{name}.schema.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@functools.cache
def _validator(name: str) -> Callable[[object], object]:
    wanted = schema(name)
    # It would ask the web for a reference to what is in the schema itself.
    del wanted["$id"]
    found: Callable[[object], object] = fastjsonschema.compile(
        wanted, use_default=False
    )
    return found


def validate(document: object, name: str = "drgn-veth-1") -> None:
    """
    Check a document against a schema.

    :raises fastjsonschema.JsonSchemaValueException: if it does not match
    """
    _validator(name)(document)


def is_valid(document: object, name: str = "drgn-veth-1") -> bool:
    """Return whether a document matches a schema."""
    try:
        validate(document, name)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True
