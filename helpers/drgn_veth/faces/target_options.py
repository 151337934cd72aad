# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Opening a target
----------------

What the scripts look at: what drgn was told to, or what their own options say. If it
cannot be read, one line says why, before anything else happens.
"""

import argparse
import contextlib
import logging
import os
import stat
import sys
from typing import Iterator, List, Optional

import drgn
from drgn import MissingDebugInfoError, Program, ProgramFlags

from ..btf import use_btf
from ..core.errors import is_read_error, reason
from ..dump.elfcore import read_notes, still_open
from ..dump.kdump import how_to_unpack, lost_memory, missing_from_kdump, what_is_wrong
from ..dump.partial import can_be_opened, core_of, without_memory_from
from ..model import Snapshot
from ..snapshot import UnreadTargetError, take_something
from .output import TargetError, UsageError, warn

__all__ = (
    "add_target_options",
    "inputs",
    "open_target",
    "take",
    "unread",
    "warn_of_part",
)

_NO_VMCOREINFO = (
    "has no VMCOREINFO, which drgn needs to identify the kernel: start QEMU with "
    "-device vmcoreinfo, and load the module qemu_fw_cfg in the guest"
)
_PROCESS_NOTES = (3, 6)  # NT_PRPSINFO, NT_AUXV: only the core of a process has them


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


def _words_for_drgn() -> List[str]:
    # The command line before the script: drgn takes sys.argv away from it.
    try:
        with open("/proc/self/cmdline", "rb") as f:
            words = [os.fsdecode(word) for word in f.read().split(b"\0")[:-1]]
    except OSError:
        return []
    before = words[: len(words) - len(sys.argv)]
    # "-c FILE", "-cFILE", "--core=FILE"
    joined = [word[2:] for word in before if word.startswith("-")]
    return before + joined + [word.partition("=")[2] for word in joined]


def inputs(prog: Optional[Program], args: argparse.Namespace) -> List[str]:
    """
    Return the files that are read: the dump, and whatever tells symbols and types.

    :param prog: The program that is looked at, None if it is not there yet
    """
    paths: List[Optional[str]] = [args.core, args.system_map, *args.symbols]
    if prog is not None:
        paths += [core_of(prog), *_words_for_drgn()]
        for module in prog.modules():
            paths += [
                module.loaded_file_path,
                module.debug_file_path,
                module.supplementary_debug_file_path,
            ]
    return [path for path in paths if path]


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
    # A message that is not UTF-8, as a damaged OSRELEASE makes it, is one that drgn
    # cannot log. Python then prints a traceback.
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield kept.said
    finally:
        sys.unraisablehook = hook
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
            pass  # Whoever needs a missing symbol reports it.
        except Exception as e:
            if not is_read_error(e):
                raise
            raise UsageError(f"cannot load debug symbols: {reason(e)}") from None
    for path in paths:
        for said in all_said:
            why = _why_ignored(path, said)
            if why is not None:
                warn(
                    f"-s {path}: drgn ignored it: {why}; expected the vmlinux of "
                    "exactly this kernel, or its modules"
                )


def _why_not_opened(path: str, error: BaseException) -> str:
    # What the file is, before what drgn says.
    said = reason(error)
    try:
        known = what_is_wrong(path) or how_to_unpack(path)
    except OSError:
        known = None  # A folder, or the file is gone.
    if known is not None:
        return f"{known} (drgn: {said})"
    if "unrecognized QEMU" in said:
        return said  # It says what to do.
    if "vmcoreinfo" in said.lower():
        return f"{said}; drgn identifies a kernel by the VMCOREINFO of its dump"
    return f"{said}; expected a complete kernel crash dump (kdump or ELF)"


def _check_core(path: str) -> None:
    # A FIFO would never be opened. What else is wrong, whoever opens it says.
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode) or stat.S_ISDIR(mode)):
            raise TargetError(f"{path}: not a file; give a kernel crash dump")


def _open(args: argparse.Namespace) -> Program:
    for path in args.symbols:
        _check_symbols(path)
    if args.core:
        _check_core(args.core)
    prog = Program()
    where = args.core or args.qemu or "the running kernel"
    # Whoever needs a missing symbol reports it, in one line.
    logging.getLogger("drgn").setLevel(logging.CRITICAL + 1)
    try:
        lost = None
        if args.core:
            tables = missing_from_kdump(args.core)
            lost = None if tables else lost_memory(args.core)
            if tables or (lost is not None and not can_be_opened(args.core)):
                raise TargetError(f"{where}: {what_is_wrong(args.core)}")
        _set_target(prog, args)
        if lost is not None:
            prog = _up_to(prog, lost)
    except OSError as e:
        hint = ""
        if args.core is None and args.qemu is None:
            hint = (
                "; the running kernel needs root (sudo) and /proc/kcore; for a dump "
                "use -c CORE"
            )
        if e.filename not in (None, where):
            where = f"{where}: {e.filename}"
        raise TargetError(f"{where}: {e.strerror or reason(e)}{hint}") from None
    except Exception as e:
        if not is_read_error(e):
            raise
        said = _why_not_opened(args.core, e) if args.core else reason(e)
        raise TargetError(f"{where}: {said}") from None
    _check_kernel(prog)
    _load_symbols(prog, args.symbols)
    drgn.set_default_prog(prog)
    return prog


def _up_to(prog: Program, lost: int) -> Program:
    # What can be read of a dump without the risk that this process dies of it.
    part = without_memory_from(prog, lost)
    if part is None:
        raise TargetError(
            f"{_what_is_wrong(prog)}; drgn 0.1 or later reads what there is of it"
        )
    return part


def _debug_files(prog: Program) -> List[str]:
    files = (
        module.debug_file_path or module.loaded_file_path for module in prog.modules()
    )
    return sorted({path for path in files if path})


def _without_lost_pages(prog: Program) -> Program:
    # The same for a program that drgn has set up.
    path = core_of(prog)
    if path is None or prog.flags & ProgramFlags.IS_LIVE:
        return prog
    try:
        lost = lost_memory(still_open(path))
    except OSError:
        return prog
    if lost is None:
        return prog
    part = _up_to(prog, lost)
    _load_symbols(part, _debug_files(prog))
    drgn.set_default_prog(part)
    return part


def _is_kernel_core(path: Optional[str]) -> bool:
    # Whether an ELF core has no note that only a process has.
    if path is None:
        return False
    try:
        notes = list(read_notes(still_open(path)))
    except OSError:
        return False
    return bool(notes) and not any(
        note.name == b"CORE" and note.type in _PROCESS_NOTES for note in notes
    )


def _check_kernel(prog: Program) -> None:
    if prog.flags & ProgramFlags.IS_LINUX_KERNEL:
        return
    if prog.flags & ProgramFlags.IS_LIVE:
        if not prog.flags & ProgramFlags.IS_LOCAL:
            raise TargetError(f"the guest {_NO_VMCOREINFO}")
    elif _is_kernel_core(prog.core_dump_path):
        raise TargetError(f"{prog.core_dump_path}: it {_NO_VMCOREINFO}")
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
    else:
        prog = _without_lost_pages(prog)
    _check_kernel(prog)
    try:
        _get_types(prog, args.system_map)
    except TargetError as e:
        raise unread(prog, str(e)) from None
    return prog


def warn_of_part(prog: Program) -> None:
    """Warn if the dump is not whole, once it is known that some of it can be read."""
    wrong = _what_is_wrong(prog)
    if wrong is not None:
        warn(wrong)


def _what_is_wrong(prog: Program) -> Optional[str]:
    # drgn opens a dump that is not whole, and much of it can be read.
    path = core_of(prog)
    if path is None or prog.flags & ProgramFlags.IS_LIVE:
        return None
    try:
        wrong = what_is_wrong(still_open(path))
    except OSError:
        return None
    if wrong is None:
        wrong = _wrong_with_vmcoreinfo(prog)
    return f"{path}: {wrong}" if wrong else None


def _wrong_with_vmcoreinfo(prog: Program) -> Optional[str]:
    try:
        text = prog["VMCOREINFO"].string_()
    except Exception as e:
        if not is_read_error(e):
            raise
        return None
    for line in text.splitlines():
        if not line.isascii():
            shown = line.decode("ascii", "backslashreplace")
            return f"its VMCOREINFO is damaged: {shown}"
    return None


def unread(prog: Program, why: str) -> TargetError:
    """
    Return the error for a target of which too little can be read.

    :param why: What was missing; if the file is not whole, that is the reason
    """
    return TargetError(_what_is_wrong(prog) or why)


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
        snapshot = take_something(prog)
    except UnreadTargetError as e:
        raise unread(
            prog,
            f"{e}; is the dump complete, and are the symbols those of exactly this "
            "kernel (-s VMLINUX)?",
        ) from None
    warn_of_part(prog)
    return snapshot
