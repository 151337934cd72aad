# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The process that reads dumps for drgn-veth fleet
------------------------------------------------

It reads a line of JSON that names a dump, reads the dump, writes its results, says so
in a line of JSON, and waits for the next.
"""

import contextlib
import ctypes
import errno
import gc
import io
import json
import os
import resource
import signal
import sys
import time
from typing import Any, BinaryIO, Optional

from drgn_veth_start import COMMAND, called

from ..analysis.diagnose import diagnose
from ..analysis.rules.finding import Finding
from ..btf.keep import keep_types
from ..core.errors import is_read_error, reason
from ..core.text import as_in_snapshot
from ..dump.file_kind import Kind, kind_of
from ..fleet.dumps import Dump
from ..fleet.folder import Folder
from ..fleet.reader import GRACE, Limits
from ..fleet.results import write_file, write_lines, write_tables
from ..fleet.told import MEMORY, NO_DUMP, READ, UNREADABLE, Told
from ..fleet.writing import JSONL
from ..model import Snapshot
from ..render.jsonl import lines
from . import opening
from .sides import target_of
from .status import TargetError, UsageError, internal_error

__all__ = ("main",)

_PR_SET_PDEATHSIG = 1
_MB = 1 << 20
_NAME = f"{COMMAND} fleet"


def _end_with(parent: int) -> None:
    # Even while drgn reads.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _limit_memory(megabytes: int) -> None:
    # Beyond what this process has now. What is mapped of the dump does not count.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with open("/proc/self/statm") as f:
        wanted = megabytes * _MB + int(f.read().split()[5]) * resource.getpagesize()
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def _used() -> int:
    # Bytes in memory.
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def _what_else(path: str) -> Optional[str]:
    # What a file is that is no dump.
    kind = kind_of(path)
    if kind.kind is Kind.DUMP:
        return None
    return f"it is {kind.what}" + (f"; {kind.instead}" if kind.instead else "")


def _taken(path: str) -> tuple[Snapshot, list[Finding]]:
    prog = opening.open_target(None, target_of([], path))
    snapshot = opening.take(prog, traffic=True)
    return snapshot, list(diagnose(snapshot))


def _lines(text: str, path: str) -> list[str]:
    # What was printed on standard error, without what each line begins with.
    lines = []
    for line in text.splitlines():
        for start in (f"{_NAME}: ", f"{path}: "):
            line = line[len(start) :] if line.startswith(start) else line
        lines.append(line)
    return lines


def _without(path: str, said: str) -> str:
    start = f"{path}: "
    return said[len(start) :] if said.startswith(start) else said


def _read(dump: Dump, folder: Folder, limits: Limits) -> Told:
    # Read it and write what there is.
    start = time.monotonic()
    told = None
    found = None
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            else_ = _what_else(dump.path)
            if else_ is not None:
                told = Told(NO_DUMP, else_)
            else:
                found = _taken(dump.path)
    except (TargetError, UsageError) as e:
        told = Told(UNREADABLE, _without(dump.path, str(e)))
    except MemoryError:
        told = Told(
            MEMORY,
            f"it takes more than {limits.megabytes} MB of memory; --memory allows more",
        )
    except Exception as e:
        # A dump is untrusted.
        why = reason(e) if is_read_error(e) else internal_error(e)
        told = Told(UNREADABLE, _without(dump.path, why))
    notes = _lines(said.getvalue(), dump.path)
    seconds = time.monotonic() - start
    if found is None:
        assert told is not None
        told = told._replace(notes=notes, seconds=seconds)
        write_file(folder, dump, told)
        return told
    told = Told(READ, None, notes, seconds)
    if folder.format == JSONL:
        source = as_in_snapshot(dump.path)
        write_lines(folder, dump, told, lines(*found, source))
    else:
        from ..fleet.rows import tables_of

        write_tables(folder, dump, tables_of(dump, told, *found))
    return told


def _answer(question: Any, limits: Limits) -> dict[str, Any]:
    dump, folder = Dump(*question[0]), Folder(*question[1])
    try:
        told = _read(dump, folder, limits)
    except (OSError, MemoryError) as e:
        if isinstance(e, OSError) and e.errno != errno.ENOMEM:
            return {"output": e.strerror or str(e)}
        why = f"its results take more than {limits.megabytes} MB; --memory allows more"
        return {"told": Told(MEMORY, why), "last": True}
    except Exception as e:
        return {"told": Told(UNREADABLE, internal_error(e))}
    gc.collect()
    # What other dumps have left would be missing to the next.
    last = told.status == MEMORY or 2 * _used() > limits.megabytes * _MB
    return {"told": told, "written": True, "last": last}


def _serve(questions: BinaryIO, answers: BinaryIO, limits: Limits) -> None:
    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    say({"ready": True})
    for line in questions:
        # Without a handler, the kernel ends this process at SIGALRM.
        signal.setitimer(signal.ITIMER_REAL, limits.seconds + GRACE)
        say(_answer(json.loads(line), limits))
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> int:
    """Serve until nobody asks any more."""
    parent, limits = sys.argv[1:]
    allowed = Limits(*json.loads(limits))
    _end_with(int(parent))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    called(_NAME)
    keep_types()
    answers = open(os.dup(1), "wb")
    # Whatever a library prints is no answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")
    with contextlib.suppress(ImportError):
        from ..fleet import rows  # noqa: F401  # not within the time of a dump
    # Nobody looks through what stays for garbage, after each dump.
    gc.collect()
    gc.freeze()
    _limit_memory(allowed.megabytes)
    _serve(sys.stdin.buffer, answers, allowed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
