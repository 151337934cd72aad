# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Files under xz
--------------

drgn opens only files that are not compressed.
"""

from collections.abc import Iterator
import contextlib
import lzma
import shutil
import tempfile
from typing import BinaryIO

from ..core.errors import reason
from .status import TargetError, UsageError

__all__ = ("unpacked",)


@contextlib.contextmanager
def unpacked(path: str, packed: BinaryIO) -> Iterator[BinaryIO]:
    """
    Return a temporary file with what is in a compressed one.

    :param path: Its name in messages
    :raises TargetError: if it is damaged
    :raises UsageError: if the disk is full
    """
    # It has no name, so that no kernel memory stays on disk if this process is killed.
    with tempfile.TemporaryFile(prefix="drgn-veth-", suffix=".core") as plain:
        try:
            with lzma.open(packed) as inside:
                shutil.copyfileobj(inside, plain)
            plain.flush()
        except (EOFError, lzma.LZMAError) as e:
            raise TargetError(
                f"{path}: it cannot be unpacked ({reason(e)}): copy it again"
            ) from None
        except OSError as e:
            raise UsageError(
                f"cannot unpack {path} to {tempfile.gettempdir()}: {e.strerror}; set "
                "TMPDIR to a directory with room for it"
            ) from None
        plain.seek(0)
        yield plain
