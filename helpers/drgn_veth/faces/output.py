# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where the output goes
---------------------

To standard output, or to a file: there all or nothing, and never over an input.
"""

from collections.abc import Iterable, Iterator
import contextlib
import io
import os
import secrets
import stat
import sys
from typing import BinaryIO, Optional, Union

from drgn_veth_start import at_signal, last_step

from .status import UsageError

__all__ = ("check_output", "is_replaced", "replacing", "write_output")


def _identity(status: os.stat_result) -> Optional[tuple[int, ...]]:
    # What identifies a file with content, whatever its name.
    if stat.S_ISREG(status.st_mode):
        return status.st_dev, status.st_ino
    if stat.S_ISBLK(status.st_mode):
        return (status.st_rdev,)
    return None


def _identity_of(path: Optional[str]) -> Optional[tuple[int, ...]]:
    # None: no such file. Without a path, look at standard output.
    try:
        if path is not None:
            return _identity(os.stat(path))
        return None if sys.stdout is None else _identity(os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return None


def check_output(
    path: Optional[str], inputs: Iterable[str], replace: bool = True
) -> None:
    """
    Refuse to write to an input, or to replace a file without permission.

    :param path: File, None for standard output
    :param inputs: The input files
    :param replace: Whether an existing file may be replaced
    :raises UsageError: if the output is an input, or exists and must not be replaced
    """
    output = _identity_of(path)
    if output is None:
        return
    where = "standard output" if path is None else path
    for one in inputs:
        if _identity_of(one) == output:
            raise UsageError(
                f"cannot write to {where}: it is the input {one}; choose another output"
            )
    if path is not None and not replace and is_replaced(path):
        raise UsageError(f"{path} already exists; --force replaces it")


def _own_descriptor(path: str) -> Optional[int]:
    # The number in /dev/stdout, /dev/fd/N or /proc/self/fd/N.
    folder = f"/proc/{os.getpid()}/fd"
    for _ in range(8):
        parent, name = os.path.split(path)
        if os.path.realpath(parent) == folder and name.isdecimal():
            return int(name)
        if not os.path.islink(path):
            break
        path = os.path.join(parent, os.readlink(path))
    return None


def is_replaced(path: str) -> bool:
    """Return whether a path is a file that exists, and not a device, FIFO or such."""
    return os.path.isfile(path) and _own_descriptor(path) is None


def _default_mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


@contextlib.contextmanager
def _written_to(path: str) -> Iterator[BinaryIO]:
    # For /dev/stderr, a FIFO and the like. The reader may have gone away.
    own = _own_descriptor(path)
    with contextlib.suppress(BrokenPipeError):
        with open(path if own is None else os.dup(own), "wb") as f:
            yield f


def _unnamed_file(folder: str) -> Optional[BinaryIO]:
    # The kernel removes it however this process ends. Some file systems cannot.
    try:
        return open(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")
    except OSError:
        return None


def _link(f: BinaryIO, path: str) -> None:
    # link() does not follow /proc/self/fd/N; linkat() does with AT_SYMLINK_FOLLOW.
    folder = os.open(os.path.dirname(path), os.O_PATH)
    try:
        os.link(f"/proc/self/fd/{f.fileno()}", path, src_dir_fd=folder)
    finally:
        os.close(folder)


def _linked(temporary: str, goal: str) -> bool:
    # Name a file without replacing another. FAT has no links.
    try:
        os.link(temporary, goal)
        return True
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(goal):
            raise
        return False


@contextlib.contextmanager
def _new_file(goal: str, replace: bool) -> Iterator[BinaryIO]:
    # A file that gets its name once it is complete.
    mode = _default_mode(goal)
    folder = os.path.dirname(goal)
    temporary = os.path.join(folder, f".drgn-veth-{secrets.token_hex(8)}")

    def undo() -> None:
        with contextlib.suppress(OSError):
            os.unlink(temporary)

    with at_signal(undo):
        try:
            f = _unnamed_file(folder)
            named = f is None
            if f is None:
                f = open(temporary, "xb")
            with f:
                os.chmod(f.fileno(), 0o600)
                yield f
                f.flush()
                os.chmod(f.fileno(), mode)
                if not named:
                    _link(f, temporary)
            with last_step():
                if replace or not _linked(temporary, goal):
                    os.replace(temporary, goal)
        finally:
            undo()


@contextlib.contextmanager
def replacing(
    path: str, inputs: Iterable[str] = (), replace: bool = True
) -> Iterator[BinaryIO]:
    """
    Open a file for writing that appears only when it is complete.

    :param inputs: The input files, which are never written to
    :param replace: Whether an existing file may be replaced
    :raises UsageError: if it cannot be written
    """
    if os.path.basename(path) in ("", os.curdir, os.pardir):
        raise UsageError(f"cannot write '{path}': not a file name")
    try:
        check_output(path, inputs, replace)
        if os.path.exists(path) and not is_replaced(path):
            with _written_to(path) as f:
                yield f
            return
        with _new_file(os.path.realpath(path), replace) as f:
            yield f
            check_output(path, inputs, replace)
    except OSError as e:
        raise UsageError(
            f"cannot write {path}: {e.strerror or e}; the directory must be writable "
            "and have free space"
        ) from None


def _to_stdout(parts: Iterable[str]) -> None:
    out = sys.stdout
    if out is None:
        raise UsageError("standard output is closed; --output FILE writes to a file")
    try:
        out.flush()
        try:
            # Not out.buffer: under python -u it is a raw file, which may write less
            # than it is given.
            binary = open(out.fileno(), "wb", closefd=False)
        except io.UnsupportedOperation:
            out.write("".join(parts))  # Not a file: a notebook has its own.
            return
        with binary:
            # The terminal's encoding may lack characters of a device's name. A part is
            # written before the next one is made: all of them may take much memory.
            binary.writelines(
                part.encode(out.encoding, "backslashreplace") for part in parts
            )
    except BrokenPipeError:
        pass  # The reader has seen enough.
    except OSError as e:
        raise UsageError(
            f"standard output: {e.strerror}; the report is truncated; use --output FILE"
        ) from None


def write_output(
    text: Union[str, Iterable[str]], path: Optional[str], inputs: Iterable[str] = ()
) -> None:
    """
    Write the output; to a file completely or not at all.

    :param text: The text, or the parts of a long one
    :param path: File, None for standard output
    :param inputs: The input files, which are never written to
    :raises UsageError: if it cannot be written
    """
    parts = (text,) if isinstance(text, str) else text
    if path is None:
        check_output(path, inputs)
        _to_stdout(parts)
        return
    with replacing(path, inputs) as f:
        f.writelines(part.encode("utf-8", "backslashreplace") for part in parts)
