# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The JSON Schemas in docs/
-------------------------

fastjsonschema checks a report in a tenth of a second, jsonschema takes a second. So
jsonschema checks the schemas, says what is wrong with a document that does not match,
and is asked for a second opinion in ``tests/render/test_schemas.py``.
"""

import functools
import json
from typing import Any, Callable

import fastjsonschema
import jsonschema

from tests.support.scripts import REPOSITORY

__all__ = ("is_valid", "validate", "validator")


def _schema(name: str) -> dict[str, Any]:
    path = REPOSITORY / "docs" / f"{name}.schema.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@functools.cache
def validator(name: str) -> Any:
    """Return what checks a document, and says what is wrong."""
    schema = _schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@functools.cache
def _quick(name: str) -> Callable[[object], object]:
    schema = _schema(name)
    # It would ask the web for a reference to what is in the schema itself.
    del schema["$id"]
    found: Callable[[object], object] = fastjsonschema.compile(
        schema, use_default=False
    )
    return found


def is_valid(document: object, name: str = "drgn-veth-1") -> bool:
    """Return whether a document matches a schema."""
    try:
        _quick(name)(document)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


def validate(document: object, name: str = "drgn-veth-1") -> None:
    """
    Check a document against a schema.

    :raises jsonschema.ValidationError: if it does not match
    """
    if not is_valid(document, name):
        validator(name).validate(document)
        raise AssertionError("fastjsonschema refuses what jsonschema accepts")
