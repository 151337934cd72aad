# SPDX-License-Identifier: LGPL-2.1-or-later
"""
BPF links
---------

BPF links that attach XDP programs (kernel/bpf/syscall.c and net/core/dev.c).

Upstream: all but for_each_xdp_link(), whose walk is bounded.
"""

from collections.abc import Iterator

from drgn import Object, Program, cast, container_of
from drgn.helpers.common.prog import takes_program_or_default

from ..core.salvage import Salvage
from .idr import for_each_idr_pointer

__all__ = ("bpf_link_id", "for_each_xdp_link", "xdp_link_refs")


def _type(link: Object) -> int:
    return link.type.value_()


@takes_program_or_default
def for_each_xdp_link(prog: Program) -> Iterator[Object]:
    """
    Iterate over the BPF links that were made to attach XDP programs (``link_idr``),
    including a link that is not settled yet (its ``link.id`` is 0), and links whose
    device is gone (their ``dev`` is ``NULL``).

    :return: Iterator of ``struct bpf_xdp_link *`` objects.
    :raises LookupError: if the kernel has no BPF links
    :raises WalkError: after all that could be reached
    """
    idr = prog["link_idr"]
    try:
        prog.type("struct bpf_xdp_link")
    except LookupError:  # Before v5.9 no link is one of XDP.
        return
    xdp = prog.constant("BPF_LINK_TYPE_XDP").value_()
    salvage = Salvage("a link: ")
    for entry in for_each_idr_pointer(idr):
        link = cast("struct bpf_link *", entry)
        if salvage.read(_type, link) == xdp:
            yield container_of(link, "struct bpf_xdp_link", "link")
    salvage.finish()


def bpf_link_id(link: Object) -> int:
    """
    Return the identifier of a link.

    :param link: ``struct bpf_xdp_link *``
    :return: ``u32``; 0 if it is not settled yet, or is being freed
    """
    return link.link.id.value_()


def xdp_link_refs(link: Object) -> int:
    """
    Return how many references hold a link: each file in a bpffs, each open file
    description of a process, and the kernel while it works on the link.

    :param link: ``struct bpf_xdp_link *``
    :return: ``bpf_link.refcnt``; 0 if it is being freed
    """
    return link.link.refcnt.counter.value_()
