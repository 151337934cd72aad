# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted kernel as drgn sees it, and its devices."""

from collections.abc import Iterator

from drgn import (
    Object,
    Program,
)
from drgn.helpers.linux.net import for_each_net, for_each_netdev
from drgn_veth.btf import use_btf
from drgn_veth.readers.driver import (
    netdev_driver_name,
)

from tests.support.booted import MODULES, Dump

__all__ = ("TYPES", "devices_of", "of_driver", "program_of")

#: Where a program has its types from: debug symbols, or the kernel itself.
TYPES = ("dwarf", "btf")


def program_of(dump: Dump, types: str) -> Program:
    """
    Open a dump with debug symbols, or with nothing but itself.

    :param types: One of :data:`TYPES`
    """
    prog = Program()
    prog.set_core_dump(dump.vmcore)
    if types == "dwarf":
        modules = dump.made.kernel.debug_modules
        prog.load_debug_info(
            [str(dump.vmlinux), *(str(modules[name]) for name in MODULES)]
        )
    else:
        assert use_btf(prog).types == "btf"
    return prog


def devices_of(prog: Program) -> Iterator[tuple[int, Object]]:
    """Yield all devices, and the inode number of their namespace."""
    for net in for_each_net(prog):
        for dev in for_each_netdev(net):
            yield net.ns.inum.value_(), dev


def of_driver(prog: Program, driver: bytes) -> Object:
    """Return the first device of a driver."""
    return next(d for _, d in devices_of(prog) if netdev_driver_name(d) == driver)
