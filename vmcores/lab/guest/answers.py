# SPDX-License-Identifier: LGPL-2.1-or-later
"""The file of what the kernel answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json

from places import whole_file

__all__ = ("write_answers",)


def write_answers(
    path: str, head: Mapping[str, object], answers: Sequence[Mapping[str, object]]
) -> None:
    """Write a JSON object with one answer a line."""
    with whole_file(path) as f:
        f.write(json.dumps(head)[:-1] + ', "answers": [\n')
        f.write(",\n".join(json.dumps(answer) for answer in answers))
        f.write("\n]}\n")
