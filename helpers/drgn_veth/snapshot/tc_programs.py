# SPDX-License-Identifier: LGPL-2.1-or-later
"""The BPF programs of tcx, netkit and clsact on each device."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from drgn import Object, Program, offsetof

from ..core.errors import attempt
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, Netkit, TcProgram
from ..readers.bpf_prog import bpf_prog_id, bpf_prog_name, check_bpf_prog
from ..readers.cls_bpf import for_each_cls_bpf_prog
from ..readers.netkit import NETKIT_KIND, for_each_netkit_prog, netkit_priv
from ..readers.tcx import for_each_tcx_prog
from .found import Found
from .layouts import Layouts

__all__ = ("add_tc_programs",)

_WAYS = (("ingress", False), ("egress", True))


def _record(where: str, prog: Object) -> TcProgram:
    wrong = attempt(check_bpf_prog, prog)
    if isinstance(wrong, Unreadable):
        return TcProgram(where, wrong, wrong)
    ident: Maybe[Optional[int]] = attempt(bpf_prog_id, prog)
    return TcProgram(where, ident or None, attempt(lambda: decode(bpf_prog_name(prog))))


class _Reader:
    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts
        self._prog: Program = layouts.prog
        active = attempt(self._netkit_active)
        # Where netkit.active is in a device; 0: this kernel has no netkit.
        self._active = 0 if isinstance(active, Unreadable) else active

    def _netkit_active(self) -> int:
        priv = netkit_priv(self._layouts.dev(0))
        return priv.value_() + offsetof(self._prog.type("struct netkit"), "active")

    def _hooks(self, found: Found) -> Iterator[TcProgram]:
        # As a packet meets them: tcx before the filters of a qdisc.
        dev = self._layouts.dev(found.address)
        for way, egress in _WAYS:
            for prog in for_each_tcx_prog(dev, egress):
                yield _record(f"tcx/{way}", prog)
            for prog in for_each_cls_bpf_prog(dev, egress):
                yield _record(f"clsact/{way}", prog)

    def _netkit(self, found: Found, netkit: object) -> Iterator[TcProgram]:
        if not self._prog.read_word(found.address + self._active):
            return
        primary = isinstance(netkit, Netkit) and netkit.primary is True
        where = "netkit/primary" if primary else "netkit/peer"
        for prog in for_each_netkit_prog(self._layouts.dev(found.address)):
            yield _record(where, prog)

    def read(self, found: Found, device: Device) -> Maybe[tuple[TcProgram, ...]]:
        raw = found.raw
        ways = (raw.tcx_ingress, raw.tcx_egress, raw.miniq_ingress, raw.miniq_egress)
        records: Maybe[tuple[TcProgram, ...]] = ()
        if any(ways):
            lost = [way for way in ways if isinstance(way, Unreadable)]
            records = attempt(lambda: tuple(self._hooks(found)))
            records = lost[0] if lost else records
        if found.kind != NETKIT_KIND or not self._active:
            return records
        own = attempt(lambda: tuple(self._netkit(found, device.netkit)))
        if isinstance(records, Unreadable) or isinstance(own, Unreadable):
            return records if isinstance(records, Unreadable) else own
        return records + own


def add_tc_programs(
    layouts: Layouts, devices: Iterable[Device], found: Mapping[int, Found]
) -> tuple[Device, ...]:
    """
    Return devices with their BPF programs of tcx, netkit and clsact.

    :param found: What was read of each device, by address
    """
    reader = _Reader(layouts)

    def complete(device: Device) -> Device:
        tc = reader.read(found[device.net_device], device)
        return device if tc == () else device._replace(tc=tc)

    return tuple([complete(device) for device in devices])
