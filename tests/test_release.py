# SPDX-License-Identifier: LGPL-2.1-or-later
"""What pip installs: the wheel, in a fresh virtual environment."""

from collections.abc import Sequence
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import tarfile
from typing import Any

from drgn_veth.faces.cli import parser_of
from drgn_veth.faces.commands import FACES
import drgn_veth_start
import pytest

from tests.support.recorded import smallest_core
from tests.support.scripts import REPOSITORY

PAGE = REPOSITORY / "docs" / "drgn-veth.1"
# Each subcommand that reads a dump; what it prints, and the exit status.
COMMANDS: dict[str, tuple[Sequence[str], str]] = {
    "report": ((), "pairs"),
    "attach": (("lo", "--netns", "host"), "driver"),
    "netns": ((), "host"),
    "xdp": ((), "what an attach would return:"),
    "rps": ((), "CPUs online: "),
    "drops": ((), "Counters begin with the device"),
    "slice": (("new.core",), "bytes of kernel memory"),
}


def done(argv: Sequence[object], folder: Path, **env: str) -> Any:
    # Nothing of this checkout is on the path.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,
        env={**kept, **env},
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git has or would have, without build/ and the like."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("helpers", "docs", "drgn_scripts"):
        skip = shutil.ignore_patterns("*.egg-info", "__pycache__", "_*ld", "_reference")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=skip)
    for path in REPOSITORY.iterdir():
        if path.suffix in (".md", ".toml", ".in") or path.name == "COPYING":
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def installed(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder bin/ of an environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("installed")
    pip = ("-m", "pip", "-q", "--disable-pip-version-check")
    wheel = [sys.executable, *pip, "wheel", "--no-deps", "-w", folder, sources]
    made = done(wheel, folder)
    assert made.returncode == 0, made.stderr
    (path,) = folder.glob("drgn_veth-*.whl")
    made = done([sys.executable, "-m", "venv", folder / "env"], folder)
    assert made.returncode == 0, made.stderr
    programs = folder / "env" / "bin"
    made = done([programs / "python", *pip, "install", f"{path}[completion]"], folder)
    assert made.returncode == 0, made.stderr
    return programs


@pytest.fixture(scope="module")
def core() -> Path:
    return smallest_core().core


@pytest.mark.slow
def test_each_subcommand(installed: Path, core: Path, tmp_path: Path) -> None:
    for how in ([installed / "drgn-veth"], [installed / "python", "-m", "drgn_veth"]):
        for name, (words, said) in COMMANDS.items():
            for file in tmp_path.iterdir():
                file.unlink()
            ran = done([*how, name, core, *words], tmp_path)
            assert ran.returncode == 0, ran.stderr
            assert said in ran.stdout
        assert done([*how, "-c", core], tmp_path).stdout
        for name in FACES:
            ran = done([*how, "help", name], tmp_path)
            assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
def test_drgn_finds_the_plugin(installed: Path, core: Path, tmp_path: Path) -> None:
    code = "print(sorted(prog.registered_type_finders()))"
    argv = ["-q", "--no-default-symbols", "-c", core, "-e", code]
    ran = done([installed / "drgn", *argv], tmp_path)
    assert "drgn_veth_btf_on_demand" in ran.stdout, ran.stderr


@pytest.mark.slow
def test_the_man_page_is_installed(installed: Path) -> None:
    page = installed.parent / "share" / "man" / "man1" / "drgn-veth.1"
    assert page.read_text() == PAGE.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "typed, offers",
    [
        ("drgn-veth ", {"report", "attach", "netns", "xdp", "rps", "drops", "slice"}),
        ("drgn-veth re", {"report "}),
        ("drgn-veth attach --rep", {"--replace "}),
        ("drgn-veth attach --mode ", {"driver"}),
        ("drgn-veth xdp --fra", {"--frags "}),
        ("drgn-veth rps --addr", {"--address "}),
    ],
)
def test_completion(
    installed: Path, tmp_path: Path, typed: str, offers: set[str]
) -> None:
    """As bash asks argcomplete, which answers in the file that it is told."""
    answer = tmp_path / "answer"
    ran = done(
        [installed / "drgn-veth"],
        tmp_path,
        _ARGCOMPLETE="1",
        _ARGCOMPLETE_IFS="\n",
        _ARGCOMPLETE_STDOUT_FILENAME=str(answer),
        COMP_LINE=typed,
        COMP_POINT=str(len(typed)),
    )
    assert ran.returncode == 0, ran.stderr
    assert offers <= set(answer.read_text().split("\n"))


@pytest.mark.slow
def test_the_sdist_can_be_built_from(sources: Path, tmp_path: Path) -> None:
    code = "from setuptools.build_meta import build_sdist; import sys\n"
    code += "print(build_sdist(sys.argv[1]))"
    made = done([sys.executable, "-m", "venv", tmp_path / "env"], tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    made = done([python, "-m", "pip", "-q", "install", "setuptools>=77"], tmp_path)
    assert made.returncode == 0, made.stderr
    made = done([python, "-c", code, tmp_path], sources)
    assert made.returncode == 0, made.stderr
    (path,) = tmp_path.glob("drgn_veth-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"docs/drgn-veth.1", "CHANGELOG.md", "COPYING", "README.md"} <= names
    assert {"helpers/drgn_veth_start.py", "helpers/drgn_veth/py.typed"} <= names
    assert not [name for name in names if name.startswith("tests")]


def test_the_man_page_has_each_option() -> None:
    """After a change to the options, make man."""
    page = PAGE.read_text().replace("\\-", "-")
    try:
        for name in FACES:
            assert f"drgn-veth {name}" in page
            shown = parser_of(name).format_help()
            for option in set(re.findall(r"(?<![\w-])--[a-z][\w-]+", shown)) - {
                "--help"
            }:
                assert option in page, f"{name} {option}"
    finally:
        drgn_veth_start.called(None)
