# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the virtio_net driver (drivers/net/virtio_net.c) was built with."""

from drgn import IntegerLike, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..readers.skb import page_size
from .follow import code_constants

__all__ = ("virtio_net_padded_vnet_hdr_size",)

# What sizeof(struct padded_vnet_hdr) can be: that of struct virtio_net_hdr_mrg_rxbuf
# or, with the hash, of struct virtio_net_hdr_v1_hash, filled up to 16 bytes. Both are
# user space API.
_PADDED_SIZES = (16, 32)


@takes_program_or_default
def virtio_net_padded_vnet_hdr_size(prog: Program, ndo_bpf: IntegerLike) -> int:
    """
    Return ``sizeof(struct padded_vnet_hdr)``, by which older kernels limit the MTU
    (``virtnet_xdp_set()``).

    :param ndo_bpf: ``netdev_ops->ndo_bpf`` of a virtio_net device
    :raises LookupError: if this kernel does not limit the MTU this way
    :raises FaultError: if the code cannot be read
    :raises ValueError: if the code is not valid
    :raises NotImplementedError: if the architecture has no decoder
    """
    # Nothing but this size is made of the struct, so compilers leave its type out. The
    # number that the MTU is compared with is in the code.
    page = page_size(prog)
    constants = code_constants(prog, ndo_bpf)
    found = [size for size in _PADDED_SIZES if page - size in constants]
    if len(found) != 1:
        raise LookupError(
            "virtnet_xdp_set() does not compare the MTU with such a limit"
        )
    return found[0]
