# SPDX-License-Identifier: LGPL-2.1-or-later
"""
CPUs
----

The CPUs of a target. drgn's own helpers assume that ``nr_cpu_ids`` is 1 where it is a
macro.

Upstream: the fallback of nr_cpu_ids(), for drgn's ``for_each_cpu()``.
"""

from drgn import FaultError, Object, Program, sizeof
from drgn.helpers.common.prog import takes_program_or_default
from drgn.helpers.linux.cpumask import cpu_online_mask, cpu_possible_mask

__all__ = (
    "cpumask_cpus",
    "nr_cpu_ids",
    "num_possible_cpus",
    "online_cpus",
    "possible_cpus",
)

_MAX_CPUS = 1 << 16  # NR_CPUS is 8192 at most; CPUs in maps are u16


def cpumask_cpus(mask: Object) -> tuple[int, ...]:
    """
    Return the CPUs of a mask.

    :param mask: ``struct cpumask``
    :return: Numbers of CPUs below :func:`nr_cpu_ids()`, ascending
    :raises FaultError: if it cannot be read
    """
    width = 8 * sizeof(mask.bits.type_.type)
    words = -(-nr_cpu_ids(mask.prog_) // width)
    return tuple(
        i * width + bit
        for i in range(words)
        for word in [mask.bits[i].value_()]
        for bit in range(width)
        if word >> bit & 1
    )


@takes_program_or_default
def nr_cpu_ids(prog: Program) -> int:
    """
    Return one more than the highest possible CPU, which is the size of the kernel's
    per-CPU arrays.

    :return: ``nr_cpu_ids`` (``unsigned int``, kernel/smp.c)
    :raises ValueError: if it is more than any kernel supports
    """
    try:
        count: int = prog["nr_cpu_ids"].value_()
    except KeyError:
        # A macro: NR_CPUS with CONFIG_FORCE_NR_CPUS, 1 without CONFIG_SMP.
        try:
            count = prog["__per_cpu_offset"].type_.length or (
                8 * sizeof(cpu_possible_mask(prog).bits)
            )
        except LookupError:
            count = 1
    if not 0 < count <= _MAX_CPUS:
        raise ValueError(f"nr_cpu_ids is {count}")
    return count


@takes_program_or_default
def num_possible_cpus(prog: Program) -> int:
    """
    Return the number of possible CPUs, as num_possible_cpus() does
    (include/linux/cpumask.h).

    :return: Bits that are set in ``__cpu_possible_mask``
    :raises FaultError: if they cannot be read
    """
    return len(possible_cpus(prog))


@takes_program_or_default
def possible_cpus(prog: Program) -> tuple[int, ...]:
    """
    Return the CPUs that may ever be there.

    :return: Numbers of CPUs that are set in ``__cpu_possible_mask``, ascending
    :raises FaultError: if they cannot be read
    :raises ValueError: if one is not below ``nr_cpu_ids``
    """
    return _below_nr_cpu_ids(prog, cpumask_cpus(cpu_possible_mask(prog)))


def _below_nr_cpu_ids(prog: Program, cpus: tuple[int, ...]) -> tuple[int, ...]:
    ids = nr_cpu_ids(prog)
    if cpus and cpus[-1] >= ids:
        raise ValueError(f"CPU {cpus[-1]} is set in a mask, but nr_cpu_ids is {ids}")
    return cpus


@takes_program_or_default
def online_cpus(prog: Program) -> tuple[int, ...]:
    """
    Return the CPUs that are online; after a panic, those that were online before it.

    >>> online_cpus()
    (0, 1, 2, 3)

    :return: Numbers of CPUs, ascending
    :raises FaultError: if they cannot be read
    :raises KeyError: if the kernel's symbols do not include the masks
    :raises ValueError: if one is not below ``nr_cpu_ids``
    """
    online = _below_nr_cpu_ids(prog, cpumask_cpus(cpu_online_mask(prog)))
    if len(online) == num_possible_cpus(prog):
        return online
    # The CPU that panics stops all others, which may set them offline: on arm64 in
    # ipi_cpu_crash_stop(), on x86 in stop_this_cpu(). They stay active. Apart from
    # that, an active CPU is online.
    try:
        active = cpumask_cpus(prog["__cpu_active_mask"])
    except (KeyError, FaultError):
        # If only one is left, it may be the one that panicked.
        if len(online) > 1:
            return online
        raise
    return _below_nr_cpu_ids(prog, tuple(sorted({*online, *active})))
