# SPDX-License-Identifier: LGPL-2.1-or-later
"""The AF_XDP sockets of all network namespaces, and who has them open."""

from collections.abc import Iterable, Mapping, Sequence
import functools
from typing import Optional

from drgn import Object, Program

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.unreadable import Maybe, Unreadable
from ..model import AfXdpSocket, Device, Namespace, XskRing
from ..readers.xsk import (
    XDP_RING_NEED_WAKEUP,
    XSK_BOUND,
    XdpSock,
    XskCounts,
    for_each_xdp_sock,
    has_xdp_socks,
    xsk_queue_counts,
    xsk_state_name,
)
from .layouts import layout_of
from .open_files import OpenFiles, TaskFile

__all__ = ("XdpSockets",)

_NOBODY = (None, None)


class XdpSockets:
    """
    The AF_XDP sockets of a kernel.

    :param nets: The namespaces to look in: addresses of ``struct net``
    :param open_files: Where to look for who has them open; it has not looked yet
    """

    def __init__(
        self, prog: Program, nets: Iterable[int], open_files: OpenFiles
    ) -> None:
        self._prog = prog
        self._open_files = open_files
        self._layout = layout_of(prog, "struct xdp_sock", XdpSock)
        self._raw: dict[int, XdpSock] = {}
        self._records: dict[int, AfXdpSocket] = {}
        #: Lists that could not be walked to their end: the namespace, and why.
        self.incomplete: list[tuple[int, str]] = []
        if has_xdp_socks(prog) and not isinstance(self._layout, Unreadable):
            for net in nets:
                self._find(Object(prog, "struct net *", net))
        sockets = {raw.sk_socket for raw in self._raw.values()}
        open_files.want_sockets(
            {one for one in sockets if one and not isinstance(one, Unreadable)}
        )

    def _find(self, net: Object) -> None:
        salvage = Salvage()
        for xs in salvage.walk(for_each_xdp_sock(net)):
            bound = _bound_to(self._read(xs.value_()))
            if isinstance(bound, Unreadable):
                salvage.lose(bound.reason)
        if salvage.lost is not None:
            self.incomplete.append((net.value_(), salvage.lost))

    def _read(self, address: int) -> XdpSock:
        if address not in self._raw:
            assert not isinstance(self._layout, Unreadable)
            self._raw[address] = self._layout.read(address)
        return self._raw[address]

    @functools.cached_property
    def _files(self) -> Maybe[Mapping[int, Sequence[TaskFile]]]:
        return attempt(self._open_files.of_sockets)

    def _holder(self, socket: Maybe[int]) -> tuple[Maybe[object], Maybe[object]]:
        if isinstance(socket, Unreadable):
            return socket, socket
        if not socket:
            return _NOBODY
        files = self._files
        if isinstance(files, Unreadable):
            return files, files
        if socket not in files:
            return _NOBODY
        return files[socket][0].task

    def _counts(self, queue: Maybe[int]) -> Maybe[Optional[XskCounts]]:
        if not queue or isinstance(queue, Unreadable):
            return queue or None
        xsk_queue = Object(self._prog, "struct xsk_queue *", queue)
        return attempt(xsk_queue_counts, xsk_queue)

    def _pool(self, raw: XdpSock) -> Maybe[tuple[int, int, Optional[bool]]]:
        # Its fill and completion ring, and whether it uses XDP_USE_NEED_WAKEUP.
        if isinstance(raw.pool, Unreadable):
            return raw.pool
        if not raw.pool:
            if isinstance(raw.fq_tmp, Unreadable):
                return raw.fq_tmp
            if isinstance(raw.cq_tmp, Unreadable):
                return raw.cq_tmp
            return raw.fq_tmp, raw.cq_tmp, False
        pool = Object(self._prog, "struct xsk_buff_pool *", raw.pool)
        return attempt(
            lambda: (
                pool.fq.value_(),
                pool.cq.value_(),
                bool(pool.uses_need_wakeup.value_()),
            )
        )

    def _record(self, raw: XdpSock) -> AfXdpSocket:
        pool = self._pool(raw)
        fill: Maybe[Optional[XskCounts]]
        completion: Maybe[Optional[XskCounts]]
        if isinstance(pool, Unreadable):
            fill = completion = pool
        else:
            fill, completion = map(self._counts, pool[:2])
        rx, tx = self._counts(raw.rx), self._counts(raw.tx)
        wakeup: Maybe[Optional[tuple[str, ...]]] = None
        if isinstance(pool, Unreadable):
            wakeup = pool
        elif pool[2]:
            wakeup = attempt(_wakeup, fill, tx)
        pid, comm = self._holder(raw.sk_socket)
        zc = raw.zc
        return AfXdpSocket(
            queue=raw.queue_id,
            state=attempt(xsk_state_name, raw.state),
            zero_copy=zc if isinstance(zc, Unreadable) else bool(zc),
            rx=_ring(rx),
            tx=_ring(tx),
            fill=_ring(fill),
            completion=_ring(completion),
            need_wakeup=wakeup,
            rx_dropped=raw.rx_dropped,
            rx_ring_full=raw.rx_queue_full,
            pid=pid,  # type: ignore[arg-type]
            comm=comm,  # type: ignore[arg-type]
        )

    def record(self, address: int) -> Maybe[AfXdpSocket]:
        """
        Return the record of a socket.

        :param address: Of the ``struct xdp_sock``
        """
        if isinstance(self._layout, Unreadable):
            return self._layout
        if address not in self._records:
            self._records[address] = self._record(self._read(address))
        return self._records[address]

    def device(self, address: int) -> Maybe[int]:
        """
        Return the address of the device that a socket is bound to, 0 if there is none.

        :param address: Of the ``struct xdp_sock``
        """
        if isinstance(self._layout, Unreadable):
            return self._layout
        return _bound_to(self._read(address))

    def add_to(self, devices: Iterable[Device]) -> tuple[Device, ...]:
        """Return devices with the sockets that are bound to each."""
        bound: dict[int, list[AfXdpSocket]] = {}
        for address, raw in self._raw.items():
            device = _bound_to(raw)
            if device and not isinstance(device, Unreadable):
                record = self.record(address)
                assert not isinstance(record, Unreadable)
                bound.setdefault(device, []).append(record)
        if not bound:
            return tuple(devices)
        return tuple(
            device._replace(af_xdp=tuple(sorted(bound[device.net_device], key=_order)))
            if device.net_device in bound
            else device
            for device in devices
        )

    def lost(self, namespaces: Iterable[Namespace]) -> tuple[tuple[str, str], ...]:
        """Return which namespaces may have more sockets, and why."""
        inums = {one.net: one.inum for one in namespaces}
        return tuple(
            (f"AF_XDP sockets of namespace {_number(inums.get(net))}", why)
            for net, why in self.incomplete
        )


def _bound_to(raw: XdpSock) -> Maybe[int]:
    # xsk_unbind_dev() does not clear the pointer to a device that is gone.
    if isinstance(raw.state, Unreadable):
        return raw.state
    return raw.dev if raw.state == XSK_BOUND else 0


def _number(inum: Maybe[Optional[int]]) -> str:
    return str(inum) if isinstance(inum, int) else "?"


def _order(socket: AfXdpSocket) -> tuple[int, int]:
    queue, pid = socket.queue, socket.pid
    return (
        queue if isinstance(queue, int) else -1,
        pid if isinstance(pid, int) else -1,
    )


def _ring(counts: Maybe[Optional[XskCounts]]) -> Maybe[Optional[XskRing]]:
    if counts is None or isinstance(counts, Unreadable):
        return counts
    return XskRing(counts.size, counts.used)


def _wakeup(fill: Optional[XskCounts], tx: Optional[XskCounts]) -> tuple[str, ...]:
    return tuple(
        name
        for name, counts in (("rx", fill), ("tx", tx))
        if counts is not None and counts.flags & XDP_RING_NEED_WAKEUP
    )
