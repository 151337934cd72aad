# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests to attach, replace, update and detach, and the kernel's answers."""

from __future__ import annotations

import os

from bpf import BPF_F_REPLACE, MODES, create_link, detach_link, object_id, update_link
from devices import Device, Reply
from tracepoint import FailedLinks

from .kernel import Kernel, ProberError
from .loaded import Loaded, Program

__all__ = ("XDP_FLAGS_UPDATE_IF_NOEXIST", "Requests")

XDP_FLAGS_UPDATE_IF_NOEXIST = 1


class Requests:
    """Asks about one device at a time, and records each answer."""

    def __init__(self, kernel: Kernel, loaded: Loaded, failed: FailedLinks) -> None:
        self.kernel = kernel
        self.loaded = loaded
        self.failed = failed
        self.answers: list[dict[str, object]] = []
        self.skipped: list[dict[str, object]] = []
        self.device = Device(0, "", None, 0, 0, 0, 0, {})

    def about(self, inum: int, device: Device) -> None:
        """Ask about this device from now on."""
        self.kernel.enter(inum)
        self.device = device

    # Answers

    def _where(self) -> dict[str, object]:
        return {
            "netns": self.kernel.inum,
            "ifindex": self.device.ifindex,
            "name": self.device.name,
        }

    def _note(
        self,
        op: str,
        via: str,
        mode: str,
        program: Program | None,
        flags: int,
        reply: Reply,
        *,
        link: int | None = None,
        own: Program | None = None,
        expected: str | None = None,
        traced: str | None = None,
    ) -> bool:
        """Record an answer, and return whether the kernel accepted."""
        answer: dict[str, object] = {
            **self._where(),
            "op": op,
            "via": via,
            "mode": mode,
            "frags": program is not None and program.frags,
            "flags": flags,
            "program": None if program is None else program.id,
            "link": link,
            "own": own is not None,
            "current": None if own is None else own.id,
            "expected": expected,
            "errno": reply.errno,
            "message": reply.message,
            "traced": traced,
        }
        loaded = program is None or program.fd is not None
        if not loaded:
            answer["function"] = "bpf_prog_load"
        self.answers.append(answer)
        return loaded and reply.errno == 0

    def skip(self, op: str, reason: str) -> None:
        """Record that a question is not asked."""
        self.skipped.append({**self._where(), "op": op, "reason": reason})

    def failure(self, what: str, reply: Reply | None = None) -> ProberError:
        """Return an error about the current device."""
        said = "" if reply is None else f": {reply.errno} {reply.message}"
        return ProberError(f"{self.kernel.inum} {self.device.name!r}: {what}{said}")

    def programs_now(self) -> dict[str, int]:
        """Return the ids of the programs attached now, by mode."""
        return dict(self.kernel.route.device(self.device.ifindex).xdp)

    def check(self) -> None:
        """Raise ProberError unless the device has the programs that it had."""
        now = self.programs_now()
        if now != self.device.xdp:
            raise self.failure(f"has the programs {now}, had {self.device.xdp}")

    # Single requests

    def set_xdp(self, mode: str, fd: int) -> None:
        """Put a program of the scene back. This is not a question."""
        reply = self.kernel.route.set_xdp(self.device.ifindex, fd, MODES[mode])
        if reply.errno:
            raise self.failure("the program cannot be put back", reply)

    def netlink(
        self,
        op: str,
        mode: str,
        program: Program | None,
        flags: int,
        expected: str | None = None,
        expected_fd: int | None = None,
        own: Program | None = None,
    ) -> bool:
        """Ask by netlink, and return whether the kernel accepted."""
        if program is not None and program.fd is None:
            refused = Reply(program.load_errno, None)
            return self._note(op, "netlink", mode, program, flags, refused)
        fd = -1 if program is None or program.fd is None else program.fd
        reply = self.kernel.route.set_xdp(self.device.ifindex, fd, flags, expected_fd)
        return self._note(
            op, "netlink", mode, program, flags, reply, expected=expected, own=own
        )

    def update(
        self,
        mode: str,
        link: tuple[int, int],
        program: Program,
        own: Program | None = None,
        expected: str | None = None,
        old: Program | None = None,
    ) -> bool:
        """Ask to update a link, and return whether the kernel accepted."""
        flags = 0 if old is None else BPF_F_REPLACE
        if program.fd is None:
            reply = Reply(program.load_errno, None)
        else:
            reply = Reply(0, None)
            try:
                update_link(link[1], program.fd, None if old is None else old.fd)
            except OSError as e:
                reply = Reply(e.errno or 0, None)
        return self._note(
            "update",
            "link",
            mode,
            program,
            flags,
            reply,
            link=link[0],
            own=own,
            expected=expected,
        )

    # Requests, and what undoes them

    def attach_netlink(self, op: str, mode: str, program: Program, flags: int) -> None:
        """Ask to attach by netlink, and detach again."""
        if not self.netlink(op, mode, program, flags):
            return
        if not self.netlink("detach", mode, None, MODES[mode], own=program):
            raise self.failure("what was attached cannot be detached")
        self.check()

    def attach_link(self, op: str, mode: str, program: Program, flags: int) -> None:
        """Ask for a link, update it, detach it, and try to update it once more."""
        if program.fd is None:
            refused = Reply(program.load_errno, None)
            self._note(op, "link", mode, program, flags, refused)
            return
        try:
            fd = create_link(program.fd, self.device.ifindex, flags)
        except OSError as e:
            refused = Reply(e.errno or 0, None)
            traced = self.failed.read()
            self._note(op, "link", mode, program, flags, refused, traced=traced)
            return
        link = object_id(fd), fd
        self._note(op, "link", mode, program, flags, Reply(0, None))
        now = program
        of_other_size = self.loaded.plain if program.frags else self.loaded.with_frags
        for other in (of_other_size, self.loaded.devmap):
            if self.update(mode, link, other, own=now):
                now = other
        reply = Reply(0, None)
        try:
            detach_link(fd)
        except OSError as e:
            reply = Reply(e.errno or 0, None)
        self._note("link_detach", "link", mode, None, 0, reply, link=link[0], own=now)
        self.update(mode, link, program, own=now)
        os.close(fd)
        self.check()

    def attach(self, mode: str, program: Program) -> None:
        """Ask to attach, by netlink and by link."""
        bit = MODES[mode]
        noexist = XDP_FLAGS_UPDATE_IF_NOEXIST | bit
        self.attach_netlink("attach", mode, program, noexist)
        self.attach_link("attach", mode, program, bit)
