# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Network namespaces
------------------

The table and the CSV file of ``netns_report.py``: a row for each namespace.
"""

from collections.abc import Iterator, Sequence
from typing import Callable, NamedTuple, Optional, TypeVar

from ..analysis.held import NO_WAY_IN, way_in, who
from ..core.unreadable import Maybe, Unreadable
from ..model import Holder, Namespace, NetTask, Snapshot, Task
from . import grid, words
from .commands import command
from .csv import rows
from .style import PLAIN, Style
from .width import wrap

__all__ = ("COLUMNS", "Column", "csv", "table", "ways_in")

T = TypeVar("T")

_MOST_TASKS = 3  # in a table
_MOST_MOUNTS = 3


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


def _holder_in_words(holder: Holder) -> str:
    return words.cell(who(holder)) if holder.pid is None else _holder(holder)


def _holders(
    namespace: Namespace, text: Callable[[Holder], str] = _holder
) -> Sequence[str]:
    lines = list(_each(namespace.holders, text))
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


def _mounted(namespace: Namespace) -> Sequence[str]:
    paths = _names(namespace)
    shown = [f"mounted at {path}" for path in paths[:_MOST_MOUNTS]]
    more = len(paths) - len(shown)
    return [*shown, f"and {more} more"] if more else shown


def _users(namespace: Namespace) -> Sequence[str]:
    # What holds a namespace is looked for only where no process is and no mount.
    return (*_tasks(namespace), *_holders(namespace, _holder_in_words))


def _named_host(namespace: Namespace) -> Sequence[str]:
    # What a host is called that nobody has named.
    name = words.cell(namespace.hostname)
    return [] if name == "(none)" else [name]


def _names(namespace: Namespace) -> Sequence[str]:
    # What leads into it, besides its label.
    return [
        *_each(namespace.mounts, words.cell),
        *_each(namespace.other_mounts, lambda path: f"{words.cell(path)} (elsewhere)"),
    ]


_Lines = Callable[[Namespace], Sequence[str]]


class Column(NamedTuple):
    """A fact about a namespace."""

    name: str  #: in the header of a CSV file
    lines: _Lines


def _containers(namespace: Namespace) -> Sequence[str]:
    return _each(namespace.containers, lambda c: words.cell(c.label))


#: The facts of a CSV file.
COLUMNS: Sequence[Column] = (
    Column("label", lambda n: [words.cell(n.label)]),
    Column("inum", lambda n: [words.cell(n.inum)]),
    Column("nsid", lambda n: [words.cell(n.nsid)]),
    Column("hostname", lambda n: [words.cell(n.hostname)]),
    Column("device_count", lambda n: [words.cell(n.device_count)]),
    Column("dying", lambda n: ["dying"] if n.dying else []),
    Column("task_count", lambda n: [words.cell(n.task_count)]),
    Column("tasks", _tasks),
    Column("containers", _containers),
    Column("holders", _holders),
    Column("mounts", _names),
)


def _label(namespace: Namespace) -> Sequence[str]:
    label = words.cell(namespace.label)
    return [label, "(dying)"] if namespace.dying else [label]


def _below(namespace: Namespace) -> Iterator[str]:
    # What no column has room for.
    for name in filter(None, _named_host(namespace)):
        yield f"host name {name}"
    if not _users(namespace):
        yield from _mounted(namespace)


def _others(namespace: Namespace) -> Sequence[str]:
    # What --container takes, of those that the label does not name.
    return _each(
        namespace.containers,
        lambda c: "" if c.label == namespace.label else words.cell(c.short_id),
    )


#: The columns of a screen: header, how narrow it may get, and with 80 columns: a label
#: and a container stay whole; lines.
_SCREEN: Sequence[tuple[str, int, int, _Lines]] = (
    ("NETNS", 10, 23, _label),
    ("INODE", 10, 10, lambda n: [words.cell(n.inum)]),
    ("DEVICES", 7, 7, lambda n: [words.cell(n.device_count)]),
    ("TASKS, HOLDERS", 10, 13, _users),
    ("OTHER CONTAINERS", 8, 12, _others),
)


def table(snapshot: Snapshot, style: Style = PLAIN) -> list[str]:
    """
    Return the lines of a table with a row for each namespace, and below it its host
    name, and where it is mounted if nothing else keeps it; without columns that have
    nothing.
    """
    if not snapshot.namespaces:  # Damage: init_net itself is on no list.
        return []
    cells = [
        ["\n".join(filter(None, lines(namespace))) for *_, lines in _SCREEN]
        for namespace in snapshot.namespaces
    ]
    used = [i for i, _ in enumerate(_SCREEN) if any(row[i] for row in cells)]
    columns = []
    for header, narrow, least, _ in map(_SCREEN.__getitem__, used):
        least = least if style.width >= PLAIN.width else narrow
        columns.append(grid.Column(header, least, is_cut=True, indent="  "))
    rows = [[row[i] or "-" for i in used] for row in cells]
    # Unbroken: paths are there to be copied.
    below = [
        [f"    {style.shown(text)}" for text in _below(namespace)]
        for namespace in snapshot.namespaces
    ]
    return grid.grid(columns, rows, style, below=below)


def ways_in(snapshot: Snapshot, style: Style = PLAIN) -> list[str]:
    """
    Return the command that enters each namespace that has neither a process nor a
    mount, so that nothing in ``ip netns`` leads there.
    """
    lines: list[str] = []
    none = []
    for namespace in snapshot.namespaces:
        holders = namespace.holders
        if not isinstance(holders, tuple) or not holders or namespace.dying:
            continue
        label = words.cell(namespace.label)
        way = way_in(holders)
        if way is None:
            none.append(label)
        else:
            lines += command(" ".join(way), f"  way into {label}: ", style)
    if none:
        text = f"no way into {', '.join(none)}: {NO_WAY_IN}"
        lines += wrap(text, style.width, "  ", "    ")
    if not lines:
        return []
    return [style.paint("held, without a process or a mount", "bold"), *lines]


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
