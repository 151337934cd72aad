# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Isolated CPUs
-------------

CPUs that ``isolcpus=``, ``nohz_full=`` or a cpuset keep the kernel's work from. Follows
housekeeping_cpumask() (kernel/sched/isolation.c) and rps_cpumask_housekeeping()
(net/core/net-sysfs.c).

Upstream: isolated_cpus().
"""

from collections.abc import Iterator

from drgn import Object, Program, TypeKind
from drgn.helpers.common.prog import takes_program_or_default

from .cpumask import cpumask_cpus, possible_cpus

__all__ = ("isolated_cpus",)

# What RPS leaves alone. In v7.0 and later, DOMAIN also has the isolated partitions of
# cpusets, and RPS asks for DOMAIN_BOOT; WQ is another name of KERNEL_NOISE there.
_TYPES = ("DOMAIN_BOOT", "DOMAIN", "WQ")


def _enumerators(prog: Program, name: str) -> dict[str, int]:
    return {one.name: one.value for one in prog.type(f"enum {name}").enumerators or ()}


def _mask(member: Object) -> Object:
    # A cpumask_var_t: a pointer with CONFIG_CPUMASK_OFFSTACK, else an array of one.
    if member.type_.unaliased_kind() == TypeKind.POINTER and not member:
        raise ValueError("a mask of housekeeping CPUs is NULL")
    return member[0]


def _masks(prog: Program) -> Iterator[Object]:
    # Since v5.18, each type has a mask. Before, there is one mask, and flags that say
    # what it is used for.
    try:
        keeping = prog["housekeeping"]
    except KeyError:
        flags, bits = (
            prog["housekeeping_flags"].value_(),
            _enumerators(prog, "hk_flags"),
        )
        if any(flags & bits.get(f"HK_FLAG_{name}", 0) for name in _TYPES):
            yield _mask(prog["housekeeping_mask"])
        return
    flags, types = keeping.flags.value_(), _enumerators(prog, "hk_type")
    for number in {types[f"HK_TYPE_{n}"] for n in _TYPES if f"HK_TYPE_{n}" in types}:
        if flags >> number & 1:
            yield _mask(keeping.cpumasks[number])


@takes_program_or_default
def isolated_cpus(prog: Program) -> tuple[int, ...]:
    """
    Return the isolated CPUs: those of ``isolcpus=``, ``nohz_full=`` and, since v7.0,
    of isolated partitions of cpusets. Since v5.9, the kernel leaves those of the
    command line out of every RPS mask that is written.

    :return: Numbers of CPUs, ascending
    :raises KeyError: if the kernel's symbols are incomplete
    :raises ValueError: if a mask is NULL
    """
    isolated: set[int] = set()
    try:
        for mask in _masks(prog):
            isolated.update(set(possible_cpus(prog)) - set(cpumask_cpus(mask)))
    except KeyError:
        # The kernel has no CONFIG_CPU_ISOLATION, or its symbols are incomplete.
        prog["init_net"]
    return tuple(sorted(isolated))
