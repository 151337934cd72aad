# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What is compared
----------------

A report of each side: of a JSON file, of a dump, or of the running kernel.
"""

import argparse
from collections.abc import Sequence
import json
import os
import stat
import time
from typing import Any, BinaryIO, Optional

from ..analysis.compare.document import DocumentError, Report, read_report
from ..analysis.diagnose import diagnose
from ..core.text import as_in_snapshot
from ..render.compare_table import Source
from ..render.json import SCHEMA, document
from . import opening
from .options import add_target_options, command
from .packed import unpacked
from .status import TargetError, UsageError

__all__ = ("LIVE", "read_live", "read_side", "target_of")

#: The running kernel, as a side.
LIVE = "live"

_XZ = b"\xfd7zXZ\0"
#: What a file begins with that opening a dump has more to say about.
_DUMPS = (b"\x7fELF", b"KDUMP   ", b"DISKDUMP", b"makedumpfile")
#: What else has our schema, by a member of it.
_OTHERS = {
    "attempts": "the answers of {attach}",
    "questions": "the answers of {attach} --then",
    "path": "the output of {path}",
    "topics": "an explanation",
    "differ": "a comparison",
}
_START = 64  # bytes that tell what a file is
_MOST = 1 << 29  # bytes of a report; that of 10,000 pairs has 60 MB


def _wanted() -> str:
    return f"a dump, or what {command('report')} --format json printed"


def target_of(symbols: Sequence[str], core: Optional[str]) -> argparse.Namespace:
    """
    Return the options of a script that opens one target.

    :param core: The dump; None: the running kernel
    """
    parser = argparse.ArgumentParser(add_help=False)
    add_target_options(parser)
    args = parser.parse_args([])
    args.core, args.symbols = core, list(symbols)
    return args


def _take(args: argparse.Namespace) -> Report:
    prog = opening.open_target(None, args)
    snapshot = opening.take(prog, traffic=True)
    return read_report(document(snapshot, diagnose(snapshot)))


def read_live(symbols: Sequence[str]) -> tuple[Report, Source]:
    """
    Return a report of the running kernel.

    :param symbols: Files with debug symbols
    :raises TargetError: if it cannot be read
    """
    now = int(time.time())
    try:
        return _take(target_of(symbols, None)), Source(LIVE, now)
    except TargetError as e:
        # That is how other scripts name a dump.
        raise TargetError(str(e).replace("use -c CORE", "give its name")) from None


def _what_else(found: dict[str, Any]) -> str:
    # What a document is that is no report.
    schema = found.get("schema")
    if not isinstance(schema, str) or not schema.startswith("drgn-veth/"):
        return f"JSON, but not of drgn-veth; give {_wanted()}"
    if schema != SCHEMA:
        return (
            f"its schema is {schema}, and this drgn-veth reads {SCHEMA}: make the "
            "report again"
        )
    what = next((what for member, what in _OTHERS.items() if member in found), None)
    if what is None:
        return f"no report; give {_wanted()}"
    what = what.format(attach=command("attach"), path=command("path"))
    return f"{what}, not a report; give {_wanted()}"


def _parse(path: str, data: bytes) -> Report:
    try:
        found = json.loads(data)
    except RecursionError:
        raise UsageError(
            f"{path}: it is no report: too deep; give {_wanted()}"
        ) from None
    except ValueError as e:
        if data.startswith(b'{"record": '):
            raise UsageError(f"{path}: JSON lines; give {_wanted()}") from None
        why = str(e).partition(": line")[0]
        raise UsageError(
            f"{path}: the JSON is cut short or damaged ({why}): make the report again"
        ) from None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: JSON, but not a report; give {_wanted()}")
    if found.get("schema") != SCHEMA or not _OTHERS.keys().isdisjoint(found):
        raise UsageError(f"{path}: {_what_else(found)}")
    try:
        return read_report(found)
    except DocumentError as e:
        raise UsageError(
            f"{path}: it is not a whole report, {e}: make it again"
        ) from None


def _is_json(start: bytes) -> bool:
    # Also in UTF-16, and behind a byte order mark, which json.loads() takes.
    text = start.lstrip(b"\xef\xbb\xbf\xfe\xff\0 \t\r\n")
    return text[:1] in (b"{", b"[")


def _read_dump(path: str, core: str, start: bytes, symbols: Sequence[str]) -> Report:
    try:
        return _take(target_of(symbols, core))
    except TargetError as e:
        said = str(e).replace(core, path)
        if start.startswith(_DUMPS):
            raise TargetError(said) from None
        why = "" if b"\0" not in start else f" ({said.replace(f'{path}: ', '')})"
        raise UsageError(
            f"{path}: neither a dump nor a report{why}; give {_wanted()}"
        ) from None


def _all_of(path: str, start: bytes, f: BinaryIO) -> bytes:
    data = start + f.read(_MOST)
    if len(data) > _MOST:
        raise UsageError(f"{path}: more than {_MOST >> 20} MB: no report is so large")
    return data


def _read(
    path: str, f: BinaryIO, symbols: Sequence[str], core: Optional[str] = None
) -> Report:
    start = f.read(_START)
    if _is_json(start):
        return _parse(path, _all_of(path, start, f))
    if not start:
        raise UsageError(f"{path}: the file is empty; give {_wanted()}")
    return _read_dump(path, core or f"/proc/self/fd/{f.fileno()}", start, symbols)


def _read_pipe(path: str, f: BinaryIO) -> bytes:
    # What writes to it may never end.
    data = f.read(_START)
    if not _is_json(data):
        raise UsageError(f"{path}: a pipe without a report; give {_wanted()}")
    return _all_of(path, data, f)


def read_side(path: str, symbols: Sequence[str]) -> tuple[Report, Source]:
    """
    Return the report of a file.

    :param path: A dump, a slice, or a JSON report; also under xz. A pipe has a report.
    :param symbols: Files with debug symbols, for a dump
    :raises UsageError: if it is none of these
    :raises TargetError: if it cannot be read
    """
    source = Source(as_in_snapshot(path))
    try:
        with open(path, "rb") as f:
            mode = os.fstat(f.fileno()).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                return _parse(path, _read_pipe(path, f)), source
            if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
                raise UsageError(f"{path}: not a file; give {_wanted()}")
            is_packed = f.read(len(_XZ)) == _XZ
            f.seek(0)
            if not is_packed:
                return _read(path, f, symbols, path), source
            with unpacked(path, f) as plain:
                return _read(path, plain, symbols), source
    except OSError as e:
        raise TargetError(f"{path}: {e.strerror or e}; give {_wanted()}") from None
