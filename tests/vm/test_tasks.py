# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks, their namespaces and containers, against /proc and drgn's own helpers."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from drgn import Program
from drgn.helpers.linux.cgroup import cgroup_path
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.pid import for_each_task
from drgn_veth.core.text import decode
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.faces.slice import check_slice, slice_target
from drgn_veth.readers.cgroup import Cgroups, for_each_task_cgroup
from drgn_veth.readers.netns import for_each_net_bounded, net_inum
from drgn_veth.readers.nsproxy import Nsproxies, task_net
from drgn_veth.readers.task import (
    Tasks,
    Thread,
    for_each_net_task,
    net_for_pid,
    task_comm,
)
from drgn_veth.snapshot.net_tasks import NetTasks, net_tasks
import pytest

from tests.support.booted import Dump
from tests.support.crowd import CONTAINERS, ID, NESTED, NONE, OTHER
from tests.support.kernel import TYPES, program_of

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module", params=TYPES)
def crowded(
    request: pytest.FixtureRequest, crowd: tuple[Dump, dict[str, Any]]
) -> tuple[Program, dict[str, Any]]:
    dump, answers = crowd
    return program_of(dump, request.param), answers


def test_drgn_agrees(crowded: tuple[Program, dict[str, Any]]) -> None:
    """Value by value: each task, its namespaces, and all of its cgroups."""
    prog, _ = crowded
    theirs = {task.value_(): task for task in for_each_task(prog)}
    tasks, nsproxies, cgroups = Tasks(prog), Nsproxies(prog), Cgroups(prog)
    ours = {}
    for threads in tasks.processes():
        leader = threads[0]
        for thread in threads:
            ours[thread.address] = thread.task
            assert theirs[thread.address].group_leader.value_() == leader.address
    assert not tasks.lost
    assert set(ours) == set(theirs)
    assert len({task.tgid for task in ours.values()}) < len(ours)
    for address, task in theirs.items():
        our = ours[address]
        for member in ("flags", "pid", "tgid", "signal", "nsproxy", "cgroups"):
            assert getattr(our, member) == getattr(task, member).value_()
        comm = tasks.comm(Thread(address, our))
        assert comm == task_comm(task) == task.comm.string_()
        net = task.nsproxy.net_ns.value_() if task.nsproxy else 0
        assert nsproxies.net(our.nsproxy) == task_net(task).value_() == net
        if isinstance(our.nsproxy, int) and net:
            nodename = task.nsproxy.uts_ns.name.nodename.string_()
            assert nsproxies.nodename(our.nsproxy) == nodename
        found = [cgroup.value_() for cgroup in for_each_task_cgroup(task)]
        assert found[0] == task.cgroups.dfl_cgrp.value_()
        links = list_for_each_entry(
            "struct cgrp_cset_link", task.cgroups.cgrp_links.address_of_(), "cgrp_link"
        )
        assert sorted(found) == sorted(link.cgrp.value_() for link in links)
        for cgroup in found:
            assert cgroups.path(cgroup) == cgroup_path(cgroups.object(cgroup))


def by_inum(prog: Program) -> dict[int, NetTasks]:
    found = net_tasks(prog)
    assert (found.lost, found.incomplete) == (None, ())
    inums = {net.value_(): net_inum(net) for net in for_each_net_bounded(prog)}
    return {inums[net]: of for net, of in found.of.items()}


def told_by_net(told: dict[str, Any]) -> dict[int, dict[int, list[dict[str, Any]]]]:
    """Return what /proc says: by namespace and by process."""
    nets: dict[int, dict[int, list[dict[str, Any]]]] = defaultdict(dict)
    for task in told["tasks"]:
        nets[task["net"]].setdefault(task["tgid"], []).append(task)
    return nets


def test_proc_agrees(crowded: tuple[Program, dict[str, Any]]) -> None:
    prog, told = crowded
    found = by_inum(prog)
    nets = told_by_net(told)
    assert set(found) == set(nets)
    listed = {int(net_inum(net)): net for net in for_each_net_bounded(prog)}
    elsewhere = 0
    for inum, processes in nets.items():
        of = found[inum]
        if inum == told["init"]:
            # The lab's own processes come and go.
            assert {t.pid for t in of.tasks} & set(processes)
            continue
        assert of.task_count == len(processes)
        assert [task.pid for task in of.tasks] == sorted(processes)[:10]
        for task in of.tasks:
            assert isinstance(task.pid, int)
            there = {one["tid"]: one for one in processes[task.pid]}
            first = there[task.pid if task.thread is None else task.thread]
            assert (task.thread is None) == (task.pid in there)
            assert task.comm == decode(first["comm"].encode("utf-8", "surrogateescape"))
            elsewhere += task.thread is not None
        assert of.hostname == processes[min(processes)][0]["hostname"]
        tids = sorted(task["tid"] for all in processes.values() for task in all)
        net = listed[inum]
        assert sorted(t.pid.value_() for t in for_each_net_task(net)) == tids
        for tid in tids[:1]:
            assert net_for_pid(prog, tid) == net
    assert elsewhere == 2
    comms = {task.comm for of in found.values() for task in of.tasks}
    assert {"moved", "lives", "has a zombie", "pid\\1 there", "many-0"} <= comms
    assert {of.task_count for of in found.values()} >= {1, 15}
    assert "crowd-1" in {of.hostname for of in found.values()}


@pytest.mark.parametrize("names", (True, False))
def test_names_in_slices(
    crowd: tuple[Dump, dict[str, Any]], names: bool, tmp_path: Path
) -> None:
    """All of them, or no byte of any: the host's, of processes, of cgroups."""
    dump, _ = crowd
    made = slice_target(program_of(dump, "dwarf"), names)
    memory = b"\0".join(data for _, data in made.segments)
    for word in (
        b"crowd-1\0",
        b"many-0\0",
        ID.encode(),
        OTHER.encode(),
        b"pid\\1 there\0",
    ):
        assert (word in memory) == names
    with (tmp_path / "slice.core").open("wb") as f:
        made.write(f)
    check_slice(str(tmp_path / "slice.core"), made)
    known = [namespace.task_count for namespace in made.snapshot.namespaces]
    assert 15 in known


def test_containers(crowded: tuple[Program, dict[str, Any]]) -> None:
    """The container of each cgroup path, of either version."""
    prog, told = crowded
    found = by_inum(prog)
    seen = []
    for inum, processes in told_by_net(told).items():
        if inum == told["init"]:
            continue
        of = found[inum]
        assert not isinstance(of.containers, Unreadable)
        (first, *_), *_ = processes.values()
        (path,) = [p for p in first["cgroups"] if p != "/"] or [None]
        if path is None or path in NONE:
            assert of.containers == ()
            assert {task.container for task in of.tasks} == {None}
        else:
            (container,) = of.containers
            assert container.runtime == CONTAINERS[path]
            assert path.startswith(container.cgroup)
            assert of.tasks[0].container == container.id
            within = (ID,) if path in NESTED else ()
            assert container.within == within
        seen.append(path)
    assert told["v1"]
    assert set(seen) - {None} == {*CONTAINERS, *NONE}
