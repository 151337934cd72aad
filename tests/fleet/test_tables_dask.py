# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables have what the JSON has, with the reason for what is missing."""

import io
import json
from pathlib import Path
import subprocess
import sys
from typing import Any, NamedTuple, Optional

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.unreadable import Maybe, Unreadable
from drgn_veth.fleet import results
from drgn_veth.fleet.dumps import Dump
from drgn_veth.fleet.folder import Folder
from drgn_veth.fleet.rows import fit, tables_of
from drgn_veth.fleet.schemas import OF_ANOTHER_FORM, TABLES, TIME, arrow_type
from drgn_veth.fleet.told import READ, Told
from drgn_veth.fleet.writing import PARQUET, parquet
from drgn_veth.model import Snapshot
from drgn_veth.render.json import document
from drgn_veth.render.plain import SHAPES, plain
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.recorded import EVERY_CORE, Recorded, recorded_core
from tests.support.scripts import REPOSITORY

pytestmark = pytest.mark.slow

DUMP = Dump("/var/crash/vmcore", 4096, 1_764_000_000_000_000_000)
OURS = ("source", "release", "crash_time", "unreadable")


def written(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a Snapshot, as Parquet gives them back."""
    rows = tables_of(DUMP, Told(READ), snapshot, diagnose(snapshot))
    assert list(rows) == list(TABLES)
    found = {}
    for table, of_table in rows.items():
        out = io.BytesIO()
        parquet(table, of_table)(out)
        read = pq.read_table(io.BytesIO(out.getvalue()))
        assert read.schema.equals(TABLES[table])
        found[table] = read.to_pylist()
    return found


def differences(row: Any, value: Any, where: str) -> list[str]:
    """Return where a value of a row is not that of the JSON."""
    if isinstance(value, dict) and value.keys() == {"unreadable"}:
        return [] if row is None else [where]
    if isinstance(value, dict) and isinstance(row, dict):
        # What the JSON leaves out is NULL.
        extra = [f"{where}.{name}" for name in row if name not in value and row[name]]
        missing = [f"{where}.{name}" for name in value if name not in row]
        both = [
            differences(row[name], value[name], f"{where}.{name}")
            for name in value
            if name in row
        ]
        return [*extra, *missing, *sum(both, [])]
    if isinstance(value, dict) and isinstance(row, list):
        # A map has text.
        text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in value.items()}
        return [] if dict(row) == text else [where]
    if isinstance(value, list) and isinstance(row, list) and len(row) == len(value):
        pairs = zip(row, value)
        return sum(
            [differences(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(pairs)], []
        )
    return [] if row == value and type(row) is type(value) else [where]


@pytest.mark.parametrize("name", EVERY_CORE)
def test_tables_have_what_the_json_has(name: str) -> None:
    snapshot = recorded_core(name).snapshot
    contract = document(snapshot, diagnose(snapshot))
    tables = written(snapshot)
    for table in ("namespaces", "devices", "pairs", "findings"):
        rows, records = tables[table], contract[table]
        assert len(rows) == len(records) > 0
        for row, record in zip(rows, records):
            kept_row = {k: v for k, v in row.items() if k not in OURS}
            assert not differences(kept_row, record, table)
            assert row["source"] == DUMP.path
            assert row["release"] == contract["target"]["release"]
            assert row["crash_time"].timestamp() >= 0
    (row,) = tables["dumps"]
    target = contract["target"]
    of_target = {k: row[k] for k in target if k not in ("release", "time")}
    del target["release"], target["time"]
    assert not differences(of_target, target, "target")
    assert not differences(row["cpus"], contract["cpus"], "cpus")
    assert not differences(row["maps"], contract.get("maps", []), "maps")
    assert row["unreadable"] == contract["unreadable"]
    assert (row["status"], row["size"]) == (READ, 4096)
    for table in ("namespaces", "devices", "pairs"):
        assert row[table] == len(contract[table])
    for severity in ("error", "warning", "info"):
        found = [
            one
            for one in contract["findings"]
            if one["severity"] == severity and "undecided" not in one
        ]
        assert row[f"{severity}s"] == len(found)


def test_what_is_unreadable_is_null_with_its_reason() -> None:
    snapshot = recorded_core(EVERY_CORE[0]).snapshot
    first = snapshot.devices[0]
    broken = first._replace(
        mtu=Unreadable("gone"),
        queues=first.queues._replace(
            rx=first.queues.rx._replace(real=Unreadable("a hole"))
        ),
        ifindex=1 << 70,
    )
    target = snapshot.target._replace(release=Unreadable("no text"), time=1 << 62)
    changed = snapshot._replace(
        devices=(broken, *snapshot.devices[1:]), target=target, cpus=Unreadable("lost")
    )
    tables = written(changed)
    row = tables["devices"][0]
    assert row["mtu"] is row["queues"]["rx"]["real"] is row["ifindex"] is None
    assert row["queues"]["rx"]["allocated"] == first.queues.rx.allocated
    assert {one["what"]: one["why"] for one in row["unreadable"]} == {
        "mtu": "gone",
        "queues.rx.real": "a hole",
        "ifindex": f"{1 << 70} is out of range",
    }
    (dump,) = tables["dumps"]
    assert dump["release"] is dump["crash_time"] is row["release"] is None
    why = {one["what"]: one["why"] for one in dump["unreadable"]}
    assert why["release"] == why["target.release"] == "no text"
    assert why["crash_time"] == f"{1 << 62} is out of range"
    assert why["cpus"] == "lost" and len(why) == len(dump["unreadable"])


@pytest.mark.parametrize(
    "value, type, fits",
    [
        ((1 << 64) - 1, pa.uint64(), True),
        (1 << 64, pa.uint64(), False),
        (-1, pa.uint64(), False),
        (-1 << 63, pa.int64(), True),
        (1 << 63, pa.int64(), False),
        (253402300799, TIME, True),
        (253402300800, TIME, False),
        (-1, TIME, False),
    ],
)
def test_numbers_that_do_not_fit(value: int, type: Any, fits: bool) -> None:
    missing: list[dict[str, str]] = []
    found = fit(value, type, "here", missing)
    assert (found is not None, bool(missing)) == (fits, not fits)
    if fits:
        made = pa.array([found], type).to_pylist()
        assert made[0] == value or made[0].year == 9999


class Odd(NamedTuple):
    number: Maybe[Optional[int]]
    anything: object


def test_no_column_is_guessed() -> None:
    """A member of a type, or a form, that no column is made for is an error."""
    assert arrow_type(Odd.__annotations__["number"]) == pa.int64()
    with pytest.raises(TypeError):
        arrow_type(Odd)
    for (record, name), _ in OF_ANOTHER_FORM.items():
        assert SHAPES[record].forms[name] is not plain


MEASURE = """
import json, sys, time
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.btf.keep import keep_types
from drgn_veth.faces import fleet_reader
from drgn_veth.render.json import document
if sys.argv[1] == "keep":
    keep_types()
seconds = []
for path in sys.argv[2:]:
    start = time.process_time()
    text = json.dumps(document(*fleet_reader._taken(path)))
    seconds.append(time.process_time() - start)
print(json.dumps([seconds, text]))
"""


def measured(*args: object) -> tuple[list[float], str]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, args)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(REPOSITORY / "helpers")},
    )
    seconds, text = json.loads(done.stdout)
    return seconds, text


def core(name: str) -> Recorded:
    return recorded_core(name)


def test_second_dump_of_a_kernel_costs_less() -> None:
    """CPU seconds; the process has read a dump of another kernel before."""
    other, path = core("5.10-zoo").core, core("6.12-zoo").core
    seconds, text = measured("keep", other, path, path, path)
    # What keeps the types reports the same.
    _, alone = measured("forget", path)
    assert text == alone
    assert min(seconds[2:]) < 0.6 * seconds[1]


def test_types_of_other_kernels_are_not_mixed() -> None:
    names = ("6.1-zoo", "7.3-zoo", "6.1-attach", "6.12-zoo", "6.1-zoo")
    _, text = measured("keep", *(core(name).core for name in names))
    assert text == measured("forget", core("6.1-zoo").core)[1]


def test_no_row_says_done_while_parts_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of an earlier run, which was told to read the dump again."""
    folder = Folder(str(tmp_path), PARQUET)
    row = Path(folder.part("dumps", DUMP.id))
    for table in folder.tables:
        (tmp_path / table).mkdir()
    row.write_bytes(b"")

    def killed(path: str, write: Any) -> None:
        raise OSError("no space")

    monkeypatch.setattr(results, "write_part", killed)
    with pytest.raises(OSError):
        results.write_tables(folder, DUMP, dict.fromkeys(folder.tables, ()))
    assert not row.exists()
