#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Golden output: what each command prints for a recorded core, in each format.

``golden.py [NAME...]`` (``make golden``) writes ``NAME.golden/`` for all recorded cores
or those named. It boots nothing. tests/test_recorded.py compares.
"""

from collections.abc import Iterator, Mapping, Sequence
import difflib
import json
import lzma
from pathlib import Path
import re
import sys
import tempfile
from typing import Any
from unittest import mock

from drgn import Program
from drgn_veth.btf import use_btf
from drgn_veth.faces import (
    drops,
    explain,
    netns_report,
    opening,
    rps,
    terminal,
    veth_path,
    veth_report,
    xdp,
    xdp_attach,
)
from drgn_veth.model import Snapshot
from drgn_veth.render.style import PLAIN, Style
from drgn_veth.snapshot import take_snapshot
from unpack import unpack

__all__ = ("OUTPUTS", "difference", "folder_of", "main", "outputs", "read", "write")

HERE = Path(__file__).resolve().parent
_REPORT, _ATTACH = veth_report.main, xdp_attach.main
_NETNS, _EXPLAIN, _PATH = netns_report.main, explain.main, veth_path.main
_DROPS, _RPS, _XDP = drops.main, rps.main, xdp.main

#: Devices of a scene, for the screens of one device.
_DEVICES: Mapping[str, Sequence[str]] = {
    "zoo": ("veth_xxx0", "q24b", "xnata", "xlinka"),
    "whose": ("vethpod", "to_web", "bond0.40"),
    "attach": ("probe_a", "q13b", "nat_a", "bo_few", "low_two"),
    "maps": ("mxa", "msb", "mda", "tcxa"),
}
_SCENE_DEVICES = "DEVICES"

#: The files in a folder, and the script and arguments that print each. A number in a
#: name is how many columns the screen has, otherwise 80. JSON is large, so it is
#: compressed.
OUTPUTS: Mapping[str, tuple[Any, Sequence[str]]] = {
    "pairs.txt": (_REPORT, ()),
    "pairs-60.txt": (_REPORT, ()),
    "pairs-120.txt": (_REPORT, ()),
    "pairs-200.txt": (_REPORT, ()),
    "notes.txt": (_REPORT, ("--notes",)),
    "devices.txt": (_REPORT, (_SCENE_DEVICES,)),
    "devices-60.txt": (_REPORT, (_SCENE_DEVICES,)),
    "devices-200.txt": (_REPORT, (_SCENE_DEVICES,)),
    "tree.txt": (_REPORT, ("--tree",)),
    "tree-60.txt": (_REPORT, ("--tree",)),
    "all.txt": (_REPORT, ("--all",)),
    "all-60.txt": (_REPORT, ("--all",)),
    "all-120.txt": (_REPORT, ("--all",)),
    "pairs.csv": (_REPORT, ("--format", "csv")),
    "all.csv": (_REPORT, ("--all", "--format", "csv")),
    "report.json.xz": (_REPORT, ("--format", "json")),
    "report.dot.xz": (_REPORT, ("--format", "dot")),
    "path.txt": (_PATH, (_SCENE_DEVICES,)),
    "path-120.txt": (_PATH, (_SCENE_DEVICES, "--follow")),
    "in_flight.txt": (_PATH, ("--in-flight",)),
    "xdp.txt": (_XDP, ()),
    "xdp_devices.txt": (_XDP, (_SCENE_DEVICES,)),
    "rps.txt": (_RPS, ()),
    "drops.txt": (_DROPS, ()),
    "netns.txt": (_NETNS, ()),
    "netns-60.txt": (_NETNS, ()),
    "netns-120.txt": (_NETNS, ()),
    "netns.csv": (_NETNS, ("--format", "csv")),
    "attach.txt": (_ATTACH, ("--all",)),
    "attach.120.txt": (_ATTACH, ("--all",)),
    "attach_failing.txt": (_ATTACH, ("--all", "--failing")),
    "attach_devices.txt": (_ATTACH, (_SCENE_DEVICES,)),
    "attach_devices.120.txt": (_ATTACH, (_SCENE_DEVICES,)),
    "explain.txt": (_EXPLAIN, ()),
    "explain_ENOSPC.txt": (_EXPLAIN, ("ENOSPC",)),
    "explain_ENOSPC.120.txt": (_EXPLAIN, ("ENOSPC",)),
    "explain_EINVAL.txt": (_EXPLAIN, ("EINVAL",)),
    "explain_EOPNOTSUPP.txt": (_EXPLAIN, ("EOPNOTSUPP",)),
    "attach.json.xz": (_ATTACH, ("--all", "--format", "json")),
}


def folder_of(name: str) -> Path:
    """Return the folder with the golden output of a recorded core."""
    return HERE / f"{name}.golden"


def _style(file: str) -> Style:
    columns = re.search(r"[-.](\d+)\.", file)
    return PLAIN if columns is None else PLAIN._replace(width=int(columns[1]))


def outputs(name: str, prog: Program, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """
    Yield the name of each file, and what its command prints.

    :param name: Of the recorded core, such as ``6.12-zoo``
    :param prog: The core, opened
    :param snapshot: Of this core, shared by all commands
    """
    devices = _DEVICES[name.rpartition("-")[2]]
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(opening, "take", lambda prog, traffic=False: snapshot),
    ):
        path = Path(folder) / "output"
        for file, (main, options) in OUTPUTS.items():
            argv = [
                word
                for option in options
                for word in (devices if option == _SCENE_DEVICES else (option,))
            ]
            with mock.patch.object(terminal, "PLAIN", _style(file)):
                status = main(prog, [*argv, "--output", str(path)])
            assert status == 0, (file, status)
            yield file, path.read_text()


def read(name: str, file: str) -> str:
    """Return golden output."""
    data = (folder_of(name) / file).read_bytes()
    return (lzma.decompress(data) if file.endswith(".xz") else data).decode()


def write(name: str, core: Path) -> None:
    """Write the golden output of a core."""
    folder = folder_of(name)
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in OUTPUTS:
            path.unlink()
    prog = Program()
    prog.set_core_dump(core)
    use_btf(prog)
    for file, text in outputs(name, prog, take_snapshot(prog)):
        path = folder / file
        if path.exists() and read(name, file) == text:
            continue  # Another release of xz may compress it differently.
        data = text.encode()
        if file.endswith(".xz"):
            data = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
        path.write_bytes(data)


def _expanded(records: Sequence[str]) -> list[str]:
    # Expands records of a JSON document, one a line, into one line a member.
    lines: list[str] = []
    for record in records:
        try:
            value = json.loads(record.rstrip(","))
        except ValueError:
            lines.append(record)
        else:
            lines += json.dumps(value, indent=1).splitlines()
    return lines


def difference(file: str, golden: str, now: str, most: int = 60) -> str:
    """
    Return the difference, "" if there is none.

    :param most: How many lines to return
    """
    if golden == now:
        return ""
    old, new = golden.splitlines(), now.splitlines()
    if ".json" in file:
        there: tuple[dict[str, None], dict[str, None]]
        there = dict.fromkeys(old), dict.fromkeys(new)
        old = _expanded([line for line in old if line not in there[1]])
        new = _expanded([line for line in new if line not in there[0]])
    lines = list(difflib.unified_diff(old, new, f"golden {file}", "now", lineterm=""))
    if len(lines) > most:
        lines[most:] = [f"... and {len(lines) - most} lines more"]
    return "\n".join(lines or ["the same records in another order"])


def main(names: list[str]) -> int:
    """Write the golden output of the cores that are named, or of all."""
    suffix = ".core.xz"
    for packed in sorted(HERE.glob(f"*{suffix}")):
        name = packed.name[: -len(suffix)]
        if not names or name in names:
            with tempfile.TemporaryDirectory() as folder:
                write(name, unpack(packed, Path(folder)))
            print(folder_of(name), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
