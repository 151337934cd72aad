# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rule in leaked.py."""

from typing import Any

from drgn_veth.model import Holder, Namespace, Snapshot

from tests.support.rules.case import Case
from tests.support.snapshots import BAD, HOST, POD, device, snapshot

__all__ = ("CASES", "held")

_FILE = Holder("fd", 165, "sleep", 7)
_SOCKET = Holder("socket", 171, "python3", 5)
_KERNEL = Holder("kernel", None, None, None)


def held(**changes: Any) -> Snapshot:
    """Two namespaces, one of which has neither a task nor a mount."""
    return snapshot(
        device(POD, 1, "lo", kind=None),
        namespaces=(
            Namespace(HOST, True, 0, label="host"),
            Namespace(POD, False, 1, label="fd:360/9", **changes),
        ),
    )


CASES: dict[str, Case] = {
    "netns-leaked": Case(
        held(holders=(_FILE, _FILE._replace(fd=8), _SOCKET, _KERNEL), holder_count=14),
        "info",
        "lo",
        "its network namespace has neither a process nor a mount; it is held by 2 open "
        "files of it and 1 socket and 1 reference in the kernel (the first 4 of 14 "
        "holders)",
        (
            (
                "held by",
                (
                    "pid 165 (sleep), fd 7",
                    "pid 165 (sleep), fd 8",
                    "pid 171 (python3), fd 5",
                    "the kernel",
                ),
            ),
            ("way in", "nsenter --net=/proc/165/fd/7"),
        ),
        None,
        (),
        [held(), held(mounts=("/run/netns/pod1",)), held(dying=True)],
        [(held(holders=BAD, holder_count=BAD), "what holds it")],
    ),
}
