# SPDX-License-Identifier: LGPL-2.1-or-later
"""Maps and tables of RPS and RFS: of older kernels, at their limits, damaged."""

from collections.abc import Sequence
from typing import Optional

from drgn import Object
from drgn_veth.readers.rps import (
    net_rps_default_mask,
    rps_map_cpus,
    rps_sock_flow_entries,
    rx_queue_rps_flow_entries,
    rx_queue_rps_map,
)
import pytest

from tests.support.toy import Toy

LARGEST = 1 << 31
TAGS = ((0, 0), (0xFFFF0000, 1), (0xFFFF0004, 16), (0xFFFF001F, LARGEST))
# Of how many entries a table with such a mask is; None: it is no mask.
MASKS = (
    (0, 1),
    (1, 2),
    (0xF, 16),
    (LARGEST - 1, LARGEST),
    *((n, None) for n in (2, 5)),
)
TOO_LARGE = (LARGEST, 0xFFFFFFFE, 0xFFFFFFFF)


def _queue(toy: Toy, table: str, value: int) -> Object:
    toy.struct("netdev_rx_queue", rps_flow_table=table)
    queue = toy.place("struct netdev_rx_queue")
    toy.put(queue, "Q", value)
    return Object(toy.prog, "struct netdev_rx_queue *", queue)


@pytest.mark.parametrize(("tag", "entries"), TAGS)
def test_flow_table_that_is_a_number(toy: Toy, tag: int, entries: int) -> None:
    """Since v7.1 the lowest bits are the logarithm."""
    assert rx_queue_rps_flow_entries(_queue(toy, "unsigned long", tag)) == entries


@pytest.mark.parametrize(
    ("log", "entries"), [(0, 1), (9, 512), (31, LARGEST), (32, None)]
)
def test_flow_table_with_a_logarithm(
    toy: Toy, log: int, entries: Optional[int]
) -> None:
    toy.struct("rps_dev_flow_table", log="unsigned char")
    table = toy.place("struct rps_dev_flow_table")
    toy.set("struct rps_dev_flow_table", table, log=log)
    queue = _queue(toy, "struct rps_dev_flow_table *", table)
    if entries is not None:
        assert rx_queue_rps_flow_entries(queue) == entries
        return
    with pytest.raises(ValueError, match=f"log is {log}, more than 31"):
        rx_queue_rps_flow_entries(queue)


@pytest.mark.parametrize(
    ("mask", "entries"), [*MASKS, *((mask, None) for mask in TOO_LARGE)]
)
def test_tables_with_a_mask(toy: Toy, mask: int, entries: Optional[int]) -> None:
    """Of a queue before v6.15, and of all queues before v6.9."""
    for name in ("rps_dev_flow_table", "rps_sock_flow_table"):
        toy.struct(name, mask="unsigned int")
    table = toy.place("struct rps_dev_flow_table")
    toy.set("struct rps_dev_flow_table", table, mask=mask)
    queue = _queue(toy, "struct rps_dev_flow_table *", table)
    shared = toy.variable("rps_sock_flow_table", "struct rps_sock_flow_table *")
    toy.put(shared, "Q", table)
    if entries is not None:
        assert rx_queue_rps_flow_entries(queue) == entries
        assert rps_sock_flow_entries(toy.prog) == entries
        return
    with pytest.raises(ValueError, match="is not the mask of a table"):
        rx_queue_rps_flow_entries(queue)
    with pytest.raises(ValueError, match="is not the mask of a table"):
        rps_sock_flow_entries(toy.prog)


def test_no_tables(toy: Toy) -> None:
    toy.struct("rps_dev_flow_table", mask="unsigned int")
    assert rx_queue_rps_flow_entries(_queue(toy, "struct rps_dev_flow_table *", 0)) == 0
    toy.struct("rps_sock_flow_table", mask="unsigned int")
    toy.variable("rps_sock_flow_table", "struct rps_sock_flow_table *")
    assert rps_sock_flow_entries(toy.prog) == 0


@pytest.mark.parametrize(("tag", "entries"), TAGS)
def test_shared_table_that_is_a_number(toy: Toy, tag: int, entries: int) -> None:
    toy.struct("net_hotdata", rps_sock_flow_table="unsigned long")
    at = toy.variable("net_hotdata", "struct net_hotdata")
    toy.set("struct net_hotdata", at, rps_sock_flow_table=tag)
    assert rps_sock_flow_entries(toy.prog) == entries


def test_kernel_without_rps(toy: Toy) -> None:
    """But not one whose symbols are incomplete."""
    toy.struct("netdev_rx_queue", dev="void *")
    at = toy.place("struct netdev_rx_queue")
    queue = Object(toy.prog, "struct netdev_rx_queue *", at)
    assert rps_map_cpus(rx_queue_rps_map(queue)) == ()
    assert rx_queue_rps_flow_entries(queue) == 0
    with pytest.raises(KeyError):
        rps_sock_flow_entries(toy.prog)
    toy.constant("init_net", 0)
    assert rps_sock_flow_entries(toy.prog) == 0


@pytest.mark.parametrize(
    ("cpus", "good"),
    [
        *(((0, 1, 2, 3), True), ((3,), True), ((0, 3), True)),
        *(((4,), False), ((1, 1), False), ((2, 1), False), ((0, 4), False)),
    ],
)
def test_cpus_of_a_map(toy: Toy, cpus: Sequence[int], good: bool) -> None:
    toy.put(toy.variable("nr_cpu_ids", "unsigned int"), "I", 4)
    array = toy.prog.array_type(toy.prog.type("unsigned short"), 0)
    toy.struct("rps_map", len="unsigned int", cpus=array)
    at = toy.place("struct rps_map", 4)
    toy.put(at, "I", len(cpus))
    toy.put(at + 4, f"{len(cpus)}H", *cpus)
    map = Object(toy.prog, "struct rps_map *", at)
    if good:
        assert rps_map_cpus(map) == cpus
        return
    with pytest.raises(ValueError, match="not ascending CPUs below 4"):
        rps_map_cpus(map)


def test_default_mask(toy: Toy) -> None:
    """NULL until something is written; none before v6.3."""
    toy.put(toy.variable("nr_cpu_ids", "unsigned int"), "I", 4)
    toy.struct("netns_core", somaxconn="int")
    toy.struct("net", core=toy.prog.type("struct netns_core"))
    net = Object(toy.prog, "struct net *", toy.place("struct net"))
    assert net_rps_default_mask(net) is None
    bits = toy.prog.array_type(toy.prog.type("unsigned long"), 1)
    toy.struct("cpumask", bits=bits)
    toy.struct("netns_core", rps_default_mask="struct cpumask *")
    toy.struct("net", core=toy.prog.type("struct netns_core"))
    at, mask = toy.place("struct net"), toy.place("struct cpumask")
    net = Object(toy.prog, "struct net *", at)
    assert net_rps_default_mask(net) == ()
    toy.put(mask, "Q", 0b1010)
    toy.put(at, "Q", mask)
    assert net_rps_default_mask(net) == (1, 3)
