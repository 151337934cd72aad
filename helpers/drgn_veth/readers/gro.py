# SPDX-License-Identifier: LGPL-2.1-or-later
"""
GRO
---

The packets that GRO of a NAPI holds to merge others into them, and those that it is
about to pass on (net/core/gro.c).

Upstream: all but the paths of members.
"""

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

__all__ = (
    "GRO_BITMASK",
    "GRO_HASH_BUCKETS",
    "GRO_RX_COUNT",
    "napi_gro_held",
    "napi_gro_lists",
)

GRO_HASH_BUCKETS = 8  # include/net/gro.h

# Since "net: gro: decouple GRO from the NAPI layer" (in v6.15), these are in struct
# gro_node. Before, they are members of napi_struct.
#: Buckets that are in use, and packets to pass on.
GRO_BITMASK = ("gro.bitmask", "gro_bitmask")
GRO_RX_COUNT = ("gro.rx_count", "rx_count")


@takes_program_or_default
def napi_gro_lists(prog: Program) -> tuple[str, str, str]:
    """
    Return the members of ``struct napi_struct`` that have the packets: the array of
    ``struct gro_list``, the list of those to pass on, and the number of segments in
    that list: 0 if it is empty.
    """
    if prog.type("struct napi_struct").has_member("gro"):
        return "gro.hash", "gro.rx_list", "gro.rx_count"
    return "gro_hash", "rx_list", "rx_count"


def napi_gro_held(napi: Object) -> int:
    """
    Return how many packets GRO of a NAPI holds. One may have others merged into it.

    >>> napi_gro_held(veth_rqs(netdev_get_by_name("xnata")).xdp_napi.address_of_())
    0

    :param napi: ``struct napi_struct *``
    :return: The sum of the lengths of its lists
    """
    gro = napi.gro if napi.type_.type.has_member("gro") else None
    lists = napi.gro_hash if gro is None else gro.hash
    return sum(lists[i].count.value_() for i in range(GRO_HASH_BUCKETS))
