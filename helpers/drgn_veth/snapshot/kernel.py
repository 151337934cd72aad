# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel's types, constants and code say about an XDP attach."""

from collections.abc import Mapping
import functools
from typing import Callable, Optional, TypeVar

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import attempt
from ..core.messages import (
    CHANNELS_AF_XDP,
    CHANNELS_MESSAGES,
    DRIVER_MESSAGES,
    XDP_ATTACH_ALWAYS,
)
from ..core.unreadable import Maybe, Unreadable
from ..disasm.veth_poll import veth_poll_members
from ..disasm.veth_xmit import veth_xmit_records_rx_queue
from ..disasm.virtio_net import virtio_net_padded_vnet_hdr_size
from ..disasm.xdp_messages import driver_messages, messages_in, xdp_message_places
from ..model import Kernel, RecordsRxQueue, Task
from ..readers.bpf_prog import has_dev_bound, has_xdp_frags
from ..readers.cpumask import nr_cpu_ids
from ..readers.priv_flags import has_netns_immutable
from ..readers.rtnl import has_rtnl_nets, rtnl_owner, takes_new_ifindex
from ..readers.skb import (
    max_skb_frags,
    net_ip_align,
    page_size,
    skb_shared_info_size,
    smp_cache_bytes,
)
from ..readers.vlan import vlan_stag_tx_mask
from ..readers.xdp import has_xdp_state, has_xsk_sg
from .task_record import task_record

__all__ = ("read_kernel",)

T = TypeVar("T")


def _once(prog: Program, what: str, read: Callable[[], T]) -> Maybe[T]:
    # Code does not change: it is read once per program, as layouts are.
    key = f"drgn_veth.{what}"
    try:
        return prog.cache[key]
    except KeyError:
        value = prog.cache[key] = attempt(read)
        return value


def _channels_messages(prog: Program) -> frozenset[bytes]:
    # netdev_queue_busy() came with queues that are leased: before, there is one.
    if not prog.type("struct netdev_rx_queue").has_member("lease"):
        return frozenset((CHANNELS_AF_XDP.encode(),))
    return messages_in(prog, "ethnl_set_channels", CHANNELS_MESSAGES)


def _messages(
    prog: Program, functions: Mapping[str, int]
) -> Maybe[tuple[tuple[str, frozenset[str]], ...]]:
    places = _once(prog, "xdp_message_places", lambda: xdp_message_places(prog, None))
    if isinstance(places, Unreadable):
        return places
    found = dict(places)
    said = found.get("dev_xdp_attach", frozenset()) | found.get(
        "dev_xdp_install", frozenset()
    )
    missing = XDP_ATTACH_ALWAYS - said
    if missing and "dev_xdp_attach" in found:
        return Unreadable(
            f"the code of dev_xdp_attach() lacks {len(missing)} messages that every "
            "kernel has: it is damaged or modified"
        )
    name = "ethnl_set_channels"
    channels = _once(prog, name, lambda: _channels_messages(prog))
    if not isinstance(channels, Unreadable):
        found[name] = channels
    for name, messages in DRIVER_MESSAGES.items():
        address = functions.get(name)
        if address:
            read = functools.partial(driver_messages, prog, address, messages)
            of_driver = _once(prog, f"messages.{address:#x}", read)
            if not isinstance(of_driver, Unreadable):
                found[name] = of_driver
    return tuple(
        (function, frozenset(message.decode("ascii") for message in messages))
        for function, messages in sorted(found.items())
    )


def _owner(prog: Program) -> Optional[Task]:
    task = rtnl_owner(prog)
    return task_record(task) if task else None


def _padded_vnet_hdr_size(
    prog: Program, virtnet_xdp: Optional[int]
) -> Maybe[Optional[int]]:
    if not virtnet_xdp:
        return None

    def read() -> Optional[int]:
        try:
            return virtio_net_padded_vnet_hdr_size(prog, virtnet_xdp)
        except LookupError:
            return None

    return _once(prog, f"padded_vnet_hdr.{virtnet_xdp:#x}", read)


def _veth_poll(prog: Program, poll: Optional[int]) -> Maybe[Optional[frozenset[str]]]:
    if not poll:
        return None
    return _once(prog, f"veth_poll.{poll:#x}", lambda: veth_poll_members(prog, poll))


def _records_rx_queue(
    prog: Program, xmit: Optional[int]
) -> Maybe[Optional[RecordsRxQueue]]:
    if not xmit:
        return None
    read = functools.partial(veth_xmit_records_rx_queue, prog, xmit)
    return _once(prog, f"veth_xmit.{xmit:#x}", read)


@takes_program_or_default
def read_kernel(prog: Program, functions: Mapping[str, int]) -> Kernel:
    """
    Return the record of a kernel.

    :param functions: Addresses of functions of those drivers that have devices:
        ``bond_xdp``, ``virtnet_xdp``, ``veth_xmit``, ``veth_poll``
    """
    return Kernel(
        page_size=attempt(page_size, prog),
        skb_shared_info_size=attempt(skb_shared_info_size, prog),
        max_skb_frags=attempt(max_skb_frags, prog),
        smp_cache_bytes=attempt(smp_cache_bytes, prog),
        net_ip_align=attempt(net_ip_align, prog),
        nr_cpu_ids=attempt(nr_cpu_ids, prog),
        xdp_state=has_xdp_state(prog),
        xdp_frags=has_xdp_frags(prog),
        dev_bound=has_dev_bound(prog),
        messages=_messages(prog, functions),
        padded_vnet_hdr_size=_padded_vnet_hdr_size(prog, functions.get("virtnet_xdp")),
        rtnl_owner=attempt(_owner, prog),
        veth_poll=_veth_poll(prog, functions.get("veth_poll")),
        records_rx_queue=_records_rx_queue(prog, functions.get("veth_xmit")),
        xsk_sg=has_xsk_sg(prog),
        vlan_stag_tx=attempt(vlan_stag_tx_mask, prog),
        says_netns=has_netns_immutable(prog),
        netns_first=has_rtnl_nets(prog),
        netns_ifindex=attempt(takes_new_ifindex, prog),
    )
