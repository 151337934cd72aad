# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Checks of the program: in dev_xdp_attach(), or in dev_xdp_install() (net/core/dev.c).
"""

from collections.abc import Iterator
from typing import Optional

from ....core import messages
from ....core.uapi import BPF_XDP_CPUMAP, BPF_XDP_DEVMAP
from ....model import Kernel
from ...names import name_of
from ...remedies import Remedy
from ..decision import Decision
from ..question import DRV, HW, SKB, Question

__all__ = ("CHECKS",)


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
        compares=(
            "whether a program is attached in the other of generic and driver "
            "mode: a device cannot have a program in both"
        ),
        mend=(
            "detach it: ip link set dev DEVICE xdpgeneric off, or xdpdrv off; or "
            "replace it in its own mode"
        ),
        modes=("default", "generic", "driver"),
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
        compares=(
            "whether the program was loaded for offload, while another mode is asked "
            "for"
        ),
        mend="attach it with xdpoffload, or load it without a device",
        kernels="before v6.3",
        modes=("default", "generic", "driver"),
    ),
    Decision(
        "offload-without-hw",
        "dev_xdp_attach",
        "EINVAL",
        messages.OFFLOAD_WITHOUT_HW,
        _offload_without_hw,
        in_kernel=_knows_bound_programs,
        compares=(
            "whether the program was loaded for offload, while another mode is asked "
            "for"
        ),
        mend="attach it with xdpoffload, or load it without a device",
        kernels="since v6.3",
        modes=("default", "generic", "driver"),
    ),
    Decision(
        "other-device",
        "dev_xdp_attach",
        "EINVAL",
        messages.OTHER_DEVICE,
        _other_device,
        in_kernel=_knows_bound_programs,
        compares="the device that the program was loaded for with this one",
        mend="load the program for this device",
        kernels="since v6.3",
    ),
    Decision(
        "bound-in-skb",
        "dev_xdp_attach",
        "EINVAL",
        messages.BOUND_IN_SKB,
        _bound_in_skb,
        in_kernel=_knows_bound_programs,
        compares=(
            "whether the program was loaded for one device, while generic mode is "
            "asked for"
        ),
        mend="use driver mode, or load it without a device",
        kernels="since v6.3; some since v6.12 only",
        modes=("default", "generic"),
    ),
    Decision(
        "devmap",
        "dev_xdp_attach",
        "EINVAL",
        messages.DEVMAP,
        _devmap,
        compares=(
            "the program's expected_attach_type: BPF_XDP_DEVMAP programs belong in "
            "the entries of a DEVMAP"
        ),
        mend="load it with section xdp, not xdp/devmap",
    ),
    Decision(
        "cpumap",
        "dev_xdp_attach",
        "EINVAL",
        messages.CPUMAP,
        _cpumap,
        compares=(
            "the program's expected_attach_type: BPF_XDP_CPUMAP programs belong in "
            "the entries of a CPUMAP"
        ),
        mend="load it with section xdp, not xdp/cpumap",
    ),
)
