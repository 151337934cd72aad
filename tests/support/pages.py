# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Screens in README and docs/
---------------------------

In a block of code, a line with ``$`` is a command, and what follows it is its output. A
line ``...`` stands for any lines that are left out there.
"""

from collections.abc import Iterator
import os
from pathlib import Path
import re
import shlex
import stat
import subprocess
import sys
import tempfile
from typing import NamedTuple

from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.scripts import REPOSITORY

__all__ = ("LEFT_OUT", "Screen", "blocks_in", "output_of", "screens_in", "shows")

LEFT_OUT = "..."
#: What the commands of the pages are here.
_COMMANDS = {
    "drgn": "-m drgn -q",
    "drgn-veth": "-m drgn_veth",
    "jq": str(REPOSITORY / "tests" / "support" / "run_jq.py"),
    "python3": "",
}


class Screen(NamedTuple):
    """A command, and what a page says that it prints."""

    command: str
    lines: tuple[str, ...]


def blocks_in(text: str) -> list[str]:
    """Return the indented and the fenced blocks of a page, without indentation."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S)
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    indented = re.findall(r"(?<=\n\n)(?:^ {4}.*\n|^\n(?= {4}))+", text, re.M)
    return [
        *fenced,
        *(re.sub(r"^ {4}", "", block, flags=re.M) for block in indented),
    ]


def _is_whole(command: str) -> bool:
    # Whether a shell would run it, rather than ask for another line.
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


def _in_block(block: str) -> Iterator[Screen]:
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, *lines = part.rstrip("\n").split("\n")
        while not _is_whole(command):
            command += "\n" + lines.pop(0)
        yield Screen(command, tuple(lines))


def screens_in(text: str) -> list[Screen]:
    """Return the screens of a page, except for those of a prompt (``>>>``)."""
    return [
        one
        for block in blocks_in(text)
        if ">>> " not in block
        for one in _in_block(block)
    ]


def output_of(command: str) -> list[str]:
    """
    Run a command of a page as a shell does, in the folder of the repository.

    :return: What it prints on a terminal
    """
    for name in EVERY_CORE:
        if name in command:
            recorded_core(name)
    with tempfile.TemporaryDirectory() as folder:
        for name, args in _COMMANDS.items():
            script = Path(folder) / name
            script.write_text(f'#!/bin/sh\nexec {sys.executable} {args} "$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        helpers = str(REPOSITORY / "helpers")
        done = subprocess.run(
            ["sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            cwd=REPOSITORY,
            env={
                **os.environ,
                "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": helpers,
            },
        )
    # Or a page would have it, and the test would find it there.
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout.rstrip("\n").split("\n") if done.stdout else []


def shows(page: tuple[str, ...], printed: list[str]) -> bool:
    """Return whether a page shows what is printed, but for what it leaves out."""
    parts: list[list[str]] = [[]]
    for line in page:
        if line == LEFT_OUT:
            parts.append([])
        else:
            parts[-1].append(line)
    if len(parts) == 1:
        return parts[0] == printed
    first, *middle, last = parts
    at, end = len(first), len(printed) - len(last)
    if at > end or printed[:at] != first or printed[end:] != last:
        return False
    for part in middle:
        found = (i for i in range(at, end) if printed[i : i + len(part)] == part)
        start = next(found, None)
        if start is None or start + len(part) > end:
            return False
        at = start + len(part)
    return True
