# SPDX-License-Identifier: LGPL-2.1-or-later
"""A process that reads dumps, and the error if it dies."""

from collections.abc import Iterator
import contextlib
import sys

from drgn_veth.fleet.reader import Limits, Reader, ReaderError
from drgn_veth.fleet.told import CRASHED, TIMEOUT
import pytest

# It starts, and does what each line says; its answer is what came of that.
_OBEYS = """
import json, os, sys, time
print("{}", flush=True)
for line in sys.stdin:
    print(json.dumps(eval(json.loads(line))), flush=True)
"""


@contextlib.contextmanager
def reader(program: str) -> Iterator[Reader]:
    made = Reader([sys.executable, "-c", program], Limits(60.0, 256))
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize(
    ("program", "how"),
    [
        ("raise SystemExit(7)", "exit status 7"),
        ("raise SystemExit(0)", "exit status 0"),
        ("import os; os.abort()", "SIGABRT"),
        ("import os; os.kill(os.getpid(), 40)", "signal 40"),
    ],
)
def test_it_does_not_start(program: str, how: str) -> None:
    with reader(program) as made, pytest.raises(ReaderError) as raised:
        made.ask("1")
    assert str(raised.value) == f"the process that reads dumps did not start: {how}"


def test_it_starts_too_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drgn_veth.fleet.reader._START", 0.3)
    with reader("import time; time.sleep(60)") as made:
        with pytest.raises(ReaderError, match="did not start: it takes too long"):
            made.ask("1")


def test_it_dies_and_is_started_again() -> None:
    with reader(_OBEYS) as made:
        first = made.ask("{'pid': os.getpid()}")
        assert made.ask("{'pid': os.getpid()}") == first
        told = made.ask("os._exit(1)")["told"]
        assert told.status == CRASHED
        assert told.reason == (
            "the process that read it died: exit status 1, perhaps for lack of memory; "
            "--memory allows more than 256 MB"
        )
        assert made.ask("{'pid': os.getpid()}") != first


def test_it_takes_too_long() -> None:
    with reader(_OBEYS) as made:
        made.limits = made.limits._replace(seconds=0.2)
        told = made.ask("time.sleep(60)")["told"]
        assert told.status == TIMEOUT
        assert told.reason == "it was not read within 0.2 s; --timeout allows more"
        assert 0.2 <= told.seconds < 30


@pytest.mark.slow
def test_it_dies_and_another_one_goes_on() -> None:
    memory = ", perhaps for lack of memory; --memory allows more than 256 MB"
    with reader(_OBEYS) as made:
        assert made.ask("{'answer': 1}") == {"answer": 1}
        first = made.ask("{'pid': os.getpid()}")
        assert made.ask("{'pid': os.getpid()}") == first
        for what, how in (
            ("os._exit(3)", "exit status 3"),
            ("os._exit(1)", f"exit status 1{memory}"),
            ("os.abort()", f"SIGABRT{memory}"),
            ("os.kill(os.getpid(), 15)", "SIGTERM"),
        ):
            told = made.ask(what)["told"]
            assert told.status == CRASHED
            assert told.reason == f"the process that read it died: {how}"
        second = made.ask("{'pid': os.getpid(), 'last': True}")
        assert second["pid"] != first["pid"]
        assert made.ask("{'pid': os.getpid()}")["pid"] != second["pid"]
