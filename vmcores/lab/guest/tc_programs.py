#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Load programs of tc, and attach them without a qdisc.

Use: ``tc_programs.py load NAME...`` loads programs that let every packet pass, and pins
each by its name; ``tc_programs.py attach NAME DEVICE HOOK PATH`` makes a BPF link, and
pins it at PATH. HOOK is tcx/ingress, tcx/egress, netkit/primary or netkit/peer.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import resource
import socket
import struct
import sys

from bpf import BPF_LINK_CREATE, bpf, instruction, load, open_pinned, pin
from places import BPFFS

__all__ = ("main",)

BPF_PROG_TYPE_SCHED_CLS = 3
#: enum bpf_attach_type
HOOKS = {"tcx/ingress": 46, "tcx/egress": 47, "netkit/primary": 54, "netkit/peer": 55}
TC_ACT_UNSPEC = -1


def _load(name: str) -> None:
    code = instruction(0xB7, imm=TC_ACT_UNSPEC) + instruction(0x95)
    pin(load(name, code, kind=BPF_PROG_TYPE_SCHED_CLS), f"{BPFFS}/{name}")


def _attach(name: str, device: str, hook: str, path: str) -> None:
    attr = struct.pack(
        "<IIII16x",
        open_pinned(f"{BPFFS}/{name}"),
        socket.if_nametoindex(device),
        HOOKS[hook],
        0,
    )
    pin(bpf(BPF_LINK_CREATE, attr), path)


def main(arguments: Sequence[str]) -> int:
    """Run a command."""
    # Before v5.11, programs count against it.
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    command, *rest = arguments
    if command == "load":
        for name in rest:
            _load(name)
    else:
        name, device, hook, path = rest
        _attach(name, device, hook, path)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as e:
        print(f"tc_programs.py: {e}", file=sys.stderr)
        os._exit(1)
