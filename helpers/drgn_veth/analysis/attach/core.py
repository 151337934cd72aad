# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel would answer to an XDP attach
---------------------------------------------

The kernel's own decisions, in the kernel's order, as lists: one entry a decision. Pure
functions of a Snapshot; all numbers that are compared are the target's.

Follows do_setlink() (net/core/rtnetlink.c), bpf_xdp_link_attach(),
bpf_xdp_link_update(), dev_xdp_attach(), dev_xdp_install() and generic_xdp_install()
(net/core/dev.c). The drivers' own decisions are in
:mod:`drgn_veth.analysis.attach.drivers`;
:mod:`drgn_veth.analysis.attach.predictor` asks them all.
"""

from typing import Iterator, List, Optional, Tuple

from ...model import Device
from .question import (
    DRV,
    HW,
    NOEXIST,
    REPLACE,
    SKB,
    XDP_FLAGS_MASK,
    XDP_FLAGS_MODES,
    Decision,
    Question,
    fix_tcp_data_split,
    memory_provider,
    tcp_data_split,
)

__all__ = (
    "CHECKS",
    "CORE",
    "GENERIC",
    "INSTALL",
    "LINK",
    "NETLINK",
    "NO_OPERATION",
    "UPDATE",
)

_BPF_XDP_DEVMAP = 33
_BPF_XDP_CPUMAP = 35

### do_setlink() and dev_change_xdp_fd(): only netlink comes this way.


def _unknown_flags(q: Question) -> Optional[str]:
    if q.flags & ~XDP_FLAGS_MASK:
        return f"flags {q.flags:#x} have bits beyond XDP_FLAGS_MASK"
    return None


def _many_modes(q: Question) -> Optional[str]:
    if bin(q.flags & XDP_FLAGS_MODES).count("1") > 1:
        return f"flags {q.flags:#x} name more than one mode"
    return None


def _replace_nothing(q: Question) -> Optional[str]:
    if q.flags & REPLACE and q.expected is None:
        return "XDP_FLAGS_REPLACE is set, and IFLA_XDP_EXPECTED_FD is not given"
    return None


def _offloaded_in_skb(q: Question) -> Optional[str]:
    if q.program and q.mode == SKB and q.need_program("offload_requested"):
        return "the program was loaded to be offloaded, and generic mode is asked for"
    return None


NETLINK: Tuple[Decision, ...] = (
    Decision("flags", "do_setlink", "EINVAL", None, _unknown_flags),
    Decision("flags-modes", "do_setlink", "EINVAL", None, _many_modes),
    Decision("flags-replace", "do_setlink", "EINVAL", None, _replace_nothing),
    Decision("offloaded", "bpf_prog_get_type_dev", "EINVAL", None, _offloaded_in_skb),
)

#: Decisions of bpf_xdp_link_attach() alone: it has none.
LINK: Tuple[Decision, ...] = ()

### dev_xdp_attach()


def _link_flags(q: Question) -> Optional[str]:
    if q.via == "link" and q.flags & ~XDP_FLAGS_MODES:
        return f"flags {q.flags:#x} of a link have bits that are no mode"
    return None


def _ambiguous(q: Question) -> Optional[str]:
    if q.flags & XDP_FLAGS_MODES:
        return None
    count = q.program_count(q.device)
    if count > 1:
        return f"no mode is given, and {q.name} has {count} programs"
    return None


def _link_in_place(q: Question) -> Optional[str]:
    current = q.current()
    if current is not None and current.via == "link":
        return f"{q.name} has {q.words(current)} in {q.mode} mode, held by a BPF link"
    return None


def _upper(q: Question) -> Optional[str]:
    for upper in q.uppers():
        count = q.program_count(upper)
        if count:
            return (
                f"{q.name_of(upper.ref)}, which is above {q.name}, has {count} XDP "
                f"program{'s' if count > 1 else ''}"
            )
    return None


def _programmed_uppers(q: Question) -> List[Device]:
    # From the top down: a device cannot be detached from while one above it has a
    # program.
    found: List[Device] = []
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


def _fix_upper(q: Question) -> Tuple[str, ...]:
    commands: List[str] = []
    for upper in _programmed_uppers(q):
        commands.extend(q.fixes.detach_all(upper))
    return tuple(commands)


def _all_modes(device: Device) -> Iterator[Tuple[int, str]]:
    for mode in (SKB, DRV, HW):
        yield device.net_device, mode


def _detaches_uppers(q: Question) -> Iterator[Tuple[int, str]]:
    for upper in _programmed_uppers(q):
        yield from _all_modes(upper)


def _detaches_current(q: Question) -> Iterator[Tuple[int, str]]:
    yield q.device.net_device, q.mode


def _program_in_place(q: Question) -> Optional[str]:
    current = q.current()
    if q.via == "link" and current is not None:
        return f"{q.name} has {q.words(current)} in {q.mode} mode, attached by netlink"
    return None


def _not_expected(q: Question) -> Optional[str]:
    if not q.flags & REPLACE:
        return None
    current = q.current()
    have = 0 if current is None else q.need(current.id, "id of its program")
    if have != q.expected:
        return f"{q.name} has program {have} in {q.mode} mode, not {q.expected}"
    return None


def _exists(q: Question) -> Optional[str]:
    current = q.current()
    if q.program and q.flags & NOEXIST and current is not None:
        return f"{q.name} has {q.words(current)} in {q.mode} mode"
    return None


def _fix_current(q: Question) -> Tuple[str, ...]:
    current = q.current()
    return () if current is None else q.fixes.detach(q.device.ref, q.mode, current)


CORE: Tuple[Decision, ...] = (
    Decision(
        "link-flags",
        "dev_xdp_attach",
        "EINVAL",
        "Invalid XDP flags for BPF link attachment",
        _link_flags,
    ),
    Decision(
        "one-mode",
        "dev_xdp_attach",
        "EINVAL",
        "Only one XDP mode flag can be set",
        _many_modes,
    ),
    Decision(
        "ambiguous",
        "dev_xdp_attach",
        "EINVAL",
        "More than one program loaded, unset mode is ambiguous",
        _ambiguous,
    ),
    Decision(
        "link-in-place",
        "dev_xdp_attach",
        "EBUSY",
        "Can't replace active BPF XDP link",
        _link_in_place,
        _fix_current,
        _detaches_current,
    ),
    Decision(
        "upper",
        "dev_xdp_attach",
        "EEXIST",
        "Cannot attach when an upper device already has a program",
        _upper,
        _fix_upper,
        _detaches_uppers,
    ),
    Decision(
        "program-in-place",
        "dev_xdp_attach",
        "EBUSY",
        "Can't replace active XDP program with BPF link",
        _program_in_place,
        _fix_current,
        _detaches_current,
    ),
    Decision(
        "not-expected",
        "dev_xdp_attach",
        "EEXIST",
        "Active program does not match expected",
        _not_expected,
    ),
    Decision(
        "exists",
        "dev_xdp_attach",
        "EBUSY",
        "XDP program already attached",
        _exists,
        _fix_current,
        _detaches_current,
    ),
)

### What is asked of a program: in dev_xdp_attach(), or in dev_xdp_install().


def _other_mode(q: Question) -> Optional[str]:
    if not q.program or q.mode == HW:
        return None
    other = DRV if q.mode == SKB else SKB
    current = q.current(other)
    if current is not None:
        return f"{q.name} has {q.words(current)} in {other} mode"
    return None


def _fix_other_mode(q: Question) -> Tuple[str, ...]:
    other = DRV if q.mode == SKB else SKB
    current = q.current(other)
    return () if current is None else q.fixes.detach(q.device.ref, other, current)


def _detaches_other_mode(q: Question) -> Iterator[Tuple[int, str]]:
    yield q.device.net_device, DRV if q.mode == SKB else SKB


def _offload_without_hw(q: Question) -> Optional[str]:
    if q.program and q.mode != HW and q.need_program("offload_requested"):
        return f"the program was loaded to be offloaded, and {q.mode} mode is asked for"
    return None


def _other_device(q: Question) -> Optional[str]:
    if not q.program or not q.need_program("dev_bound"):
        return None
    bound_to = q.need_program("bound_to")
    if bound_to != q.device.net_device:
        there = q.by_address.get(bound_to)
        other = "a device that is gone" if there is None else q.name_of(there.ref)
        return f"the program was loaded for {other}, not for {q.name}"
    return None


def _bound_in_skb(q: Question) -> Optional[str]:
    if q.program and q.mode == SKB and q.need_program("dev_bound"):
        return "the program was loaded for one device, and generic mode is asked for"
    return None


def _devmap(q: Question) -> Optional[str]:
    if q.program and q.need_program("expected_attach_type") == _BPF_XDP_DEVMAP:
        return "the program's expected_attach_type is BPF_XDP_DEVMAP"
    return None


def _cpumap(q: Question) -> Optional[str]:
    if q.program and q.need_program("expected_attach_type") == _BPF_XDP_CPUMAP:
        return "the program's expected_attach_type is BPF_XDP_CPUMAP"
    return None


CHECKS: Tuple[Decision, ...] = (
    Decision(
        "other-mode",
        "dev_xdp_attach",
        "EEXIST",
        "Native and generic XDP can't be active at the same time",
        _other_mode,
        _fix_other_mode,
        _detaches_other_mode,
    ),
    # Since Linux kernel commit 2b3486bc2d23 ("bpf: Introduce device-bound XDP
    # programs") (in v6.3), a program may be bound to a device and not offloaded.
    # Before, the message is the first one, and says what is the second one now.
    Decision(
        "offload-without-hw-old",
        "dev_xdp_attach",
        "EINVAL",
        "Using device-bound program without HW_MODE flag is not supported",
        _offload_without_hw,
    ),
    Decision(
        "offload-without-hw",
        "dev_xdp_attach",
        "EINVAL",
        "Using offloaded program without HW_MODE flag is not supported",
        _offload_without_hw,
    ),
    Decision(
        "other-device",
        "dev_xdp_attach",
        "EINVAL",
        "Program bound to different device",
        _other_device,
    ),
    Decision(
        "bound-in-skb",
        "dev_xdp_attach",
        "EINVAL",
        "Can't attach device-bound programs in generic mode",
        _bound_in_skb,
    ),
    Decision(
        "devmap",
        "dev_xdp_attach",
        "EINVAL",
        "BPF_XDP_DEVMAP programs can not be attached to a device",
        _devmap,
    ),
    Decision(
        "cpumap",
        "dev_xdp_attach",
        "EINVAL",
        "BPF_XDP_CPUMAP programs can not be attached to a device",
        _cpumap,
    ),
)


def _no_operation(q: Question) -> Optional[str]:
    if q.mode != SKB and not q.need(q.device.driver.ndo_bpf, f"ndo_bpf of {q.name}"):
        driver = q.driver_name
        of_it = "its driver has" if driver is None else f"its driver {driver} has"
        return f"{of_it} no ndo_bpf; generic mode does not need it"
    return None


NO_OPERATION: Tuple[Decision, ...] = (
    Decision(
        "no-operation",
        "dev_xdp_attach",
        "EOPNOTSUPP",
        "Underlying driver does not support XDP in native mode",
        _no_operation,
    ),
)

### dev_xdp_install()


INSTALL: Tuple[Decision, ...] = (
    Decision(
        "tcp-data-split",
        "dev_xdp_install",
        "EBUSY",
        "unable to install XDP to device using tcp-data-split",
        tcp_data_split,
        fix_tcp_data_split,
    ),
    Decision(
        "memory-provider",
        "dev_xdp_install",
        "EBUSY",
        "unable to install XDP to device using memory provider",
        memory_provider,
    ),
)


def _program_maps(q: Question) -> Optional[str]:
    if q.program and q.need_program("program_maps"):
        return "the program uses a DEVMAP or CPUMAP whose entries may have programs"
    return None


#: generic_xdp_install(), up to v5.14.
GENERIC: Tuple[Decision, ...] = (
    Decision("program-maps", "generic_xdp_install", "EINVAL", None, _program_maps),
)

### bpf_xdp_link_update()


def _wrong_old_program(q: Question) -> Optional[str]:
    current = q.current()
    if q.expected is None or current is None:
        return None
    have = q.need(current.id, "id of its program")
    if have != q.expected:
        return f"the link holds program {have}, not {q.expected}"
    return None


def _other_type(q: Question) -> Optional[str]:
    current = q.current()
    if current is None or q.program is None:
        return None
    have = q.need(current.expected_attach_type, "expected_attach_type of its program")
    want = q.need_program("expected_attach_type")
    if have != want:
        return f"expected_attach_type is {want}, that of the link's program is {have}"
    return None


UPDATE: Tuple[Decision, ...] = (
    Decision(
        "wrong-old-program", "bpf_xdp_link_update", "EPERM", None, _wrong_old_program
    ),
    Decision("other-type", "bpf_xdp_link_update", "EINVAL", None, _other_type),
)
