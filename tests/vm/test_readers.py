# SPDX-License-Identifier: LGPL-2.1-or-later
"""The readers of names, links, programs and locks, against what the kernel said."""

import json
from typing import Any

from drgn import Program
from drgn_veth.core.text import decode
from drgn_veth.readers.bpf_link import bpf_link_id, for_each_xdp_link, xdp_link_refs
from drgn_veth.readers.bpf_prog import (
    bpf_prog_bound_netdev,
    bpf_prog_expected_attach_type,
    bpf_prog_id,
    bpf_prog_is_dev_bound,
    bpf_prog_is_offloaded,
    bpf_prog_maps_may_have_programs,
    bpf_prog_name,
    for_each_xdp_prog,
)
from drgn_veth.readers.cleanup_net import cleanup_net_is_idle
from drgn_veth.readers.netns import for_each_net_bounded, net_inum
from drgn_veth.readers.nsfs import netns_name
from drgn_veth.readers.rtnl import rtnl_owner
from drgn_veth.snapshot.link_pins import bpf_link_pins, for_each_bpf_link_pin
from drgn_veth.snapshot.net_mounts import for_each_net_mount, net_mounts
from drgn_veth.snapshot.net_tasks import net_processes
import pytest

from tests.support.booted import Dump
from tests.support.kernel import TYPES, program_of

pytestmark = pytest.mark.vm


def nets(prog: Program) -> dict[int, int]:
    return {net.value_(): net_inum(net) for net in for_each_net_bounded(prog)}


def said(dump: Dump, what: str) -> list[dict[str, Any]]:
    records = [record for record in dump.truth["xdp"] if record["what"] == what]
    assert records
    return records


def dying_namespaces(dump: Dump) -> list[int]:
    lines = (dump.made.folder / "scene.log").read_text().splitlines()
    return [int(line.split()[-1]) for line in lines if "dying: namespace" in line]


def check_namespaces(dump: Dump, prog: Program) -> None:
    told = {int(inum): entry for inum, entry in dump.truth["namespaces"].items()}
    mounted = net_mounts(prog)
    assert mounted == {
        inum: tuple(entry["mounts"]) for inum, entry in told.items() if entry["mounts"]
    }
    for inum, entry in told.items():
        found = [netns_name(path) for path in mounted.get(inum, ())]
        assert found == entry["names"]
    inums = nets(prog)
    gone = dying_namespaces(dump)
    assert {
        inums[net]: process for net, process in net_processes(prog, set(inums)).items()
    } == {
        inum: min((process["pid"], process["comm"]) for process in entry["pids"])
        for inum, entry in told.items()
        if entry["pids"] and inum not in gone
    }
    assert sorted(inums.values()) == sorted(set(told) - set(gone))


@pytest.mark.parametrize("types", TYPES)
def test_zoo(zoo: Dump, types: str) -> None:
    prog = program_of(zoo, types)
    check_namespaces(zoo, prog)
    assert not rtnl_owner(prog)
    assert cleanup_net_is_idle(prog) is True
    links = {link.link.address_of_().value_(): link for link in for_each_xdp_link(prog)}
    pins = bpf_link_pins(prog, set(links))
    told = {record["id"]: record for record in said(zoo, "link")}
    assert {bpf_link_id(link) for link in links.values()} == set(told)
    assert {bool(record["holder"]) for record in told.values()} == {False, True}
    for address, link in links.items():
        record = told[bpf_link_id(link)]
        paths = pins.get(address, ())
        assert paths == ((record["pin"],) if record["pin"] else ())
        # Who holds it has one file open, and nobody else has any.
        assert xdp_link_refs(link) - len(paths) == (1 if record["holder"] else 0)
    told = {record["id"]: record for record in said(zoo, "prog")}
    loaded = json.loads(zoo.truth["bpftool_prog"]["stdout"])
    programs = {bpf_prog_id(xdp): xdp for xdp in for_each_xdp_prog(prog)}
    theirs = [p["id"] for p in loaded if p["type"] == "xdp"]
    assert list(programs)[: len(theirs)] == theirs
    # Those of the prober, which came later.
    others = [programs[id] for id in list(programs)[len(theirs) :]]
    assert all(bpf_prog_name(other).startswith(b"ask_") for other in others)
    for id, record in told.items():
        expected = record["expected_attach_type"]
        assert bpf_prog_expected_attach_type(programs[id]) == expected


@pytest.mark.parametrize("types", TYPES)
def test_dying(dying: Dump, types: str) -> None:
    prog = program_of(dying, types)
    check_namespaces(dying, prog)
    log = (dying.made.folder / "scene.log").read_text()
    (line,) = [line for line in log.splitlines() if "holds rtnl_mutex" in line]
    owner = rtnl_owner(prog)
    assert f"process {owner.pid.value_()} holds" in line
    # What waits for it has its flags in the lowest bits of the owner.
    assert prog["rtnl_mutex"].owner.counter.value_() & 7
    assert owner.comm.string_() == b"python3"


@pytest.fixture(scope="module", params=TYPES)
def cornered(
    request: pytest.FixtureRequest, corners: tuple[Dump, dict[str, Any]]
) -> tuple[Program, dict[str, Any]]:
    dump, answers = corners
    return program_of(dump, request.param), answers


def test_mounts(cornered: tuple[Program, dict[str, Any]]) -> None:
    """Copies are given once; what is not on any path any more is not."""
    prog, told = cornered
    expected = [
        (inum, decode(path.encode("utf-8", "surrogateescape")))
        for inum, path in told["mounts"]
    ]
    assert len(told["mounts"]) == 6 and len(told["hidden"]) == 2
    assert sorted(for_each_net_mount(prog)) == sorted(expected)
    for path in ("lazy", "deleted"):
        assert not any(path in name for _, name in expected)
    # init_net, two that are held by open files, one by a process, and two that are
    # mounted only where other processes see it.
    assert len(nets(prog)) - len({inum for inum, _ in expected}) == 6


def test_processes(cornered: tuple[Program, dict[str, Any]]) -> None:
    prog, told = cornered
    inums = nets(prog)
    found = net_processes(prog, set(inums))
    expected = {inum: tuple(process) for inum, process in told["processes"]}
    assert {inums[net]: process for net, process in found.items()} == expected
    assert len(expected) == 3 < len(inums)
    assert "keeps\\corners" in {comm for _, comm in expected.values()}
    for net in inums:
        alone = net_processes(prog, {net})
        assert alone == ({net: found[net]} if net in found else {})
    assert net_processes(prog, set()) == {}


def test_links(cornered: tuple[Program, dict[str, Any]]) -> None:
    prog, told = cornered
    links = {link.link.address_of_().value_(): link for link in for_each_xdp_link(prog)}
    pins = bpf_link_pins(prog, set(links))
    files = [pin.link for pin in for_each_bpf_link_pin(prog, set(links))]
    found = {}
    for address, link in links.items():
        name = link.dev.name.string_().decode() if link.dev else ""
        count = files.count(address)
        found[name] = [list(pins.get(address, ())), count, xdp_link_refs(link) - count]
    assert found == told["links"]
    some = {address for address in links if address in pins}
    assert 0 < len(some) < len(links)
    one = some.pop()
    assert bpf_link_pins(prog, {one}) == {one: pins[one]}


def test_programs(cornered: tuple[Program, dict[str, Any]]) -> None:
    prog, told = cornered
    found = {}
    for xdp in for_each_xdp_prog(prog):
        dev = bpf_prog_bound_netdev(xdp)
        assert bpf_prog_is_dev_bound(xdp) == bool(dev)
        assert not bpf_prog_is_offloaded(xdp)
        found[bpf_prog_name(xdp).decode()] = [
            bpf_prog_expected_attach_type(xdp),
            dev.name.string_().decode() if dev else "",
            bpf_prog_maps_may_have_programs(xdp),
        ]
    assert found == told["programs"]
    bound = prog.type("struct bpf_prog_aux").has_member("dev_bound")
    assert ("corner_bound" in found) == bound
    assert {"corner_dev4", "corner_dev8", "corner_cpu4", "corner_cpu8"} <= set(found)
