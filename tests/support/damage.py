# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Snapshots of damaged memory
---------------------------

Taken of a recorded core that is seen with changes, and looked at by every renderer.
"""

from collections.abc import Iterator

from drgn import Object, Program
from drgn_veth.analysis.attach.predictor import MODES, Predictor
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.errors import UNEXPECTED_TYPE
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Device, Snapshot
from drgn_veth.readers.netns import for_each_net_bounded, for_each_netdev_bounded
from drgn_veth.render import json as render_json
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.report import report
from drgn_veth.snapshot import take_snapshot

from tests.support.memory import Altered
from tests.support.recorded import CORES

__all__ = ("NEWEST", "at", "bugs_in", "devices_of", "is_lost", "named", "take")

NEWEST = [name for name in CORES if name.endswith("-zoo")][-1]


def devices_of(prog: Program) -> dict[str, Object]:
    net = next(for_each_net_bounded(prog))
    return {
        dev.name.string_().decode("utf-8", "replace"): dev
        for dev in for_each_netdev_bounded(net)
    }


def _values_in(value: object) -> Iterator[object]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple):
            waiting.extend(value)
        else:
            yield value


def is_lost(value: object) -> bool:
    """Whether there is something that could not be read."""
    return any(isinstance(one, Unreadable) for one in _values_in(value))


def bugs_in(value: object) -> Iterator[Unreadable]:
    """Yield what could not be read by a mistake of ours: all types are known here."""
    for one in _values_in(value):
        if isinstance(one, Unreadable) and UNEXPECTED_TYPE in one.reason:
            yield one


def take(altered: Altered, *asked: str) -> Snapshot:
    """
    Take a Snapshot, and see that analysis and renderers take it.

    :param asked: Devices of which an attach is asked
    """
    snapshot = take_snapshot(altered.prog)
    assert not list(bugs_in(snapshot))
    found = diagnose(snapshot)
    render_json.render(snapshot, found)
    few = [device for device in snapshot.devices if device.name in asked]
    report(snapshot, snapshot, found)
    devices_in_full(few, snapshot, found)
    predictor = Predictor(snapshot)
    for device in snapshot.devices:
        if device.name in asked:
            for mode in MODES:
                assert predictor.attach(device, mode).because
    return snapshot


def named(snapshot: Snapshot, name: str) -> Device:
    (device,) = (device for device in snapshot.devices if device.name == name)
    return device


def at(snapshot: Snapshot, dev: Object) -> Device:
    (device,) = (d for d in snapshot.devices if d.net_device == dev.value_())
    return device
