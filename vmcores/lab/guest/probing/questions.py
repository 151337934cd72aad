# SPDX-License-Identifier: LGPL-2.1-or-later
"""The questions about one device. They put back whatever the scene attached."""

from __future__ import annotations

from collections.abc import Mapping
import errno

from bpf import BPF_XDP, MODES, update_link

from .loaded import Program
from .requests import XDP_FLAGS_UPDATE_IF_NOEXIST, Requests
from .scene import Attached, Scene

__all__ = ("Questions",)

XDP_FLAGS_REPLACE = 16
#: More than one mode; an unknown flag; REPLACE without an expected program.
WRONG_NETLINK_FLAGS = (0x6, 0x20, XDP_FLAGS_REPLACE)
#: A flag of netlink alone; more than one mode; a flag of netlink alone.
WRONG_LINK_FLAGS = (XDP_FLAGS_UPDATE_IF_NOEXIST, 0x6, XDP_FLAGS_REPLACE)


class Questions:
    """All questions about a device."""

    def __init__(
        self, requests: Requests, scene: Scene, max_mtus: Mapping[tuple[int, int], int]
    ) -> None:
        """``max_mtus`` are those before the first question."""
        self._requests = requests
        self._kernel = requests.kernel
        self._loaded = requests.loaded
        self._scene = scene
        self._max_mtus = max_mtus

    def attaches(self) -> None:
        """Ask for an attach in every mode, with and without frags."""
        for mode in MODES:
            for program in self._loaded.plain, self._loaded.with_frags:
                self._requests.attach(mode, program)

    def specials(self, also_taken: bool) -> None:
        """Ask with programs and flags that no device accepts, and with a program of
        another expected_attach_type that all accept.
        """
        requests, loaded = self._requests, self._loaded
        programs = [loaded.devmap, loaded.cpumap]
        if also_taken:
            programs.append(loaded.eat37)
        for program in programs:
            for mode in MODES:
                requests.attach(mode, program)
        for flags in WRONG_NETLINK_FLAGS:
            requests.netlink("flags", "default", loaded.plain, flags)
            requests.check()
        for flags in WRONG_LINK_FLAGS:
            requests.attach_link("flags", "default", loaded.plain, flags)

    def replaces(self) -> None:
        """Ask to replace the programs that the scene attached."""
        inum, device = self._kernel.inum, self._requests.device
        for attached in self._scene.attached(inum, device):
            self._replaces(attached, self._scene.is_kept(inum, device.ifindex))

    def _replaces(self, attached: Attached, kept: bool) -> None:
        requests = self._requests
        mode, program = attached.mode, attached.program
        alike, unlike = self._loaded.plain, self._loaded.with_frags
        if program.frags:
            alike, unlike = unlike, alike
        elif program.attach_type == BPF_XDP:
            # A link accepts only programs of one expected_attach_type.
            alike = self._loaded.eat37
        keep = kept or not attached.known
        reason = "nothing may be replaced here"
        safe, refused_early = not keep, False
        self._leaves_alone(attached, alike)
        # One like it first: if the kernel accepts that, it will accept the old one
        # again.
        if safe:
            if attached.link:
                safe = requests.update(mode, attached.link, alike)
            else:
                safe = requests.netlink("replace", mode, alike, MODES[mode])
            # The kernel returns EEXIST before it asks the driver, also for a detach.
            refused_early = requests.answers[-1]["errno"] == errno.EEXIST
            if safe:
                self._put_back(attached)
            else:
                reason = "it could not be put back"
        if attached.link:
            self._updates(attached, attached.link, alike, unlike, safe, reason)
        for asked, bit in MODES.items():
            into = self._resolves(asked, attached) and not attached.link
            for other in alike, unlike:
                if other is alike and asked == mode and not keep and not attached.link:
                    continue  # That was the first.
                lasting = other is unlike and not safe and not refused_early
                if into and (keep or lasting):
                    requests.skip("replace", reason)
                elif requests.netlink("replace", asked, other, bit):
                    self._put_back(attached)
            if into and keep:
                requests.skip("replace", reason)
            elif self._names_old(asked, alike, program, "current"):
                self._put_back(attached)
        may_detach = safe or attached.link is not None or refused_early
        for asked, bit in MODES.items():
            if self._resolves(asked, attached) and not may_detach:
                requests.skip("detach", reason)
                continue
            requests.netlink("detach", asked, None, bit)
            if requests.programs_now() != requests.device.xdp:
                self._attach_again(attached)

    def _leaves_alone(self, attached: Attached, alike: Program) -> None:
        """Ask what the kernel answers without touching the program."""
        requests, program = self._requests, attached.program
        for asked, bit in MODES.items():
            for flags in bit, bit | XDP_FLAGS_UPDATE_IF_NOEXIST:
                if requests.netlink("replace", asked, program, flags):
                    requests.check()
            if self._names_old(asked, alike, alike, "other"):
                raise requests.failure("another expected program was taken for this")
            requests.netlink("replace", asked, self._loaded.devmap, bit)
            requests.check()

    def _names_old(
        self, asked: str, program: Program, old: Program, expected: str
    ) -> bool:
        """Ask to replace a program that the request names."""
        flags = MODES[asked] | XDP_FLAGS_REPLACE
        return self._requests.netlink(
            "replace", asked, program, flags, expected=expected, expected_fd=old.fd
        )

    def _resolves(self, asked: str, attached: Attached) -> bool:
        """Return whether a request in this mode may reach the program."""
        return asked in ("default", attached.mode)

    def _updates(
        self,
        attached: Attached,
        link: tuple[int, int],
        alike: Program,
        unlike: Program,
        safe: bool,
        reason: str,
    ) -> None:
        """Ask to update a link of the scene."""
        requests = self._requests
        mode, program = attached.mode, attached.program
        if requests.update(mode, link, self._loaded.devmap):
            raise requests.failure("a link took a program for a devmap")
        requests.update(mode, link, program)
        if requests.update(mode, link, alike, expected="other", old=alike):
            raise requests.failure("a link took another old program for its own")
        if not safe:
            requests.skip("update", reason)
            return
        if requests.update(mode, link, unlike):
            self._put_back(attached)
        if requests.update(mode, link, alike, expected="current", old=program):
            self._put_back(attached)

    # Putting back

    def _put_back(self, attached: Attached) -> None:
        """Put a program of the scene back."""
        fd = attached.program.fd
        assert fd is not None
        if attached.link:
            try:
                update_link(attached.link[1], fd)
            except OSError as e:
                raise self._requests.failure(
                    f"the link's program cannot be put back: {e}"
                ) from e
        else:
            self._requests.set_xdp(attached.mode, fd)
        self._requests.check()

    def _attach_again(self, attached: Attached) -> None:
        """Put back a program that was detached.

        Up to v7.2 veth computes the peer's max_mtu for the first program only, so what
        is there may come from an earlier one.
        """
        requests = self._requests
        mode, fd, other = attached.mode, attached.program.fd, self._loaded.plain
        assert fd is not None
        requests.set_xdp(mode, fd)
        if mode == "driver" and self._kernel.max_mtus() != self._max_mtus:
            if not attached.program.frags:
                other = self._loaded.with_frags
            if other.fd is None:
                raise requests.failure("the peer's max_mtu cannot be put back")
            for program in -1, other.fd, fd:
                requests.set_xdp(mode, program)
            if self._kernel.max_mtus() != self._max_mtus:
                raise requests.failure("the peer's max_mtu is not put back")
        requests.check()
