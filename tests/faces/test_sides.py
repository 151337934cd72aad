# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is compared, questions in a row, pictures: without starting a script."""

import argparse
from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import sys
import time
from typing import Any, Optional

from drgn_veth.analysis.attach import predictor
from drgn_veth.analysis.compare.document import read_report
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.faces import compare, opening, picture, sides, then
from drgn_veth.faces.status import TargetError, UsageError
from drgn_veth.render.compare_table import Source
from drgn_veth.render.json import SCHEMA
import pytest

from tests.support.reports import device_of, small
from tests.support.snapshots import STORY, pair

SMALL = json.dumps(small()).encode()


pytestmark = pytest.mark.usefixtures("drgn_log_level")


def _refused(path: object, data: Optional[bytes] = None) -> str:
    if data is not None:
        Path(str(path)).write_bytes(data)
    with pytest.raises((UsageError, TargetError)) as raised:
        sides.read_side(str(path), [])
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    return said[len(f"{path}: ") :]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            {"schema": "drgn-veth/2"},
            "its schema is drgn-veth/2, and this drgn-veth rea",
        ),
        ({"schema": "other/1"}, "JSON, but not of drgn-veth; give a dump, or what"),
        ({"schema": [SCHEMA]}, "JSON, but not of drgn-veth; give"),
        ({"schema": SCHEMA}, "it is not a whole report, it has no target: make it ag"),
        ({"schema": SCHEMA, "differ": False}, "a comparison, not a report; give a du"),
        ({"schema": SCHEMA, "topics": []}, "an explanation, not a report; give a du"),
        ({"schema": SCHEMA, "path": []}, "the output of veth_path.py, not a report"),
    ],
)
def test_documents_that_are_no_reports(
    document: Any, said: str, tmp_path: Path
) -> None:
    text = json.dumps(document).encode()
    assert _refused(tmp_path / "a.json", text).startswith(said)


def test_files_that_are_no_reports(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert _refused(path, b"").startswith("the file is empty; give")
    assert _refused(path, b'{"record": 1}\n{}').startswith("JSON lines; give")
    said = "the JSON is cut short or damaged (Expecting value): make the report again"
    assert _refused(path, b'{"schema":') == said
    assert _refused(path, b"hello").startswith("neither a dump nor a report; give")
    odd = _refused(path, b"\x93\0" + bytes(100))
    assert odd.startswith("neither a dump nor a report (") and str(path) not in odd
    for start in (b"\x7fELF", b"KDUMP   "):
        said = _refused(path, start + bytes(100))
        assert "neither a dump" not in said
    assert _refused(tmp_path).startswith("Is a directory; give")
    assert _refused("/dev/null").startswith("not a file; give")


@contextlib.contextmanager
def _pipe(data: bytes) -> Iterator[str]:
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    yield f"/proc/self/fd/{read}"
    os.close(read)


def test_pipes() -> None:
    with _pipe(b"hello" * 100) as path:
        assert _refused(path).startswith("a pipe without a report; give")
    with _pipe(SMALL) as path:
        assert sides.read_side(path, []) == (read_report(small()), Source(path))


def test_how_large_a_report_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    largest = SMALL.ljust(1 << 20)
    path.write_bytes(largest)
    monkeypatch.setattr(sides, "_MOST", 1 << 20)
    assert sides.read_side(str(path), [])[0] == read_report(small())
    said = _refused(path, largest + b" ")
    assert said == "more than 1 MB: no report is so large"


def test_how_to_compare_with_a_dump_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise TargetError("needs root; for a dump use -c CORE")

    monkeypatch.setattr(opening, "open_target", refuse)
    with pytest.raises(TargetError, match="^needs root; for a dump give its name$"):
        sides.read_live([])


# The comparison


class _Reads:
    """What veth_compare.py reads, and what it returns."""

    def __init__(self) -> None:
        self.sides: list[tuple[str, list[str]]] = []
        self.slept: list[float] = []

    def read(self, side: str, symbols: list[str]) -> Any:
        self.sides.append((side, symbols))
        document = small()
        if "changed" in side:
            device_of(document, "eth0").update(mtu=1400)
        report = read_report(document)
        return report._replace(filtered="part" in side), Source(side)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> _Reads:
    made = _Reads()
    monkeypatch.setattr(compare, "_read", made.read)
    monkeypatch.setattr(time, "sleep", made.slept.append)
    return made


def test_what_is_read_once(reads: _Reads, tmp_path: Path) -> None:
    """A file that is both sides; unless the symbols of one differ."""
    symbols = tmp_path / "vmlinux"
    symbols.write_bytes(b"")
    path = str(symbols)
    for words, number in (
        (["a", "a"], 1),
        (["a", "b"], 2),
        (["a", "a", "-s", path], 1),
        (["a", "a", "--symbols-b", path], 2),
        (["a", "a", "--symbols-a", path, "--symbols-b", path], 1),
        (["--live", "0"], 2),
    ):
        reads.sides.clear()
        assert compare.main(None, words) == 0
        assert len(reads.sides) == number, words
    assert reads.sides == [("live", []), ("live", [])]
    assert reads.slept == [0]


def test_whose_symbols(reads: _Reads, tmp_path: Path) -> None:
    """Those of both come first."""
    paths = [str(tmp_path / name) for name in ("both", "a", "b")]
    for path in paths:
        Path(path).write_bytes(b"")
    both, of_a, of_b = paths
    words = ["x", "y", "-s", both, "--symbols-a", of_a, "--symbols-b", of_b]
    assert compare.main(None, words) == 0
    assert reads.sides == [("x", [both, of_a]), ("y", [both, of_b])]
    with pytest.raises(UsageError, match="^-s .*gone: No such file"):
        compare.main(None, ["x", "y", "--symbols-b", f"{both}gone"])


def test_a_file_is_not_the_running_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "read_live", lambda symbols: ("running", symbols))
    monkeypatch.setattr(compare, "read_side", lambda path, symbols: (path, symbols))
    read: Any = compare._read
    assert read("live", ["s"]) == ("running", ["s"])
    assert read("./live", ["s"]) == ("./live", ["s"])


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["a", "changed"], 0),
        (["a", "changed", "--check"], 1),
        (["a", "b", "--check"], 0),
        (["a", "changed", "veth0", "--check"], 0),
    ],
)
def test_exit_status(
    words: list[str], status: int, reads: _Reads, capsys: pytest.CaptureFixture[str]
) -> None:
    for format in ("table", "json"):
        assert compare.main(None, [*words, "--format", format]) == status
        printed = capsys.readouterr().out
        assert (format == "json") == printed.startswith("{")


@pytest.mark.parametrize(
    ("a", "b", "named"),
    [("part1", "b", "part1"), ("a", "part2", "part2"), ("part1", "part2", None)],
)
def test_reports_made_with_filters(
    a: str,
    b: str,
    named: Optional[str],
    reads: _Reads,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the filters of one left out would count as gone or new."""
    assert compare.main(None, [a, b]) == 0
    said = capsys.readouterr().err
    assert (f": {named} was made with filters: " in said) if named else said == ""


def test_live_is_one_side(reads: _Reads) -> None:
    assert compare.main(None, ["a", "live"]) == 0
    assert [side for side, _ in reads.sides] == ["a", "live"]
    with pytest.raises(UsageError, match="^use --live SECONDS"):
        compare.main(None, ["live", "live"])
    with pytest.raises(UsageError, match="^give two dumps or reports"):
        compare.main(None, ["a"])


@pytest.mark.parametrize(("seconds", "taken"), [("86400", True), ("86401", False)])
def test_at_most_a_day(seconds: str, taken: bool, reads: _Reads) -> None:
    if taken:
        assert compare.main(None, ["--live", seconds]) == 0
        assert reads.slept == [86400]
    else:
        with pytest.raises(UsageError, match="'86401' is not a number of seconds"):
            compare.main(None, ["--live", seconds])


# Questions in a row


def _asked(**options: Any) -> argparse.Namespace:
    plain = {**then._NOT_GIVEN, "op": "attach", "questions": ["mtu 1400"]}
    more = {"format": "table", "output": None, "color": "never"}
    return argparse.Namespace(**{**plain, **more, **options})


@pytest.mark.parametrize(
    ("options", "other"),
    [
        ({"op": "detach"}, "--detach"),
        ({"mode": "driver"}, "--mode"),
        ({"program": 0}, "--program"),
        ({"failing": True, "op": "detach"}, "--failing"),
    ],
)
def test_what_does_not_go_with_then(options: dict[str, Any], other: str) -> None:
    then.check_then(_asked())
    then.check_then(_asked(questions=None, **options))
    with pytest.raises(UsageError, match=f"^{other} does not go with --then"):
        then.check_then(_asked(**options))


def test_answers_in_a_row() -> None:
    whole = pair()
    text = then.in_a_row_text(_asked(), whole, whole.devices[:1])
    assert "mtu 1400" in str(text) and not str(text).startswith("{")
    text = "".join(then.in_a_row_text(_asked(format="json"), whole, whole.devices))
    questions = json.loads(text)["questions"]
    assert [one["question"] for one in questions] == ["mtu 1400", "mtu 1400"]


# Pictures


@pytest.mark.parametrize("format", picture.PICTURES)
def test_where_a_picture_may_go(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph is text; the others are for a browser."""
    picture.check_picture(format, None)
    monkeypatch.setattr(picture, "is_terminal", lambda _: True)
    picture.check_picture(format, "report")
    if format == "dot":
        picture.check_picture(format, None)
    else:
        with pytest.raises(UsageError, match=f"^--format {format} is for a browser"):
            picture.check_picture(format, None)


def test_a_page_needs_tabulate(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has tables, and the others have none: it is said before the dump is read."""
    monkeypatch.setitem(sys.modules, "tabulate", None)
    with pytest.raises(UsageError, match="pip install tabulate"):
        picture.check_picture("html", "report.html")
    picture.check_picture("svg", "report.svg")
    picture.check_picture("dot", None)


def test_each_format_is_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    found = diagnose(STORY)

    def drawn(format: str) -> str:
        return picture.picture(format, STORY, STORY, found)

    assert drawn("dot").startswith('graph "drgn-veth" {')
    assert "<svg" in drawn("svg")[:200]
    assert drawn("html").lower().startswith("<!doctype html>")

    def old(*_: object) -> None:
        raise predictor.TooOldError("a kernel before v5.9")

    monkeypatch.setattr(predictor, "Predictor", old)
    assert "a kernel before v5.9" in drawn("html")
