# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP programs, attached or not
-----------------------------

What the kernel asks of a program before it attaches it (dev_xdp_attach(),
net/core/dev.c; kernel/bpf/offload.c).
"""

from typing import Iterator

from drgn import NULL, Object, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import WalkError, attempt
from ..core.unreadable import Unreadable
from .idr import for_each_idr_pointer

__all__ = (
    "bpf_prog_bound_netdev",
    "bpf_prog_dev_bound",
    "bpf_prog_expected_attach_type",
    "bpf_prog_maps_may_have_programs",
    "bpf_prog_offload_requested",
    "for_each_xdp_prog",
)

# The verifier allows 64 (MAX_USED_MAPS); a program that was linked of others has none
# of its own.
_MAX_USED_MAPS = 1 << 12
# Of a device map and of a CPU map without programs: only an ifindex, or a queue size.
_PLAIN_VALUE_SIZE = 4


@takes_program_or_default
def for_each_xdp_prog(prog: Program) -> Iterator[Object]:
    """
    Iterate over the XDP programs of the kernel (``prog_idr``), attached or not.

    :return: Iterator of ``struct bpf_prog *`` objects.
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached
    """
    xdp = prog.constant("BPF_PROG_TYPE_XDP").value_()
    pointer = prog.type("struct bpf_prog *")
    broken = ""
    for address in for_each_idr_pointer(prog["prog_idr"]):
        program = Object(prog, pointer, address)
        type = attempt(lambda program=program: program.type.value_())
        if isinstance(type, Unreadable):
            broken = type.reason
        elif type == xdp:
            yield program
    if broken:
        raise WalkError(f"a program: {broken}")


def bpf_prog_expected_attach_type(prog: Object) -> int:
    """
    Return what a program was loaded for.

    :param prog: ``struct bpf_prog *``
    :return: ``enum bpf_attach_type``; of an XDP program that does not say, 0
    """
    return prog.expected_attach_type.value_()


def bpf_prog_offload_requested(prog: Object) -> bool:
    """
    Return whether a program was loaded to run on a device: see
    bpf_prog_is_offloaded(). Where the kernel cannot bind programs to devices
    otherwise, that was bpf_prog_is_dev_bound().

    :param prog: ``struct bpf_prog *``
    """
    return bool(prog.aux.offload_requested.value_())


def bpf_prog_dev_bound(prog: Object) -> bool:
    """
    Return whether a program was loaded for one device
    (``BPF_F_XDP_DEV_BOUND_ONLY``), or to run on it: see bpf_prog_is_dev_bound().

    :param prog: ``struct bpf_prog *``
    :return: False in kernels that have no such programs, also for one that was loaded
        to run on a device
    """
    # Since Linux kernel commit 2b3486bc2d23 ("bpf: Introduce device-bound XDP
    # programs") (in v6.3).
    try:
        return bool(prog.aux.dev_bound.value_())
    except AttributeError:
        return False


def bpf_prog_bound_netdev(prog: Object) -> Object:
    """
    Return the device that a program was loaded for: see
    bpf_offload_dev_match() (kernel/bpf/offload.c).

    :param prog: ``struct bpf_prog *``
    :return: ``struct net_device *``, ``NULL`` if none, or if it is gone
    """
    offload = prog.aux.offload.read_()
    if not offload:
        return NULL(prog.prog_, "struct net_device *")
    return offload.netdev.read_()


def _may_have_programs(map: Object) -> bool:
    kernel = map.prog_
    type = map.map_type.value_()
    for name in (
        "BPF_MAP_TYPE_DEVMAP",
        "BPF_MAP_TYPE_DEVMAP_HASH",
        "BPF_MAP_TYPE_CPUMAP",
    ):
        try:
            same = kernel.constant(name).value_() == type
        except LookupError:  # None of its maps is one.
            continue
        if same:
            return map.value_size.value_() != _PLAIN_VALUE_SIZE
    return False


def bpf_prog_maps_may_have_programs(prog: Object) -> bool:
    """
    Return whether a program uses a map of devices or CPUs whose entries may carry
    programs: see dev_map_can_have_prog() (kernel/bpf/devmap.c) and
    cpu_map_prog_allowed() (kernel/bpf/cpumap.c). generic_xdp_install() of some kernels
    refuses such a program.

    :param prog: ``struct bpf_prog *``
    :raises WalkError: if it has more maps than any program
    """
    count = prog.aux.used_map_cnt.value_()
    if count > _MAX_USED_MAPS:
        raise WalkError(f"a program with {count} maps")
    maps = prog.aux.used_maps.read_()
    return any(_may_have_programs(maps[i].read_()) for i in range(count))
