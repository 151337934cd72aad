# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Whose a device is
-----------------

The namespace that it is in, and which pod, containers and processes are there.
"""

from collections.abc import Iterator, Sequence
from typing import Optional

from ..analysis.held import who
from ..core.unreadable import Maybe, Unreadable
from ..model import Container, Namespace, NetTask
from . import head, words
from .commands import one_line
from .style import PLAIN, Style
from .width import wrap

__all__ = ("whose",)

_MOST_TASKS = 10
_MOST_CONTAINERS = 8
_INDENT = "  "


def _task(task: NetTask) -> str:
    thread = "" if task.thread is None else f", thread {words.cell(task.thread)}"
    return f"{words.cell(task.comm)} (pid {words.cell(task.pid)}{thread})"


def _wrapped(text: str, style: Style, indent: str = _INDENT) -> list[str]:
    return wrap(style.shown(text), style.width, indent, f"{indent}  ")


def _paths(paths: Sequence[str], style: Style) -> Iterator[str]:
    # Unbroken, however long: they are there to be copied.
    yield from (f"{_INDENT * 2}{one_line(path, style)}" for path in paths)


def _held_by(namespace: Namespace) -> Iterator[str]:
    # As the rule says it; looked for only without a process and a mount.
    holders = namespace.holders
    if isinstance(holders, Unreadable):
        yield f"held by: {words.UNKNOWN}"
    elif holders:
        count = namespace.holder_count
        rest = count - len(holders) if isinstance(count, int) else 0
        more = f"; and {rest:,} more" if rest > 0 else ""
        yield f"held by: {'; '.join(words.cell(who(one)) for one in holders)}{more}"


def _mounts(namespace: Namespace, style: Style) -> Iterator[str]:
    # What ip netns calls it is among the mounts.
    if isinstance(namespace.names, Unreadable):
        yield f"{_INDENT}names: {words.UNKNOWN}"
    mounts = namespace.mounts
    if isinstance(mounts, Unreadable):
        yield f"{_INDENT}mounts: {words.UNKNOWN}"
    elif mounts:
        yield f"{_INDENT}mounted at"
        yield from _paths(mounts, style)


def _by_container(
    tasks: Sequence[NetTask],
) -> dict[Maybe[Optional[str]], list[NetTask]]:
    groups: dict[Maybe[Optional[str]], list[NetTask]] = {}
    for task in tasks:
        # One group for all that could not be read, whatever the reason.
        container = task.container
        key = Unreadable("") if isinstance(container, Unreadable) else container
        groups.setdefault(key, []).append(task)
    return groups


def _one_pod(containers: Sequence[Container]) -> Optional[str]:
    pods = {container.pod for container in containers}
    return pods.pop() if len(pods) == 1 else None


def _containers(namespace: Namespace, style: Style) -> Iterator[str]:
    # Each container with its processes, and the other processes.
    known = namespace.containers
    containers = known if isinstance(known, tuple) else ()
    tasks = namespace.tasks if isinstance(namespace.tasks, tuple) else ()
    shown = tasks[:_MOST_TASKS]
    groups = _by_container(shown)
    pod = _one_pod(containers)
    if pod is not None:
        yield from _wrapped(f"pod {words.cell(pod)}", style)
    of_none = groups.pop(None, [])
    if of_none:
        yield from _wrapped(f"processes: {', '.join(map(_task, of_none))}", style)
    for container in containers[:_MOST_CONTAINERS]:
        inside = groups.pop(container.id, [])
        text = words.cell(container.label)
        if inside:
            text = f"{', '.join(map(_task, inside))} in {text}"
        if pod is None and container.pod is not None:
            text += f", pod {words.cell(container.pod)}"
        yield from _wrapped(text if inside else f"container {text}", style)
        yield from _paths([container.cgroup], style)
    for key, inside in groups.items():
        where = f"in container {words.cell(key)}"
        yield from _wrapped(f"{', '.join(map(_task, inside))} {where}", style)
    if len(containers) > _MOST_CONTAINERS:
        yield f"{_INDENT}and {len(containers) - _MOST_CONTAINERS:,} more containers"
    count = namespace.task_count
    if shown and isinstance(count, int) and count > len(shown):
        yield f"{_INDENT}and {count - len(shown):,} more processes"


def _inside(namespace: Namespace, style: Style) -> Iterator[str]:
    yield from _wrapped(f"namespace {head.namespace(namespace)}", style)
    if isinstance(namespace.containers, Unreadable):
        yield f"{_INDENT}containers: {words.UNKNOWN}"
    if isinstance(namespace.tasks, Unreadable):
        yield f"{_INDENT}processes: {words.UNKNOWN}"
    elif namespace.tasks == ():
        yield f"{_INDENT}no process is in it"
    yield from _containers(namespace, style)
    for text in _held_by(namespace):
        yield from _wrapped(text, style)
    yield from _mounts(namespace, style)


def whose(
    name: str, namespace: Optional[Namespace], style: Style = PLAIN
) -> Iterator[str]:
    """
    Yield the name of a device, and below it who is in its namespace.

    :param name: What the device is called, with the label of its namespace
    :param namespace: None: it could not be read
    """
    for line in wrap(style.shown(name), style.width, rest=_INDENT):
        yield style.paint(line, "bold")
    if namespace is None:
        yield f"{_INDENT}namespace {words.UNKNOWN}"
    else:
        yield from _inside(namespace, style)
