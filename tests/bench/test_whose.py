# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bench of namespaces measures the steps that a Snapshot takes."""

import re
import subprocess
import sys

import pytest

from tests.support.recorded import smallest_core
from tests.support.scripts import REPOSITORY


@pytest.mark.slow
def test_all_parts_are_measured() -> None:
    core = str(smallest_core().core)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.whose", "--core", core],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    about, devices, whose, ratio = done.stdout.splitlines()
    assert about.startswith(f"{core}, ") and " namespaces, " in about
    assert re.fullmatch(r"devices: walk \d+ ms, records \d+ ms", devices)
    assert "net_tasks " in whose and "add_holders " in whose
    met = float(ratio.split(": ")[1].split()[0]) <= 1
    assert done.returncode == (0 if met else 1)
