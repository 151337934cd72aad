# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real crash dumps of real kernels, and what the kernel's own tools said just before.

PYTHONPATH=vmcores python3 -m lab vmcore --kernel 6.1 --scene zoo
"""

from .host import kernels
from .host._steps import LabError, cache_dir, need_programs
from .host.dump import ASKED, Hook, elf_hook
from .host.kernels import DEFAULT_SERIES, Kernel
from .host.kernels import get as get_kernel
from .host.machines import AMD64, Machine, split_name
from .host.qemu import Died
from .host.qemu_guest import Guest, try_boots
from .host.vmcore import Result, make, scenes

__all__ = (
    "AMD64",
    "ASKED",
    "DEFAULT_SERIES",
    "Died",
    "Guest",
    "Hook",
    "Kernel",
    "LabError",
    "Machine",
    "Result",
    "cache_dir",
    "elf_hook",
    "get_kernel",
    "kernels",
    "make",
    "need_programs",
    "scenes",
    "split_name",
    "try_boots",
)
