# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Rows that belong together
-------------------------

On a running kernel, all that a row says has to be of one device, and both rows of a
pair of one moment. So what identifies a device is read again after its row, and that of
its peer as well. If it is not the same, the row is made again, a few times; then what
it says is *changing*.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
import time
from typing import Any, Optional

from ..core.errors import attempt
from ..core.moving import CHANGING
from ..core.netdev_features import NETIF_F_ALL_TSO
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, Namespace, QueueCount, Queues, Veth, Xdp
from ..readers.rtnl import rtnl_owner
from .again import Again, is_same, is_same_device
from .agree import agreed, leads_to
from .devices import DeviceRecords
from .discover import Discovery
from .found import Found
from .layouts import Layouts

__all__ = ("MovingRows",)

_TRIES = 11
#: Seconds: before the second try, doubled before each after that; and in all.
_FIRST_NAP = 0.001
_ALL_NAPS = 3.0

_COUNT = QueueCount(CHANGING, CHANGING)
_CHANGING: dict[str, Any] = {
    **dict.fromkeys(
        (
            *("altnames", "alias", "flags", "operstate", "mtu", "qdisc", "addresses"),
            *("master", "lowers", "uppers", "peer", "rps", "xps", "bridge_port"),
            *("memory_provider", "xsk_queues"),
        ),
        CHANGING,
    ),
    "queues": Queues(_COUNT, _COUNT),
    "xdp": Xdp(CHANGING, CHANGING, CHANGING, CHANGING),
}


def _changing(device: Device) -> dict[str, Any]:
    veth = Veth(CHANGING, CHANGING, CHANGING, CHANGING)
    return {**_CHANGING, "veth": None if device.veth is None else veth}


def _number(value: Maybe[int]) -> int:
    return value if isinstance(value, int) else 0


def _half_done(device: Device, peer: Optional[Device]) -> dict[str, Any]:
    # What a task that holds rtnl_mutex may leave for a moment, and what would be a
    # finding if nobody did; each with what it is if that cannot be told.
    odd: dict[str, Any] = {}
    if device.kind != "veth" or device.off_list is not None:
        return odd
    if device.peer is None or (peer is not None and not leads_to(peer.peer, device)):
        odd["peer"] = CHANGING
    if device.veth is not None and device.veth.stale:
        odd["veth"] = device.veth._replace(stale=CHANGING)
    xdp = device.xdp
    if xdp.driver is None:
        return odd
    queues = xdp.queues if isinstance(xdp.queues, tuple) else ()
    if any(queue.prog_id is None and queue.napi is True for queue in queues):
        odd["xdp"] = xdp = xdp._replace(queues=CHANGING)
    rx = _number(device.queues.rx.real)
    # veth_xdp_set() takes TSO from the peer after it has set the program.
    if peer is not None and (
        _number(peer.queues.tx.real) > rx
        or _number(peer.features.features) & NETIF_F_ALL_TSO
    ):
        odd["xdp"] = xdp._replace(driver=CHANGING)
    return odd


class MovingRows:
    """
    Makes the rows of the devices of a running kernel.

    :param discovery: It has found them, and is kept up to date
    """

    def __init__(
        self, layouts: Layouts, discovery: Discovery, records: DeviceRecords
    ) -> None:
        self._prog = layouts.prog
        self._discovery = discovery
        self._records = records
        self._again = Again(layouts, discovery)
        self._alive = discovery.alive
        self._naps = _ALL_NAPS
        # What was read of each device first.
        self._first: dict[int, Found] = {}
        # What each row was made from.
        self._made_from: dict[int, Found] = {}

    def all(
        self, namespaces: Iterable[Namespace]
    ) -> tuple[list[Device], list[Namespace]]:
        """
        Return the rows, by address; and the namespaces that are still there, with the
        number of rows in each.
        """
        rows = self._rows()
        found, gone = self._discovery.found, self._alive.gone()
        for at in rows:
            if at in found and self._discovery.owner(found[at]) in gone:
                self._discovery.forget(at, CHANGING)
        kept = found.keys() & rows.keys()
        self._records.keep(kept)
        devices = agreed(rows[at] for at in sorted(kept))
        count = Counter(self._discovery.owner(found[at]) for at in kept)
        return devices, [
            one._replace(device_count=count[one.net])
            for one in namespaces
            if one.net not in gone
        ]

    def _rows(self) -> dict[int, Device]:
        found = self._discovery.found
        self._first = dict(found)
        rows: dict[int, Device] = {}
        for _ in range(_TRIES):
            # After the first time, those that came as a peer and lost it again.
            todo = [at for at in sorted(found) if at not in rows]
            for address in todo:
                if address not in rows and address in found:
                    rows.update(self._rows_of(address))
            if not todo:
                break
        return rows

    def _nap(self, number: int) -> None:
        seconds = min(_FIRST_NAP * 2 ** (number - 1), self._naps)
        if seconds > 0:
            self._naps -= seconds
            time.sleep(seconds)

    def _ends(self, address: int) -> list[Found]:
        # A device and its peer, as they were read last.
        found = self._discovery.found
        one = found.get(address)
        if one is None:
            return []
        peer = one.peer
        if not isinstance(peer, int) or not peer or peer == address:
            return [one]
        other = found.get(peer) or self._again.look(peer)
        return [one] if other is None else [one, other]

    def _owner(self) -> int:
        # Of rtnl_mutex; 0 if nobody holds it, or if that is unknown.
        owner = attempt(lambda: rtnl_owner(self._prog).value_())
        return 0 if isinstance(owner, Unreadable) else owner

    def _rows_of(self, address: int) -> Iterator[tuple[int, Device]]:
        # The row of a device, and that of its peer.
        owners: set[int] = set()
        devices: list[Device] = []
        odd: list[dict[str, Any]] = []
        let_go = False
        for number in range(_TRIES):
            if number and not let_go:
                self._nap(number)
            ends = self._ends(address)
            if not ends:
                return
            as_found = all(end is self._first.get(end.address) for end in ends)
            self._records.again(None if as_found else ends)
            devices = [self._records.device(end) for end in ends]
            peers = reversed(devices) if len(devices) == 2 else (None,)
            odd = [_half_done(one, peer) for one, peer in zip(devices, peers)]
            owner = self._owner() if any(odd) else 0
            same = True
            for end in ends:
                now = self._again.look(end.address)
                same &= now is not None and now.ref == end.ref and is_same(end, now)
            if not same:
                self._records.distrust()
                owners.clear()
                let_go = False
                continue
            owners.add(owner)
            # What is odd after whoever held rtnl_mutex has let it go stays so. What was
            # odd before that, the holder may have put right.
            if let_go or not any(odd):
                odd = [{} for _ in devices]
                break
            let_go = 0 in owners or len(owners) > 1
        if not owners:
            odd = [_changing(device) for device in devices]
        for device, changes in zip(devices, odd):
            at = device.net_device
            if at in self._discovery.found:
                self._made_from[at] = self._discovery.found[at]
                yield at, device._replace(**changes)

    def gone(self) -> set[int]:
        """
        Look again at all devices that have a row.

        :return: Addresses of those that are gone since it was made, and of those in a
            namespace that is
        """
        gone = self._alive.gone()
        return {
            address
            for address, before in self._made_from.items()
            if self._discovery.owner(before) in gone
            or (now := self._again.look(address)) is None
            or not is_same_device(before, now)
        }
