# SPDX-License-Identifier: LGPL-2.1-or-later
"""
xsk_rcv()
---------

Whether an AF_XDP socket in an XSKMAP takes what a program redirects to it
(net/xdp/xsk.c).
"""

from typing import Optional

from ...core.unreadable import Maybe, Unreadable
from ...model import AfXdpSocket, Device, DeviceRef, MapEntry
from ..names import name_of

__all__ = ("socket_takes",)


def socket_takes(
    device: Device, entry: MapEntry, queue: Maybe[Optional[int]]
) -> tuple[Maybe[Optional[bool]], str, Optional[str]]:
    """
    Return whether the socket of an entry takes a packet, why, and the errno if not.

    :param device: The device whose program redirects
    :param queue: The RX queue that the program sees, None if it may be any
    """
    socket = entry.socket
    if isinstance(socket, Unreadable):
        return socket, f"its socket could not be read: {socket.reason}", None
    if socket is None:
        return False, "no socket", None
    if isinstance(socket.state, Unreadable):
        return socket.state, f"its state could not be read: {socket.state.reason}", None
    if socket.state != "bound":
        return False, "it is not bound", "ENXIO"
    bound = entry.device
    if isinstance(bound, Unreadable):
        return bound, f"its device could not be read: {bound.reason}", None
    if bound is None or bound.net_device != device.net_device:
        return False, f"it is bound to {_name(bound)}", "EINVAL"
    return _of_queue(socket, queue)


def _name(bound: Optional[DeviceRef]) -> str:
    return "no device" if bound is None else name_of(bound)


def _of_queue(
    socket: AfXdpSocket, queue: Maybe[Optional[int]]
) -> tuple[Maybe[Optional[bool]], str, Optional[str]]:
    own = socket.queue
    for one in own, queue:
        if isinstance(one, Unreadable):
            return one, f"its RX queue could not be read: {one.reason}", None
    where = f"it is bound to rx-{own}"
    if queue is None:
        return None, f"{where}, and takes that alone", None
    if own != queue:
        return False, where, "EINVAL"
    if socket.zero_copy is True:
        # The driver has taken what was in the fill ring: xsk_rcv_zc().
        return True, where, None
    fill = socket.fill
    if isinstance(fill, Unreadable):
        return fill, f"its fill ring could not be read: {fill.reason}", None
    if fill is None or fill.used == 0:
        why = f"{where}, and its fill ring is empty"
        # xp_alloc() takes from its free list first, which has what a full RX ring gave
        # back. Which errno: ENOSPC, or ENOMEM, differs.
        return (False if socket.rx_ring_full == 0 else None), why, None
    return True, where, None
