# SPDX-License-Identifier: LGPL-2.1-or-later
"""Members that should be arrays."""

from drgn import (
    Object,
)
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.array import array_values, for_each_pointer
from drgn_veth.readers.netdev_names import netdev_alias
from drgn_veth.readers.rps import rps_map_cpus
from drgn_veth.readers.xps import XPS_CPUS, netdev_xps_maps
import pytest

from tests.support.toy import NOWHERE, Toy


def test_a_pointer_is_no_array(toy: Toy) -> None:
    """Where a distribution has made a pointer of an array, it is not read as one."""
    toy.put(toy.variable("nr_cpu_ids", "unsigned int"), "I", 4)
    toy.struct("rps_map", len="unsigned int", cpus="unsigned short *")
    rps_map = toy.place("struct rps_map")
    toy.set("struct rps_map", rps_map, len=1, cpus=2)
    with pytest.raises(ValueError, match="expected an array"):
        rps_map_cpus(Object(toy.prog, "struct rps_map *", rps_map))
    toy.struct("xps_dev_maps", nr_ids="unsigned int")
    toy.struct("netdev", xps_maps="struct xps_dev_maps **")
    dev = Object(toy.prog, "struct netdev *", toy.place("struct netdev"))
    with pytest.raises(ValueError, match="expected an array"):
        netdev_xps_maps(dev, XPS_CPUS)
    toy.struct("dev_ifalias", ifalias="char *")
    toy.struct("named", ifalias="struct dev_ifalias *")
    named = toy.place("struct named")
    toy.set("struct named", named, ifalias=toy.text(b"an address of 8 bytes"))
    with pytest.raises(ValueError, match="expected an array"):
        netdev_alias(Object(toy.prog, "struct named *", named))


def test_no_more_elements_than_possible(toy: Toy) -> None:
    toy.struct(
        "map", len="unsigned int", cpus=toy.prog.array_type(toy.prog.type("short"), 0)
    )
    at = toy.place("struct map", 3)
    toy.put(at + 4, "4H", 5, 6, 7, 8)
    cpus = Object(toy.prog, "struct map", address=at).cpus
    assert array_values(cpus, 4, 4, "map.len") == [5, 6, 7, 8]
    assert array_values(cpus, 3, 4, "map.len") == [5, 6, 7]
    with pytest.raises(ValueError, match=r"map\.len is 5, more than possible \(4\)"):
        array_values(cpus, 5, 4, "map.len")
    # Nothing is read where there is nothing.
    nowhere = Object(toy.prog, "struct map", address=NOWHERE).cpus
    assert array_values(nowhere, 0, 4, "map.len") == []


def test_pointers_that_are_not_there(toy: Toy) -> None:
    assert list(for_each_pointer(toy.prog, NOWHERE, 0)) == []
    with pytest.raises(WalkError, match="a map: could not find memory"):
        list(for_each_pointer(toy.prog, NOWHERE, 2, "a map: "))
