# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that are asked once for all that are like them."""

import sys
from typing import Any

from drgn_veth.analysis.attach.alike import DECISIVE, answers_alike, likeness
from drgn_veth.analysis.attach.predictor import MODES, VIAS, Predictor
from drgn_veth.model import Device, Snapshot
import pytest

from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.slow import slow_but

BOTH = (False, True)


def said(answers: Any) -> list[Any]:
    return [
        (op, mode, via, frags, a.errno, a.message, a.function, bool(a.either))
        for op, mode, via, frags, a in answers
    ]


@pytest.mark.parametrize("name", slow_but(EVERY_CORE[:1], EVERY_CORE))
@pytest.mark.parametrize("op", slow_but(["attach"], ["attach", "replace", "detach"]))
def test_answers_are_those_of_each_device(name: str, op: str) -> None:
    snapshot = recorded_core(name).snapshot
    predictor = Predictor(snapshot)
    lists = set()
    for device, answers in answers_alike(
        predictor, snapshot.devices, op, MODES, VIAS, BOTH
    ):
        lists.add(id(answers))
        mine = predictor.answers(device, op, MODES, VIAS, BOTH)
        assert said(answers) == said(mine), device.name
    assert len(lists) < len(snapshot.devices)


#: Whatever else is read to name a device, or to find the others that decide.
_FOUND_BY = {
    *("name", "net_device", "netns", "ifindex", "netns_label", "peer", "ref"),
    *("uppers", "bond"),
}
#: What makes commands is no decision.
_COMMANDS = {
    f"drgn_veth.analysis.{name}" for name in ("remedies", "commands", "limits")
}
_READ: set[str] = set()


class Watched(Device):
    """A device that notes what decisions read of it."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        module = sys._getframe(1).f_globals["__name__"]
        if name in Device._fields and module not in _COMMANDS:
            _READ.add(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("name", slow_but([EVERY_CORE[0], EVERY_CORE[-1]], EVERY_CORE))
def test_decisions_read_nothing_else(name: str) -> None:
    """A decision that reads another member of a device needs it in DECISIVE."""
    snapshot: Snapshot = recorded_core(name).snapshot
    watched = tuple(Watched(*device) for device in snapshot.devices)
    predictor = Predictor(snapshot._replace(devices=watched))
    _READ.clear()
    for device in watched:
        if likeness(device, predictor.questions.by_address) is not None:
            _READ.clear()
            for op in ("attach", "replace", "detach"):
                list(predictor.answers(device, op, MODES, VIAS, BOTH))
            assert set(DECISIVE) | _FOUND_BY >= _READ
            assert "driver" in _READ


@pytest.mark.slow
def test_what_others_decide_is_asked_of_each() -> None:
    snapshot = recorded_core("6.12-zoo").snapshot
    by_address = {device.net_device: device for device in snapshot.devices}
    alone = {
        device.name: likeness(device, by_address) is None
        for device in snapshot.devices
        if device.netns_label == "host"
    }
    assert alone["bond_zoo"] and alone["bxslave"] and alone["lowa"]
    assert not alone["q24a"] and not alone["lo"]
