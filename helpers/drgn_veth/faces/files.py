# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Files as arguments
------------------

``VMLINUX VMCORE`` as crash takes them: in any order, by what the files are.
"""

import argparse
from collections.abc import Sequence
import difflib
import errno
import os
import re
from typing import Callable, Optional

from ..core.errors import reason
from ..dump.file_kind import FileKind, Kind, kind_of
from .status import UsageError

__all__ = (
    "check_names",
    "did_you_mean",
    "in_folder",
    "is_dump",
    "is_file",
    "is_symbols",
    "looks_like_a_file",
    "take_files",
)

_WORDS = ("names", "what")  # where words go that are no files


def is_file(word: str) -> bool:
    """Return whether an argument is a file, and not the name of a device."""
    return os.sep in word or os.path.isfile(word)


# Words that are meant to be files.
_FILE_NAME = re.compile(
    r"vmcore[-.\w]*|vmlinux[-.\w]*|"
    r".*\.(core|dump|elf|kdump|vmcore|json|ko|debug|xz|gz|zst|bz2|lz4)"
)
_HERE = "/sys/class/net"  # devices of this namespace
_NEAR = 0.75  # the least likeness of a name and that of a file


def is_dump(path: str) -> bool:
    """Return whether a file is a kernel crash dump."""
    return _kind(path).kind is Kind.DUMP


def is_symbols(path: str) -> bool:
    """Return whether a file is a vmlinux or a kernel module."""
    return _kind(path).kind in (Kind.VMLINUX, Kind.MODULE)


def looks_like_a_file(word: str) -> bool:
    """Return whether a word is meant to be the name of a file."""
    return _FILE_NAME.fullmatch(word) is not None


def in_folder(path: str) -> str:
    """Return what to say of a folder in the place of a dump."""
    return f"{path} is a directory; name a dump in it"


def did_you_mean(path: str) -> str:
    """
    Return the end of an error about a file that is not there: the dump or the symbols
    beside it that are called almost so, "" without.
    """
    folder, name = os.path.split(path)
    try:
        there = os.listdir(folder or os.curdir)
    except OSError:
        return ""
    for near in difflib.get_close_matches(name, there, cutoff=_NEAR):
        found = os.path.join(folder, near)
        if os.path.isfile(found) and _kind(found).kind is not Kind.OTHER:
            return f"; did you mean {found}?"
    return ""


def _kind(path: str) -> FileKind:
    try:
        return kind_of(path)
    except OSError as e:
        if isinstance(e, FileNotFoundError):
            return FileKind(Kind.OTHER, "not there")
        return FileKind(Kind.OTHER, f"unreadable ({e.strerror or reason(e)})")


def _what_they_are(kinds: Sequence[tuple[str, FileKind]]) -> str:
    return ", ".join(f"{path} is {kind.what}" for path, kind in kinds)


def _core_of(kinds: Sequence[tuple[str, FileKind]]) -> Optional[str]:
    # Which of the files is the dump; None: none is given.
    symbols = (Kind.VMLINUX, Kind.MODULE)
    dumps = [path for path, kind in kinds if kind.kind is Kind.DUMP]
    others = [path for path, kind in kinds if kind.kind is Kind.OTHER]
    if len(dumps) > 1:
        raise UsageError(f"give one dump, not {len(dumps)}: {' '.join(dumps)}")
    if dumps and not others:
        return dumps[0]
    if len(kinds) == 1:
        # It may be no dump: who opens it says what it is.
        path, kind = kinds[0]
        return None if kind.kind in symbols else path
    advice = [kind.instead for _, kind in kinds if kind.instead]
    said = f"expected a dump and its vmlinux: {_what_they_are(kinds)}"
    raise UsageError("; ".join([said, *advice]))


def _is_known(word: str) -> bool:
    # A mount of a namespace is a file, too, which cannot be read; the file under it is
    # empty.
    try:
        with open(word if os.path.isfile(word) else os.devnull, "rb") as f:
            return bool(f.read(1))
    except OSError as e:
        return e.errno != errno.EINVAL


def _told(args: argparse.Namespace) -> Callable[[str], bool]:
    # What tells files from other words.
    if getattr(args, "paths_are_names", False):
        return _is_known
    # A message of the kernel may have a slash.
    return os.path.isfile if hasattr(args, "what") else is_file


def check_names(names: Sequence[str]) -> None:
    """
    Check that words which are no files are not meant to be some: without this, the
    running kernel would be asked about a device called vmcore.

    :raises UsageError: if one is
    """
    for name in names:
        if name not in (os.curdir, os.pardir) and os.path.exists(f"{_HERE}/{name}"):
            continue
        if os.path.isdir(name):
            raise UsageError(in_folder(name))
        near = did_you_mean(name)
        if near or looks_like_a_file(name):
            raise UsageError(f"{name}: no such file{near}")


def take_files(args: argparse.Namespace) -> None:
    """
    Put the files among the arguments of a script where -c and -s put them.

    :param args: Its options; ``names``, if it is there, is a list of names and files,
        and ``what`` one of words to be explained and files; ``paths_are_names`` says
        that a name may be a path
    :raises UsageError: if the files are not a dump and its symbols
    """
    told = _told(args)
    dest = next((name for name in _WORDS if hasattr(args, name)), None)
    words = [*(getattr(args, dest) if dest else ()), *args.files]
    paths = [word for word in words if told(word)]
    names = [word for word in words if not told(word)]
    if dest is not None:
        setattr(args, dest, names)
    elif names:
        raise UsageError(f"{names[0]}: no such file{did_you_mean(names[0])}")
    args.files = []
    if not paths:
        if args.core is None and args.qemu is None:
            check_names(names)
        return
    kinds = [(path, _kind(path)) for path in paths]
    if args.core is not None or args.qemu is not None:
        given = f"-c {args.core}" if args.core is not None else f"--qemu {args.qemu}"
        for path, kind in kinds:
            if kind.kind not in (Kind.VMLINUX, Kind.MODULE):
                raise UsageError(f"give one target, {given} or {path}")
    else:
        args.core = _core_of(kinds)
    args.symbols = [*args.symbols, *(path for path in paths if path != args.core)]
