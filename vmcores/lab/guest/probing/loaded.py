# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs that the prober asks with. They stay pinned."""

from __future__ import annotations

from dataclasses import dataclass, replace
import os

from bpf import BPF_XDP, load_program, object_id, pin
from libc import mount
from places import BPFFS

__all__ = ("Loaded", "Program")

PINS = BPFFS + "/prober"
BPF_XDP_DEVMAP = 33
BPF_XDP_CPUMAP = 35


@dataclass(frozen=True)
class Program:
    """A program to ask with. Without a descriptor, the kernel refused to load it."""

    id: int | None
    fd: int | None
    name: str
    frags: bool = False
    attach_type: int = 0
    bound_ifindex: int = 0
    bound_netns: int | None = None
    load_errno: int = 0
    pin: str | None = None


class Loaded:
    """All programs; the one that is bound to a device is loaded on demand."""

    def __init__(self, keep: bool = True) -> None:
        """Load the programs; those that are kept stay pinned."""
        self._keep = keep
        os.makedirs(BPFFS, exist_ok=True)
        if not os.path.ismount(BPFFS):
            mount("bpf", BPFFS)
        os.makedirs(PINS, exist_ok=True)
        #: The programs that the kernel accepted.
        self.pinned: list[Program] = []
        self.plain = self._load("ask_plain")
        self.with_frags = self._load("ask_frags", frags=True)
        self.devmap = self._load("ask_devmap", attach_type=BPF_XDP_DEVMAP)
        self.cpumap = self._load("ask_cpumap", attach_type=BPF_XDP_CPUMAP)
        self.eat37 = self._load("ask_eat37", attach_type=BPF_XDP)

    def bound(self, netns: int, ifindex: int) -> Program:
        """Load a program that is bound to a device of the current namespace."""
        return self._load("ask_bound", bound_ifindex=ifindex, bound_netns=netns)

    def _load(
        self,
        name: str,
        frags: bool = False,
        attach_type: int = 0,
        bound_ifindex: int = 0,
        bound_netns: int | None = None,
    ) -> Program:
        program = Program(
            id=None,
            fd=None,
            name=name,
            frags=frags,
            attach_type=attach_type,
            bound_ifindex=bound_ifindex,
        )
        try:
            fd = load_program(name, 2, frags, attach_type, bound_ifindex)
        except OSError as e:
            return replace(program, load_errno=e.errno or 0)
        path = f"{PINS}/{name}" if self._keep else None
        if path is not None:
            pin(fd, path)
        program = replace(
            program, id=object_id(fd), fd=fd, bound_netns=bound_netns, pin=path
        )
        self.pinned.append(program)
        return program
