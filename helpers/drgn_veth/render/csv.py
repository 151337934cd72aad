# SPDX-License-Identifier: LGPL-2.1-or-later
"""
CSV
---

One row a device or a pair. The columns are data: the same list makes the header
and the rows.

Device names are untrusted. A spreadsheet runs a cell that begins like a formula, so
such a cell gets a single quote before it, as OWASP advises against CSV injection.
"""

import csv
import io
from typing import Callable, Iterable, List, Sequence, Tuple

from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef, Snapshot
from . import words

__all__ = ("devices", "pairs")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _joined(texts: Maybe[Tuple[str, ...]]) -> str:
    if isinstance(texts, Unreadable):
        return words.UNKNOWN
    return " ".join(words.cell(text) for text in texts)


_COLUMNS: Sequence[Tuple[str, Callable[[Device], str]]] = (
    ("netns", lambda d: words.cell(d.netns)),
    ("ifindex", lambda d: words.cell(d.ifindex)),
    ("name", lambda d: words.cell(d.name)),
    ("altnames", lambda d: _joined(d.altnames)),
    ("alias", lambda d: words.cell(d.alias)),
    ("net_device", lambda d: f"{d.net_device:#x}"),
    ("kind", lambda d: words.cell(d.kind)),
    ("flags", lambda d: _joined(d.flags)),
    ("operstate", lambda d: words.cell(d.operstate)),
    ("mtu", lambda d: words.cell(d.mtu)),
    ("min_mtu", lambda d: words.cell(d.min_mtu)),
    ("max_mtu", lambda d: words.cell(d.max_mtu)),
    ("mac", lambda d: words.cell(d.mac)),
    ("master", lambda d: words.reference(d.master)),
    ("peer", lambda d: words.reference(d.peer)),
    ("rx_real", lambda d: words.cell(d.queues.rx.real)),
    ("rx_allocated", lambda d: words.cell(d.queues.rx.allocated)),
    ("tx_real", lambda d: words.cell(d.queues.tx.real)),
    ("tx_allocated", lambda d: words.cell(d.queues.tx.allocated)),
    ("xdp", lambda d: "; ".join(words.xdp(d))),
    ("rps", words.rps),
    ("rfs", words.rfs),
    ("off_list", lambda d: words.cell(d.off_list)),
)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _text(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def _row(device: Device) -> List[str]:
    return [value(device) for _, value in _COLUMNS]


def devices(snapshot: Snapshot) -> str:
    """Return a row for each device."""
    header = [name for name, _ in _COLUMNS]
    return _text([header, *(_row(device) for device in snapshot.devices)])


def pairs(snapshot: Snapshot, all_devices: Sequence[Device]) -> str:
    """
    Return a row for each pair: the columns of a device for each end.

    :param all_devices: Where the ends are looked up: a filter may have left out
        one of them
    """
    by_address = {device.net_device: device for device in all_devices}

    def end(ref: DeviceRef) -> List[str]:
        device = by_address.get(ref.net_device)
        if device is not None:
            return _row(device)
        known = {
            "netns": words.cell(ref.netns),
            "ifindex": words.cell(ref.ifindex),
            "name": words.cell(ref.name),
            "off_list": words.cell(ref.off_list),
        }
        return [known.get(name, words.UNKNOWN) for name, _ in _COLUMNS]

    header = ["kind"] + [f"{side}_{name}" for side in "ab" for name, _ in _COLUMNS]
    rows = ([words.cell(p.kind), *end(p.a), *end(p.b)] for p in snapshot.pairs)
    return _text([header, *rows])
