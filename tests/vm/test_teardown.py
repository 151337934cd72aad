# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces and devices that are on no list, and what holds the others."""

from collections.abc import Iterator
import json
from typing import Any

from drgn import Object, Program, container_of
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.net import for_each_net
from drgn.helpers.linux.pid import find_task
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry
from drgn_veth.readers.cleanup_net import (
    cleanup_net_is_idle,
    cleanup_net_worker,
    for_each_net_beside,
    for_each_net_in_cleanup,
)
from drgn_veth.readers.files import file_net, file_socket, for_each_file_bounded
from drgn_veth.readers.netns import net_inum
from drgn_veth.readers.rtnl import rtnl_owner
from drgn_veth.readers.unregister import (
    for_each_netdev_chained,
    for_each_netdev_on_stack,
)
import pytest

from tests.support.booted import Dump
from tests.support.kernel import TYPES, program_of

pytestmark = pytest.mark.vm

CLONE_NEWNET = 0x40000000


class Told:
    """What the scene says that it did."""

    def __init__(self, dump: Dump) -> None:
        log = (dump.made.folder / "scene.log").read_text()
        said = [line.partition("teardown: ")[2].split() for line in log.splitlines()]
        lines: dict[str, list[list[str]]] = {}
        for words in filter(None, said):
            lines.setdefault(words[0], []).append(words[1:])
        self.leaked = {
            int(inum): (kind, int(pid), int(fd))
            for kind, inum, pid, fd in lines["leaked"]
        }
        ((self.stuck, _, self.sends),) = lines["stuck"]
        ((inum, count),) = lines["namespace"]
        self.inum, self.count = int(inum), int(count) + 1  # and lo
        ((worker, *_),) = lines["worker"]
        self.worker = int(worker)
        links = json.loads(dump.truth["namespaces"][inum]["ip_link"]["stdout"])
        self.names = {link["ifindex"]: link["ifname"] for link in links}


def _holders(namespace: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(h["kind"], h["pid"], h["fd"]) for h in namespace.get("holders", ())]


@pytest.mark.parametrize("types", TYPES)
def test_report(teardown: Dump, types: str) -> None:
    if types == "btf" and teardown.is_old:
        types = "dwarf"
    told = Told(teardown)
    report = teardown.report(types=types)
    namespaces = {one["inum"]: one for one in report["namespaces"]}
    assert {inum: _holders(one) for inum, one in namespaces.items()} == {
        **{inum: [] for inum in namespaces},
        **{inum: [holder] for inum, holder in told.leaked.items()},
    }
    assert all(namespaces[inum]["holder_count"] == 1 for inum in told.leaked)
    going = namespaces[told.inum]
    assert going["dying"] is True
    assert going["worker"]["pid"] == told.worker
    assert report["target"]["rtnl_owner"]["pid"] == told.worker
    assert going["device_count"] == told.count
    devices = report["devices"]
    there = {d["ifindex"]: d["name"] for d in devices if d["netns"] == told.inum}
    assert there == told.names
    assert len(there) == told.count
    (stuck,) = (d for d in devices if d["name"] == told.stuck)
    assert stuck["off_list"] == "unregistered"
    # One reference is that of the packet. Since v5.13, there is another.
    assert stuck["refcount"] == (1 if teardown.is_old else 2)
    assert [task["pid"] for task in stuck["ref_tasks"]] == [int(told.sends)]
    assert all("refcount" in d for d in devices if "off_list" in d)
    found = [(f["rule"], f["device"]["name"]) for f in report["findings"]]
    assert ("device-stuck-unregistering", told.stuck) in found
    assert found.count(("netns-leaked", "lo")) == len(told.leaked)
    what = [one["what"] for one in report["unreadable"]]
    assert not [one for one in what if "no list" in one]


def test_screen(teardown: Dump) -> None:
    told = Told(teardown)
    paragraphs = teardown.run().stdout.split("\n\n")
    # Right after what was looked at.
    assert paragraphs[1].startswith("rtnl_mutex is held by kworker/")
    assert f"(pid {told.worker})" in paragraphs[1]


def _ns_trees(prog: Program) -> Iterator[tuple[Object, str]]:
    # Those of the network namespaces, of all namespaces, and of the initial owner.
    yield prog["net_ns_tree"], "ns_tree_node"
    yield prog["ns_unified_root"], "ns_unified_node"
    yield prog["init_user_ns"].ns.ns_owner_root, "ns_owner_node"


def test_no_tree_leads_there(teardown: Dump) -> None:
    """Those of v6.18 have what is on net_namespace_list, and nothing else."""
    prog = program_of(teardown, "dwarf")
    listed = {net.value_() for net in for_each_net(prog)}
    (gone,) = for_each_net_in_cleanup(cleanup_net_worker(prog))
    assert gone.value_() not in listed
    type = prog.type("struct ns_common")
    if not type.has_member("ns_tree_node"):
        with pytest.raises(LookupError):
            prog["net_ns_tree"]
        return
    for root, node in _ns_trees(prog):
        by_list = list_for_each_entry(
            type, root.ns_list_head.address_of_(), f"{node}.ns_list_entry"
        )
        by_tree = rbtree_inorder_for_each_entry(
            type, root.ns_rb.address_of_(), f"{node}.ns_node"
        )
        for walk in (by_list, by_tree):
            nets = {
                container_of(ns, "struct net", "ns").value_()
                for ns in walk
                if ns.ns_type == CLONE_NEWNET
            }
            assert nets == listed, node


@pytest.mark.parametrize("types", TYPES)
def test_readers(teardown: Dump, types: str) -> None:
    prog = program_of(teardown, types)
    told = Told(teardown)
    assert cleanup_net_is_idle(prog) is False
    worker = cleanup_net_worker(prog)
    assert worker.pid.value_() == rtnl_owner(prog).pid.value_() == told.worker
    (net,) = for_each_net_in_cleanup(worker)
    assert net_inum(net) == told.inum
    # drgn's own helper does not lead there.
    listed = {one.value_() for one in for_each_net(prog)}
    assert net.value_() not in listed
    assert {one.value_() for one in for_each_net_beside(prog, listed)} <= {net.value_()}
    nets = {*listed, net.value_()}
    on_stack = {dev.value_() for dev in for_each_netdev_on_stack(worker, nets)}
    assert len(on_stack) == told.count
    lo = net.loopback_dev.read_()
    chained = {dev.value_() for dev in for_each_netdev_chained(lo, nets)}
    assert chained | {lo.value_()} == on_stack
    for inum, (kind, pid, fd) in told.leaked.items():
        task = find_task(prog, pid)
        files = dict(for_each_file_bounded(task))
        assert net_inum(file_net(files[fd])) == inum
        assert bool(file_socket(files[fd])) == (kind == "socket")
