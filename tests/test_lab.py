# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rooms of the lab, without booting anything."""

import ast
from collections.abc import Iterator
import importlib.util
import os
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig

from lab import LabError, split_name
from lab.host import vmcore
import pytest

LAB = Path(vmcore.__file__).resolve().parent.parent
HOST = sorted((LAB / "host").glob("*.py"))
GUEST = sorted((LAB / "guest").rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Yield the first part of each module that a file imports by its full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def is_part_of_python(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return False
    if spec.origin in ("built-in", "frozen"):
        return True
    return "site-packages" not in spec.origin and any(
        spec.origin.startswith(sysconfig.get_path(which) + os.sep)
        for which in ("stdlib", "platstdlib")
    )


def test_rooms_of_the_lab_are_apart() -> None:
    """Neither side imports the other's modules, and neither needs more than Python."""
    for path in (*HOST, *GUEST):
        own = {p.stem for p in (LAB / "guest").iterdir()} if path in GUEST else set()
        missing = {m for m in imported(path) if not is_part_of_python(m)} - own
        assert not missing, path


def test_guest_hides_no_module_of_python() -> None:
    """The guest's folder comes first on the path of its programs."""
    names = {p.stem for p in (LAB / "guest").iterdir()} - {"__pycache__"}
    assert not set(filter(is_part_of_python, names))


@pytest.mark.slow
def test_source_hash_covers_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "lab"
    shutil.copytree(LAB, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(vmcore, "LAB", copy)
    before = vmcore.source_hash("zoo")
    others = {copy / "scenes" / f"{s}.sh" for s in vmcore.scenes() if s != "zoo"}
    files = [path for path in copy.rglob("*") if path.is_file()]
    assert others < set(files)
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        same = vmcore.source_hash("zoo") == before
        assert same == (path.suffix == ".md" or path in others), path
        path.write_bytes(content)
    assert vmcore.source_hash("zoo") == before


@pytest.mark.parametrize(
    ("machine", "page_size", "limit"),
    [
        ("x86_64", 4096, 3506),
        ("aarch64", 4096, 3506),
        ("aarch64", 16384, 15794),
        ("s390x", 4096, 3312),
        ("ppc64le", 65536, 64882),
    ],
)
def test_mtu_limit(machine: str, page_size: int, limit: int) -> None:
    """What kernels of these machines take, and refuse one byte more."""
    path = LAB / "guest" / "mtu_limit.py"
    spec = importlib.util.spec_from_file_location("mtu_limit", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.limit(machine, page_size) == limit


@pytest.mark.parametrize(
    ("kernel", "series", "flavour"),
    [
        ("6.12", "6.12", "cloud-amd64"),
        ("6.1-oldest", "6.1-oldest", "cloud-amd64"),
        ("6.1.0-47", "6.1.0-47", "cloud-amd64"),
        ("6.12-arm64", "6.12", "cloud-arm64"),
        ("6.12-arm64-16k", "6.12", "arm64-16k"),
        ("6.12-oldest-arm64", "6.12-oldest", "cloud-arm64"),
        ("6.1-rt", "6.1", "rt-amd64"),
        ("7-oldest-generic", "7-oldest", "amd64"),
        ("6.12.107+deb12-rt", "6.12.107+deb12", "rt-amd64"),
        ("6.1.0-0.deb11.48", "6.1.0-0.deb11.48", "cloud-amd64"),
    ],
)
def test_name_of_a_kernel(kernel: str, series: str, flavour: str) -> None:
    found, machine = split_name(kernel)
    assert (found, machine.flavour) == (series, flavour)


@pytest.mark.parametrize("kernel", ["", "arm64", "6.12-", "6.12-arm", "6.12arm64", "x"])
def test_no_name_of_a_kernel(kernel: str) -> None:
    with pytest.raises(LabError, match="is not a kernel series.* 6.12-arm64"):
        split_name(kernel)


@pytest.mark.slow
def test_vmcore_is_copied(tmp_path: Path) -> None:
    """As it is, with holes for zeros, whatever its size."""
    content = bytes(3 << 20) + os.urandom(100_000) + bytes((17 << 20) + 5) + b"end"
    for tail in (b"", bytes(70_000)):
        source, goal = tmp_path / "vmcore", tmp_path / "copy"
        source.write_bytes(content + tail)
        program = LAB / "guest" / "copy_vmcore.py"
        subprocess.run([sys.executable, program, source, goal], check=True)
        assert goal.read_bytes() == content + tail
        assert goal.stat().st_blocks * 512 < 1 << 20
