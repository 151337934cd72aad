# SPDX-License-Identifier: LGPL-2.1-or-later
"""What holds a network namespace that has neither a process nor a mount, in words."""

from collections.abc import Sequence
from typing import Optional

from ..core.unreadable import Unreadable
from ..model import Holder

__all__ = ("NO_WAY_IN", "kinds", "way_in", "who")

#: Why no command enters it.
NO_WAY_IN = "no open file under /proc leads into it"

_IN_FLIGHT = "(perhaps in flight in a Unix socket)"

_KINDS = (
    ("fd", "open file of it", "open files of it"),
    ("socket", "socket", "sockets"),
    ("kernel", "reference in the kernel", "references in the kernel"),
)


def who(holder: Holder) -> str:
    """
    Return who holds it, and by which descriptor.

    >>> who(Holder("fd", 236, "holds fd", 7)), who(Holder("kernel"))
    ('pid 236 (holds fd), fd 7', 'the kernel')
    """
    if isinstance(holder.pid, Unreadable) or isinstance(holder.fd, Unreadable):
        return "?"
    if holder.pid is None:
        return {
            "fd": f"a file that no process has open {_IN_FLIGHT}",
            "socket": f"a socket that no process has open {_IN_FLIGHT}",
        }.get(holder.kind, "the kernel")
    name = "?" if isinstance(holder.comm, Unreadable) else holder.comm
    return f"pid {holder.pid} ({name}), fd {holder.fd}"


def kinds(holders: Sequence[Holder]) -> str:
    """Return how many there are of each kind."""
    parts = []
    for kind, one, several in _KINDS:
        number = sum(holder.kind == kind for holder in holders)
        if number:
            parts.append(f"{number} {one if number == 1 else several}")
    return " and ".join(parts) or "nothing that was found"


def way_in(holders: Sequence[Holder]) -> Optional[tuple[str, str]]:
    """
    Return the command that enters a namespace by a file of it that a process has open;
    None without one: a socket is no way in.
    """
    for holder in holders:
        if holder.kind == "fd" and isinstance(holder.pid, int):
            if isinstance(holder.fd, int):
                return ("nsenter", f"--net=/proc/{holder.pid}/fd/{holder.fd}")
    return None
