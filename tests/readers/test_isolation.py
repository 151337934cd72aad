# SPDX-License-Identifier: LGPL-2.1-or-later
"""Isolated CPUs of recorded kernels whose masks of housekeeping CPUs are changed."""

from drgn import Program
from drgn.helpers.linux.net import for_each_netdev
from drgn_veth.readers.isolation import isolated_cpus
import pytest

from tests.support.memory import Altered, altered_core
from tests.support.recorded import recorded_core


def _flags_and_mask(prog: Program, number: int) -> tuple[int, int]:
    # Where they are, of a type of housekeeping.
    try:
        keeping = prog["housekeeping"]
    except KeyError:
        flags, mask = prog["housekeeping_flags"], prog["housekeeping_mask"]
    else:
        flags, mask = keeping.flags, keeping.cpumasks[number]
    assert flags.address_ is not None and mask.address_ is not None
    return flags.address_, mask.address_


def _isolate(altered: Altered, number: int, keeps: int) -> None:
    # The mask of a type has some of the four CPUs. It is written over a net_device,
    # all of which is in the slice.
    dev = next(for_each_netdev(altered.prog["init_net"].address_of_())).value_()
    flags, mask = _flags_and_mask(altered.prog, number)
    altered.write(flags, (1 << number).to_bytes(4, "little"))
    altered.add(mask, dev.to_bytes(8, "little"))
    altered.write(dev, keeps.to_bytes(1024, "little"))


# The numbers of HK_TYPE_DOMAIN and HK_TYPE_MANAGED_IRQ, and those of the flags.
@pytest.mark.parametrize(
    ("name", "domain", "irq"), [("5.10-zoo", 5, 7), ("7.3-zoo", 1, 2)]
)
def test_masks_count_if_their_flag_is_set(name: str, domain: int, irq: int) -> None:
    altered = altered_core(recorded_core(name))
    prog = altered.prog
    assert isolated_cpus(prog) == ()
    _isolate(altered, domain, 0b1101)
    assert isolated_cpus(prog) == (1,)
    # The mask of managed interrupts does not matter to RPS.
    flags, _ = _flags_and_mask(prog, domain)
    altered.write(flags, (1 << irq).to_bytes(4, "little"))
    assert isolated_cpus(prog) == ()


def test_mask_that_is_not_there() -> None:
    altered = altered_core(recorded_core("7.3-zoo"))
    flags, mask = _flags_and_mask(altered.prog, 0)
    altered.write(flags, (1).to_bytes(4, "little"))
    altered.add(mask, bytes(8))
    with pytest.raises(ValueError, match="NULL"):
        isolated_cpus(altered.prog)
