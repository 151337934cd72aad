# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machines that the lab boots, and what Debian and QEMU call them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
import re

from ._steps import LabError

__all__ = ("AMD64", "MACHINES", "Machine", "split_name")


@dataclass(frozen=True)
class Machine:
    """A machine, and the flavour of Debian's kernels that boots on it."""

    #: What a kernel's name ends with: "arm64" for 6.12-arm64, "rt" for 6.12-rt.
    name: str
    flavour: str
    #: Debian's name of the architecture.
    arch: str
    #: What the tags of Python's wheels end with.
    wheels: str
    qemu: str
    #: QEMU's options that only this machine has.
    options: tuple[str, ...]
    #: The CPU under emulation.
    cpu: str
    console: str
    #: QEMU's option for the serial port of the agent, and the port in the guest.
    agent_option: tuple[str, str]
    agent_port: str
    #: The suites whose kernels boot and dump; None: all.
    suites: tuple[str, ...] | None = None
    #: Whether the guest has drgn: there are no wheels of it for each machine.
    has_drgn: bool = True


AMD64 = Machine(
    name="",
    flavour="cloud-amd64",
    arch="amd64",
    wheels="x86_64",
    qemu="qemu-system-x86_64",
    options=("-machine", "q35"),
    # QEMU's TCG now and then leaves a pointer in EFLAGS after CMPXCHG16B. SLUB uses
    # that instruction where the CPU has it, and the kernel then dies in an allocation.
    cpu="max,cx16=off",
    console="ttyS0",
    agent_option=("-serial", "chardev:agent"),
    agent_port="ttyS1",
)
_ARM64 = Machine(
    name="arm64",
    flavour="cloud-arm64",
    arch="arm64",
    wheels="aarch64",
    qemu="qemu-system-aarch64",
    options=("-machine", "virt,gic-version=3"),
    # Without it, each return is a QARMA cipher in software.
    cpu="max,pauth-impdef=on",
    console="ttyAMA0",
    # The board has one serial port, the console.
    agent_option=("-device", "pci-serial,chardev=agent"),
    agent_port="ttyS0",
    # kexec-tools cannot load a crash kernel in bookworm's: without CONFIG_KALLSYMS_ALL,
    # /proc/kallsyms does not have the end of the kernel.
    suites=("trixie", "trixie-security", "trixie-backports"),
    has_drgn=False,
)

#: By the end of a kernel's name.
MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        AMD64,
        replace(AMD64, name="generic", flavour="amd64"),
        replace(AMD64, name="rt", flavour="rt-amd64"),
        _ARM64,
        replace(_ARM64, name="arm64-16k", flavour="arm64-16k"),
    )
}

# A series, or a build: 6.1, 6.1.0-47, 6.12.107+deb12, 6.1.0-0.deb11.48.
_NAME = re.compile(
    r"(\d+(?:\.\d+)*(?:-\d[\w.]*|\+deb[\w.]*)?(?:-oldest)?)(?:-([a-z].*))?"
)


def split_name(kernel: str) -> tuple[str, Machine]:
    """Split a kernel's name: 6.12-arm64 is the series 6.12 on arm64, and 6.12 on amd64.

    :raises LabError: the lab does not know such a kernel
    """
    match = _NAME.fullmatch(kernel)
    if match and (match.group(2) or "") in MACHINES:
        return match.group(1), MACHINES[match.group(2) or ""]
    raise LabError(
        f"{kernel!r} is not a kernel series; try 5.10, 6.1, 6.12, 7, a build such as "
        "6.12.107 or 6.1.0-47, 6.12-oldest, or one of these of another flavour or "
        "machine: " + ", ".join(f"6.12-{name}" for name in MACHINES if name)
    )
