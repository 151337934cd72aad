# SPDX-License-Identifier: LGPL-2.1-or-later
"""Examples (``>>>``) of docs and docstrings, run as at a drgn prompt."""

from collections.abc import Iterable
import contextlib
import doctest
from pathlib import Path
import sys
import tempfile
from typing import Any
from unittest import mock

import drgn
from drgn import Program
import drgn.cli
from drgn.commands import run_command
import drgn_veth_plugin  # noqa: F401 -- the commands

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


def _run(source: str, known: dict[str, Any], where: str) -> None:
    if source.startswith("%"):
        known["_"] = run_command(known["prog"], source[1:], globals=known)
    else:
        exec(compile(source, where, "single"), known)


def run_examples(
    examples: Iterable[doctest.Example], known: dict[str, Any], where: str
) -> None:
    """
    Run examples one after the other, and see that each prints what is said. Commands
    (``%veth``) are run, too, and leave their records in ``_``.

    :param known: Variables; what an example assigns is known to those after it
    :param where: Where they stand, for the error
    """
    with mock.patch.object(sys, "displayhook", drgn.cli._displayhook):
        for example in examples:
            # A command in a pipe writes to a file.
            with tempfile.TemporaryFile("w+") as printed:
                with contextlib.redirect_stdout(printed):
                    _run(example.source, known, where)
                printed.seek(0)
                assert printed.read() == example.want, f"{where}: {example.source}"
