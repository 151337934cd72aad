# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a slice discloses
----------------------

Every name, path and address that is in a slice, to look at before it is sent.
"""

from collections.abc import Iterator

from drgn import Program

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.text import decode
from ..core.unreadable import Unreadable
from ..model import (
    AfXdpSocket,
    Container,
    Device,
    Map,
    Namespace,
    Snapshot,
    Task,
    XdpLink,
    XdpProgram,
)
from ..readers.cgroup import Cgroups
from ..readers.task import Tasks

__all__ = ("KINDS", "disclosed")

#: What there may be: a kind, and how several of it are called.
KINDS = {
    "address": "addresses",
    "alias": "aliases",
    "cgroup": "cgroups",
    "container": "containers",
    "device": "device names",
    "host": "host names",
    "map": "map names",
    "namespace": "namespace names",
    "path": "paths",
    "pod": "pods",
    "process": "process names",
    "program": "program names",
}


def _texts(*values: object) -> Iterator[str]:
    # All strings in records, lists and single values.
    for value in values:
        if isinstance(value, str):
            if value:
                yield value
        elif isinstance(value, tuple):
            yield from _texts(*value)


def _of_namespace(namespace: Namespace) -> Iterator[tuple[str, str]]:
    for what, value in (
        ("host", namespace.hostname),
        ("namespace", namespace.names),
        ("path", namespace.mounts),
        ("path", namespace.other_mounts),
    ):
        yield from ((what, text) for text in _texts(value))
    if isinstance(namespace.tasks, tuple):
        for task in namespace.tasks:
            yield from (("process", text) for text in _texts(task.comm))
    if isinstance(namespace.holders, tuple):
        for holder in namespace.holders:
            yield from (("process", text) for text in _texts(holder.comm))
    yield from _of_task(namespace.worker)
    if isinstance(namespace.containers, tuple):
        for container in namespace.containers:
            yield from _of_container(container)


def _of_task(task: object) -> Iterator[tuple[str, str]]:
    if isinstance(task, Task):
        yield from (("process", text) for text in _texts(task.comm))


def _of_link(link: XdpLink) -> Iterator[tuple[str, str]]:
    yield from (("path", text) for text in _texts(link.pins))
    for holder in link.tasks if isinstance(link.tasks, tuple) else ():
        yield from (("process", text) for text in _texts(holder.comm))


def _of_container(container: Container) -> Iterator[tuple[str, str]]:
    yield from (("container", text) for text in _texts(container.id, container.within))
    yield from (("pod", text) for text in _texts(container.pod))


def _of_device(device: Device) -> Iterator[tuple[str, str]]:
    for what, value in (
        ("device", (device.name, device.altnames)),
        ("alias", device.alias),
        ("address", device.mac),
        ("address", device.addresses),
    ):
        yield from ((what, text) for text in _texts(value))
    for task in device.ref_tasks if isinstance(device.ref_tasks, tuple) else ():
        yield from _of_task(task)
    for mode in (device.xdp.generic, device.xdp.driver, device.xdp.offload):
        if isinstance(mode, XdpProgram):
            yield from (("program", text) for text in _texts(mode.name))
            if isinstance(mode.extensions, tuple):
                for extension in mode.extensions:
                    texts = _texts(extension.name, extension.function)
                    yield from (("program", text) for text in texts)
    for program in device.tc if isinstance(device.tc, tuple) else ():
        yield from (("program", text) for text in _texts(program.name))
    for socket in device.af_xdp if isinstance(device.af_xdp, tuple) else ():
        yield from (("process", text) for text in _texts(socket.comm))


def _of_map(map: Map) -> Iterator[tuple[str, str]]:
    yield from (("map", text) for text in _texts(map.name))
    for entry in map.entries if isinstance(map.entries, tuple) else ():
        if isinstance(entry.socket, AfXdpSocket):
            yield from (("process", text) for text in _texts(entry.socket.comm))


def _cgroups(prog: Program) -> Iterator[tuple[str, str]]:
    # Also of tasks in no container, which are in no report.
    cgroups, tasks = Cgroups(prog), Tasks(prog)
    seen: set[int] = set()
    for threads in tasks.processes():
        for thread in threads:
            css_set = thread.task.cgroups
            if isinstance(css_set, int) and css_set not in seen:
                seen.add(css_set)
                for cgroup in Salvage().walk(cgroups.of_css_set(css_set)):
                    path = attempt(cgroups.path, cgroup)
                    if not isinstance(path, Unreadable):
                        yield "cgroup", decode(path)


def _all(prog: Program, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for namespace in snapshot.namespaces:
        yield from _of_namespace(namespace)
    for device in snapshot.devices:
        yield from _of_device(device)
    for map in snapshot.maps:
        yield from _of_map(map)
    for link in snapshot.links:
        yield from _of_link(link)
    if not isinstance(snapshot.programs, Unreadable):
        for program in snapshot.programs:
            yield from (("program", text) for text in _texts(program.name))
    yield from _of_task(snapshot.target.rtnl_owner)
    yield from Salvage().walk(_cgroups(prog))


def disclosed(prog: Program, snapshot: Snapshot) -> set[tuple[str, str]]:
    """
    Return every name, path and address that a report can show: what it is, and the
    text.

    :param prog: The program that the Snapshot was taken of
    """
    return set(_all(prog, snapshot))
