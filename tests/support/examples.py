# SPDX-License-Identifier: LGPL-2.1-or-later
"""Examples (``>>>``) of docs and docstrings, run as at a drgn prompt."""

from collections.abc import Iterable
import contextlib
import doctest
import io
from pathlib import Path
import sys
from typing import Any
from unittest import mock

import drgn
from drgn import Program
import drgn.cli

__all__ = ("examples_in", "known_at_prompt", "run_examples")


def examples_in(text: str) -> list[doctest.Example]:
    """Return the examples of a text."""
    return doctest.DocTestParser().get_examples(text)


def known_at_prompt(core: Path) -> dict[str, Any]:
    """Open a core, and return what a drgn prompt knows."""
    prog = Program()
    prog.set_core_dump(core)
    drgn.set_default_prog(prog)
    return drgn.cli.default_globals(prog)


def run_examples(
    examples: Iterable[doctest.Example], known: dict[str, Any], where: str
) -> None:
    """
    Run examples one after the other, and see that each prints what is said.

    :param known: Variables; what an example assigns is known to those after it
    :param where: Where they stand, for the error
    """
    with mock.patch.object(sys, "displayhook", drgn.cli._displayhook):
        for example in examples:
            printed = io.StringIO()
            code = compile(example.source, where, "single")
            with contextlib.redirect_stdout(printed):
                exec(code, known)
            assert printed.getvalue() == example.want, f"{where}: {example.source}"
