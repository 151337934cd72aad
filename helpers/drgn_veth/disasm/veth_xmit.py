# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth_xmit()
-----------

Whether veth_xmit() (drivers/net/veth.c) writes the RX queue into a packet, which
decides which RPS mask steers it: only the code of a kernel shows this.
"""

from drgn import IntegerLike, Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from ..model import RecordsRxQueue
from ..readers.veth import veth_rq_knows_napi
from .follow import code_accesses, code_writes
from .instruction import Write

__all__ = ("veth_xmit_records_rx_queue",)


@takes_program_or_default
def veth_xmit_records_rx_queue(prog: Program, xmit: IntegerLike) -> RecordsRxQueue:
    """
    Return when veth_xmit() calls skb_record_rx_queue(), which is inlined into it.

    :param xmit: Pointer to veth_xmit()
    :raises LookupError: if the types of the veth module are not loaded
    :raises FaultError: if its code cannot be read
    :raises ValueError: if its code does not end, or is not valid code of veth_xmit()
    :raises NotImplementedError: if the architecture has no decoder
    """
    # Since Linux kernel commit 710ad98c363a ("veth: Do not record rx queue hint in
    # veth_xmit") (in v5.17 and stable kernels), it never does.
    sk_buff = prog.type("struct sk_buff")
    size = sizeof(sk_buff.member("queue_mapping").type)
    offset = offsetof(sk_buff, "queue_mapping")
    if all(access.offset != offset for access in code_accesses(prog, xmit)):
        # It has chosen an RX queue by it since there are several, in v4.19.
        raise ValueError("veth_xmit() does not read queue_mapping: unknown code")
    if Write(offset, size) not in code_writes(prog, xmit):
        return RecordsRxQueue.NEVER
    # Since Linux kernel commit edbea9220251 ("veth: Store queue_mapping independently
    # of XDP prog presence") (in v5.12 and stable kernels), it does so for each packet;
    # before, for RX queues with a program. NAPI without XDP came later, in v5.13.
    if veth_rq_knows_napi(prog):
        return RecordsRxQueue.ALWAYS
    return RecordsRxQueue.WITH_XDP
