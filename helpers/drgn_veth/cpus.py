# SPDX-License-Identifier: LGPL-2.1-or-later
"""The CPUs of a target."""

from typing import Tuple

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default
from drgn.helpers.linux.cpumask import for_each_online_cpu, num_possible_cpus

__all__ = ("nr_cpu_ids", "online_cpus", "possible_cpus")

_MAX_CPUS = 1 << 16  # NR_CPUS is 8192 at most; CPUs in maps are u16


@takes_program_or_default
def nr_cpu_ids(prog: Program) -> int:
    """
    Return one more than the highest possible CPU, by which the kernel sizes
    whatever it keeps by CPU (``nr_cpu_ids``, kernel/smp.c).

    :raises ValueError: if no kernel has as many
    """
    try:
        count: int = prog["nr_cpu_ids"].value_()
    except KeyError:
        return 1  # A kernel without CONFIG_SMP: a macro.
    if not 0 < count <= _MAX_CPUS:
        raise ValueError(f"nr_cpu_ids is {count}")
    return count


@takes_program_or_default
def possible_cpus(prog: Program) -> int:
    """Return how many CPUs can ever be online (``num_possible_cpus()``)."""
    nr_cpu_ids(prog)
    return int(num_possible_cpus(prog))


@takes_program_or_default
def online_cpus(prog: Program) -> Tuple[int, ...]:
    """Return the CPUs that are online, ascending."""
    nr_cpu_ids(prog)
    return tuple(for_each_online_cpu(prog))
