# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPUs of kernels that the lab does not build, and of one that has panicked."""

from collections.abc import Sequence

from drgn import FaultError, Object
from drgn_veth.readers.cpumask import (
    nr_cpu_ids,
    num_possible_cpus,
    online_cpus,
    possible_cpus,
)
import pytest

from tests.support.toy import NOWHERE, Toy

WORD = 64
MOST = 1 << 16


class Cpus:
    """Masks of CPUs: of 128 bits."""

    def __init__(self, toy: Toy, ids: int = 0) -> None:
        self.toy = toy
        bits = toy.prog.array_type(toy.prog.type("unsigned long"), 2)
        toy.struct("cpumask", bits=bits)
        if ids:
            toy.put(toy.variable("nr_cpu_ids", "unsigned int"), "I", ids)
        self.at: dict[str, int] = {}

    def mask(self, name: str, *cpus: int) -> None:
        name = f"__cpu_{name}_mask"
        if name not in self.at:
            self.at[name] = self.toy.variable(name, "struct cpumask")
        bits = sum(1 << cpu for cpu in cpus)
        self.toy.put(self.at[name], "2Q", bits % (1 << WORD), bits >> WORD)


def test_how_many_there_may_be(toy: Toy) -> None:
    assert nr_cpu_ids(toy.prog) == 1  # CONFIG_SMP=n
    at = toy.variable("nr_cpu_ids", "unsigned int")
    for count in (1, 5, MOST):
        toy.put(at, "I", count)
        assert nr_cpu_ids(toy.prog) == count
    for count in (0, MOST + 1):
        toy.put(at, "I", count)
        with pytest.raises(ValueError, match=f"nr_cpu_ids is {count}"):
            nr_cpu_ids(toy.prog)


def test_where_nr_cpu_ids_is_a_macro(toy: Toy) -> None:
    """CONFIG_FORCE_NR_CPUS; a type of BTF may not say how long the array is."""
    cpus = Cpus(toy)
    cpus.mask("possible", 0)
    toy.array("__per_cpu_offset", "unsigned long", 0)
    assert nr_cpu_ids(toy.prog) == 2 * WORD
    toy.array("__per_cpu_offset", "unsigned long", 6)
    assert nr_cpu_ids(toy.prog) == 6


@pytest.mark.parametrize(
    ("ids", "cpus"),
    [
        *((4, (0, 3)), (WORD, (0, 63)), (WORD + 1, (63, 64)), (128, (1, 127))),
        (2, ()),
    ],
)
def test_possible(toy: Toy, ids: int, cpus: Sequence[int]) -> None:
    Cpus(toy, ids).mask("possible", *cpus)
    assert possible_cpus(toy.prog) == cpus
    assert num_possible_cpus(toy.prog) == len(cpus)


def test_cpu_that_cannot_be(toy: Toy) -> None:
    cpus = Cpus(toy, 4)
    cpus.mask("possible", 0, 4)
    why = "CPU 4 is set in a mask, but nr_cpu_ids is 4"
    with pytest.raises(ValueError, match=why):
        possible_cpus(toy.prog)
    cpus.mask("possible", 0, 1)
    cpus.mask("online", 4)
    with pytest.raises(ValueError, match=why):
        online_cpus(toy.prog)
    cpus.mask("online", 0)
    cpus.mask("active", 0, 4)
    with pytest.raises(ValueError, match=why):
        online_cpus(toy.prog)


def test_online_after_a_panic(toy: Toy) -> None:
    """Those that were stopped are active."""
    cpus = Cpus(toy, 4)
    cpus.mask("possible", 0, 1, 2, 3)
    cpus.mask("online", 3)
    cpus.mask("active", 0, 1, 3)
    assert online_cpus(toy.prog) == (0, 1, 3)
    cpus.mask("active", 0, 1)
    assert online_cpus(toy.prog) == (0, 1, 3)
    # Where all are online, none was stopped.
    cpus.mask("online", 0, 1, 2, 3)
    cpus.mask("active")
    assert online_cpus(toy.prog) == (0, 1, 2, 3)


@pytest.mark.parametrize("lost", ["symbol", "memory"])
def test_active_cpus_that_are_not_known(toy: Toy, lost: str) -> None:
    """Where one is online, it may be the one that stopped the others."""
    cpus = Cpus(toy, 4)
    cpus.mask("possible", 0, 1, 2, 3)
    cpus.mask("online", 1, 2)
    if lost == "memory":
        mask = Object(toy.prog, "struct cpumask", address=NOWHERE)
        toy._variables["__cpu_active_mask"] = mask
    assert online_cpus(toy.prog) == (1, 2)
    cpus.mask("online", 2)
    with pytest.raises((KeyError, FaultError)):
        online_cpus(toy.prog)
    # The only one there is.
    cpus.mask("possible", 2)
    assert online_cpus(toy.prog) == (2,)
