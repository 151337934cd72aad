# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rule about network namespaces without a process and a mount."""

from collections.abc import Iterator
from typing import Optional

from ...core.english import count
from ...model import Namespace
from ..held import kinds, way_in, who
from ..need import need
from .context import Context, End
from .finding import INFO, WAY_IN, Symptom
from .rule import Rule, Sign

__all__ = ("ABOUT_NAMESPACES", "RULES")

#: Rules whose findings are about a namespace, and so about all its devices.
ABOUT_NAMESPACES = frozenset({"netns-leaked"})


def _held(context: Context) -> Iterator[tuple[Namespace, End]]:
    # Namespaces whose holders were looked for, each with its first device.
    held = {
        namespace.inum: namespace
        for namespace in context.snapshot.namespaces
        if namespace.holders is not None
    }
    if not held:
        return
    for device in context.snapshot.devices:
        namespace = held.pop(device.netns, None)
        if namespace is not None:
            yield namespace, End(device, None)


def _leaked(context: Context, end: End) -> Optional[Symptom]:
    namespace = next(
        one for one in context.snapshot.namespaces if one.inum == end.device.netns
    )
    holders = need(namespace.holders, "what holds it") or ()
    way = way_in(holders)
    number = namespace.holder_count
    more = ""
    if isinstance(number, int) and number > len(holders):
        more = f" (the first {len(holders)} of {count(number, 'holder')})"
    return Symptom(
        "its network namespace has neither a process nor a mount; it is held by "
        f"{kinds(holders)}{more}",
        (
            ("held by", tuple(who(holder) for holder in holders)),
            (WAY_IN, None if way is None else " ".join(way)),
        ),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="netns-leaked",
        severity=INFO,
        title="a network namespace without a process and without a mount",
        predicate=(
            "no task's nsproxy->net_ns is the namespace && no nsfs file of it is "
            "mounted && its reference count (ns.count, ns.__ns_ref since v6.18) is not "
            "0"
        ),
        sees=(
            "The namespace and its devices do not go away. `ip netns` does not list "
            "it, nor do older versions of `lsns`. A veth whose peer is in it stays as "
            "well."
        ),
        fix=(
            "Close what holds it. If a process has it open, the evidence names the "
            "process and the descriptor. A file that no process has open may be in "
            "flight in a Unix socket, and is closed with that socket. A program may "
            "keep a namespace on purpose. While a process has a file of it open, "
            "`nsenter --net=/proc/PID/fd/N` enters it."
        ),
        why=(
            "A network namespace lives as long as it has references. Each nsproxy has "
            "one, each socket that a process made in it (sk_alloc(), net/core/sock.c), "
            "and the inode of its file in nsfs (fs/nsfs.c), which exists while the "
            "file is mounted or open. The last put_net() starts cleanup_net() "
            "(net/core/net_namespace.c). References that neither an open file nor a "
            "socket explains are counted as the kernel's: TCP sockets that a process "
            "has closed, for instance, or open files in /proc/net."
        ),
        symptoms=(
            Sign(
                "seen",
                "a network namespace that ip netns does not list stays alive",
            ),
        ),
        subjects=lambda context: [end for _, end in _held(context)],
        check=_leaked,
    ),
)
