# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The predictor against the kernel's own answers
----------------------------------------------

answers.json has what the kernel said in the guest (vmcores/lab/guest/prober.py); each
is predicted from a Snapshot of the dump, and compared: errno, and over netlink the
message.
"""

import collections
from collections.abc import Mapping
import functools
from typing import Any, NamedTuple, Optional

from drgn_veth.analysis.attach.ask import fresh_program
from drgn_veth.analysis.attach.predictor import Predictor
from drgn_veth.analysis.attach.question import MODE_FLAGS, Answer, errno_name
from drgn_veth.model import Device, LoadedProgram, Snapshot, XdpProgram

__all__ = ("FRESH", "Answers", "before_anyone_asked", "compare_answers")

_OTHER = -1  # the identifier of no program


class Answers(NamedTuple):
    """How the predictor stood up."""

    compared: "collections.Counter[str]"  # answers, by operation and way
    differences: list[str]
    errors: "collections.Counter[tuple[str, Optional[str]]]"  # what the kernel said


def _mode(device: Device, flags: int) -> str:
    for mode in ("offload", "driver", "generic"):
        if flags & MODE_FLAGS[mode]:
            return mode
    return "driver" if device.driver.ndo_bpf is True else "generic"


def _with_own(
    snapshot: Snapshot, device: Device, current: LoadedProgram, link: Any, flags: int
) -> tuple[Snapshot, Device]:
    # The device as it is while a program of the prober's is attached to it.
    program = XdpProgram(
        id=current.id,
        name=current.name,
        tag="",
        via="netlink" if link is None else "link",
        link_id=link,
        jited=True,
        frags=current.frags,
        load_time=0,
        uid=0,
        expected_attach_type=current.expected_attach_type,
    )
    mode = _mode(device, flags)
    changed: dict[str, Any] = {mode: program}
    device = device._replace(xdp=device.xdp._replace(**changed))
    devices = tuple(
        device if one.net_device == device.net_device else one
        for one in snapshot.devices
    )
    return snapshot._replace(devices=devices), device


#: Those of the prober's programs that are attached nowhere, and whether they take
#: fragments.
FRESH = {"ask_plain": False, "ask_frags": True}


def before_anyone_asked(
    snapshot: Snapshot, document: Mapping[str, Any]
) -> tuple[Snapshot, dict[str, Any]]:
    """
    Return a Snapshot from before the prober ran with the programs that it loaded to ask
    with, and the answers about those and about what was there before.
    """
    loaded = Predictor(snapshot).programs()
    fresh = {
        program["id"]: fresh_program(FRESH[program["name"]])._replace(id=program["id"])
        for program in document["programs"]
        if program["name"] in FRESH
    }
    assert not set(fresh) & set(loaded) and isinstance(snapshot.programs, tuple)
    there = {None, *loaded, *fresh}
    answers = [
        answer
        for answer in document["answers"]
        if answer["program"] in there and not answer["own"]
    ]
    with_fresh = (*snapshot.programs, *fresh.values())
    return snapshot._replace(programs=with_fresh), {"answers": answers}


class _Asker:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.predictor = Predictor(snapshot)
        self.devices = {(d.netns, d.ifindex): d for d in snapshot.devices}
        self.programs = self.predictor.programs()
        self.detached: set[int] = set()
        # Many answers are about the same program on the same device.
        self._with_own = functools.cache(self._own)

    def _own(
        self, netns: int, ifindex: int, current: int, link: Any, mode: str
    ) -> tuple[Device, Predictor]:
        snapshot, device = _with_own(
            self.snapshot,
            self.devices[netns, ifindex],
            self.programs[current],
            link,
            MODE_FLAGS[mode],
        )
        return device, Predictor(snapshot)

    def _expected(self, device: Device, answer: Mapping[str, Any]) -> Optional[int]:
        if answer["expected"] is None:
            return None
        if answer["expected"] == "other":
            return _OTHER
        # The one that is attached, in whichever mode.
        (program,) = [p for p in device.xdp[:3] if isinstance(p, XdpProgram)]
        assert isinstance(program.id, int)
        return program.id

    def predict(self, answer: Mapping[str, Any]) -> Answer:
        device = self.devices[answer["netns"], answer["ifindex"]]
        predictor = self.predictor
        op = answer["op"]
        if answer["own"]:
            how = (answer[key] for key in ("current", "link", "mode"))
            where = answer["netns"], answer["ifindex"]
            device, predictor = self._with_own(*where, *how)
        program = None
        if answer["program"] is not None:
            program = self.programs[answer["program"]]
        elif op in ("attach", "replace", "update"):
            # It could not be loaded.
            program = fresh_program(answer["frags"])
        if op == "link_detach":
            if answer["errno"] == 0:
                self.detached.add(answer["link"])
            return predictor.link_detach(device, answer["mode"])
        if op == "update":
            gone = answer["link"] in self.detached
            expected = self._expected(device, answer)
            return predictor.update(
                device,
                answer["mode"],
                program=program,
                expected=expected,
                detached=gone,
            )
        expected = self._expected(device, answer)
        return predictor.ask(device, answer["via"], answer["flags"], program, expected)


def _words(number: Any, message: Any) -> str:
    if isinstance(number, int) and number:
        number = errno_name(number)
    return f"{number} {message!r}"


def compare_answers(snapshot: Snapshot, document: Mapping[str, Any]) -> Answers:
    """Predict every answer of a document and compare."""
    asker = _Asker(snapshot)
    compared: collections.Counter[str] = collections.Counter()
    errors: collections.Counter[tuple[str, Optional[str]]] = collections.Counter()
    differences: list[str] = []
    for answer in document["answers"]:
        predicted = asker.predict(answer)
        compared[f"{answer['op']} {answer['via']}"] += 1
        said: dict[str, Any] = dict(answer)
        error = errno_name(said["errno"]) if said["errno"] else "success"
        errors[error, said["message"]] += 1
        same = predicted.errno == said["errno"]
        if answer["via"] == "netlink":
            same = same and predicted.message == said["message"]
        elif said["traced"] is not None:
            same = same and predicted.message == said["traced"]
        if not same:
            message = said["message"] or said["traced"]
            asked = {
                key: said[key]
                for key in (
                    "op",
                    "via",
                    "mode",
                    "flags",
                    "program",
                    "current",
                    "expected",
                )
                if said[key] is not None
            }
            differences.append(
                f"{said['netns']}:{said['ifindex']} {said['name']} {asked}: "
                f"the kernel {_words(said['errno'], message)}, "
                f"we {_words(predicted.errno, predicted.message)} ({predicted.because})"
            )
    return Answers(compared, differences, errors)
