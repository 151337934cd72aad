# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The crash of a kernel
---------------------

Follows crash_save_vmcoreinfo() (kernel/vmcore_info.c).

Upstream: all.
"""

import re
from typing import Optional

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default

__all__ = ("crash_time",)

_CRASHTIME = re.compile(rb"^CRASHTIME=(\d{1,12})$", re.MULTILINE)


@takes_program_or_default
def crash_time(prog: Program) -> Optional[int]:
    """
    Return when a kernel crashed: ``CRASHTIME`` of VMCOREINFO.

    :return: Seconds since 1970; None for a kernel that has not crashed
    :raises LookupError: if there is no VMCOREINFO
    """
    found = _CRASHTIME.search(prog["VMCOREINFO"].string_())
    return int(found.group(1)) if found else None
