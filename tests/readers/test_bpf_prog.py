# SPDX-License-Identifier: LGPL-2.1-or-later
"""BPF programs that the lab cannot load."""

from collections.abc import Sequence

from drgn import (
    Object,
)
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.bpf_prog import (
    bpf_prog_bound_netdev,
    bpf_prog_is_dev_bound,
    bpf_prog_is_offloaded,
    bpf_prog_maps_may_have_programs,
    check_bpf_prog,
)
import pytest

from tests.support.toy import NOWHERE, Toy


class Programs:
    """A program with maps, as of some kernel."""

    def __init__(self, toy: Toy, **members: str) -> None:
        self.toy = toy
        toy.struct("net_device", ifindex="int")
        toy.struct("bpf_prog_offload", prog="void *", netdev="struct net_device *")
        toy.struct("bpf_map", map_type="int", value_size="unsigned int")
        toy.struct(
            "bpf_prog_aux",
            used_map_cnt="unsigned int",
            used_maps="struct bpf_map **",
            offload="struct bpf_prog_offload *",
            offload_requested="_Bool",
            **members,
        )
        toy.struct("bpf_prog", aux="struct bpf_prog_aux *")
        address = toy.place("struct bpf_prog")
        self.aux = toy.place("struct bpf_prog_aux")
        toy.set("struct bpf_prog", address, aux=self.aux)
        self.prog = Object(toy.prog, "struct bpf_prog *", address)

    def set(self, **values: int) -> None:
        self.toy.set("struct bpf_prog_aux", self.aux, **values)

    def maps(self, *maps: tuple[int, int]) -> None:
        array = self.toy.place("void *", len(maps) or 1)
        for i, (kind, size) in enumerate(maps):
            map = self.toy.place("struct bpf_map")
            self.toy.set("struct bpf_map", map, map_type=kind, value_size=size)
            self.toy.put(array + 8 * i, "Q", map)
        self.set(used_maps=array, used_map_cnt=len(maps))


def test_bound_programs(toy: Toy) -> None:
    programs = Programs(toy, dev_bound="_Bool")
    assert not bpf_prog_bound_netdev(programs.prog)
    offload = toy.place("struct bpf_prog_offload")
    programs.set(offload=offload, dev_bound=1)
    assert not bpf_prog_bound_netdev(programs.prog)  # Its device is gone.
    toy.set("struct bpf_prog_offload", offload, netdev=0x5000)
    assert bpf_prog_bound_netdev(programs.prog).value_() == 0x5000
    assert bpf_prog_is_dev_bound(programs.prog) is True
    assert bpf_prog_is_offloaded(programs.prog) is False


def test_bound_programs_of_an_old_kernel(toy: Toy) -> None:
    programs = Programs(toy)
    programs.set(offload_requested=1)
    assert bpf_prog_is_dev_bound(programs.prog) is False
    assert bpf_prog_is_offloaded(programs.prog) is True


@pytest.mark.parametrize(
    ("maps", "may"),
    [
        ((), False),
        (((14, 4),), False),
        (((14, 8),), True),
        (((25, 4), (25, 8)), True),
        (((16, 8), (1, 4)), True),
        (((16, 4), (1, 8)), False),
    ],
)
def test_maps(toy: Toy, maps: Sequence[tuple[int, int]], may: bool) -> None:
    programs = Programs(toy)
    toy.constant("BPF_MAP_TYPE_DEVMAP", 14)
    toy.constant("BPF_MAP_TYPE_CPUMAP", 16)
    toy.constant("BPF_MAP_TYPE_DEVMAP_HASH", 25)
    programs.maps(*maps)
    assert bpf_prog_maps_may_have_programs(programs.prog) is may


def test_maps_that_cannot_be(toy: Toy) -> None:
    programs = Programs(toy)
    programs.set(used_map_cnt=0xFFFFFFFF)
    with pytest.raises(WalkError, match="4294967295"):
        bpf_prog_maps_may_have_programs(programs.prog)


def test_what_is_no_program(toy: Toy) -> None:
    """What cannot be read denies nothing."""
    toy.constant("BPF_PROG_TYPE_XDP", 6)
    toy.struct("bpf_prog", type="int", aux="void *")
    toy.struct("bpf_prog_aux", id="long", prog="struct bpf_prog *")
    toy.struct("bpf_prog", type="int", aux="struct bpf_prog_aux *")
    at, aux = toy.place("struct bpf_prog"), toy.place("struct bpf_prog_aux")
    toy.set("struct bpf_prog", at, type=6, aux=aux)
    prog = Object(toy.prog, "struct bpf_prog *", at)
    with pytest.raises(ValueError, match="is no BPF program"):
        check_bpf_prog(prog)
    toy.set("struct bpf_prog_aux", aux, prog=at)
    check_bpf_prog(prog)
    check_bpf_prog(prog, "BPF_PROG_TYPE_XDP")
    toy.set("struct bpf_prog", at, type=7)
    check_bpf_prog(prog)
    with pytest.raises(ValueError, match="is no BPF_PROG_TYPE_XDP"):
        check_bpf_prog(prog, "BPF_PROG_TYPE_XDP")
    toy.set("struct bpf_prog", at, aux=NOWHERE)
    check_bpf_prog(prog)
    check_bpf_prog(Object(toy.prog, "struct bpf_prog *", NOWHERE), "BPF_PROG_TYPE_XDP")
