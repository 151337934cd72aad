# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Opening a target
----------------

The target is the one that drgn has opened, or the one that the script's options choose.
If it cannot be read, one line says why, before anything else happens.
"""

import argparse
import contextlib
import logging
import os
import stat
import sys
from typing import Optional

import drgn
from drgn import Program

from ..btf import use_btf
from ..core.errors import attempt, reason
from ..core.unreadable import Unreadable
from ..dump.kdump import lost_memory, missing_from_kdump, what_is_wrong
from ..dump.low_memory import add_low_memory
from ..dump.partial import can_be_opened, core_of, without_memory_from
from ..dump.vmcoreinfo import find_vmcoreinfo, vmcoreinfo_in
from ..model import Snapshot
from ..snapshot import UnreadTargetError, take_something
from .damage import (
    check_kernel,
    lacks_vmcoreinfo,
    of_core,
    unread,
    warn_of_part,
    what_is_wrong_with,
    why_not_opened,
)
from .files import did_you_mean, in_folder
from .kcore import why_no_kcore
from .kept import kept_or_taken
from .output import check_output
from .progress import working
from .status import TargetError, UsageError, warn
from .symbols import check_file, check_symbols, debug_files, load_symbols

__all__ = ("inputs", "open_target", "opened", "take")

_NEEDS_ROOT = (
    "the running kernel needs root (sudo) and /proc/kcore; for a dump use -c CORE"
)


_MOST_VMCOREINFO = 1 << 20


def _words_for_drgn() -> list[str]:
    # The options of drgn itself, which it removes from sys.argv.
    try:
        with open("/proc/self/cmdline", "rb") as f:
            words = [os.fsdecode(word) for word in f.read().split(b"\0")[:-1]]
    except OSError:
        return []
    before = words[: len(words) - len(sys.argv)]
    # "-c FILE", "-cFILE", "--core=FILE"
    joined = [word[2:] for word in before if word.startswith("-")]
    return before + joined + [word.partition("=")[2] for word in joined]


def inputs(prog: Optional[Program], args: argparse.Namespace) -> list[str]:
    """
    Return the input files: the dump, and those with symbols and types.

    :param prog: The program, None if none is open yet
    """
    paths: list[Optional[str]] = [args.core, args.system_map, args.vmcoreinfo]
    paths += args.symbols
    if prog is not None:
        paths += [core_of(prog), *_words_for_drgn()]
        for module in prog.modules():
            paths += [
                module.loaded_file_path,
                module.debug_file_path,
                module.supplementary_debug_file_path,
            ]
    return [path for path in paths if path]


def _set_target(prog: Program, args: argparse.Namespace) -> None:
    if args.core is not None:
        prog.set_core_dump(args.core)
        add_low_memory(prog, args.core)
    elif args.qemu is not None:
        try:
            connect = prog.set_qemu_qmp
        except AttributeError:
            raise UsageError(
                f"drgn {drgn.__version__} does not support QEMU guests; 0.2 does"
            ) from None
        connect(args.qemu)
    else:
        prog.set_kernel()


def _check_core(path: str) -> None:
    # Opening a FIFO would block. Other errors are reported when the core is opened.
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise TargetError(in_folder(path))
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise TargetError(f"{path}: not a file; expected a kernel crash dump")


def _lost_memory(path: str) -> Optional[int]:
    # The physical address above which a dump lacks memory. Refuse a dump that would
    # crash this process.
    tables = missing_from_kdump(path)
    lost = None if tables else lost_memory(path)
    if tables or (lost is not None and not can_be_opened(path)):
        raise TargetError(f"{path}: {what_is_wrong(path)}")
    return lost


def _up_to(prog: Program, lost: int) -> Program:
    # The part of a dump that can be read without a SIGBUS.
    part = without_memory_from(prog, lost)
    if part is None:
        raise TargetError(
            f"{what_is_wrong_with(prog)}; drgn 0.1 or later can read the rest"
        )
    return part


def _where(args: argparse.Namespace) -> str:
    where: str = args.core or args.qemu or "the running kernel"
    return where


def _connect(args: argparse.Namespace, vmcoreinfo: Optional[bytes]) -> Program:
    prog = Program(vmcoreinfo=vmcoreinfo)
    try:
        lost = _lost_memory(args.core) if args.core else None
        _set_target(prog, args)
        return prog if lost is None else _up_to(prog, lost)
    except OSError as e:
        where = _where(args)
        hint = ""
        if args.core is None and args.qemu is None:
            hint = f"; {why_no_kcore() or _NEEDS_ROOT}"
        if args.core is not None and isinstance(e, FileNotFoundError):
            hint = did_you_mean(args.core)
        if e.filename not in (None, where):
            where = f"{where}: {e.filename}"
        raise TargetError(f"{where}: {e.strerror or reason(e)}{hint}") from None


def _given_vmcoreinfo(path: str) -> bytes:
    check_file("--vmcoreinfo", path)
    try:
        with open(path, "rb") as f:
            text = vmcoreinfo_in(f.read(_MOST_VMCOREINFO))
    except OSError as e:
        raise UsageError(f"--vmcoreinfo {path}: {e.strerror}") from None
    if text is None:
        raise UsageError(
            f"--vmcoreinfo {path}: expected the text of VMCOREINFO, with OSRELEASE=, "
            "PAGESIZE= and symbols"
        )
    return text


def _with_vmcoreinfo(args: argparse.Namespace) -> Optional[Program]:
    # A dump without VMCOREINFO, with what is found in its memory.
    with working(f"searching {args.core} for VMCOREINFO"):
        found = attempt(find_vmcoreinfo, args.core)
    if found is None or isinstance(found, Unreadable):
        return None
    warn(
        f"{args.core}: it has no VMCOREINFO; using the one at {found.address:#x} in "
        "its memory"
    )
    prog = attempt(_connect, args, found.text)
    return None if isinstance(prog, Unreadable) else prog


def _open(args: argparse.Namespace) -> Program:
    for path in args.symbols:
        check_symbols(path)
    if args.core:
        _check_core(args.core)
    # A symbol that is missing is reported when it is needed.
    logging.getLogger("drgn").setLevel(logging.CRITICAL + 1)
    given = None if args.vmcoreinfo is None else _given_vmcoreinfo(args.vmcoreinfo)
    prog = attempt(_connect, args, given)
    if args.core and given is None and lacks_vmcoreinfo(prog):
        prog = _with_vmcoreinfo(args) or prog
    if isinstance(prog, Unreadable):
        if args.core:
            why = why_not_opened(args.core, prog.reason)
        elif args.qemu:
            why = prog.reason
        else:
            why = f"{prog.reason}; {why_no_kcore() or _NEEDS_ROOT}"
        raise TargetError(f"{_where(args)}: {why}")
    check_kernel(prog)
    load_symbols(prog, args.symbols)
    drgn.set_default_prog(prog)
    return prog


def _without_lost_memory(prog: Program) -> Program:
    # As in _open(), for a program that drgn has set up.
    lost = of_core(prog, lost_memory)
    if lost is None:
        return prog
    part = _up_to(prog, lost)
    load_symbols(part, debug_files(prog))
    drgn.set_default_prog(part)
    return part


def open_target(prog: Optional[Program], args: argparse.Namespace) -> Program:
    """
    Return the program to read.

    :param prog: The program that drgn has set up, None without drgn
    :raises TargetError: if it cannot be opened or is not a Linux kernel
    """
    if prog is None:
        with working(f"opening {_where(args)}"):
            prog = _open(args)
    elif args.core or args.qemu or args.symbols or args.vmcoreinfo:
        raise UsageError(
            "drgn has already opened the target: give -c, -s and --qemu to drgn, "
            "before the script's name, and no files to the script"
        )
    else:
        prog = _without_lost_memory(prog)
    check_kernel(prog)
    try:
        with working("reading the kernel's types and symbols"):
            _get_types(prog, args.system_map)
    except TargetError as e:
        raise unread(prog, str(e)) from None
    return prog


def _get_types(prog: Program, system_map: Optional[str]) -> None:
    if system_map is not None:
        check_file("--system-map", system_map)
    try:
        use = use_btf(prog, system_map)
    except OSError as e:
        raise UsageError(f"{system_map}: {e.strerror}") from None
    if not use.types:
        raise TargetError(
            f"{use.missing or 'the types of the kernel are missing'}; or give the "
            "vmlinux with debug symbols of exactly this kernel (-s VMLINUX)"
        )


def take(prog: Program, traffic: bool = False) -> Snapshot:
    """
    Take a Snapshot, and warn if the dump is incomplete.

    :param traffic: Whether it has to tell where packets go: see
        :func:`~drgn_veth.snapshot.take_snapshot()`
    :raises TargetError: if nothing can be read
    """
    try:
        with working("reading devices and namespaces"):
            snapshot = kept_or_taken(prog, take_something, traffic)
    except UnreadTargetError as e:
        raise unread(
            prog,
            f"{e}; is the dump complete, and are the symbols those of exactly this "
            "kernel (-s VMLINUX)?",
        ) from None
    warn_of_part(prog)
    return snapshot


def opened(
    prog: Optional[Program], args: argparse.Namespace, traffic: bool = False
) -> tuple[Program, Snapshot]:
    """
    Open the target that the options name, and take a Snapshot.

    :param prog: The program that drgn has set up, None without drgn
    :param traffic: As for :func:`take()`
    :raises UsageError: if the output would be written over an input
    :raises TargetError: if nothing can be read
    """
    check_output(args.output, inputs(prog, args))
    target = open_target(prog, args)
    return target, take(target, traffic)
