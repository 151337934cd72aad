# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON Schemas in docs/. A schema is checked once in a process."""

from collections.abc import Iterator
import functools
import json
from typing import Any

import jsonschema

from tests.support.scripts import REPOSITORY

__all__ = ("validate",)


_START = "#/$defs/"


@functools.cache
def _validator(name: str) -> Any:
    schema = json.loads((REPOSITORY / "docs" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)

    # By itself, jsonschema looks one up for each value that refers to it: this takes
    # most of the time of a report.
    @functools.cache
    def definition(ref: str) -> Any:
        assert ref.startswith(_START)
        return made(schema["$defs"][ref[len(_START) :]])

    def follow(_: Any, ref: str, instance: object, __: Any) -> Iterator[Any]:
        found: Iterator[Any] = definition(ref).iter_errors(instance)
        return found

    made = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
        jsonschema.Draft202012Validator, {"$ref": follow}
    )
    return made(schema)


def validate(document: object, name: str = "drgn-veth-1") -> None:
    """
    Check a document against a schema.

    :raises jsonschema.ValidationError: if it does not match
    """
    _validator(name).validate(document)
