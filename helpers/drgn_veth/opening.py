# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Opening a target
----------------

What the scripts look at: what drgn was told to, or what their own options say. What is
wrong with it is told in one line, before anything else happens.
"""

import argparse
import contextlib
import logging
import os
import stat
from typing import Iterator, List, Optional

import drgn
from drgn import MissingDebugInfoError, Program, ProgramFlags

from .btf import use_btf
from .cli import TargetError, UsageError, warn
from .errors import is_read_error, reason
from .kdump import how_to_unpack, missing_from_elf, missing_from_kdump
from .model import Snapshot
from .snapshot import UnreadTargetError, take_something

__all__ = ("add_target_options", "open_target", "take")

_WHOLE = "copy the dump again, in whole"


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to look at, for a start without drgn."""
    group = parser.add_argument_group(
        "target",
        # Not wrapped by argparse where a script has its own formatter.
        "Started by drgn (drgn -c CORE -s VMLINUX SCRIPT), the script looks at what\n"
        "drgn was told to look at. Started by python3, it takes these; without any it\n"
        "looks at the running kernel.",
    )
    only_one = group.add_mutually_exclusive_group()
    only_one.add_argument("-c", "--core", metavar="PATH", help="a crash dump")
    only_one.add_argument(
        "--qemu", metavar="ADDRESS", help="a QEMU guest, by its QMP socket"
    )
    group.add_argument(
        "-s",
        "--symbols",
        metavar="PATH",
        action="append",
        default=[],
        help="debug symbols: vmlinux, or a module such as veth.ko; may be repeated; "
        "most kernels need none",
    )
    parser.add_argument(
        "--system-map",
        metavar="FILE",
        help="symbols of the kernel, where a dump does not tell them: its System.map, "
        "or its vmlinux, which may be without debug symbols",
    )


def _set_target(prog: Program, args: argparse.Namespace) -> None:
    if args.core is not None:
        prog.set_core_dump(args.core)
    elif args.qemu is not None:
        try:
            connect = prog.set_qemu_qmp
        except AttributeError:
            raise UsageError(
                f"drgn {drgn.__version__} cannot look into QEMU guests: 0.2 can"
            ) from None
        connect(args.qemu)
    else:
        prog.set_kernel()


class _Kept(logging.Handler):
    # What drgn says, in place of printing it.
    def __init__(self) -> None:
        super().__init__()
        self.said: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextlib.contextmanager
def _what_drgn_says() -> Iterator[List[str]]:
    logger = logging.getLogger("drgn")
    kept = _Kept()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(kept)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield kept.said
    finally:
        logger.removeHandler(kept)
        logger.setLevel(level)
        logger.propagate = propagate


def _check_symbols(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as e:
        raise UsageError(f"-s {path}: {e.strerror}") from None
    if not stat.S_ISREG(mode):
        raise UsageError(f"-s {path}: not a file; give a vmlinux or a module's file")


def _why_ignored(path: str, said: str) -> Optional[str]:
    for start in (f"{path}: ", f"provided file {path} "):
        if said.startswith(start) and said.endswith("; ignoring"):
            return said[len(start) : -len("; ignoring")]
    return None


def _load_symbols(prog: Program, paths: List[str]) -> None:
    with _what_drgn_says() as all_said:
        try:
            prog.load_debug_info(paths, main=True)
        except MissingDebugInfoError:
            pass  # What is missing is told by whoever misses it.
        except Exception as e:
            if not is_read_error(e):
                raise
            raise UsageError(f"cannot load debug symbols: {reason(e)}") from None
    for path in paths:
        for said in all_said:
            why = _why_ignored(path, said)
            if why is not None:
                warn(
                    f"-s {path}: drgn ignored it: {why}; it takes the vmlinux of "
                    "exactly this kernel, and modules' files beside that"
                )


def _not_opened(path: str) -> str:
    # What to do about a core that drgn does not open.
    packed = how_to_unpack(path)
    if packed is not None:
        return packed
    missing = missing_from_elf(path)
    if missing is not None:
        return f"{missing}; {_WHOLE}"
    return "what is wanted is a whole crash dump of a kernel, kdump or ELF"


def _open(args: argparse.Namespace) -> Program:
    for path in args.symbols:
        _check_symbols(path)
    prog = Program()
    where = args.core or args.qemu or "the running kernel"
    # What is missing is told by whoever misses it, in one line.
    logging.getLogger("drgn").setLevel(logging.CRITICAL + 1)
    try:
        missing = missing_from_kdump(args.core) if args.core else None
        if missing:
            raise TargetError(f"{where}: {missing}; {_WHOLE}")
        _set_target(prog, args)
    except OSError as e:
        hint = ""
        if args.core is None and args.qemu is None:
            hint = (
                "; looking at the running kernel takes root (sudo) and /proc/kcore, "
                "looking at a dump -c CORE"
            )
        if e.filename not in (None, where):
            where = f"{where}: {e.filename}"
        raise TargetError(f"{where}: {e.strerror or reason(e)}{hint}") from None
    except Exception as e:
        if not is_read_error(e):
            raise
        hint = f"; {_not_opened(args.core)}" if args.core else ""
        raise TargetError(f"{where}: {reason(e)}{hint}") from None
    _check_kernel(prog)
    _load_symbols(prog, args.symbols)
    drgn.set_default_prog(prog)
    return prog


def _check_kernel(prog: Program) -> None:
    if not prog.flags & ProgramFlags.IS_LINUX_KERNEL:
        raise TargetError(
            "this is not a Linux kernel but a user process (or its core): give a "
            "kernel crash dump with -c, or nothing for the running kernel"
        )


def open_target(prog: Optional[Program], args: argparse.Namespace) -> Program:
    """
    Return the program to look at.

    :param prog: What drgn has set up, None without drgn
    :raises TargetError: if it cannot be opened or is not a Linux kernel
    """
    if prog is None:
        prog = _open(args)
    elif args.core or args.qemu or args.symbols:
        raise UsageError(
            "drgn has chosen the target already: give -c, -s and --qemu to drgn, "
            "before the script's name"
        )
    _check_kernel(prog)
    cut = _what_is_cut(prog)
    try:
        _get_types(prog, args.system_map)
    except TargetError:
        if cut is not None:
            raise TargetError(cut) from None
        raise
    if cut is not None:
        warn(cut)
    return prog


def _what_is_cut(prog: Program) -> Optional[str]:
    # drgn opens an ELF dump that is cut short, and much of it can be read.
    path = prog.core_dump_path
    if path is None or prog.flags & ProgramFlags.IS_LIVE:
        return None
    try:
        missing = missing_from_elf(path)
    except OSError:
        return None  # drgn has it open; that it is gone by now is nobody's problem.
    return f"{path}: {missing}; {_WHOLE}" if missing else None


def _get_types(prog: Program, system_map: Optional[str]) -> None:
    try:
        use = use_btf(prog, system_map)
    except OSError as e:
        raise UsageError(f"{system_map}: {e.strerror}") from None
    if not use.types:
        raise TargetError(
            f"{use.missing or 'the types of the kernel are missing'}; or give the "
            "vmlinux with debug symbols of exactly this kernel (-s VMLINUX)"
        )


def take(prog: Program) -> Snapshot:
    """
    Read all there is.

    :raises TargetError: if there is nothing
    """
    try:
        return take_something(prog)
    except UnreadTargetError as e:
        raise TargetError(
            f"{e}; is the dump complete, and are the symbols those of exactly this "
            "kernel (-s VMLINUX)?"
        ) from None
