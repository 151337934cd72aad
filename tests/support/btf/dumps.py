# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dumps of booted kernels, with the debug symbols to compare types with."""

from typing import NamedTuple

from drgn import Program

from tests.support.booted import Dump

__all__ = ("LabDump", "lab_dump_of")


class LabDump(NamedTuple):
    """A dump, and the debug symbols of its kernel."""

    name: str
    vmcore: str
    vmlinux: str
    modules: dict[str, str]

    def program(self, *debug_info: str) -> Program:
        """Open the dump with some debug symbols, or with none."""
        prog = Program()
        prog.set_core_dump(self.vmcore)
        if debug_info:
            prog.load_debug_info(debug_info)
        return prog

    def with_dwarf(self) -> Program:
        """Open the dump with all debug symbols."""
        return self.program(self.vmlinux, *self.modules.values())


def lab_dump_of(dump: Dump) -> LabDump:
    """Return a dump as these tests want it."""
    made = dump.made
    modules = {name: str(path) for name, path in made.kernel.debug_modules.items()}
    name = made.folder.name
    return LabDump(name, str(made.vmcore), str(made.kernel.vmlinux), modules)
