# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Network namespaces
------------------

The table and the CSV file of ``netns_report.py``: a row for each namespace.
"""

from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional, TypeVar

from ..core.unreadable import Maybe, Unreadable
from ..model import Holder, Namespace, NetTask, Snapshot, Task
from . import grid, words
from .csv import rows
from .style import PLAIN, Style

__all__ = ("COLUMNS", "csv", "table")

T = TypeVar("T")

_MOST_TASKS = 3  # in a table


def _each(
    values: Maybe[Optional[Sequence[T]]], text: Callable[[T], str]
) -> Sequence[str]:
    if values is None:
        return ()
    if isinstance(values, Unreadable):
        return (words.UNKNOWN,)
    return [text(value) for value in values]


def _task(task: NetTask) -> str:
    return f"{words.cell(task.pid)}({words.cell(task.comm)})"


def _holder(holder: Holder) -> str:
    if holder.pid is None:
        return words.cell(holder.kind)
    who = f"{words.cell(holder.pid)}({words.cell(holder.comm)})"
    fd = "" if holder.fd is None else f" fd {words.cell(holder.fd)}"
    return f"{words.cell(holder.kind)}: {who}{fd}"


def _holders(namespace: Namespace) -> Sequence[str]:
    lines = list(_each(namespace.holders, _holder))
    count = namespace.holder_count
    if isinstance(count, int) and count > len(lines):
        lines.append(f"and {count - len(lines)} more")
    worker = namespace.worker
    if isinstance(worker, Task):
        who = f"{words.cell(worker.pid)}({words.cell(worker.comm)})"
        lines.append(f"torn down by {who}")
    return lines


def _tasks(namespace: Namespace) -> Sequence[str]:
    shown = list(_each(namespace.tasks, _task))
    count = namespace.task_count
    rest = shown[_MOST_TASKS:]
    del shown[_MOST_TASKS:]
    if isinstance(count, int) and count > len(shown) and (rest or shown):
        shown.append(f"and {count - len(shown)} more")
    return shown


def _names(namespace: Namespace) -> Sequence[str]:
    # What leads into it, besides its label.
    return [
        *_each(namespace.mounts, words.cell),
        *_each(namespace.other_mounts, lambda path: f"{words.cell(path)} (elsewhere)"),
    ]


class Column(NamedTuple):
    """A fact about a namespace."""

    name: str  #: in the header of a CSV file
    header: Optional[str]  #: in a table; None: in no table
    least: int  #: columns of a screen
    lines: Callable[[Namespace], Sequence[str]]


COLUMNS: Sequence[Column] = (
    Column("label", "NETNS", 16, lambda n: [words.cell(n.label)]),
    Column("inum", "INODE", 10, lambda n: [words.cell(n.inum)]),
    Column("nsid", None, 0, lambda n: [words.cell(n.nsid)]),
    Column("hostname", "HOST NAME", 9, lambda n: [words.cell(n.hostname)]),
    Column("device_count", "DEVICES", 7, lambda n: [words.cell(n.device_count)]),
    Column("dying", None, 0, lambda n: ["dying"] if n.dying else []),
    Column("task_count", None, 0, lambda n: [words.cell(n.task_count)]),
    Column("tasks", "TASKS", 12, _tasks),
    Column(
        "containers",
        "CONTAINERS",
        12,
        lambda n: _each(n.containers, lambda c: words.cell(c.label)),
    ),
    Column("holders", "HELD BY", 12, _holders),
    Column("mounts", None, 0, _names),
)


def _cell(column: Column, namespace: Namespace) -> str:
    lines = [line for line in column.lines(namespace) if line]
    if column.name == "label" and namespace.dying:
        lines.append("(dying)")
    return "\n".join(lines)


def table(snapshot: Snapshot, style: Style = PLAIN) -> list[str]:
    """
    Return the lines of a table with a row for each namespace; without columns that have
    nothing.
    """
    shown = [column for column in COLUMNS if column.header is not None]
    cells = [
        [_cell(column, namespace) for column in shown]
        for namespace in snapshot.namespaces
    ]
    used = [i for i, _ in enumerate(shown) if any(row[i] for row in cells)]
    columns = [
        grid.Column(shown[i].header or "", shown[i].least, True, "  ") for i in used
    ]
    return grid.grid(columns, [[row[i] or "-" for i in used] for row in cells], style)


def csv(snapshot: Snapshot) -> str:
    """Return a row for each namespace; several values of one fact are joined."""
    return rows(
        [
            [column.name for column in COLUMNS],
            *(
                [" ".join(column.lines(namespace)) for column in COLUMNS]
                for namespace in snapshot.namespaces
            ),
        ]
    )
