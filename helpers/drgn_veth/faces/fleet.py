# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn-veth fleet
---------------

The reports of many dumps, as tables that can be queried.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
import contextlib
import importlib.util
import os
import shutil
from typing import Optional

from drgn import Program
from drgn_veth_start import at_signal

from ..core.english import count
from ..fleet.dumps import Dump, PathError, dumps_in
from ..fleet.folder import Folder, FolderError, OutputError
from ..fleet.reader import Limits
from ..fleet.task import Job
from ..fleet.told import FAILED, NO_DUMP, READ, STATUSES
from ..fleet.writing import FORMATS, JSONL, PARQUET
from .files import is_dump
from .options import new_parser, parse
from .output import write_output
from .status import EXIT_OK, TargetError, UsageError, warn

__all__ = ("main", "parser")

_DESCRIPTION = """\
Read many dumps, and write what is in them as tables, for example for DuckDB: DIR/dumps,
namespaces, devices, pairs and findings, as Parquet. Each worker reads dumps in a
separate process, so that a damaged dump does no harm. An interrupted run resumes where
it stopped.
"""

_EPILOG = """\
examples:
  drgn-veth fleet /var/crash --output results
  drgn-veth fleet /var/crash --output results --workers 8 --timeout 60
  drgn-veth fleet /nfs/crash --output /nfs/results --scheduler tcp://head:8786
                                   on the workers of Dask that are there
  duckdb -c "SELECT status, count(*) FROM 'results/dumps/*.parquet' GROUP BY status"

status of a file in dumps:
  read         the other tables have what is in it
  no-dump      it is another file; reason says which
  unreadable   it is a dump, but nothing could be read; reason says why
  crashed      the process that read it died
  timeout      it took longer than --timeout
  memory       it takes more than --memory

what is done once:
  a file is identified by its path with links resolved, its size and the time of its
  last change; a file that has changed is read again, and its new results take the place
  of the old

exit status:
  0    the results are in DIR; not all files need to be readable dumps
  2    wrong use: bad options, a folder with other contents, a package that is not
       installed, or the results could not be written
  3    no file is a dump, or the workers cannot be used
  130  Ctrl-C: what is written is complete, and the same command resumes
"""

_MOST_REFUSED = 10  # lines about files that cannot be read
_READER = f"{__package__}.fleet_reader"


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds up to 86400"
        )
    return seconds


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    p = new_parser("fleet", _DESCRIPTION, _EPILOG)
    p.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        help="a dump, or a folder that is searched for dumps, with the folders in it",
    )
    p.add_argument(
        "--output",
        metavar="DIR",
        required=True,
        help="the folder of the results: a new one, or that of a run to go on with",
    )
    p.add_argument(
        "--format",
        choices=FORMATS,
        default=PARQUET,
        help="parquet (the default): tables; jsonl: DIR/reports has a file for each "
        "dump, with a line of JSON for each record",
    )
    p.add_argument(
        "--again",
        action="store_true",
        help="also read dumps again that crashed, or took too much time or memory",
    )
    where = p.add_argument_group("workers")
    one = where.add_mutually_exclusive_group()
    one.add_argument(
        "--workers",
        metavar="N",
        type=_positive,
        help="start this many workers on this machine; the default is one for each CPU",
    )
    one.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="use the workers of this Dask scheduler, such as tcp://head:8786; they "
        "need drgn-veth[fleet], and the same paths",
    )
    limits = p.add_argument_group("limits of one dump")
    limits.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=600.0,
        help="give up on a dump after this time; the default is 600",
    )
    limits.add_argument(
        "--memory",
        metavar="MB",
        type=_positive,
        default=2048,
        help="give up on a dump that needs more memory; the default is 2048; what is "
        "mapped of the dump does not count",
    )
    return p


def _check_packages(args: argparse.Namespace) -> None:
    wanted = ["distributed"]
    if args.format == PARQUET:
        wanted.append("pyarrow")
    if args.scheduler is None:
        wanted.append("cryptography")
    lacking = [name for name in wanted if importlib.util.find_spec(name) is None]
    if lacking:
        raise UsageError(
            f"fleet needs {' and '.join(lacking)}: pip install 'drgn-veth[fleet]'"
        )


def _files(paths: Sequence[str], output: str) -> list[Dump]:
    refused: list[OSError] = []
    try:
        files = dumps_in(paths, output, refused.append)
    except PathError as e:
        raise UsageError(str(e)) from None
    for error in refused[:_MOST_REFUSED]:
        warn(f"{error.filename}: {error.strerror}: left out")
    if len(refused) > _MOST_REFUSED:
        warn(f"{len(refused) - _MOST_REFUSED} more files and folders left out")
    if any(is_dump(file.path) for file in files):
        return files
    where = " ".join(paths)
    if not files:
        raise TargetError(f"{where}: no file is there; expected kernel crash dumps")
    raise TargetError(
        f"{where}: none of {count(len(files), 'file')} is a kernel crash dump"
    )


def _summary(counts: "Counter[str]", before: int, output: str) -> str:
    said = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
    if before:
        said.append(f"{before} done before")
    total = sum(counts.values()) + before
    return f"{count(total, 'file')}: {', '.join(said)}; results: {output}\n"


def _advice(counts: "Counter[str]", format: str, output: str) -> Optional[str]:
    without = sum(counts.values()) - counts[READ] - counts[NO_DUMP]
    if not without:
        return None
    dumps = f"{count(without, 'dump')} could not be read; "
    if format == JSONL:
        return f"{dumps}reason in the first lines of {output}/reports/* says why"
    return f"{dumps}reason in {output}/dumps/*.parquet says why"


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the command, and return its exit status."""
    args = parse(parser(), argv)
    if prog is not None:
        raise UsageError("this opens the dumps itself: use the command drgn-veth")
    _check_packages(args)
    files = _files(args.paths, args.output)
    folder = Folder(os.path.abspath(args.output), args.format)
    counts: Counter[str] = Counter()
    try:
        folder.check()
        with folder.opened():
            left = folder.left(files, FAILED if args.again else ())
            if left:
                limits = Limits(args.timeout, args.memory)
                jobs = [Job(dump, folder, limits, _READER) for dump in left]
                _run(args, folder, jobs, counts)
    except FolderError as e:
        raise UsageError(str(e)) from None
    except OutputError as e:
        raise UsageError(
            f"{e}; what is written is complete, and the same command resumes"
        ) from None
    before = len(files) - sum(counts.values())
    write_output(_summary(counts, before, args.output), None)
    advice = _advice(counts, args.format, args.output)
    if advice is not None:
        warn(advice)
    return EXIT_OK


def _run(
    args: argparse.Namespace,
    folder: Folder,
    jobs: Sequence[Job],
    counts: "Counter[str]",
) -> None:
    from ..fleet.run import ClusterError, cluster, has_workers, run

    def clean() -> None:
        shutil.rmtree(folder.scratch, ignore_errors=True)

    workers = args.workers or len(os.sched_getaffinity(0))
    workers = min(workers, len(jobs))
    with contextlib.ExitStack() as stack:
        stack.enter_context(at_signal(clean))
        stack.callback(clean)
        try:
            client = stack.enter_context(
                cluster(workers, args.scheduler, folder.scratch)
            )
            if args.scheduler is not None and not has_workers(client):
                warn(f"{args.scheduler} has no workers yet; waiting for them")
            run(client, jobs, lambda told: counts.update([told.status]))
        except ClusterError as e:
            raise TargetError(str(e)) from None
