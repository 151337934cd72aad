# SPDX-License-Identifier: LGPL-2.1-or-later
"""Print the largest MTU that a veth's peer may have for native XDP without fragments.

As veth_xdp_set() (drivers/net/veth.c) calculates it. The scene then asks the kernel: it
must take this MTU, and refuse the next.
"""

import os
from typing import NamedTuple

__all__ = ("limit", "main")

XDP_PACKET_HEADROOM = 256
ETH_HLEN = 14
# sizeof(struct skb_shared_info), of 17 fragments, on 64-bit machines
SHARED_INFO = 320


class Layout(NamedTuple):
    """How a machine places packets."""

    smp_cache_bytes: int
    net_ip_align: int


# SMP_CACHE_BYTES (asm/cache.h), and NET_IP_ALIGN, which is 2 where no asm/ has another
LAYOUTS = {
    "x86_64": Layout(64, 0),
    "aarch64": Layout(64, 0),
    "ppc64le": Layout(128, 0),
    "s390x": Layout(256, 2),
}


def limit(machine: str, page_size: int) -> int:
    """Return the limit on a machine with pages of a size."""
    line, align = LAYOUTS[machine]
    shared_info = -(-SHARED_INFO // line) * line
    return page_size - XDP_PACKET_HEADROOM - align - shared_info - ETH_HLEN


def main() -> None:
    """Print the limit of the machine that runs this."""
    print(limit(os.uname().machine, os.sysconf("SC_PAGE_SIZE")))


if __name__ == "__main__":
    main()
