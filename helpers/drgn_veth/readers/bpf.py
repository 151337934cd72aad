# SPDX-License-Identifier: LGPL-2.1-or-later
"""
BPF programs
------------

What ``bpftool prog`` shows of a ``struct bpf_prog`` (bpf_prog_get_info_by_fd(),
kernel/bpf/syscall.c).
"""

from drgn import Object

__all__ = (
    "bpf_prog_has_frags",
    "bpf_prog_id",
    "bpf_prog_jited",
    "bpf_prog_load_time",
    "bpf_prog_name",
    "bpf_prog_tag",
    "bpf_prog_uid",
)


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
    # Since Linux kernel commit c2f2cdbeffda ("bpf: introduce
    # BPF_F_XDP_HAS_FRAGS flag in prog_flags loading the ebpf program") (in
    # v5.18). Before, no program has them.
    try:
        return bool(prog.aux.xdp_has_frags.value_())
    except AttributeError:
        return False


def bpf_prog_load_time(prog: Object) -> int:
    """
    Return when a program was loaded, in nanoseconds since boot
    (CLOCK_BOOTTIME).

    :param prog: ``struct bpf_prog *``
    """
    return prog.aux.load_time.value_()


def bpf_prog_uid(prog: Object) -> int:
    """
    Return the user who loaded a program, as the initial user namespace numbers
    users.

    :param prog: ``struct bpf_prog *``
    """
    return prog.aux.user.uid.val.value_()
