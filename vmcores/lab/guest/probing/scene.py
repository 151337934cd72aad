# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the scene has attached, by its own records and by the kernel's."""

from __future__ import annotations

from dataclasses import dataclass
import json
import os

from bpf import LinkInfo, link_ids, link_info, open_link, open_program
from devices import Device
from places import KEEP, XDP_RECORDS, lines

from .loaded import Program

__all__ = ("Attached", "Scene")


@dataclass(frozen=True)
class Attached:
    """A program that the scene attached."""

    mode: str
    program: Program
    #: The id and a descriptor of its link, if a link attaches it.
    link: tuple[int, int] | None
    #: Whether the scene recorded if it has frags: only then can it be put back.
    known: bool


class Scene:
    """What xdp.py recorded, and every XDP link of the kernel."""

    def __init__(self) -> None:
        #: By program: whether it has frags, and its expected_attach_type.
        self._loaded: dict[int, tuple[bool, int]] = {}
        #: By link: where its device is.
        self._places: dict[int, tuple[int, int]] = {}
        for line in lines(XDP_RECORDS):
            made = json.loads(line)
            if made["what"] == "prog":
                self._loaded[made["id"]] = made["frags"], made["expected_attach_type"]
            else:
                self._places[made["id"]] = made["netns"], made["ifindex"]
        self._kept = {
            (int(inum), int(ifindex)) for inum, ifindex in map(str.split, lines(KEEP))
        }
        self._opened: dict[int, int] = {}
        self._links: dict[int, tuple[LinkInfo, int]] = {}
        for link_id in list(link_ids()):
            fd = open_link(link_id)
            info = link_info(fd)
            if info is None:
                os.close(fd)
            else:
                self._links[link_id] = info, fd

    def is_kept(self, inum: int, ifindex: int) -> bool:
        """Return whether the scene forbids replacing a program there."""
        return (inum, ifindex) in self._kept

    def attached(self, inum: int, device: Device) -> list[Attached]:
        """Return what the scene has attached to a device."""
        found = []
        for mode, number in device.xdp.items():
            if number not in self._opened:
                self._opened[number] = open_program(number)
            frags, attach_type = self._loaded.get(number, (False, 0))
            program = Program(number, self._opened[number], "", frags, attach_type)
            link = self._link_of(inum, device.ifindex, number)
            found.append(Attached(mode, program, link, number in self._loaded))
        return found

    def _link_of(self, inum: int, ifindex: int, prog_id: int) -> tuple[int, int] | None:
        """Find a link: the kernel tells its ifindex, the scene's records its netns."""
        for link_id, (info, fd) in self._links.items():
            place = self._places.get(link_id)
            if info.prog_id == prog_id and place == (inum, ifindex):
                return link_id, fd
        return None
