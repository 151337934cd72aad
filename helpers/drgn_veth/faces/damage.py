# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What is wrong with a target
---------------------------

A dump may be truncated, damaged or compressed, or not a kernel dump at all. This module
finds the reason, for the one line that a script prints.
"""

from typing import Callable, Optional, TypeVar, Union

import drgn
from drgn import Program, ProgramFlags

from ..core.errors import attempt
from ..core.unreadable import Unreadable
from ..dump.elfcore import still_open
from ..dump.file_kind import (
    DUMP_GUEST,
    Kind,
    has_notes_of_a_kernel,
    is_kdump,
    kind_of,
)
from ..dump.kdump import how_to_unpack, what_is_wrong
from ..dump.partial import core_of
from .status import TargetError, warn

__all__ = (
    "check_kernel",
    "lacks_vmcoreinfo",
    "of_core",
    "unread",
    "warn_of_part",
    "what_is_wrong_with",
    "why_not_opened",
)

T = TypeVar("T")

#: Machines of which drgn 0.3 walks page tables.
_TRANSLATED = ("X86_64", "AARCH64", "ARM", "PPC64", "S390X")

# In what libkdumpfile says, and in what drgn puts before that.
_COMPRESSED = "ompres"
_NO_READ = "could not read memory from kdump: "
# In what drgn says of a file in which libkdumpfile found its way.
_OPENED = ("vmcoreinfo", "kdump_attr")
_NO_MACHINE = "KDUMP_ATTR_ARCH_NAME"

_EXPECTED = "a complete kernel crash dump (kdump or ELF)"
_NO_VMCOREINFO = (
    "has no VMCOREINFO, which drgn needs to identify the kernel: start QEMU with "
    "-device vmcoreinfo, and load the module qemu_fw_cfg in the guest"
)


def of_core(prog: Program, look: Callable[[str], Optional[T]]) -> Optional[T]:
    """
    Examine the dump file of a program.

    :param look: Takes its path
    :return: What *look* returns, None if the program has no dump file that it can
        read
    """
    path = core_of(prog)
    if path is None or prog.flags & ProgramFlags.IS_LIVE:
        return None
    try:
        return look(still_open(path))
    except OSError:
        return None


def _wrong_with_vmcoreinfo(prog: Program) -> Optional[str]:
    text = attempt(lambda: prog["VMCOREINFO"].string_())
    if isinstance(text, Unreadable):
        return None
    for line in text.splitlines():
        if not line.isascii():
            shown = line.decode("ascii", "backslashreplace")
            return f"its VMCOREINFO is damaged: {shown}"
    return None


def what_is_wrong_with(prog: Program) -> Optional[str]:
    """Return why a dump that drgn opened is incomplete, None if it is not."""
    wrong = of_core(
        prog, lambda path: what_is_wrong(path) or _wrong_with_vmcoreinfo(prog)
    )
    return f"{core_of(prog)}: {wrong}" if wrong else None


def warn_of_part(prog: Program) -> None:
    """Warn if the dump is incomplete, after some of it could be read."""
    wrong = what_is_wrong_with(prog)
    if wrong is not None:
        warn(wrong)


def unread(prog: Program, why: str) -> TargetError:
    """
    Return the error for a target that cannot be read.

    :param why: What was missing; an incomplete file takes precedence as the reason
    """
    wrong = what_is_wrong_with(prog) or _untranslated(prog) or _packed_pages(prog, why)
    return TargetError(wrong or why)


def _packed_pages(prog: Program, why: str) -> Optional[str]:
    # What libkdumpfile says of pages that are damaged, or compressed in a way that it
    # was built without. Symbols would not help.
    _, _, said = why.partition(_NO_READ)
    if _COMPRESSED not in said:
        return None
    said = said.partition(";")[0]
    return (
        f"{core_of(prog)}: libkdumpfile cannot decompress its pages ({said}); copy the "
        f"whole dump again, or makedumpfile -c -d 0 OLD NEW, or {DUMP_GUEST}"
    )


def _untranslated(prog: Program) -> Optional[str]:
    platform = prog.platform
    if platform is None or platform.arch.name in _TRANSLATED:
        return None
    return (
        f"drgn {drgn.__version__} does not translate kernel addresses of this machine "
        f"({platform.arch.name}); it does for {', '.join(_TRANSLATED)}"
    )


def _what_it_is(path: str) -> Optional[str]:
    # None: a dump, as far as its first bytes say.
    try:
        kind = kind_of(path)
    except OSError:
        return None  # A folder, or the file is gone.
    if kind.kind in (Kind.VMLINUX, Kind.MODULE):
        return f"this is {kind.what}, not a dump: -s {path} -c VMCORE"
    if kind.kind is Kind.DUMP or kind.what == "a folder":
        return None
    advice = kind.instead or f"expected {_EXPECTED}"
    return f"this is {kind.what}; {advice}"


def lacks_vmcoreinfo(prog: Union[Program, Unreadable]) -> bool:
    """
    Return whether a dump can be that of a kernel, but has no VMCOREINFO.

    :param prog: What came of opening it
    """
    if isinstance(prog, Unreadable):
        return "vmcoreinfo" in prog.reason.lower()
    if prog.flags & ProgramFlags.IS_LINUX_KERNEL:
        return False
    return bool(of_core(prog, has_notes_of_a_kernel))


def why_not_opened(path: str, said: str) -> str:
    """
    Return why drgn cannot open a file: what the file is, and what drgn says.

    :param said: What drgn says
    """
    opened = any(word in said.lower() for word in _OPENED)
    kdump = False
    try:
        # QEMU writes flattened kdump files: unflattening does not help one that opens.
        known = what_is_wrong(path) or (None if opened else how_to_unpack(path))
        kdump = is_kdump(path)
    except OSError:
        known = None  # A folder, or the file is gone.
    if known is not None:
        return f"{known} (drgn: {said})"
    known = _what_it_is(path)
    if known is not None:
        return known
    if "vmcoreinfo" in said.lower():
        known = f"it {_NO_VMCOREINFO}; or give it: --vmcoreinfo FILE"
    elif _NO_MACHINE in said:
        known = f"libkdumpfile does not recognize its machine (drgn: {said})"
    else:
        known = f"{said}; expected {_EXPECTED}"
    return f"{known}; or {DUMP_GUEST}" if kdump else known


def check_kernel(prog: Program) -> None:
    """
    Check that the target is a Linux kernel.

    :raises TargetError: if it is not
    """
    if prog.flags & ProgramFlags.IS_LINUX_KERNEL:
        return
    if prog.flags & ProgramFlags.IS_LIVE:
        if not prog.flags & ProgramFlags.IS_LOCAL:
            raise TargetError(f"the guest {_NO_VMCOREINFO}")
    elif of_core(prog, has_notes_of_a_kernel):
        raise TargetError(
            f"{prog.core_dump_path}: it {_NO_VMCOREINFO}; or give it: --vmcoreinfo FILE"
        )
    raise TargetError(
        "this is not a Linux kernel but a user process (or its core): use -c with a "
        "kernel crash dump, or no option for the running kernel"
    )
