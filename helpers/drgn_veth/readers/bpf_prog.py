# SPDX-License-Identifier: LGPL-2.1-or-later
"""
BPF programs
------------

What ``bpftool prog`` shows of a ``struct bpf_prog`` (bpf_prog_get_info_by_fd(),
kernel/bpf/syscall.c), and what the kernel checks before it attaches one
(dev_xdp_attach(), net/core/dev.c; kernel/bpf/offload.c).

Upstream: all but for_each_xdp_prog(), whose walk is bounded.
"""

from collections.abc import Iterator
from typing import Optional

from drgn import NULL, Object, Program, cast
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import WalkError, attempt
from ..core.salvage import Salvage
from ..core.unreadable import Unreadable
from .idr import for_each_idr_pointer

__all__ = (
    "bpf_prog_bound_netdev",
    "bpf_prog_expected_attach_type",
    "bpf_prog_has_frags",
    "bpf_prog_id",
    "bpf_prog_is_dev_bound",
    "bpf_prog_is_offloaded",
    "bpf_prog_jited",
    "bpf_prog_load_time",
    "bpf_prog_maps_may_have_programs",
    "bpf_prog_name",
    "bpf_prog_tag",
    "bpf_prog_uid",
    "check_bpf_prog",
    "for_each_xdp_prog",
    "has_dev_bound",
    "has_xdp_frags",
)

# Far above MAX_USED_MAPS of the verifier, which is 64.
_MAX_USED_MAPS = 1 << 12
# A DEVMAP or CPUMAP without programs: an entry is only an ifindex, or a queue size.
_PLAIN_VALUE_SIZE = 4


@takes_program_or_default
def for_each_xdp_prog(prog: Program) -> Iterator[Object]:
    """
    Iterate over the XDP programs of the kernel (``prog_idr``), attached or not.

    >>> [bpf_prog_name(program) for program in for_each_xdp_prog()][:3]
    [b'zoo_nat', b'zoo_gen', b'zoo_link']

    :return: Iterator of ``struct bpf_prog *`` objects.
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached
    """
    xdp = prog.constant("BPF_PROG_TYPE_XDP").value_()
    salvage = Salvage("a program: ")
    for entry in for_each_idr_pointer(prog["prog_idr"]):
        program = cast("struct bpf_prog *", entry)
        if salvage.read(_type, program) == xdp:
            yield program
    salvage.finish()


def _type(prog: Object) -> int:
    return prog.type.value_()


@takes_program_or_default
def has_xdp_frags(prog: Program) -> bool:
    """
    Return whether this kernel can load XDP programs for packets in several buffers.
    """
    # Since Linux kernel commit c2f2cdbeffda ("bpf: introduce
    # BPF_F_XDP_HAS_FRAGS flag in prog_flags loading the ebpf program") (in
    # v5.18).
    return prog.type("struct bpf_prog_aux").has_member("xdp_has_frags")


@takes_program_or_default
def has_dev_bound(prog: Program) -> bool:
    """Return whether this kernel can load programs for one device."""
    # Since Linux kernel commit 2b3486bc2d23 ("bpf: Introduce device-bound XDP
    # programs") (in v6.3).
    return prog.type("struct bpf_prog_aux").has_member("dev_bound")


def check_bpf_prog(prog: Object, type: Optional[str] = None) -> None:
    """
    See that a pointer leads to a program: its ``aux->prog`` points back, as
    bpf_prog_alloc_no_stats() in kernel/bpf/core.c has it. What cannot be read denies
    nothing.

    :param prog: ``struct bpf_prog *``
    :param type: Name of the ``enum bpf_prog_type`` that it has to have
    :raises ValueError: if it leads to something else
    """
    back = attempt(lambda: prog.aux.prog.value_())
    if not isinstance(back, Unreadable) and back != prog.value_():
        raise ValueError(f"what is at {prog.value_():#x} is no BPF program")
    if type is not None:
        wanted = prog.prog_.constant(type).value_()
        found = attempt(_type, prog)
        if not isinstance(found, Unreadable) and found != wanted:
            raise ValueError(f"what is at {prog.value_():#x} is no {type}")


def bpf_prog_id(prog: Object) -> int:
    """
    Return the identifier of a program.

    :param prog: ``struct bpf_prog *``
    :return: ``u32``; 0 if the program is being freed
    """
    return prog.aux.id.value_()


def bpf_prog_name(prog: Object) -> bytes:
    """
    Return the name of a program, 15 bytes at most, as the kernel keeps it.

    :param prog: ``struct bpf_prog *``
    """
    return prog.aux.name.string_()


def bpf_prog_tag(prog: Object) -> str:
    """
    Return the tag of a program, as 16 hexadecimal digits.

    :param prog: ``struct bpf_prog *``
    """
    return bytes(prog.tag.value_()).hex()


def bpf_prog_jited(prog: Object) -> bool:
    """
    Return whether a program is compiled to machine code.

    :param prog: ``struct bpf_prog *``
    """
    return bool(prog.jited.value_())


def bpf_prog_has_frags(prog: Object) -> bool:
    """
    Return whether an XDP program was loaded for packets in several buffers
    (section ``xdp.frags``, ``BPF_F_XDP_HAS_FRAGS``).

    :param prog: ``struct bpf_prog *``
    """
    try:
        return bool(prog.aux.xdp_has_frags.value_())
    except AttributeError:  # See has_xdp_frags().
        return False


def bpf_prog_load_time(prog: Object) -> int:
    """
    Return when a program was loaded.

    :param prog: ``struct bpf_prog *``
    :return: ``bpf_prog_aux.load_time`` (``u64``): nanoseconds since boot
        (CLOCK_BOOTTIME)
    """
    return prog.aux.load_time.value_()


def bpf_prog_uid(prog: Object) -> int:
    """
    Return the user who loaded a program.

    :param prog: ``struct bpf_prog *``
    :return: UID (``uid_t``) in the initial user namespace
    """
    return prog.aux.user.uid.val.value_()


def bpf_prog_expected_attach_type(prog: Object) -> int:
    """
    Return what a program was loaded for.

    :param prog: ``struct bpf_prog *``
    :return: ``enum bpf_attach_type``; 0 for an XDP program that does not say
    """
    return prog.expected_attach_type.value_()


def bpf_prog_is_offloaded(prog: Object) -> bool:
    """
    Return whether a program was loaded to run on a device, as bpf_prog_is_offloaded()
    does (include/linux/bpf.h). In kernels where only offloaded programs are bound to a
    device, that function is bpf_prog_is_dev_bound().

    :param prog: ``struct bpf_prog *``
    """
    return bool(prog.aux.offload_requested.value_())


def bpf_prog_is_dev_bound(prog: Object) -> bool:
    """
    Return whether a program was loaded for one device
    (``BPF_F_XDP_DEV_BOUND_ONLY``), or to run on it, as bpf_prog_is_dev_bound() does
    (include/linux/bpf.h).

    :param prog: ``struct bpf_prog *``
    :return: False in kernels that have no such programs, even for one that was loaded
        to run on a device
    """
    try:
        return bool(prog.aux.dev_bound.value_())
    except AttributeError:  # See has_dev_bound().
        return False


def bpf_prog_bound_netdev(prog: Object) -> Object:
    """
    Return the device that a program was loaded for: see bpf_offload_dev_match()
    (kernel/bpf/offload.c).

    :param prog: ``struct bpf_prog *``
    :return: ``struct net_device *``, ``NULL`` if there is none, or if it is gone
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
        except LookupError:  # No map of this kernel is one.
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
