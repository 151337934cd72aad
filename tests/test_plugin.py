# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugin entry point: types at any drgn prompt, without debug symbols."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

from tests.support.recorded import CORES, recorded_core
from tests.support.scripts import REPOSITORY, SCRIPT
from tests.support.slow import slow_but

PROMPT = """
assert prog.registered_type_finders() >= {"drgn_veth_btf_on_demand"}
assert "drgn_veth_btf" not in prog.registered_type_finders()
print(prog["init_net"].ns.inum.value_(), prog.type("struct veth_priv").member("peer"))
from drgn_veth import take_snapshot, target_types
print(len(take_snapshot().pairs), target_types())
"""


@pytest.fixture(scope="module", params=slow_but(CORES[-1:], CORES))
def core(request: pytest.FixtureRequest) -> Path:
    return recorded_core(request.param).core


def run(core: Path, env: dict[str, str], *args: str) -> str:
    argv = [sys.executable, "-m", "drgn", "-q", "-c", str(core)]
    done = subprocess.run(
        [*argv, "--no-default-symbols", *args],
        env={**os.environ, **env, "PYTHONPATH": str(REPOSITORY / "helpers")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_prompt(core: Path) -> None:
    plugin = {"DRGN_PLUGINS": "drgn_veth=drgn_veth_plugin"}
    first, second = run(core, plugin, "-e", PROMPT).splitlines()
    assert "peer" in first and int(first.split()[0]) > 4026531000
    assert int(second.split()[0]) > 40 and second.endswith(" btf")


IMPORTED = """
import sys
print(*sorted(name for name in sys.modules if name.startswith("drgn_veth")))
from drgn.commands import DEFAULT_COMMAND_NAMESPACE
there = DEFAULT_COMMAND_NAMESPACE.enabled(prog)
print(*(name for name, command in there if "XDP programs" in command.description()))
print("drgn_veth" in sys.modules)
DEFAULT_COMMAND_NAMESPACE.lookup(prog, "xdp").format_usage()
print("drgn_veth" in sys.modules)
"""


@pytest.mark.slow
def test_imports_nothing_until_it_is_used(core: Path) -> None:
    """drgn starts as fast as without it."""
    plugin = {"DRGN_PLUGINS": "drgn_veth=drgn_veth_plugin"}
    imported, commands, before, after = run(core, plugin, "-e", IMPORTED).splitlines()
    assert imported == "drgn_veth_plugin"
    assert commands == "xdp"
    assert (before, after) == ("False", "True")


@pytest.mark.slow
def test_from_a_checkout(core: Path) -> None:
    """The file alone is enough: the package is beside it."""
    file = {"DRGN_PLUGINS": f"drgn_veth={REPOSITORY}/helpers/drgn_veth_plugin.py"}
    code = "from drgn.commands import run_command; run_command(prog, 'rps lo')"
    args = ["-q", "-c", str(core), "--no-default-symbols", "-e", code]
    not_installed = (
        "import sys; from drgn.cli import _main; "
        "sys.path = [p for p in sys.path if not p.endswith('helpers')]; _main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", not_installed, *args],
        env={**os.environ, **file, "DRGN_DISABLE_PLUGINS": "drgn_veth"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("CPUs online")


@pytest.mark.slow
def test_with_and_without_the_plugin(core: Path) -> None:
    with_it = run(
        core,
        {"DRGN_PLUGINS": "drgn_veth=drgn_veth_plugin"},
        *(str(SCRIPT), "--format", "json"),
    )
    without = run(core, {"DRGN_DISABLE_PLUGINS": "*"}, str(SCRIPT), "--format", "json")
    assert with_it == without
