# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks in network namespaces, in memory that is damaged."""

from drgn import Object
from drgn_veth.core.errors import WalkError
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Container, NetTask
from drgn_veth.readers import task as task_reader
from drgn_veth.readers.task import for_each_net_task, net_for_pid
from drgn_veth.snapshot.net_tasks import net_processes, net_tasks
from drgn_veth.snapshot.task_containers import task_container
import pytest

from tests.support.toy import NOWHERE, Toy
from tests.support.toy_tasks import EXITING, KERNEL_THREAD, Tasks

ID, OTHER = 32 * "0f", 32 * "e1"
NET = 0x2000
DOCKER = f"/docker/{ID}"


def pids_in(toy: Toy, net: int) -> list[int]:
    pointer = Object(toy.prog, toy.prog.pointer_type(toy.prog.type("struct net")), net)
    return [task.pid.value_() for task in for_each_net_task(pointer)]


def test_processes(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, 0x1000, b"init")
    tasks.add(2, 0x5000, b"kthread", KERNEL_THREAD)
    tasks.add(3, 0)
    tasks.add(4, 0x2000, b"sixteen bytes, 4")
    tasks.add(5, 0x2000, b"later")
    tasks.add(6, 0x5000, b"\xff\0rest of another")
    tasks.add(7, 0x3000, b"unwanted")
    wanted = {0x1000, 0x2000, 0x4000, 0x5000}
    assert net_processes(toy.prog, wanted) == {
        0x1000: (1, "init"),
        0x2000: (4, "sixteen bytes, 4"),
        0x5000: (6, "\\xff"),
    }
    assert net_processes(toy.prog, set()) == {}


def test_processes_of_a_broken_list(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, 0x1000)
    broken = tasks.add(2, 0x2000)
    tasks.add(3, 0x3000)
    tasks.add(4, 0x4000)
    tasks.point(broken, tasks__next=NOWHERE)
    with pytest.raises(WalkError):
        net_processes(toy.prog, {0x1000, 0x3000, 0x9000})
    assert {net: t.tasks[0].pid for net, t in net_tasks(toy.prog).of.items()} == {
        0x1000: 1,
        0x2000: 2,
        0x3000: 3,
        0x4000: 4,
    }
    # Nothing is missing then.
    assert net_processes(toy.prog, {0x1000, 0x3000}) == {
        0x1000: (1, "x"),
        0x3000: (3, "x"),
    }
    tasks.point(broken, tasks__next=tasks.all[1] + tasks.nodes)
    with pytest.raises(WalkError, match="loops"):
        net_processes(toy.prog, {0x9000})
    # From the end, the rest is reached.
    assert net_processes(toy.prog, {0x4000}) == {0x4000: (4, "x")}


def test_processes_that_cannot_be_read(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, NOWHERE)
    tasks.add(2, 0x2000)
    assert net_processes(toy.prog, {0x2000}) == {0x2000: (2, "x")}
    # It may be the one.
    with pytest.raises(WalkError, match="could not find memory"):
        net_processes(toy.prog, {0x2000, 0x3000})
    found = net_tasks(toy.prog)
    assert found.incomplete and found.incomplete[0][0] == "tasks"
    assert found.incomplete[0][1].startswith("task 1: could not find memory")


def test_the_lowest_pids_are_given(toy: Toy) -> None:
    tasks = Tasks(toy)
    # As after the numbers have wrapped around.
    for pid in [*range(20, 30), *range(2, 14)]:
        tasks.add(pid, NET, b"p%d" % pid)
    found = net_tasks(toy.prog).of[NET]
    assert found.task_count == 22
    assert found.tasks == tuple(NetTask(p, f"p{p}", None) for p in range(2, 12))


def test_threads(toy: Toy) -> None:
    """A process counts where any thread is; the leader names it, if it is there."""
    tasks = Tasks(toy)
    leader = tasks.add(10, 0x1000, b"leader")
    tasks.thread(leader, 11, 0x1000, b"same")
    tasks.thread(leader, 12, NET, b"moved", cgroups=[DOCKER])
    tasks.thread(leader, 13, NET, b"later")
    tasks.thread(leader, 14, 0x3000, b"closing", EXITING)
    tasks.thread(leader, 15, 0, b"gone", EXITING)
    zombie = tasks.add(20, 0, b"zombie", EXITING)
    tasks.thread(zombie, 21, NET, b"lives")
    found = net_tasks(toy.prog)
    assert (found.lost, found.incomplete) == (None, ())
    assert set(found.of) == {0x1000, NET, 0x3000}
    assert found.of[0x3000][:2] == (1, (NetTask(10, "closing", None, 14),))
    assert found.of[0x1000][:2] == (1, (NetTask(10, "leader", None),))
    assert found.of[NET][:2] == (
        2,
        (NetTask(10, "moved", ID, 12), NetTask(20, "lives", None, 21)),
    )
    assert found.of[NET].containers == (Container(ID, "docker", None, DOCKER),)
    assert found.of[NET].hostname == "node-1"
    assert pids_in(toy, NET) == [12, 13, 21]
    assert pids_in(toy, 0x3000) == [14]


def test_kernel_threads_and_zombies(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(2, NET, b"kthreadd", KERNEL_THREAD)
    tasks.add(3, 0, b"zombie", EXITING)
    # What of these cannot be read does not matter.
    tasks.point(tasks.add(4, NOWHERE, b"kworker", KERNEL_THREAD), signal=NOWHERE)
    # A worker of io_uring or vhost is a thread of its process.
    leader = tasks.add(5, 0x1000)
    tasks.thread(leader, 6, NET, b"iou-wrk-5", 0x10 | 0x4000)
    found = net_tasks(toy.prog)
    assert found.incomplete == ()
    assert found.of[NET].tasks == (NetTask(5, "iou-wrk-5", None, 6),)


def test_net_for_pid(toy: Toy) -> None:
    tasks = Tasks(toy)
    leader = tasks.add(10, 0x1000)
    tasks.thread(leader, 11, NET)
    tasks.add(12, 0, flags=EXITING)
    assert net_for_pid(toy.prog, 10).value_() == 0x1000
    assert net_for_pid(toy.prog, 11).value_() == NET
    assert not net_for_pid(toy.prog, 12)
    with pytest.raises(LookupError, match="PID 13"):
        net_for_pid(toy.prog, 13)
    tasks.point(leader, tasks__next=NOWHERE)
    with pytest.raises(WalkError):
        net_for_pid(toy.prog, 13)


@pytest.mark.parametrize("member", ["signal", "thread_node__next", "thread_node__prev"])
def test_threads_that_cannot_be_reached(toy: Toy, member: str) -> None:
    """The others, and all other processes, are there; and it is said."""
    tasks = Tasks(toy)
    leader = tasks.add(10, 0x1000)
    for pid in (11, 12, 13):
        tasks.thread(leader, pid, NET)
    tasks.add(20, 0x3000)
    tasks.point(leader, **{member: NOWHERE})
    found = net_tasks(toy.prog)
    assert found.lost and len(found.incomplete) == 1
    assert {0x1000, 0x3000} <= set(found.of)
    if member != "signal":
        assert found.of[NET].tasks[0].thread in (11, 13)


def test_threads_of_another_process(toy: Toy) -> None:
    """A list of threads is walked once, and never into another process."""
    tasks = Tasks(toy)
    leader = tasks.add(10, 0x1000)
    tasks.thread(leader, 11, 0x1000)
    other = tasks.add(20, 0x3000)
    stray = tasks.thread(other, 21, 0x3000)
    node = tasks.offset("thread_node")
    tasks.point(leader, thread_node__next=stray + node)
    found = net_tasks(toy.prog)
    assert found.lost
    assert {net: t.task_count for net, t in found.of.items()} == {0x1000: 1, 0x3000: 1}
    signal = toy.prog.read_word(other + tasks.offset("signal"))
    tasks.point(leader, signal=signal)
    found = net_tasks(toy.prog)
    assert found.lost
    assert {net: t.task_count for net, t in found.of.items()} == {0x1000: 1, 0x3000: 1}


@pytest.mark.parametrize("threads, most", [(3, 6), (0, 8), (-5, 8)])
def test_too_many_tasks(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, threads: int, most: int
) -> None:
    """More than the kernel counts, or more than fit into memory."""
    tasks = Tasks(toy)
    for pid in range(1, 11):
        tasks.add(pid, NET)
    toy.put(toy.variable("nr_threads", "int"), "i", threads)
    monkeypatch.setattr(task_reader, "_MORE", 0)
    monkeypatch.setattr(task_reader, "most_that_fit", lambda prog, size: 8)
    found = net_tasks(toy.prog)
    assert found.of[NET].task_count == most
    assert found.lost == f"more than {most} tasks: gave up"


def test_many_reasons_are_few_lines(toy: Toy) -> None:
    tasks = Tasks(toy)
    for pid in range(1, 100):
        tasks.point(tasks.add(pid, NET), nsproxy=NOWHERE + 8 * pid)
    found = net_tasks(toy.prog)
    assert not found.of
    assert len(found.incomplete) == 11
    assert found.incomplete[-1] == ("tasks", "and 89 more")


# Each member ------------------------------------------------------------------------


def test_name_and_number_that_cannot_be_read(toy: Toy) -> None:
    """Half a task_struct: what is there is shown."""
    tasks = Tasks(toy)
    first = tasks.add(1, NET, b"first")
    found = net_tasks(toy.prog).of[NET]
    assert found.tasks == (NetTask(1, "first", None),)
    tasks.point(first, nsproxy=NOWHERE)
    assert NET not in net_tasks(toy.prog).of


# Cgroups ------------------------------------------------------------------------------


def test_version_1(toy: Toy) -> None:
    """Of all hierarchies, the first that tells counts; version 2 is asked first."""
    tasks = Tasks(toy)
    tasks.add(1, NET, cgroups=["/", "/user.slice", f"/lxc/a/docker/{ID}", "/lxc/b"])
    tasks.add(2, NET, cgroups=[f"/docker/{OTHER}", f"/docker/{ID}"])
    tasks.add(3, NET, cgroups=["/user.slice", "/"])
    found = net_tasks(toy.prog).of[NET]
    assert [task.container for task in found.tasks] == [ID, OTHER, None]
    assert found.containers == (
        Container(ID, "docker", None, f"/lxc/a/docker/{ID}", ("a",)),
        Container(OTHER, "docker", None, f"/docker/{OTHER}"),
    )


def test_containers_of_a_pod(toy: Toy) -> None:
    tasks = Tasks(toy)
    pod = "/kubepods/burstable/pod" + ID[:32]
    for pid, id in ((9, OTHER), (8, ID), (7, ID)):
        tasks.add(pid, NET, cgroups=[f"{pod}/{id}"])
    found = net_tasks(toy.prog).of[NET]
    assert isinstance(found.containers, tuple)
    # That of the lowest PID first.
    assert [(c.id, c.pod) for c in found.containers] == [
        (ID, ID[:32]),
        (OTHER, ID[:32]),
    ]


def test_cgroup_that_cannot_be_read(toy: Toy) -> None:
    """It costs the container of its own task, and says why."""
    tasks = Tasks(toy)
    tasks.add(1, NET, cgroups=[DOCKER])
    lost = tasks.add(2, NET)
    tasks.point(lost, cgroups=NOWHERE)
    tasks.point(tasks.add(3, 0x3000), cgroups=NOWHERE)
    found = net_tasks(toy.prog)
    assert found.lost is None
    first, second = found.of[NET].tasks
    assert first.container == ID
    assert isinstance(second.container, Unreadable)
    assert found.of[NET].task_count == 2
    assert found.of[NET].containers == (Container(ID, "docker", None, DOCKER),)
    assert [what for what, _ in found.incomplete] == ["containers of tasks"]
    assert isinstance(found.of[0x3000].containers, Unreadable)
    pointer = toy.prog.pointer_type(toy.prog.type("struct task_struct"))
    with pytest.raises(WalkError, match="could not find memory"):
        task_container(Object(toy.prog, pointer, lost))


def test_path_that_never_ends(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, NET, cgroups=[DOCKER])
    prog = toy.prog
    cgroup = prog.read_word(tasks.css_set(DOCKER))
    node = prog.read_word(cgroup)
    parent = prog.read_word(node)
    toy.set("struct kernfs_node", parent, parent=node)
    found = net_tasks(prog).of[NET]
    for value in (found.containers, found.tasks[0].container):
        assert isinstance(value, Unreadable)
        assert value.reason == "the path of a cgroup does not end"


@pytest.mark.parametrize("name", [b"", b"a/b", b"n" * 256])
def test_cgroup_name_that_is_not_valid(toy: Toy, name: bytes) -> None:
    tasks = Tasks(toy)
    tasks.add(1, NET, cgroups=[DOCKER])
    node = toy.prog.read_word(toy.prog.read_word(tasks.css_set(DOCKER)))
    toy.set("struct kernfs_node", node, name=toy.text(name))
    container = net_tasks(toy.prog).of[NET].tasks[0].container
    assert isinstance(container, Unreadable)
    assert container.reason == "the name of a cgroup is not valid"


def test_path_that_is_too_long(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, NET, cgroups=[20 * ("/" + 250 * "n")])
    container = net_tasks(toy.prog).of[NET].tasks[0].container
    assert isinstance(container, Unreadable)
    assert container.reason == "the path of a cgroup is too long"


def test_list_of_hierarchies_that_is_broken(toy: Toy) -> None:
    """Nobody tells: the hierarchy that would may be the one that is lost."""
    tasks = Tasks(toy)
    tasks.add(1, NET, cgroups=["/", "/a", "/b"])
    tasks.add(2, NET, cgroups=[DOCKER, "/c"])
    for paths in (("/", "/a", "/b"), (DOCKER, "/c")):
        head = tasks.css_set(*paths) + tasks.offset("cgrp_links", "struct css_set")
        toy.set("struct list_head", head, next=NOWHERE)
    found = net_tasks(toy.prog).of[NET]
    assert isinstance(found.tasks[0].container, Unreadable)
    assert found.tasks[1].container == ID


def test_host_name_that_cannot_be_read(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, NET)
    toy.set("struct nsproxy", tasks.nsproxy(NET), uts_ns=NOWHERE)
    found = net_tasks(toy.prog)
    assert isinstance(found.of[NET].hostname, Unreadable)
    assert found.of[NET].tasks[0] == NetTask(1, "x", None)


def test_process_ids_that_no_process_has(toy: Toy) -> None:
    tasks = Tasks(toy)
    for pid in (0, (4 << 20) + 1, (1 << 32) - 1):
        tasks.add(pid, 0x2000)
    one = tasks.add(5, 0x2000)
    tasks.point(one, tgid=6)
    tasks.add(7, 0x2000)
    found = net_tasks(toy.prog).of[0x2000]
    assert found.task_count == 5
    first, *others = found.tasks
    assert first.pid == 7
    reasons = sorted(
        one.pid.reason for one in others if isinstance(one.pid, Unreadable)
    )
    assert reasons == [
        "invalid process ID -1",
        "invalid process ID 0",
        "invalid process ID 4194305",
        "process ID 6 does not match ID 5 of its first thread",
    ]
