# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel, some devices, and a question."""

from collections.abc import Sequence
from typing import Any, Optional

from drgn_veth.analysis.attach.ask import fresh_program
from drgn_veth.analysis.attach.predictor import Predictor
from drgn_veth.analysis.attach.question import Answer
from drgn_veth.model import (
    Bond,
    Device,
    Driver,
    Kernel,
    LoadedProgram,
    Namespace,
    QueueCount,
    Queues,
    Snapshot,
    Target,
    VirtioNet,
    Xdp,
    XdpProgram,
)

from tests.support.attach.table import messages_of

__all__ = (
    "ALL_OPERATIONS",
    "Case",
    "Conflict",
    "FRAGS",
    "INFO",
    "INIT",
    "NO_XDP",
    "PAGE",
    "answer_of",
    "kernel_of",
    "plain_device",
    "program_of",
)

INIT = 4026531840
PAGE, INFO, FRAGS = 4096, 320, 17


def kernel_of(variant: str, absent: Sequence[str] = (), **changes: Any) -> Kernel:
    kernel = Kernel(
        page_size=PAGE,
        skb_shared_info_size=INFO,
        max_skb_frags=FRAGS,
        smp_cache_bytes=64,
        net_ip_align=0,
        nr_cpu_ids=4,
        xdp_state=True,
        xdp_frags=True,
        dev_bound=variant != "old",
        messages=tuple(messages_of(variant, absent).items()),
        padded_vnet_hdr_size=16,
        rtnl_owner=None,
    )
    return kernel._replace(**changes)


ALL_OPERATIONS = Driver("", True, True, True)
NO_XDP = Xdp(None, None, None, None)


def plain_device(ifindex: int, name: str, **changes: Any) -> Device:
    one = QueueCount(1, 4)
    device = Device(
        INIT, ifindex, name, (), None, 0xFFFF0000 + ifindex, None, ("UP",), "UP",
        "REGISTERED", 1500, 68, 65535, None, None, (), None, (), (),
        Queues(one, one), None, NO_XDP, (), (), hard_header_len=14,
    )  # fmt: skip
    return device._replace(**changes)


def program_of(number: int, via: str = "netlink") -> XdpProgram:
    return XdpProgram(
        number, "p", "", via, None if via == "netlink" else 1, True, False, 0, 0
    )


class Conflict(Exception):
    """Two troubles cannot be had at once."""


class Case:
    """A kernel, some devices, and a question; with no trouble yet."""

    def __init__(self, variant: str, target: str, mode: Optional[str] = None) -> None:
        self.kernel = kernel_of(variant)
        names = ["veth", "peer", "upper", "bond", "slave", "far", "virtio", "netkit"]
        self.devices = {
            name: plain_device(
                i + 1, name, driver=ALL_OPERATIONS._replace(name=kind), kind=kind
            )
            for i, (name, kind) in enumerate(
                zip(
                    names,
                    ["veth", "veth", "macvlan", "bond", "veth", "veth"]
                    + ["virtio_net", "netkit"],
                )
            )
        }
        self.target = target
        self.via = "netlink"
        self.mode = mode
        self.flags = 0
        self.program: Optional[LoadedProgram] = fresh_program()
        self.expected: Optional[int] = None
        self._set: dict[str, Any] = {}
        if mode is not None:
            self._set["mode"] = mode
        self.change("veth", peer=self.devices["peer"].ref)
        self.change("slave", peer=self.devices["far"].ref)
        slaves = (self.devices["slave"].ref,)
        self.change("bond", bond=Bond("active-backup", "layer2", slaves))
        # A queue pair for each CPU, beside that of the stack.
        pairs = Queues(QueueCount(1, 5), QueueCount(1, 5))
        self.change("virtio", virtio_net=VirtioNet(1 << 32), queues=pairs)

    def change(self, name: str, **changes: Any) -> None:
        """Change a device."""
        self.devices[name] = self.devices[name]._replace(**changes)

    def once(self, what: str, value: Any) -> None:
        """
        Decide something.

        :raises Conflict: if it is decided otherwise
        """
        if self._set.setdefault(what, value) != value:
            raise Conflict(what)
        if what in ("via", "mode"):
            setattr(self, what, value)

    def attached(self, mode: str, via: str) -> None:
        """Let the target have a program."""
        self.once(f"{mode} program", via)
        device = self.devices[self.target]
        program = program_of({"generic": 21, "driver": 22, "offload": 23}[mode], via)
        changed: dict[str, Any] = {mode: program}
        self.change(self.target, xdp=device.xdp._replace(**changed))

    def of_program(self, **changes: Any) -> None:
        """Change the program that is asked with."""
        for name, value in changes.items():
            self.once(f"program {name}", value)
        assert self.program is not None
        self.program = self.program._replace(**changes)

    @property
    def raw_flags(self) -> int:
        bits = {None: 0, "default": 0, "generic": 2, "driver": 4, "offload": 8}
        return self.flags | bits[self.mode]

    def snapshot(self) -> Snapshot:
        target = Target("7", "kdump", "x86_64", "btf", 4, (0, 1, 2, 3), 0)
        return Snapshot(
            target,
            (Namespace(INIT, True, len(self.devices), label="host"),),
            tuple(self.devices.values()),
            (),
            kernel=self.kernel,
        )

    def ask(self) -> Answer:
        return Predictor(self.snapshot()).ask(
            self.devices[self.target],
            self.via,
            self.raw_flags,
            self.program,
            self.expected,
        )


def answer_of(case: Case) -> tuple[Any, Optional[str], Optional[str]]:
    said = case.ask()
    return said.errno, said.function, said.message
