# SPDX-License-Identifier: LGPL-2.1-or-later
"""dev_xdp_attach() (net/core/dev.c)."""

from collections.abc import Iterator
from typing import Optional

from ....core import messages
from ....core.english import count
from ....core.uapi import (
    BPF_XDP_CPUMAP,
    BPF_XDP_DEVMAP,
    XDP_FLAGS_MODES,
    XDP_FLAGS_REPLACE,
    XDP_FLAGS_UPDATE_IF_NOEXIST,
)
from ....model import Device, DeviceRef, Kernel, XdpProgram
from ...names import name_of
from ...need import CannotTell, need, need_of
from ...remedies import Remedy
from ..decision import Decision, all_modes
from ..question import DRV, HW, SKB, Question
from ..uppers import programs_above
from .netlink import many_modes

__all__ = ("CHECKS", "CORE", "NO_OPERATION")


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
    ),
    Decision(
        "one-mode",
        "dev_xdp_attach",
        "EINVAL",
        messages.ONE_MODE,
        many_modes,
    ),
    Decision(
        "ambiguous",
        "dev_xdp_attach",
        "EINVAL",
        messages.AMBIGUOUS,
        _ambiguous,
        in_kernel=_types_do_not_tell,
    ),
    Decision(
        "link-in-place",
        "dev_xdp_attach",
        "EBUSY",
        messages.LINK_IN_PLACE,
        _link_in_place,
        _fix_current,
        _detaches_current,
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
    ),
    Decision(
        "program-in-place",
        "dev_xdp_attach",
        "EBUSY",
        messages.PROGRAM_IN_PLACE,
        _program_in_place,
        _fix_current,
        _detaches_current,
    ),
    Decision(
        "not-expected",
        "dev_xdp_attach",
        "EEXIST",
        messages.NOT_EXPECTED,
        _not_expected,
    ),
    Decision(
        "exists",
        "dev_xdp_attach",
        "EBUSY",
        messages.EXISTS,
        _exists,
        _fix_current,
        _detaches_current,
    ),
)

### Checks of the program: in dev_xdp_attach(), or in dev_xdp_install().


def _other(q: Question) -> str:
    return DRV if q.mode == SKB else SKB


def _other_mode(q: Question) -> Optional[str]:
    if not q.program or q.mode == HW:
        return None
    other = _other(q)
    current = q.current(other)
    if current is not None:
        return f"{q.name} has {q.words(current)} in {other} mode"
    return None


def _fix_other_mode(q: Question) -> Remedy:
    return q.detaches(_other(q))


def _detaches_other_mode(q: Question) -> Iterator[tuple[int, str]]:
    yield q.device.net_device, _other(q)


def _offload_without_hw(q: Question) -> Optional[str]:
    if q.program and q.mode != HW and q.need_program("offload_requested"):
        return f"the program was loaded for offload, but {q.mode} mode was requested"
    return None


def _other_device(q: Question) -> Optional[str]:
    if not q.program or not q.need_program("dev_bound"):
        return None
    bound_to = q.need_program("bound_to")
    if bound_to != q.device.net_device:
        there = q.by_address.get(bound_to)
        other = "a device that is gone" if there is None else name_of(there)
        return f"the program was loaded for {other}, not for {q.name}"
    return None


def _bound_in_skb(q: Question) -> Optional[str]:
    if q.program and q.mode == SKB and q.need_program("dev_bound"):
        return "the program is bound to a device, but generic mode was requested"
    return None


def _devmap(q: Question) -> Optional[str]:
    if q.program and q.need_program("expected_attach_type") == BPF_XDP_DEVMAP:
        return "the program's expected_attach_type is BPF_XDP_DEVMAP"
    return None


def _cpumap(q: Question) -> Optional[str]:
    if q.program and q.need_program("expected_attach_type") == BPF_XDP_CPUMAP:
        return "the program's expected_attach_type is BPF_XDP_CPUMAP"
    return None


def _knows_bound_programs(kernel: Kernel) -> Optional[bool]:
    return kernel.dev_bound


CHECKS: tuple[Decision, ...] = (
    Decision(
        "other-mode",
        "dev_xdp_attach",
        "EEXIST",
        messages.OTHER_MODE,
        _other_mode,
        _fix_other_mode,
        _detaches_other_mode,
    ),
    # Since Linux kernel commit 2b3486bc2d23 ("bpf: Introduce device-bound XDP
    # programs") (in v6.3), a program may be bound to a device and not offloaded.
    # Before, the message is the first one, with the meaning that the second one has
    # now.
    Decision(
        "offload-without-hw-old",
        "dev_xdp_attach",
        "EINVAL",
        messages.OFFLOAD_WITHOUT_HW_OLD,
        _offload_without_hw,
        in_kernel=lambda kernel: not kernel.dev_bound,
    ),
    Decision(
        "offload-without-hw",
        "dev_xdp_attach",
        "EINVAL",
        messages.OFFLOAD_WITHOUT_HW,
        _offload_without_hw,
        in_kernel=_knows_bound_programs,
    ),
    Decision(
        "other-device",
        "dev_xdp_attach",
        "EINVAL",
        messages.OTHER_DEVICE,
        _other_device,
        in_kernel=_knows_bound_programs,
    ),
    Decision(
        "bound-in-skb",
        "dev_xdp_attach",
        "EINVAL",
        messages.BOUND_IN_SKB,
        _bound_in_skb,
        in_kernel=_knows_bound_programs,
    ),
    Decision(
        "devmap",
        "dev_xdp_attach",
        "EINVAL",
        messages.DEVMAP,
        _devmap,
    ),
    Decision(
        "cpumap",
        "dev_xdp_attach",
        "EINVAL",
        messages.CPUMAP,
        _cpumap,
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
    ),
)
