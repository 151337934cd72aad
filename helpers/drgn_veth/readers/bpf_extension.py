# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Programs in programs
--------------------

A program of type EXT (``freplace``) replaces a function of another one. So libxdp runs
several programs on one device: the attached one is a dispatcher, with a function for
each. The kernel forgets the target of such a program once it is attached
(``bpf_prog_aux.dst_prog``): the BPF link knows it (bpf_tracing_prog_attach(),
kernel/bpf/syscall.c).

Upstream: all but the bound of the walk.
"""

from collections.abc import Iterator

from drgn import Object, Program, cast, container_of
from drgn.helpers.common.prog import takes_program_or_default

from ..core.c_string import read_c_string
from ..core.salvage import Salvage
from .idr import for_each_idr_pointer

__all__ = ("bpf_prog_attach_func_name", "for_each_bpf_extension")

_MAX_NAME = 256  # far above KSYM_NAME_LEN of older kernels


def _target(link: Object, member: str, ext: int) -> Object:
    # NULL: this link attaches another kind of program.
    prog = link.prog.read_()
    if not prog or prog.type.value_() != ext:
        return None
    return container_of(link, "struct bpf_tracing_link", member).tgt_prog.read_()


@takes_program_or_default
def for_each_bpf_extension(prog: Program) -> Iterator[tuple[Object, Object]]:
    """
    Iterate over the programs that replace a function of another one now.

    :return: Iterator of pairs of ``struct bpf_prog *`` objects: the one whose function
        is replaced, and the one that replaces it
    :raises LookupError: if the kernel has no BPF links of that type
    :raises WalkError: after all that could be reached
    """
    tracing = prog.constant("BPF_LINK_TYPE_TRACING").value_()
    ext = prog.constant("BPF_PROG_TYPE_EXT").value_()
    # Since Linux kernel commit f7e0beaf39d3 ("bpf, x86: Generate trampolines from
    # bpf_tramp_links") (in v5.19), there is a struct bpf_tramp_link in between.
    link_type = prog.type("struct bpf_tracing_link").member("link").type
    member = "link.link" if link_type.tag == "bpf_tramp_link" else "link"
    salvage = Salvage("a link: ")
    for entry in for_each_idr_pointer(prog["link_idr"]):
        link = cast("struct bpf_link *", entry)
        if salvage.read(lambda link: link.type.value_(), link) != tracing:
            continue
        target = salvage.read(_target, link, member, ext)
        if target:
            yield target, link.prog.read_()
    salvage.finish()


def bpf_prog_attach_func_name(prog: Object) -> bytes:
    """
    Return the function that a program replaces, or that it was loaded for.

    :param prog: ``struct bpf_prog *``
    :return: ``bpf_prog_aux.attach_func_name``; ``b""`` if there is none
    """
    name = prog.aux.attach_func_name.value_()
    return read_c_string(prog.prog_, name, _MAX_NAME) if name else b""
