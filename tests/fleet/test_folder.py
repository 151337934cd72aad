# SPDX-License-Identifier: LGPL-2.1-or-later
"""The folder of the results: what is done, what is left, and what is refused."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from drgn_veth.fleet.dumps import Dump, PathError, dumps_in
from drgn_veth.fleet.folder import Folder, FolderError, OutputError
from drgn_veth.fleet.results import write_file
from drgn_veth.fleet.told import CRASHED, FAILED, NO_DUMP, READ, Told, row_of_file
from drgn_veth.fleet.writing import FORMATS, JSONL, PARQUET, status_in, write_part
import pytest

from tests.support.slow import slow_but

# Parquet takes a package that make test does not install.
each = pytest.mark.parametrize("format", slow_but([JSONL], FORMATS))


def dump(path: str, size: int = 1) -> Dump:
    return Dump(path, size, 1_764_000_000_000_000_000)


def parts(folder: Folder) -> dict[str, set[str]]:
    """Return the names in each table, without that of no rows."""
    return {
        table: set(os.listdir(os.path.join(folder.path, table)))
        - {f"schema.{folder.format}"}
        for table in folder.tables
    }


def touch(folder: Folder, one: Dump, *tables: str) -> None:
    for table in tables:
        Path(folder.part(table, one.id)).write_bytes(b"")


def test_files_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "in" / "results"
    deep = tmp_path / "in" / "b" / "c"
    deep.mkdir(parents=True)
    output.mkdir()
    for path in (tmp_path / "in" / "z", deep / "vmcore", output / "part"):
        path.write_text("x")
    (tmp_path / "in" / "a-link").symlink_to(deep / "vmcore")
    os.link(deep / "vmcore", deep / "zz-same")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "nowhere").symlink_to(tmp_path / "not there")
    os.mkfifo(deep / "fifo")
    (deep / "itself").symlink_to("itself")
    refused: list[OSError] = []
    found = dumps_in([str(tmp_path / "in"), str(deep)], str(output), refused.append)
    assert {error.filename for error in refused} == {str(deep / "itself")}
    names = [os.path.relpath(one.path, tmp_path / "in") for one in found]
    assert sorted(names) == ["a-link", "b/c/fifo", "z"]
    assert len({one.id for one in found}) == 3
    # The same, whichever way it is named.
    one = str(tmp_path / "in" / "b" / ".." / "z")
    again = dumps_in([one], str(output), refused.append)
    assert again[0] in found
    (link,) = (one for one in found if one.path.endswith("a-link"))
    (same,) = dumps_in([str(deep / "vmcore")], str(output), refused.append)
    assert link.id == same.id
    for path in (output, output / "part", tmp_path / "gone", deep / "itself"):
        with pytest.raises(PathError):
            dumps_in([str(path)], str(output), refused.append)
    # What os.walk() cannot list is left out, unless it was given.
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path) == str(deep):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    refused.clear()
    (_, z) = dumps_in([str(tmp_path / "in")], str(output), refused.append)
    assert z.path.endswith("/z") and [one.filename for one in refused] == [str(deep)]
    with pytest.raises(PathError, match="Permission denied"):
        dumps_in([str(deep)], str(output), refused.append)


def test_a_file_that_changes_is_another() -> None:
    one = dump("/a", 1)
    others = (dump("/a", 2), one._replace(mtime_ns=one.mtime_ns + 1))
    for other in others:
        assert other.id != one.id and other.place == one.place
    assert dump("/b").place != one.place
    assert len({one.id, *(other.id for other in others)}) == 3


@each
def test_a_run_that_ended_before_its_mark(
    tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command goes on, also in a folder with half a mark."""
    folder = Folder(str(tmp_path / "out"), format)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("drgn_veth.fleet.folder.write_part", full)
        with pytest.raises(OutputError, match="No space left"), folder.opened():
            pass
    (tmp_path / "out" / ".fleet.json-0badcafe").write_text("{")
    folder.check()
    with folder.opened():
        assert folder.left([dump("/a")]) == [dump("/a")]
    names = sorted(os.listdir(folder.path))
    assert names == sorted(["fleet.json", *folder.tables])


@each
def test_errors_of_others(tmp_path: Path, format: str) -> None:
    """What fails while the folder is open is not an error of the folder."""
    with pytest.raises(ConnectionError, match="gone"):
        with Folder(str(tmp_path), format).opened():
            raise ConnectionError("gone")


@each
def test_what_is_left(tmp_path: Path, format: str) -> None:
    folder = Folder(str(tmp_path / "out"), format)
    last, *before = reversed(folder.tables)
    done, old, new, half, gone = (
        dump("/done"),
        dump("/changed", 1),
        dump("/changed", 2),
        dump("/half"),
        dump("/gone"),
    )
    folder.check()
    with folder.opened():
        assert folder.left([done, new, half]) == [done, new, half]
        touch(folder, done, *folder.tables)
        touch(folder, old, *folder.tables)
        touch(folder, half, *before)
        touch(folder, gone, *before)
        assert folder.left([done, new, half]) == [new, half]
        name = f"{done.id}.{format}"
        assert parts(folder)[last] == {name}
        for table in before:
            # That of half is replaced by the next run, and /gone is never done.
            assert parts(folder)[table] == {name, f"{half.id}.{format}"}
    folder.check()
    # What is done of files that are not asked for stays.
    with folder.opened():
        assert folder.left([half]) == [half]
        assert name in parts(folder)[last]


@each
def test_again(tmp_path: Path, format: str) -> None:
    folder = Folder(str(tmp_path), format)
    told = {
        "/read": Told(READ),
        "/text": Told(NO_DUMP, "it is a text file"),
        "/died": Told(CRASHED, "SIGBUS", ("a note",), 1.5),
    }
    with folder.opened():
        for path, one in told.items():
            write_file(folder, dump(path), one)
            part = folder.part(folder.tables[-1], dump(path).id)
            assert status_in(part) == one.status
        dumps = [dump(path) for path in told]
        assert folder.left(dumps) == []
        assert folder.left(dumps, FAILED) == [dump("/died")]
        assert len(parts(folder)[folder.tables[-1]]) == 3


@pytest.mark.slow
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path), PARQUET)
    told = Told(NO_DUMP, "unpack it first: tar -xf a\udcff", ("b\udcff",))
    with folder.opened():
        write_file(folder, dump("/a\udcff"), told)
    row = row_of_file(dump("/a\udcff"), told)
    assert row["reason"] == "unpack it first: tar -xf a\\xff"
    assert row["notes"] == ["b\\xff"]


def test_line(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path), JSONL)
    with folder.opened():
        write_file(folder, dump("/a\udcff"), Told(CRASHED, "SIGBUS", ("a note",), 1.5))
    (name,) = parts(folder)["reports"]
    text = (tmp_path / "reports" / name).read_text()
    assert text.endswith("\n") and text.count("\n") == 1
    assert json.loads(text) == {
        "record": "dump",
        "source": "/a\\xff",
        "size": 1,
        "mtime": 1_764_000_000.0,
        "status": "crashed",
        "reason": "SIGBUS",
        "notes": ["a note"],
        "seconds": 1.5,
    }


@each
def test_what_a_broken_run_leaves_is_removed(tmp_path: Path, format: str) -> None:
    folder = Folder(str(tmp_path), format)
    with folder.opened():
        table = tmp_path / folder.tables[0]
        (table / ".x.parquet-1234").write_text("half")
        (tmp_path / ".dask" / "worker").mkdir(parents=True)
    with folder.opened():
        assert not (tmp_path / ".dask").exists()
        assert parts(folder)[folder.tables[0]] == set()


def test_other_folders_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "home"
    other.mkdir()
    (other / "file").write_text("mine")
    with pytest.raises(FolderError, match="not empty"):
        Folder(str(other), PARQUET).check()
    assert os.listdir(other) == ["file"]
    file = Folder(str(other / "file"), PARQUET)
    with pytest.raises(FolderError, match="Not a directory"):
        file.check()

    made = Folder(str(tmp_path / "made"), JSONL)
    with made.opened():
        pass
    with pytest.raises(FolderError, match="has results of --format jsonl"):
        made._replace(format=PARQUET).check()
    mark = Path(made.path) / "fleet.json"
    for text in ('{"schema": "drgn-veth-fleet/9"}', "[]", "{", ""):
        mark.write_text(text)
        with pytest.raises(FolderError, match="another version"):
            made.check()


@pytest.mark.slow
def test_tables_with_other_columns_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Folder(str(tmp_path), PARQUET)
    with folder.opened():
        pass
    folder.check()
    path = folder.part("devices", "schema")
    schema = pq.read_schema(path)
    for wrong in (schema.remove(3), schema.append(pa.field("x", pa.int64()))):
        pq.write_table(wrong.empty_table(), path)
        with pytest.raises(FolderError, match="devices has other columns"):
            folder.check()
    Path(path).write_bytes(b"PAR1")
    with pytest.raises(FolderError, match="devices has other columns"):
        folder.check()


def test_one_command_at_a_time(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path), JSONL)
    with folder.opened():
        with pytest.raises(FolderError, match="another drgn-veth fleet writes"):
            with folder.opened():
                pass
    with folder.opened():
        pass


def test_a_part_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "part"

    def half(f: Any) -> None:
        f.write(b"half")
        f.flush()
        # What is written so far has another name.
        assert not path.exists() and len(os.listdir(tmp_path)) == 1
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_part(str(path), half)
    assert os.listdir(tmp_path) == []

    def whole(f: Any) -> None:
        f.write(b"whole")

    write_part(str(path), whole)
    assert path.read_bytes() == b"whole" and os.listdir(tmp_path) == ["part"]


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = Folder(str(tmp_path / "file" / "out"), PARQUET)
    with pytest.raises(OutputError, match="Not a directory"):
        with folder.opened():
            pass
