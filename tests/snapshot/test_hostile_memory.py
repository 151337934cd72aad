# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Memory that misled a report once: tests/support/hostile.py
----------------------------------------------------------

The report is valid, says what is wrong, and takes about as long as one of the core as
it is, and no more memory than any report may.
"""

import json
import os
from pathlib import Path
import subprocess
import sys
import time

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Snapshot
from drgn_veth.render import json as render_json
import pytest

from tests.support.damage import take
from tests.support.hostile import CASES, SOUND
from tests.support.memory import Altered
from tests.support.peak_memory import Used, measuring
from tests.support.schemas import validate
from tests.support.scripts import REPOSITORY
from tests.support.slow import slow_but

#: How much longer than usual a report may take, in seconds of CPU.
ROOM = 2
#: What any report may take.
MOST_MB = 512

_MODULES = [str(REPOSITORY / folder) for folder in (".", "helpers", "vmcores")]


def _timed(altered: Altered) -> tuple[Snapshot, float]:
    begin = time.process_time()
    snapshot = take(altered, "xmixa")
    return snapshot, time.process_time() - begin


@pytest.fixture(scope="module")
def usual(memory: Altered) -> float:
    """Return how long a report of the core as it is takes."""
    return min(_timed(memory)[1] for _ in range(2))


@pytest.mark.parametrize("name", slow_but([*CASES][:2], CASES))
def test_said_and_no_more(
    altered: Altered, usual: float, whole: Snapshot, name: str
) -> None:
    case = CASES[name]
    case.change(altered)
    snapshot, took = _timed(altered)
    document = json.loads(render_json.render(snapshot, diagnose(snapshot)))
    validate(document)
    said = [(one["what"], one["why"]) for one in document["unreadable"]]
    # The JSON does not have links by themselves.
    pins = [link.pins for link in snapshot.links]
    said += [("pins", why.reason) for why in pins if isinstance(why, Unreadable)]
    assert any(case.where in what and case.why in why for what, why in said), said
    assert took < 2 * usual + ROOM
    assert len(snapshot.devices) >= len(whole.devices)


def _process(folder: Path, name: str) -> Used:
    """Make a report in a process of its own."""
    used = folder / "used"
    argv = measuring(used, sys.executable, "-m", "tests.support.hostile", name)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(_MODULES)}
    with open(folder / "report", "wb") as out:
        subprocess.run(argv, env=env, stdout=out, check=True)
    validate(json.loads((folder / "report").read_bytes()))
    return Used.of(used)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Used:
    return _process(tmp_path_factory.mktemp("sound"), SOUND)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_whole_process(sound: Used, tmp_path: Path, name: str) -> None:
    """With Python, drgn, types and JSON: time and memory."""
    used = _process(tmp_path, name)
    assert used.cpu_seconds < 2 * sound.cpu_seconds + ROOM
    assert used.mb < MOST_MB
