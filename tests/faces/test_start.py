# SPDX-License-Identifier: LGPL-2.1-or-later
"""The start of the scripts: an old drgn, a broken one, and signals at any moment."""

import ast
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any, Callable

import drgn_veth_start
from drgn_veth_start import OLDEST_DRGN, _release
import pytest

from tests.support.recorded import smallest_core
from tests.support.scripts import REPOSITORY, SCRIPTS, by_name, started


@pytest.fixture(scope="module")
def core() -> Path:
    return smallest_core().core


def refused(done: "subprocess.CompletedProcess[str]", script: Path, text: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script.stem}: ")
    assert text in line


# An old drgn, and one that lacks something


@pytest.mark.slow  # pip installs it.
@pytest.mark.parametrize("how", ["python", "drgn"])
@by_name
def test_old_drgn(
    script: Path, how: str, core: Path, drgn_python: Callable[[str], str]
) -> None:
    argv = [drgn_python("0.0.30")]
    if how == "drgn":
        argv += ["-m", "drgn", "-q", "-c", str(core)]
    argv += [str(script), "lo"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    refused(done, script, "drgn 0.0.30 is too old: pip install 'drgn>=0.0.33'")


@pytest.mark.parametrize(
    "lost", ["takes_program_or_default", "FaultError"], ids=["import", "attribute"]
)
@by_name
def test_drgn_that_lacks_something(script: Path, lost: str) -> None:
    code = f"""
        import drgn, drgn.helpers.common.prog
        for place in (drgn, drgn.helpers.common.prog):
            vars(place).pop({lost!r}, None)
    """
    done = started(code, script, "-h")
    refused(done, script, "drgn>=0.0.33 is required")
    assert lost in done.stderr


@by_name
def test_drgn_that_does_not_load(script: Path, tmp_path: Path) -> None:
    (tmp_path / "drgn.py").write_text("raise ImportError('libkdumpfile.so.10')")
    done = started(f"sys.path.insert(0, {str(tmp_path)!r})", script, "-h")
    refused(done, script, "drgn cannot be loaded: libkdumpfile.so.10")


@pytest.mark.parametrize(
    "version, numbers",
    [
        ("0.0.33", (0, 0, 33)),
        ("0.3.0", (0, 3, 0)),
        ("0.3.0+12.gdeadbeef", (0, 3, 0)),
        ("0.0.33rc1", (0, 0, 33)),
        ("0.0.32.dev5", (0, 0, 32)),
        ("unknown", ()),
    ],
)
def test_release(version: str, numbers: Any) -> None:
    assert _release(version) == numbers


def test_oldest_drgn_is_what_pip_is_told() -> None:
    wanted = ".".join(map(str, OLDEST_DRGN))
    for name in ("pyproject.toml", "Makefile"):
        assert f"drgn>={wanted}" in (REPOSITORY / name).read_text()


def test_old_python() -> None:
    done = started("sys.version_info = (3, 8, 18)", SCRIPTS[0], "-h")
    refused(done, SCRIPTS[0], "Python 3.9 or later is required")


@pytest.mark.parametrize("path", [drgn_veth_start.__file__, *SCRIPTS], ids=str)
def test_what_an_old_python_reads(path: str) -> None:
    """Before the check of its version: 3.6 knows no list[int], 3.8 no such generics."""
    tree = ast.parse(Path(path).read_text(), feature_version=(3, 6))
    builtin = {"dict", "frozenset", "list", "set", "tuple", "type"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in builtin
        if isinstance(node, ast.ImportFrom):
            assert node.module != "collections.abc"


@by_name
def test_script_that_is_imported(script: Path) -> None:
    """As a debugger or a documentation tool may: nothing is imported, nothing runs."""
    code = """
        runpy.run_path(script)
        print([name for name in sys.modules if "drgn" in name])
        sys.exit()
    """
    done = started(code, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.slow
@by_name
def test_start_through_the_link_from_another_folder(
    script: Path, core: Path, tmp_path: Path
) -> None:
    drgn = ["-m", "drgn", "-q", "--no-default-symbols", "-c", str(core)]
    assert script.parent.is_symlink()
    for how in ([], drgn):
        argv = [sys.executable, *how, str(script), "-h"]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"usage: {script.name} ")


# Signals

# Sends a signal to its own process when the given module is about to be imported.
AT_IMPORT = """
    import os

    class Killer:
        def find_spec(self, name, path=None, target=None):
            if name == {name!r}:
                os.kill(os.getpid(), {number})

    sys.meta_path.insert(0, Killer())
"""

# In the order in which they are imported.
MODULES = [
    "drgn_veth_start",
    "drgn",
    "_drgn",
    "argparse",
    "drgn_veth",
    "drgn_veth.model",
    "drgn_veth.core.errors",
    "drgn_veth.faces.output",
    "drgn_veth.btf.kallsyms",
    "drgn_veth.snapshot",
]
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
@by_name
def test_interrupted_import(script: Path, name: str) -> None:
    done = started(AT_IMPORT.format(name=name, number=int(signal.SIGINT)), script, "-h")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDING)
def test_each_signal(number: signal.Signals) -> None:
    code = AT_IMPORT.format(name="drgn_veth.faces.output", number=int(number))
    done = started(code, SCRIPTS[0], "-h")
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_is_ignored(number: signal.Signals) -> None:
    """As nohup ignores SIGHUP, and a shell SIGINT of what it starts with &."""
    code = AT_IMPORT.format(name="drgn_veth.faces.output", number=int(number))
    code += f"    import signal; signal.signal({int(number)}, signal.SIG_IGN)\n"
    done = started(code, SCRIPTS[0], "-h")
    assert (done.returncode, done.stderr) == (0, "")


# Where a script is when it has read something: a signal there must leave no trace.
IN_MAIN = """
    import os, signal, threading, time

    def kill():
        time.sleep({delay})
        os.kill(os.getpid(), {number})

    class Killer:
        def find_spec(self, name, path=None, target=None):
            if name == "drgn_veth.snapshot":
                threading.Thread(target=kill, daemon=True).start()

    sys.meta_path.insert(0, Killer())
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.01, 0.05, 0.1, 0.2, 0.3, 0.4])
@by_name
def test_interrupted_at_work(
    script: Path, delay: float, core: Path, tmp_path: Path
) -> None:
    args: list[object] = ["-c", core]
    if script.stem == "xdp_attach":
        args.append("--all")
    elif script.stem == "vmcore_slice":
        args.append(tmp_path / "slice.xz")
    code = IN_MAIN.format(delay=delay, number=int(signal.SIGINT))
    done = started(code, script, *args)
    # It may have been quicker.
    assert done.returncode in (0, 130)
    assert done.stderr == ""
    assert done.returncode or done.stdout
