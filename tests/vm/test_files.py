# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that makedumpfile writes when something goes wrong, of a booted kernel."""

import json
from pathlib import Path
import re
import shutil
import struct
import subprocess
from typing import Any

from drgn_veth.dump.file_kind import Kind, kind_of
import lab
import pytest

from tests.support.booted import Dump
from tests.support.scripts import one_line, run

SPLIT = "one part of a split dump"
_VMCOREINFO = 4096 + 32  # in the sub-header: offset and size, then those of the notes
_ALL_PAGES = ("-c", "-d", "0")


def makedumpfile(*args: object, **kwargs: Any) -> "subprocess.CompletedProcess[bytes]":
    lab.need_programs(["makedumpfile"])
    argv = ["makedumpfile", *map(str, args)]
    return subprocess.run(argv, capture_output=True, timeout=300, **kwargs)


def report(*args: object) -> Any:
    """Return the devices in the JSON, and what is on standard error."""
    done = run(*args, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["devices"], done.stderr


@pytest.fixture(scope="module")
def devices(one_zoo: Dump) -> Any:
    return report("-c", one_zoo.vmcore)[0]


def test_what_they_are(one_zoo: Dump) -> None:
    assert kind_of(str(one_zoo.vmcore)) == (Kind.DUMP, "a kdump file", None)
    assert kind_of(str(one_zoo.vmlinux)).kind is Kind.VMLINUX
    assert kind_of(str(one_zoo.veth)).kind is Kind.MODULE


def test_as_arguments(one_zoo: Dump, devices: Any) -> None:
    found, said = report(one_zoo.veth, one_zoo.vmcore, one_zoo.vmlinux)
    assert said == ""
    assert len(found) == len(devices)


def test_a_split_dump(one_zoo: Dump, devices: Any, tmp_path: Path) -> None:
    """The parts say that they are parts; put together again they are the dump."""
    parts = [tmp_path / name for name in ("a", "b")]
    # All pages: with a level, makedumpfile may put them all in the first part.
    made = makedumpfile(*_ALL_PAGES, "--split", one_zoo.vmcore, *parts)
    assert made.returncode == 0, made.stderr
    pages: list[list[int]] = []
    for part in parts:
        done = run("-c", part)
        assert SPLIT in done.stderr and "makedumpfile --reassemble" in done.stderr
        said = re.search(r"with pages (\d+) to (\d+) of (\d+);", done.stderr)
        assert said is not None
        pages.append([*map(int, said.groups())])
    (first, end, total), (start, last, of) = pages
    assert (first, start, last, of) == (0, end + 1, total - 1, total)
    whole = tmp_path / "whole"
    assert makedumpfile("--reassemble", *parts, whole).returncode == 0
    assert report("-c", whole) == (devices, "")


def test_a_flattened_dump(one_zoo: Dump, devices: Any, tmp_path: Path) -> None:
    made = makedumpfile("-F", *_ALL_PAGES, one_zoo.vmcore)
    assert made.returncode == 0, made.stderr
    path = tmp_path / "flat"
    path.write_bytes(made.stdout)
    assert report("-c", path) == (devices, "")
    path.write_bytes(made.stdout[: len(made.stdout) // 2])
    one_line(run("-c", path), 3, "without the end of a flattened dump")


def test_a_disk_that_was_full(one_zoo: Dump, tmp_path: Path) -> None:
    """makedumpfile marks the dump in its header; there is a report of what is there."""
    assert makedumpfile(*_ALL_PAGES, one_zoo.vmcore, tmp_path / "whole").returncode == 0
    size = (tmp_path / "whole").stat().st_size
    _on_a_small_disk(one_zoo, tmp_path, size // 2)
    done = _on_a_small_disk(one_zoo, tmp_path, size - (1 << 16))
    assert done.returncode == 0 and json.loads(done.stdout)["devices"]


def _on_a_small_disk(one_zoo: Dump, tmp_path: Path, size: int) -> Any:
    small = tmp_path / "small"
    small.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(small)]
    subprocess.run(mount, check=True)
    try:
        made = makedumpfile(*_ALL_PAGES, one_zoo.vmcore, small / "vmcore")
        assert made.returncode != 0
        path = shutil.copy(small / "vmcore", tmp_path)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    done = run("-c", path, "--format", "json")
    assert "an incomplete dump: the disk was full" in done.stderr
    assert "System.map" not in done.stderr
    return done


def test_a_dump_without_vmcoreinfo(one_zoo: Dump, devices: Any, tmp_path: Path) -> None:
    """The kernel's own copy is in its memory."""
    path = Path(shutil.copy(one_zoo.vmcore, tmp_path))
    with open(path, "r+b") as f:
        f.seek(_VMCOREINFO)
        f.write(struct.pack("<4Q", 0, 0, 0, 0))
    found, said = report("-c", path)
    assert found == devices
    (line,) = said.splitlines()
    assert "it has no VMCOREINFO; using the one at 0x" in line
