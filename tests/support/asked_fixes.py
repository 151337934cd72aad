# SPDX-License-Identifier: LGPL-2.1-or-later
"""Printed fixes, asked of the kernel that they are for."""

from collections.abc import Iterator
import shlex
from typing import Optional

from drgn_veth.analysis.ask import Asker, after
from drgn_veth.analysis.attach.predictor import MODES, Predictor
from drgn_veth.analysis.commands import Commands
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.need import CannotTell
from drgn_veth.model import Device, Snapshot

from tests.support.asked import question_of

__all__ = ("all_fixes", "refused_fixes")


def _words(command: str) -> Iterator[list[str]]:
    # The commands that a line of the shell has.
    words: list[str] = []
    for word in shlex.split(command.replace(";", " ; ")):
        if word in ("&&", ";", "{", "}"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def _asked(words: list[str]) -> Optional[tuple[str, str]]:
    # The device and the question of a command; None: it is another one.
    for tool in ("ethtool", "ip"):
        if tool in words:
            words = words[len(words) - 1 - words[::-1].index(tool) :]
    if words[:2] == ["ethtool", "-L"]:
        return words[2], f"channels {' '.join(words[3:])}"
    if words[:4] == ["ip", "link", "set", "dev"]:
        if words[5] == "mtu":
            return words[4], f"mtu {words[6]}"
        if words[5] == "nomaster":
            return words[4], "enslave none"
        if words[5].startswith("xdp") and words[6] == "off":
            mode = {"xdpgeneric": "generic", "xdpdrv": "driver"}[words[5]]
            return words[4], f"detach {mode}"
    return None


def _device(snapshot: Snapshot, name: str, words: list[str]) -> Device:
    # The one whose commands begin like this.
    commands = Commands(snapshot)
    way = words[: words.index(name)]
    for device in snapshot.devices:
        if device.name == name:
            for made in commands.command(device.ref, *way[-2:], name):
                if shlex.split(made)[: -len(way[-2:]) - 1] == way[:-2]:
                    return device
            for made in commands.command(device.ref, *way[-4:], name):
                if shlex.split(made)[: -len(way[-4:]) - 1] == way[:-4]:
                    return device
    raise AssertionError(f"no device {name} is reached by {words}")


def refused_fixes(
    snapshot: Snapshot, fixes: Iterator[tuple[str, ...]]
) -> tuple[int, list[str]]:
    """
    Return how many commands there were to ask, and which the kernel would refuse, each
    after those before it.
    """
    asked, refused = 0, []
    asker = Asker(snapshot)
    for commands in dict.fromkeys(fixes):
        now: Optional[Asker] = asker
        for words in (one for command in commands for one in _words(command)):
            found = _asked(words)
            if found is None:
                now = None if "bpftool" in words else now
                continue
            if now is None:
                break
            device = _device(snapshot, found[0], words)
            question = question_of(device.net_device, found[1])
            answer = now.ask(question)
            asked += 1
            if isinstance(answer.errno, int) and answer.errno:
                refused.append(f"{' '.join(words)}: {answer}")
            try:
                now = Asker(after(now.snapshot, question))
            except CannotTell:
                now = None
    return asked, refused


def all_fixes(snapshot: Snapshot) -> Iterator[tuple[str, ...]]:
    """Yield the fixes of all findings, and of all refused attaches."""
    for finding in diagnose(snapshot):
        yield finding.fix
    predictor = Predictor(snapshot)
    for device in snapshot.devices:
        for *_, answer in predictor.answers(
            device, "attach", MODES, ("netlink",), (False,)
        ):
            yield answer.fix
