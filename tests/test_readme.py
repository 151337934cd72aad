# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README.md shows is what comes out."""

from pathlib import Path
import re
import shlex
import subprocess
import sys
from unittest import mock

import pytest

from tests.support.examples import examples_in, known_at_prompt, run_examples
from tests.support.recorded import recorded_core
from tests.support.scripts import REPOSITORY

NAME = "6.12-zoo"
README = (REPOSITORY / "README.md").read_text()
UNPACK = f"python3 vmcores/unpack.py vmcores/{NAME}.core.xz build"
CORE = f"build/{NAME}.core"


@pytest.fixture(scope="module")
def core() -> Path:
    return recorded_core(NAME).core


def _blocks() -> list[str]:
    """Return the indented blocks, without their indentation."""
    found = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", README, re.M)
    return [re.sub(r"^ {4}", "", block, flags=re.M).strip("\n") for block in found]


def _block(start: str) -> str:
    (block,) = (block for block in _blocks() if block.startswith(start))
    return block


def _run(core: Path, command: str) -> str:
    # A command line of the README, on the core.
    argv = shlex.split(command.replace("\\\n", " "))
    assert argv[:4] == ["$", "drgn", "-c", CORE]
    script = str(REPOSITORY / argv[4])
    done = subprocess.run(
        [sys.executable, "-m", "drgn", "-q", "-c", str(core), script, *argv[5:]],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_screen(core: Path) -> None:
    lines = _block(f"$ {UNPACK}").splitlines()
    assert lines[0] == f"$ {UNPACK}" and lines[1] == CORE
    end = next(i for i, line in enumerate(lines[2:], 2) if not line.endswith("\\"))
    command = "\n".join(lines[2 : end + 1])
    assert "scripts/veth_report.py" in command
    assert "\n".join(lines[end + 1 :]) + "\n" == _run(core, command)


def test_answers(core: Path) -> None:
    command, *lines = _block(f"$ drgn -c {CORE} scripts/xdp_attach.py").splitlines()
    assert "\n".join(lines) + "\n" == _run(core, command)


def test_prompt(core: Path) -> None:
    block = _block(f"$ drgn -q -c {CORE}\n")
    examples = examples_in(block)
    assert len(examples) > 8
    with mock.patch.object(sys, "path", [str(REPOSITORY / "helpers"), *sys.path]):
        run_examples(examples, known_at_prompt(core), "README.md")


PAGES = ["README.md", "CONTRIBUTING.md"] + [
    str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").glob("*.md")
]


@pytest.mark.parametrize("path", sorted(PAGES))
def test_links(path: str) -> None:
    """Files that are named are there."""
    text = (REPOSITORY / path).read_text()
    folder = (REPOSITORY / path).parent
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (folder / target).exists(), target
    for target in re.findall(
        r"`((?:tests|vmcores|docs|scripts|helpers)/[\w./-]+)`", text
    ):
        assert (REPOSITORY / target).exists(), target
