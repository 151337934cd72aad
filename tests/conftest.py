# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Kernels that the tests boot
---------------------------

Each kernel of LAB_KERNELS boots once for a scene. The tests look at it in four ways,
before and after it panics. Three kernels boot at a time.
"""

import collections
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
import concurrent.futures
import fcntl
import gc
import os
from pathlib import Path
import subprocess
import sys
import types
from typing import Any, Callable, Optional

import drgn_veth_start
import lab
import pytest

from tests.support import oracle
from tests.support.answers import Answers
from tests.support.booted import (
    BOOTED_ON,
    KERNELS,
    OLD,
    OLDER_INSTEAD,
    Dump,
    Tally,
    look_at_guest,
    look_before_asking,
    make_and_ask,
    make_dump,
)
from tests.support.btf.dumps import LabDump, lab_dump_of
from tests.support.crowd import make_crowd
from tests.support.fixes import RulesRun, rules_run, try_fixes
from tests.support.moving import Moving, make_moving
from tests.support.recorded import CORES, SLOW_CORES, Recorded, recorded_core
from tests.support.slow import slow_but
from tests.support.tallies import (
    TALLIES,
    each_kernel,
    pytest_sessionfinish,
    pytest_testnodedown,
)
from tests.support.toy import Toy

# Hooks of pytest's, too.
__all__ = ("pytest_sessionfinish", "pytest_testnodedown")

_JOBS = 3

# Screens are compared at 80 columns where a test does not say how many.
os.environ.pop("COLUMNS", None)

CORNERS = Path(__file__).with_name("vm") / "corners.py"

#: Scenes in which the prober asks the kernel about XDP attaches.
SCENES_ASKED = ("zoo", "elsewhere", "attach", "random")
#: Those in which the asker asks for other things.
SCENES_ASKED_MORE = sorted(lab.ASKED)


#: Makes a dump, given a kernel and a folder.
_Make = Callable[[str, Path], Any]


class _Booted:
    # Dumps in the making, by kernel and scene.
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = concurrent.futures.ThreadPoolExecutor(_JOBS)
        self._dumps: dict[Any, concurrent.futures.Future[Any]] = {}

    def start(self, kernel: str, scene: str, make: _Make) -> None:
        folder = self._folder / f"{kernel}-{scene}"
        self._dumps[kernel, scene] = self._pool.submit(make, kernel, folder)

    def get(self, kernel: str, scene: str) -> Dump:
        dump: Dump = self._dumps[kernel, scene].result()
        return dump

    def result(self, kernel: str, what: str) -> Any:
        return self._dumps[kernel, what].result()

    def told(self, kernel: str, program: str) -> tuple[Dump, dict[str, Any]]:
        told: tuple[Dump, dict[str, Any]] = self._dumps[kernel, program].result()
        return told

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _kernels(scene: str) -> list[str]:
    # Which kernels set a scene.
    if scene in ONE_KERNEL:
        return KERNELS[-1:]
    kernels = BOOTED_ON.get(scene, KERNELS)
    return [OLDER_INSTEAD.get((scene, kernel), kernel) for kernel in kernels]


def _scene(name: str, **hooks: Any) -> _Make:
    return lambda kernel, folder: make_dump(kernel, name, folder, **hooks)


def _make_corners(kernel: str, folder: Path) -> tuple[Dump, dict[str, Any]]:
    return make_and_ask(kernel, folder, CORNERS)


#: How many reports are made of a kernel that moves: in the guest, and through QEMU.
_MOVING = tuple(map(int, os.environ.get("LAB_MOVING", "10 40").split()))


def _make_moving(kernel: str, folder: Path) -> Moving:
    in_guest, by_qemu = _MOVING
    return make_moving(kernel, folder, in_guest, by_qemu)


#: What one kernel is enough for.
ONE_KERNEL = ("noise", "many")
#: A thousand sound pairs, and packets that go through each.
_NOISE = {"N": "1000", "TRAFFIC": "10"}
#: As on a large node.
_MANY = {"N": "2000", "M": "50"}

#: What boots, in this order: scenes, and programs that run without one; what makes a
#: dump of each, and the fixtures that use it.
BOOTS: dict[str, tuple[_Make, tuple[str, ...]]] = {
    "zoo": (
        _scene("zoo", early_hooks=[look_before_asking], hooks=[look_at_guest]),
        ("zoo", "one_zoo", "every_zoo", "lab_dump", "old_dump", "new_dump", "asked"),
    ),
    # The same on other machines. Its dump is as large as its memory.
    "elsewhere": (
        _scene("zoo", hooks=[look_at_guest], memory_mb=768),
        ("elsewhere", "every_zoo", "asked"),
    ),
    "dying": (_scene("dying"), ("dying",)),
    "whose": (
        _scene("whose", hooks=[look_at_guest]),
        ("whose_dump", "new_whose_dump"),
    ),
    "maps": (_scene("maps"), ("maps",)),
    "crowd": (make_crowd, ("crowd",)),
    "corners": (_make_corners, ("corners",)),
    "teardown": (_scene("teardown"), ("teardown",)),
    "flight": (_scene("flight"), ("flight",)),
    "moving": (_make_moving, ("moving",)),
    "rules": (_scene("rules", hooks=[try_fixes]), ("rules", "all_rules")),
    "counters": (_scene("counters"), ("counted", "one_counted")),
    "attach": (_scene("attach"), ("asked",)),
    "asked": (_scene("asked"), ("asked_more",)),
    "path": (_scene("path"), ("path_dump",)),
    "random_path": (_scene("path", env={"SEED": "1"}), ("random_path_dump",)),
    "noise": (_scene("scale", env=_NOISE), ("noise_dump",)),
    "many": (_scene("scale", env=_MANY), ("many_dump",)),
    "random": (_scene("random"), ("asked",)),
}


@pytest.fixture(autouse=True)
def no_command_afterwards() -> Iterator[None]:
    """What a test says was typed is not what the next one's screens speak of."""
    yield
    drgn_veth_start.called(None)


@pytest.fixture
def toy() -> Toy:
    """A kernel of a few bytes that has lists."""
    made = Toy()
    made.struct("list_head", next="void *", prev="void *")
    return made


@pytest.fixture(scope="session")
def booted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Booted]:
    wanted = {
        name
        for item in request.session.items
        for name in getattr(item, "fixturenames", ())
    }
    all_dumps = _Booted(tmp_path_factory.mktemp("dumps"))
    for name, (make, fixtures) in BOOTS.items():
        if wanted.intersection(fixtures):
            for kernel in _kernels(name):
                all_dumps.start(kernel, name, make)
    yield all_dumps
    all_dumps.close()


def _dumps(scene: str, kernels: Optional[Sequence[str]] = None) -> Any:
    """
    Return a fixture: a dump with a scene, of each kernel that sets it.

    :param kernels: Only of these
    """

    @pytest.fixture(
        scope="session", params=_kernels(scene) if kernels is None else kernels
    )
    def dump(request: pytest.FixtureRequest, booted: _Booted) -> Dump:
        return booted.get(request.param, scene)

    return dump


zoo = _dumps("zoo")
one_zoo = _dumps("zoo", KERNELS[-1:])  # for what does not depend on the kernel
dying = _dumps("dying")
whose_dump = _dumps("whose")
path_dump = _dumps("path")
random_path_dump = _dumps("random_path")
noise_dump = _dumps("noise")
many_dump = _dumps("many")
maps = _dumps("maps")
teardown = _dumps("teardown")
counted = _dumps("counters")
one_counted = _dumps("counters", _kernels("counters")[-1:])
flight = _dumps("flight")
rules = _dumps("rules")


@pytest.fixture(scope="session", params=_kernels("crowd"))
def crowd(
    request: pytest.FixtureRequest, booted: _Booted
) -> tuple[Dump, dict[str, Any]]:
    """A kernel with many processes, and what /proc says of them."""
    return booted.told(request.param, "crowd")


@pytest.fixture(scope="session", params=_kernels("corners"))
def corners(
    request: pytest.FixtureRequest, booted: _Booted
) -> tuple[Dump, dict[str, Any]]:
    """A kernel with what scenes do not have, and what it says of it."""
    return booted.told(request.param, "corners")


@pytest.fixture(scope="session", params=_kernels("moving"))
def moving(request: pytest.FixtureRequest, booted: _Booted) -> Moving:
    """A kernel that changed while reports were made of it, and these."""
    seen: Moving = booted.result(request.param, "moving")
    return seen


_runs = pytest.StashKey[dict[str, RulesRun]]()


@pytest.fixture(scope="session")
def all_rules(booted: _Booted, pytestconfig: pytest.Config) -> dict[str, RulesRun]:
    """What the rules found and fixed, by kernel; printed at the end of the run."""
    runs = pytestconfig.stash.setdefault(_runs, {})
    for kernel in _kernels("rules"):
        runs[kernel] = rules_run(booted.get(kernel, "rules"))
    return runs


def _answered(scenes: Iterable[str]) -> Any:
    """Return a fixture: each kernel with each of some scenes."""

    @pytest.fixture(
        scope="session",
        params=[(kernel, scene) for scene in scenes for kernel in _kernels(scene)],
        ids="-".join,
    )
    def dump(request: pytest.FixtureRequest, booted: _Booted) -> Dump:
        return booted.get(*request.param)

    return dump


elsewhere = _answered(("elsewhere",))
every_zoo = _answered(("zoo", "elsewhere"))
asked = _answered(SCENES_ASKED)  # with the kernel's answers to attaches
asked_more = _answered(SCENES_ASKED_MORE)  # to other requests


@pytest.fixture(
    scope="session",
    params=slow_but([name for name in CORES if name not in SLOW_CORES], CORES),
)
def recorded(request: pytest.FixtureRequest) -> Recorded:
    """Each of the recorded cores."""
    return recorded_core(request.param)


_NO_SPEC = types.SimpleNamespace(params={})
NEW = [kernel for kernel in KERNELS if kernel not in OLD]


new_whose_dump = _dumps(
    "whose", [kernel for kernel in _kernels("whose") if kernel not in OLD]
)


def _dump(request: pytest.FixtureRequest) -> LabDump:
    booted = request.getfixturevalue("booted")
    return lab_dump_of(booted.get(request.param, "zoo"))


@pytest.fixture(scope="session", params=KERNELS)
def lab_dump(request: pytest.FixtureRequest, booted: object) -> LabDump:
    """Each kernel."""
    return _dump(request)


@pytest.fixture(scope="session", params=OLD)
def old_dump(request: pytest.FixtureRequest, booted: object) -> LabDump:
    """The kernels whose dumps need debug symbols."""
    return _dump(request)


@pytest.fixture(scope="session", params=NEW)
def new_dump(request: pytest.FixtureRequest, booted: object) -> LabDump:
    """The kernels whose dumps do not."""
    return _dump(request)


@pytest.fixture(scope="session")
def drgn_python() -> Callable[[str], str]:
    """Return a function: version of drgn to a Python with that and our requirements."""

    def python_with(version: str) -> str:
        python = "python{}.{}".format(*sys.version_info)
        folder = lab.cache_dir() / "venvs" / f"drgn-{version}-{python}"
        path = folder / "bin" / "python"
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Tests run in several processes: one makes it.
        with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            probe = [str(path), "-c", "import drgn, tabulate"]
            if not path.exists() or subprocess.run(probe).returncode:
                subprocess.run(
                    [sys.executable, "-m", "venv", "--clear", str(folder)], check=True
                )
                subprocess.run(
                    [
                        str(path),
                        "-m",
                        "pip",
                        "install",
                        "-q",
                        f"drgn=={version}",
                        "tabulate",
                    ],
                    check=True,
                )
        return str(path)

    return python_with


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Collects comparisons, which are printed at the end of the run."""
    return pytestconfig.stash.setdefault(TALLIES, {})


_answers = pytest.StashKey[dict[str, Answers]]()


@pytest.fixture(scope="session")
def answer_tally(pytestconfig: pytest.Config) -> dict[str, Answers]:
    """Collects compared answers, which are printed at the end of the run."""
    return pytestconfig.stash.setdefault(_answers, {})


def _tell_answers(terminalreporter: Any, tally: dict[str, Answers]) -> None:
    terminalreporter.section("predictions compared with the kernel's answers")
    errors: Counter[str] = collections.Counter()
    total = 0
    for name, answers in tally.items():
        count = sum(answers.compared.values())
        total += count
        for (error, message), number in answers.errors.items():
            errors[f"{error} {message or ''}"] += number
        by_kind = ", ".join(f"{k} {n}" for k, n in sorted(answers.compared.items()))
        terminalreporter.line(
            f"{name}: {count} ({by_kind}), {len(answers.differences)} differences"
        )
    terminalreporter.line(f"in all: {total}; what the kernels said:")
    for error, number in errors.most_common():
        terminalreporter.line(f"  {number:6} {error}")


def _core_of(item: pytest.Item) -> str:
    # The recorded core of a test that looks at each of them.
    found: str = getattr(item, "callspec", _NO_SPEC).params.get("recorded", "")
    return found


def _boot_of(item: pytest.Item) -> int:
    # When the last dump that a test needs is made, -1 if it needs none.
    params = getattr(item, "callspec", _NO_SPEC).params
    wanted = getattr(item, "fixturenames", ())
    boots = [(name, kernel) for name in BOOTS for kernel in _kernels(name)]
    last = -1
    for number, (name, kernel) in enumerate(boots):
        for fixture in set(BOOTS[name][1]).intersection(wanted):
            if params.get(fixture, kernel) in (kernel, (kernel, name)):
                last = number
    if last < 0 and "answer_tally" in wanted:
        return len(boots)  # It looks at what the others have counted.
    return last


@pytest.hookimpl(hookwrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    # LAB_KERNELS may name no old kernel, or no new one: their tests do not exist then,
    # as a skipped test counts as a failed one.
    there = []
    for item in items:
        if "NOTSET" not in item.name:
            there.append(item)
        elif "booted" not in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(f"{item.nodeid} has no parameter at all")
    items[:] = there
    for item in items:
        if "booted" in getattr(item, "fixturenames", ()):
            item.add_marker("vm")
    yield
    # All tests of a recorded core next to each other, or two processes would open it.
    names = {name: place for place, name in enumerate(CORES)}
    # Those of a dump as soon as it is made, while the next ones boot.
    items.sort(key=lambda item: (_boot_of(item), names.get(_core_of(item), -1)))


def pytest_collection_finish() -> None:
    # What was collected stays: nobody has to look through it for garbage. Reports are
    # large and have no cycles: a tenth of the time was spent to find none.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


def _tell_rules(terminalreporter: Any, runs: dict[str, RulesRun]) -> None:
    terminalreporter.section("rules of which a kernel showed the symptom")
    shown_by: dict[str, list[str]] = {}
    for kernel, run in runs.items():
        shown = [s["rule"] for s in run.symptoms if s["shown"] is True]
        terminalreporter.line(f"{kernel}: {len(shown)} of {len(run.symptoms)} states")
        for rule in shown:
            kernels = shown_by.setdefault(rule, [])
            if kernel not in kernels:
                kernels.append(kernel)
    for rule, kernels in sorted(shown_by.items()):
        terminalreporter.line(f"  {rule}: {', '.join(kernels)}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for passed in terminalreporter.stats.get("passed", ()):
        for name, value in passed.user_properties:
            terminalreporter.line(f"{name}: {value}")
    runs = config.stash.get(_runs, {})
    if runs:
        _tell_rules(terminalreporter, runs)
    answers = config.stash.get(_answers, {})
    if answers:
        _tell_answers(terminalreporter, answers)
    comparisons = config.stash.get(TALLIES, {})
    if not comparisons:
        return
    terminalreporter.section("values compared with the guest's own tools")
    alone: Counter[str] = collections.Counter()
    total = 0
    for name, comparison in comparisons.items():
        count = sum(comparison.compared.values())
        total += count
        alone.update(comparison.alone)
        by_source = ", ".join(
            f"{s} {n}" for s, n in sorted(comparison.compared.items())
        )
        terminalreporter.line(
            f"{name}: {count} ({by_source}), {len(comparison.differences)} differences"
        )
    terminalreporter.line(f"in all: {total}")
    terminalreporter.line("with no second source:")
    for kind, count in sorted(alone.items()):
        why = oracle.NO_SECOND_SOURCE.get(kind, "UNEXPECTED")
        terminalreporter.line(f"  {kind} ({count}): {why}")
    terminalreporter.line(each_kernel(comparisons, answers))
