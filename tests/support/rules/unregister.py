# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rule in unregister.py."""

from typing import Any

from drgn_veth.model import RefTracker, Snapshot, Task

from tests.support.rules.case import Case
from tests.support.snapshots import BAD, HOST, device, snapshot

__all__ = ("CASES", "gone")


def gone(**changes: Any) -> Snapshot:
    """A device that is unregistered."""
    plain = {"kind": "dummy", "off_list": "unregistered", "refcount": 2}
    return snapshot(device(HOST, 5, "stuck0", **{**plain, **changes}))


CASES: dict[str, Case] = {
    "device-stuck-unregistering": Case(
        gone(
            ref_tasks=(Task(178, "python3"), Task(BAD, BAD)),
            ref_trackers=(
                RefTracker(2, ("ipv6_add_dev", "addrconf_notify")),
                RefTracker(1, ()),
                RefTracker(1, BAD),
            ),
        ),
        "warning",
        "stuck0",
        "it is unregistered, and cannot be freed because of references to it "
        '("waiting for stuck0 to become free. Usage count = 2"): its address is on the '
        "kernel stack of python3 (pid 178), ? (pid ?). Its references were taken: 2 in "
        "ipv6_add_dev(), called by addrconf_notify(); 1 in ?; 1 in ?",
        (
            ("netdev_refcnt_read()", 2),
            ("tasks", ("python3 (pid 178)", "? (pid ?)")),
            (
                "refcnt_tracker",
                (
                    "2 in ipv6_add_dev(), called by addrconf_notify()",
                    "1 in ?",
                    "1 in ?",
                ),
            ),
        ),
        None,
        (),
        # Nobody looked for tasks: its references are those of the kernel.
        [gone(), gone(refcount=1), gone(off_list=None, refcount=None)],
        [(gone(refcount=BAD), "its reference count")],
    ),
}
