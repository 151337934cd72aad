# SPDX-License-Identifier: LGPL-2.1-or-later
"""dev_xdp_attach() (net/core/dev.c)."""

from collections.abc import Iterator
from typing import Optional

from ....core import messages
from ....core.english import count
from ....core.uapi import (
    XDP_FLAGS_MODES,
    XDP_FLAGS_REPLACE,
    XDP_FLAGS_UPDATE_IF_NOEXIST,
)
from ....model import Device, DeviceRef, Kernel, XdpProgram
from ...names import name_of
from ...need import CannotTell, need, need_of
from ...remedies import Remedy
from ..decision import Decision, all_modes
from ..question import SKB, Question
from ..uppers import programs_above
from .netlink import many_modes

__all__ = ("CORE", "NO_OPERATION")


def _link_flags(q: Question) -> Optional[str]:
    if q.via == "link" and q.flags & ~XDP_FLAGS_MODES:
        return f"flags {q.flags:#x} of a link contain more than a mode"
    return None


def _ambiguous(q: Question) -> Optional[str]:
    if q.flags & XDP_FLAGS_MODES:
        return None
    programs = q.program_count(q.device)
    if programs > 1:
        return f"no mode was given, and {q.name} has {programs} programs"
    return None


def _link_in_place(q: Question) -> Optional[str]:
    current = q.current()
    if current is not None and current.via == "link":
        return f"{q.name} has {q.words(current)} in {q.mode} mode, held by a BPF link"
    return None


def _upper(q: Question) -> Optional[str]:
    need(q.device.uppers, f"devices above {q.name}")
    above = list(programs_above(q.device, q.by_address, q.gone))
    known = [one.upper for one in above if isinstance(one.program, XdpProgram)]
    if known:
        programs = count(known.count(known[0]), "XDP program")
        return f"{name_of(known[0])}, an upper device of {q.name}, has {programs}"
    for one in above:
        if isinstance(one.upper, DeviceRef):
            q.device_at(one.upper)
        else:
            need_of(one.upper, one.program, f"{one.mode} program")
    return None


def _programmed_uppers(q: Question) -> list[Device]:
    # From the top down: the kernel refuses to detach a device's program while an upper
    # device has one.
    found: list[Device] = []
    seen = {q.device.net_device}

    def visit(device: Device) -> None:
        for upper in q.uppers(device):
            if upper.net_device not in seen:
                seen.add(upper.net_device)
                if q.program_count(upper):
                    visit(upper)
                    found.append(upper)

    visit(q.device)
    return found


def _known_uppers(q: Question) -> list[Device]:
    try:
        return _programmed_uppers(q)
    except CannotTell:
        return []


def _fix_upper(q: Question) -> Remedy:
    commands: list[str] = []
    for upper in _known_uppers(q):
        detach = q.fixes.detach_all(upper)
        if not detach:
            return Remedy()  # It would stay and still refuse.
        commands.extend(detach)
    return Remedy(tuple(commands))


def _detaches_uppers(q: Question) -> Iterator[tuple[int, str]]:
    for upper in _known_uppers(q):
        yield from all_modes(upper)


def _detaches_current(q: Question) -> Iterator[tuple[int, str]]:
    yield q.device.net_device, q.mode


def _program_in_place(q: Question) -> Optional[str]:
    current = q.current()
    if q.via == "link" and current is not None:
        return f"{q.name} has {q.words(current)} in {q.mode} mode, attached by netlink"
    return None


def _not_expected(q: Question) -> Optional[str]:
    if not q.flags & XDP_FLAGS_REPLACE:
        return None
    current = q.current()
    have = 0 if current is None else need(current.id, "id of its program")
    if have != q.expected:
        return f"{q.name} has program {have} in {q.mode} mode, not {q.expected}"
    return None


def _exists(q: Question) -> Optional[str]:
    current = q.current()
    if q.program and q.flags & XDP_FLAGS_UPDATE_IF_NOEXIST and current is not None:
        return f"{q.name} has {q.words(current)} in {q.mode} mode"
    return None


def _fix_current(q: Question) -> Remedy:
    return q.detaches(q.mode)


def _types_do_not_tell(kernel: Kernel) -> Optional[bool]:
    return None


CORE: tuple[Decision, ...] = (
    Decision(
        "link-flags",
        "dev_xdp_attach",
        "EINVAL",
        messages.LINK_FLAGS,
        _link_flags,
        compares="the flags of a BPF link: only a mode may be set",
        mend="use a mode alone in the flags of BPF_LINK_CREATE",
    ),
    Decision(
        "one-mode",
        "dev_xdp_attach",
        "EINVAL",
        messages.ONE_MODE,
        many_modes,
        compares="the flags of the request: at most one mode may be set",
        mend="give one mode",
    ),
    Decision(
        "ambiguous",
        "dev_xdp_attach",
        "EINVAL",
        messages.AMBIGUOUS,
        _ambiguous,
        in_kernel=_types_do_not_tell,
        compares=(
            "how many programs the device has, if the request has no mode: two or more "
            "are ambiguous"
        ),
        mend="give a mode: xdpgeneric, xdpdrv or xdpoffload",
        kernels="since v5.10",
        modes=("default",),
    ),
    Decision(
        "link-in-place",
        "dev_xdp_attach",
        "EBUSY",
        messages.LINK_IN_PLACE,
        _link_in_place,
        _fix_current,
        _detaches_current,
        compares=(
            "whether a BPF link holds the program of this mode: netlink cannot replace "
            "or detach it, nor can another link"
        ),
        mend=(
            "stop the process that holds the link, remove its pin, or: bpftool link "
            "detach id LINK. Its owner can replace the program with BPF_LINK_UPDATE"
        ),
    ),
    Decision(
        "upper",
        "dev_xdp_attach",
        "EEXIST",
        messages.UPPER,
        _upper,
        _fix_upper,
        _detaches_uppers,
        in_kernel=_types_do_not_tell,
        compares=(
            "whether a device directly above this one (bond, bridge, VLAN, macvlan...) "
            "has an XDP program in any mode"
        ),
        mend="detach the program of the upper device",
        kernels="since v5.15",
    ),
    Decision(
        "program-in-place",
        "dev_xdp_attach",
        "EBUSY",
        messages.PROGRAM_IN_PLACE,
        _program_in_place,
        _fix_current,
        _detaches_current,
        compares=(
            "whether netlink attached a program in this mode: a BPF link does not "
            "replace it"
        ),
        mend="detach it: ip link set dev DEVICE xdpgeneric off, or xdpdrv off",
    ),
    Decision(
        "not-expected",
        "dev_xdp_attach",
        "EEXIST",
        messages.NOT_EXPECTED,
        _not_expected,
        compares=(
            "the program that is attached with the one that the caller says it "
            "replaces (IFLA_XDP_EXPECTED_FD)"
        ),
        mend="check which program is attached, and name that one",
    ),
    Decision(
        "exists",
        "dev_xdp_attach",
        "EBUSY",
        messages.EXISTS,
        _exists,
        _fix_current,
        _detaches_current,
        compares=(
            "whether a program is attached in this mode, if the request replaces "
            "nothing (XDP_FLAGS_UPDATE_IF_NOEXIST, as ip and bpftool set it)"
        ),
        mend=(
            "replace it: ip -force link set dev DEVICE ..., or bpftool net attach ... "
            "overwrite; or detach it first"
        ),
    ),
)


def _no_operation(q: Question) -> Optional[str]:
    if q.mode != SKB and not need_of(q.device, q.device.driver.ndo_bpf, "ndo_bpf"):
        driver = q.driver_name
        of_it = "its driver has" if driver is None else f"its driver {driver} has"
        return f"{of_it} no ndo_bpf; generic mode does not need it"
    return None


NO_OPERATION: tuple[Decision, ...] = (
    Decision(
        "no-operation",
        "dev_xdp_attach",
        "EOPNOTSUPP",
        messages.NO_OPERATION,
        _no_operation,
        compares=(
            "whether the driver has ndo_bpf: without it, there is no native XDP and no "
            "offload. An attach without a mode is a generic one then, and is not "
            "refused"
        ),
        mend="use generic mode: ip link set dev DEVICE xdpgeneric obj FILE",
        modes=("driver", "offload"),
    ),
)
