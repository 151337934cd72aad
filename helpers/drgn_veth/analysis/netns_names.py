# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which network namespace is meant
--------------------------------

What users call a namespace: its label, a name, a path, a number, a process, a
container. Pure functions.
"""

from collections.abc import Iterable, Mapping, Sequence
import fnmatch
import posixpath
import re
from typing import Callable, Optional

from ..core.nearest import listed, nearest
from ..core.text import as_in_snapshot
from ..core.unreadable import Unreadable
from ..model import Namespace, Snapshot
from .names import names_of

__all__ = (
    "FilterError",
    "NetOfPid",
    "find_all_netns",
    "find_netns",
    "is_pattern",
    "netns_words",
)

#: Returns the address of the ``struct net`` of a process; raises :class:`FilterError`
#: if it has none.
NetOfPid = Callable[[int], int]

_HOST = "host"  # what the first namespace is called, which `ip netns` does not name
_ALSO_HOST = ("init", "init_net", "initial")  # unless another one is called so
_NETNS_LINK = re.compile(r"net:\[(\d+)\]")  # readlink /proc/PID/ns/net
_LABEL = re.compile(r"(.+)@(\d+)", re.DOTALL)
_PID = re.compile(r"pid:(\d{1,10})")
_PATTERN = re.compile(r"[*?[]")
_CONTAINER, _POD = 12, 36  # characters of an identifier that tell it from others
_Ids = Mapping[str, str]  # what an identifier is with its runtime, docker:9f86...


class FilterError(ValueError):
    """A filter names something that does not exist, or several things."""


def is_pattern(text: str) -> bool:
    """Return whether a text is a shell pattern."""
    return _PATTERN.search(text) is not None


def _names(namespace: Namespace) -> Sequence[str]:
    # What a namespace is called, best first.
    names = [_HOST] if namespace.init else []
    for told in (namespace.names, namespace.mounts):
        if not isinstance(told, Unreadable):
            names.extend(told)
    if namespace.label and namespace.label not in names:
        names.append(namespace.label)
    return names


def netns_words(namespace: Namespace) -> str:
    """Return a namespace in the form in which it can be given."""
    inum = "?" if isinstance(namespace.inum, Unreadable) else str(namespace.inum)
    names = [name for name in _names(namespace) if not name.startswith("/")]
    names = names or list(_names(namespace))
    return f"{inum} ({', '.join(names)})" if names else inum


def _path(text: str) -> str:
    # /var/run is a link to /run, on all but old systems.
    path = posixpath.normpath(text)
    return path[len("/var") :] if path.startswith("/var/run/") else path


def _is_called(namespace: Namespace, text: str) -> bool:
    names = _names(namespace)
    if text.startswith("/"):
        return _path(text) in {_path(name) for name in names if name[:1] == "/"}
    if text in names:
        return True
    number = _NETNS_LINK.fullmatch(text)
    try:
        return namespace.inum == int(number.group(1) if number else text, 0)
    except ValueError:
        pass
    label = _LABEL.fullmatch(text)
    return (
        label is not None
        and label.group(1) in names
        and namespace.inum == int(label.group(2))
    )


def _matches(namespace: Namespace, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in _names(namespace))


def _inums(namespaces: Iterable[Namespace]) -> frozenset[int]:
    # By number: one that is met twice on a broken list is one.
    return frozenset(n.inum for n in namespaces if isinstance(n.inum, int))


def _none(snapshot: Snapshot, text: str) -> FilterError:
    named = {
        name: netns_words(namespace)
        for namespace in snapshot.namespaces
        for name in _names(namespace)
    }
    if any(text in names_of(device) for device in snapshot.devices):
        return FilterError(
            f"no network namespace is called {text}, but a device is: --device {text}"
        )
    near = [named[name] for name in nearest(text, named)]
    words = listed(map(netns_words, snapshot.namespaces), near)
    unread = [namespace.names for namespace in snapshot.namespaces]
    why = next((n.reason for n in unread if isinstance(n, Unreadable)), None)
    return FilterError(
        f"no network namespace has the name, path or inode number {text}; available: "
        f"{words}" + (f"; some names could not be read: {why}" if why else "")
    )


def find_netns(snapshot: Snapshot, given: str) -> int:
    """
    Return the inode number of a network namespace.

    :param given: Its label; its inode number, as it is or as ``readlink
        /proc/PID/ns/net`` prints it; its name in ``ip netns``; the absolute path of a
        file it is mounted on; ``host`` or ``init`` for the initial one; a name and
        ``@INODE`` where several have the name
    :raises FilterError: if no namespace is called that, or if several are
    """
    text = as_in_snapshot(given)
    called = [n for n in snapshot.namespaces if _is_called(n, text)]
    if not called and text in _ALSO_HOST:
        called = [n for n in snapshot.namespaces if n.init]
    found = {n.inum: n for n in called if isinstance(n.inum, int)}
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise _none(snapshot, text)
    exact = (
        f"{text}@{inum}"
        if text in _names(namespace) and text[:1] != "/"
        else f"net:[{inum}]"
        for inum, namespace in found.items()
    )
    raise FilterError(
        f"{len(found)} network namespaces are called {text}; choose one: "
        f"{listed(exact)}"
    )


def _short(ids: set[str], most: int) -> str:
    # What begins no other one; and enough of each.
    short = {one[:most] for one in ids}
    return listed(short if len(short) == len(ids) else ids)


def _of_container(
    snapshot: Snapshot, what: str, prefix: str, of: Callable[[Namespace], _Ids]
) -> frozenset[int]:
    # The namespaces of one container or pod, by the first characters of its identifier.
    there: set[str] = set()
    found: set[str] = set()
    matching = []
    most = _POD if what == "pod" else _CONTAINER
    for namespace in snapshot.namespaces:
        ids = of(namespace)
        there |= set(ids)
        mine = {
            one
            for one, label in ids.items()
            if one.startswith(prefix) or (":" in prefix and label.startswith(prefix))
        }
        found |= mine if prefix else set()
        if prefix and mine:
            matching.append(namespace)
    if prefix in found:
        found = {prefix}
        matching = [n for n in matching if prefix in of(n)]
    if not found:
        raise FilterError(
            f"no {what} begins with {prefix!r}; available: "
            f"{_short(there, most) or 'none'}"
        )
    if len(found) > 1:
        raise FilterError(
            f"{len(found)} {what}s begin with {prefix!r}; choose one: "
            f"{_short(found, most)}"
        )
    return _inums(matching)


def _containers(namespace: Namespace) -> _Ids:
    containers = namespace.containers
    if not isinstance(containers, tuple):
        return {}
    return {c.id: f"{c.runtime or 'container'}:{c.id}" for c in containers}


def _pods(namespace: Namespace) -> _Ids:
    containers = namespace.containers
    if not isinstance(containers, tuple):
        return {}
    return {c.pod: c.pod for c in containers if c.pod is not None}


def _of_pid(
    snapshot: Snapshot, pid: int, net_of_pid: Optional[NetOfPid]
) -> frozenset[int]:
    threads = []
    for namespace in snapshot.namespaces:
        tasks = namespace.tasks if isinstance(namespace.tasks, tuple) else ()
        of_pid = [task for task in tasks if task.pid == pid]
        if any(task.thread is None for task in of_pid):
            return _inums([namespace])
        if of_pid:
            threads.append(namespace)
    if net_of_pid is not None:
        net = 0
        try:
            net = net_of_pid(pid)
        except FilterError:
            if not threads:  # Its first thread may have ended.
                raise
        found = _inums(n for n in snapshot.namespaces if n.net == net)
        if not found and not threads:
            raise FilterError(f"the network namespace of pid {pid} could not be read")
        return found or _inums(threads)
    if threads:
        return _inums(threads)
    there = {
        f"pid:{task.pid}({task.comm})"
        for namespace in snapshot.namespaces
        for task in (namespace.tasks if isinstance(namespace.tasks, tuple) else ())
        if isinstance(task.pid, int) and isinstance(task.comm, str)
    }
    some = listed(there)
    raise FilterError(f"no process has the pid {pid}; some that exist: {some}")


def _one(
    snapshot: Snapshot, given: str, net_of_pid: Optional[NetOfPid]
) -> frozenset[int]:
    text = as_in_snapshot(given)
    if not any(_is_called(n, text) for n in snapshot.namespaces):
        pid = _PID.fullmatch(text)
        if pid is not None:
            return _of_pid(snapshot, int(pid.group(1)), net_of_pid)
        what, colon, prefix = text.partition(":")
        if colon and what == "container":
            return _of_container(snapshot, what, prefix, _containers)
        if colon and what == "pod":
            return _of_container(snapshot, what, prefix, _pods)
        if is_pattern(text):
            found = [n for n in snapshot.namespaces if _matches(n, text)]
            if not found:
                raise _none(snapshot, text)
            return _inums(found)
    return frozenset({find_netns(snapshot, given)})


def find_all_netns(
    snapshot: Snapshot,
    given: Sequence[str],
    net_of_pid: Optional[NetOfPid] = None,
) -> Optional[frozenset[int]]:
    """
    Return the inode numbers of network namespaces, None without a filter.

    :param given: For each one what :func:`find_netns()` takes; also ``pid:N``, the
        namespace of a process; ``container:PREFIX`` and ``pod:UID``, those of a
        container or of a Kubernetes pod; a shell pattern of names and labels
    :param net_of_pid: Finds a process that is not among the tasks of the Snapshot
    :raises FilterError: see :func:`find_netns()`
    """
    if not given:
        return None
    return frozenset().union(*(_one(snapshot, one, net_of_pid) for one in given))
