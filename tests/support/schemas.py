# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON Schemas in docs/. A schema is checked once in a process."""

import functools
import json

import jsonschema

from tests.support.scripts import REPOSITORY

__all__ = ("validate",)


@functools.cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((REPOSITORY / "docs" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def validate(document: object, name: str = "drgn-veth-1") -> None:
    """
    Check a document against a schema.

    :raises jsonschema.ValidationError: if it does not match
    """
    _validator(name).validate(document)
