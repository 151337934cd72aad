# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth_poll()
-----------

Which TX queue of its peer veth_poll() (drivers/net/veth.c) wakes when it has made room:
only the code of a kernel shows this.
"""

from drgn import IntegerLike, Program, offsetof
from drgn.helpers.common.prog import takes_program_or_default

from .follow import code_accesses
from .instruction import Access

__all__ = ("veth_poll_members",)

_POINTER = True
_INT = False


@takes_program_or_default
def veth_poll_members(prog: Program, poll: IntegerLike) -> frozenset[str]:
    """
    Return the members that the code of veth_poll() accesses to choose the TX queue that
    it wakes.

    :param poll: Pointer to veth_poll(), as of
        :func:`~drgn_veth.readers.veth.veth_rq_poll()`
    :return: Some of ``_tx`` (``struct net_device``): it wakes one, and
        ``real_num_tx_queues``: it checks the number first; and
        ``xdp_rxq.queue_index`` (``struct veth_rq``): that is the number, else it is
        the place in the array
    :raises LookupError: if the types of the veth module are not loaded
    :raises FaultError: if its code cannot be read
    :raises ValueError: if its code does not end, or is not valid
    :raises NotImplementedError: if the architecture has no decoder
    """
    # Since Linux kernel commit dc82a33297fc ("veth: apply qdisc backpressure on full
    # ptr_ring to reduce TX drops") (in v6.16), veth_xmit() stops a TX queue. The
    # number was that of the xdp_rxq at first, and is checked in v7.1 and later.
    net_device = prog.type("struct net_device")
    veth_rq = prog.type("struct veth_rq")
    wanted = (
        ("_tx", net_device, _POINTER),
        ("real_num_tx_queues", net_device, _INT),
        ("xdp_rxq.queue_index", veth_rq, _INT),
    )
    accesses = code_accesses(prog, poll)
    return frozenset(
        member
        for member, type, wide in wanted
        if Access(offsetof(type, member), wide) in accesses
    )
