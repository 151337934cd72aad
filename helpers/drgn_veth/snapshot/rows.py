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
from collections.abc import Iterable, Iterator, Sequence
import time
from typing import Any, Optional

from ..core.errors import attempt
from ..core.moving import CHANGING
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, Namespace, QueueCount, Queues, Veth, Xdp
from ..readers.rtnl import rtnl_owner
from ..readers.veth import VETH_KIND
from .again import Again, is_same, is_same_device
from .agree import agreed
from .alive import Alive
from .devices import DeviceRecords
from .discover import Discovery
from .found import Found
from .layouts import Layouts

__all__ = ("MovingRows",)

_TRIES = 9
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


def _changing(device: Device) -> Device:
    veth = Veth(CHANGING, CHANGING, CHANGING, CHANGING)
    return device._replace(**_CHANGING, veth=None if device.veth is None else veth)


def _number(value: Maybe[int]) -> int:
    return value if isinstance(value, int) else 0


def _looks_half_done(device: Device, peer: Optional[Device]) -> bool:
    # What a task that holds rtnl_mutex may leave for a moment, and what would be a
    # finding if nobody did.
    if device.kind != "veth" or device.off_list is not None:
        return False
    if device.peer is None or (device.veth is not None and device.veth.stale):
        return True
    if device.xdp.driver is None:
        return False
    queues = device.xdp.queues
    if isinstance(queues, tuple) and any(q.prog_id is None for q in queues):
        return True
    rx = _number(device.queues.rx.real)
    return peer is not None and _number(peer.queues.tx.real) > rx


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
        self._alive = Alive(layouts.prog, discovery.nets)
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
        for number in range(_TRIES):
            if number:
                self._nap(number)
            ends = self._ends(address)
            if not ends:
                return
            as_found = all(end is self._first.get(end.address) for end in ends)
            self._records.again(None if as_found else ends)
            devices = [self._records.device(end) for end in ends]
            owner = self._owner() if self._is_odd(ends, devices) else 0
            same = True
            for end in ends:
                now = self._again.look(end.address)
                same &= now is not None and now.ref == end.ref and is_same(end, now)
            if not same:
                owners.clear()
                continue
            owners.add(owner)
            # Whoever held it has let it go meanwhile.
            if 0 in owners or len(owners) > 1:
                break
        else:
            devices = [
                _changing(device)
                for device in devices
                if device.net_device in self._discovery.found
            ]
        for device in devices:
            at = device.net_device
            self._made_from[at] = self._discovery.found[at]
            yield at, device

    def _is_odd(self, ends: Sequence[Found], devices: Sequence[Device]) -> bool:
        if len(ends) == 2 and ends[1].peer != ends[0].address:
            return True
        if ends[0].kind == VETH_KIND and len(ends) == 1:
            return ends[0].ref.off_list is None
        return any(
            _looks_half_done(one, other)
            for one, other in zip(devices, [*devices[1:], devices[0]])
        )

    def gone(self) -> set[int]:
        """
        Look again at all devices that have a row.

        :return: Addresses of those that are gone since it was made
        """
        return {
            address
            for address, before in self._made_from.items()
            if (now := self._again.look(address)) is None
            or not is_same_device(before, now)
        }
