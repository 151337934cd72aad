# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that are asked once for all that are like them."""

import sys
from typing import Any

from drgn_veth.analysis.attach.alike import (
    DECISIVE,
    OwnAnswers,
    answers_alike,
    likeness,
)
from drgn_veth.analysis.attach.ask import fresh_program
from drgn_veth.analysis.attach.predictor import MODES, VIAS, Predictor
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Bond, Device, DeviceRef, Snapshot
import pytest

from tests.support.attach.case import Case, plain_device
from tests.support.attach.troubles import slave_program, upper
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


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_CORE)
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


def without_decision(answers: Any) -> list[Any]:
    # The JSON does not have it.
    return [(*one[:4], one[4]._replace(decision=None)) for one in answers]


def almost_alike() -> Case:
    """Pairs of devices that differ in nothing but what is elsewhere."""
    case = Case("I", "bond")
    slave_program(case)
    upper(case)  # of the bond: another one has none
    bond, veth = case.devices["bond"], case.devices["veth"]
    empty = Bond("active-backup", "layer2", ())
    lost = case.devices["far"].ref._replace(net_device=77)
    for i, one in enumerate(
        (
            bond._replace(uppers=()),
            bond._replace(uppers=(), bond=empty),
            bond._replace(bond=empty),
            veth,  # Only one of them is that which a program is bound to.
            veth._replace(uppers=bond.uppers),
            veth._replace(uppers=Unreadable("gone")),
            veth._replace(peer=None),
            veth._replace(peer=lost),
            veth._replace(peer=Unreadable("gone")),
        )
    ):
        other = plain_device(20 + i, f"other{i}")
        case.devices[f"other{i}"] = one._replace(
            name=other.name, net_device=other.net_device
        )
    return case


@pytest.mark.parametrize("op", ["attach", "replace", "detach"])
def test_what_is_elsewhere_makes_a_difference(op: str) -> None:
    case = almost_alike()
    whole = case.snapshot()
    predictor = Predictor(whole)
    here = case.devices["veth"].net_device
    bound = fresh_program()._replace(dev_bound=True, bound_to=here)
    for program in (None, bound):
        how: Any = (op, MODES, VIAS, BOTH, program)
        own = OwnAnswers(predictor, *how)
        # Whichever of them is asked first, second or later.
        for devices in (whole.devices, whole.devices[::-1], whole.devices):
            for device, answers in answers_alike(predictor, devices, *how):
                mine = list(predictor.answers(device, *how))
                assert said(answers) == said(mine), device.name
                assert without_decision(own.of(device)) == without_decision(mine)


@pytest.mark.parametrize("name", slow_but(EVERY_CORE[:1], EVERY_CORE))
@pytest.mark.parametrize("op", slow_but(["attach"], ["attach", "replace", "detach"]))
def test_own_answers_are_in_the_words_of_each_device(name: str, op: str) -> None:
    snapshot = recorded_core(name).snapshot
    predictor = Predictor(snapshot)
    own = OwnAnswers(predictor, op, MODES, VIAS, BOTH)
    for device in snapshot.devices:
        mine = predictor.answers(device, op, MODES, VIAS, BOTH)
        assert without_decision(own.of(device)) == without_decision(mine)


def twins(snapshot: Snapshot, name: str, number: int) -> list[Device]:
    # Of both ends, so that the name of the peer is another one, too.
    by_address = {device.net_device: device for device in snapshot.devices}
    one = next(device for device in snapshot.devices if device.name == name)
    assert isinstance(one.peer, DeviceRef)
    two = by_address[one.peer.net_device]
    found = [one]
    for i in range(1, number):
        other = two._replace(name=f"peer{i}", net_device=2 * i, ifindex=1000 + i)
        found.append(
            one._replace(
                name=f"twin{i}", net_device=2 * i + 1, ifindex=i, peer=other.ref
            )
        )
        found.append(other)
    return found


@pytest.mark.parametrize("name", ["q24b", "twob"])
def test_those_that_are_alike_are_asked_once_but_for_commands(name: str) -> None:
    snapshot = recorded_core(EVERY_CORE[-1]).snapshot
    more = twins(snapshot, name, 8)
    asked = 0

    class Counted(Predictor):
        def answers(self, *args: Any) -> Any:
            nonlocal asked
            for one in super().answers(*args):
                asked += 1
                yield one

    predictor = Counted(snapshot._replace(devices=(*snapshot.devices, *more[1:])))
    own = OwnAnswers(predictor, "attach", MODES, VIAS, BOTH)
    answers = [own.of(device) for device in more[::2]]
    whole = len(answers[0])
    # q24b is refused in default and driver mode, with a command.
    with_command = sum(bool(one.answer.fix) for one in answers[0])
    assert with_command == (whole // 2 if name == "q24b" else 0)
    # The first of a class, that with marks; the end that is recorded may be no twin.
    assert asked <= 3 * whole + 7 * with_command < 8 * whole
    for device, taken in zip(more[::2], answers):
        mine = predictor.answers(device, "attach", MODES, VIAS, BOTH)
        assert without_decision(taken) == without_decision(mine)
        assert all("\0" not in one.answer.because for one in taken)
