# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What keeps network namespaces alive
-----------------------------------

For those that have neither a task nor a mount. Each reference is one of an open file of
the namespace, of a socket in it, or of something in the kernel.
"""

from collections.abc import Sequence

from drgn import Object, Program, offsetof

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.unreadable import Maybe, Unreadable
from ..model import Holder, Namespace
from ..readers.netns import net_refcount
from .mounts import Mounts
from .open_files import MAX_HOLDERS, NetHolder, OpenFiles

__all__ = ("add_holders",)


def _mounted(prog: Program, wanted: set[int]) -> set[int]:
    # Those of some namespaces that are mounted in some mount namespace, be it on a file
    # that is gone.
    used: set[int] = set()
    salvage = Salvage()
    inode_at = offsetof(prog.type("struct dentry"), "d_inode")
    private_at = offsetof(prog.type("struct inode"), "i_private")
    ns_at = offsetof(prog.type("struct net"), "ns")

    def net_of(dentry: int) -> int:
        inode = prog.read_word(dentry + inode_at)
        return prog.read_word(inode + private_at) - ns_at if inode else 0

    super_block = prog["nsfs_mnt"].mnt_sb
    for mount in salvage.walk(Mounts(prog).of_super_block(super_block)):
        net = salvage.read(net_of, mount.root)
        if net in wanted:
            used.add(net)
    return used


def _rest(prog: Program, net: int, opened: Sequence[NetHolder]) -> list[Holder]:
    # References that no open file explains.
    struct_net = Object(prog, "struct net *", net)
    refs = net_refcount(struct_net)
    sockets = {one.what for one in opened if one.kind == "socket"}
    # All files of a namespace share one inode, which holds one reference.
    stashed = struct_net.ns.stashed
    has_inode = bool(getattr(stashed, "counter", stashed))
    rest = max(0, refs - len(sockets) - has_inode)
    files = [one for one in opened if one.kind == "fd"]
    # Sent to a socket that nobody has received from; or mounted where no path leads.
    unseen = [Holder("fd", None, None, None)] if has_inode and not files else []
    return unseen + [Holder("kernel", None, None, None)] * rest


def _is_wanted(namespace: Namespace) -> bool:
    # Without a task and a mount, as far as is known.
    return (
        not namespace.init
        and not namespace.dying
        and namespace.task_count == 0
        and namespace.mounts == ()
        and namespace.other_mounts == ()
    )


def add_holders(
    prog: Program, namespaces: Sequence[Namespace], open_files: OpenFiles
) -> list[Namespace]:
    """
    Return namespaces, with what holds those that have neither a task nor a mount.

    Only if there are such namespaces, it walks the files of all tasks.
    """
    wanted = {one.net for one in namespaces if _is_wanted(one)}
    if not wanted:
        return list(namespaces)
    used = attempt(_mounted, prog, wanted)
    if not isinstance(used, Unreadable):
        wanted -= used
        if not wanted:
            return list(namespaces)
    opened: dict[int, list[NetHolder]] = {net: [] for net in wanted}
    holding, lost = open_files.of_namespaces(wanted)
    for one in holding:
        opened[one.net].append(one)

    def holder(one: NetHolder) -> Holder:
        return Holder(one.kind, *one.file.task, one.file.fd)

    def complete(namespace: Namespace) -> Namespace:
        if namespace.net not in wanted:
            return namespace
        found = opened[namespace.net]
        if lost is not None and not found:
            unknown = Unreadable(lost)
            return namespace._replace(holders=unknown, holder_count=unknown)
        rest: Maybe[list[Holder]] = attempt(_rest, prog, namespace.net, found)
        count: Maybe[int]
        if isinstance(rest, Unreadable):
            count, rest = rest, []
        else:
            count = len(found) + len(rest)
        if lost is not None:
            count = Unreadable(lost)
        holders = [holder(one) for one in found[:MAX_HOLDERS]]
        holders += rest[: MAX_HOLDERS - len(holders)]
        return namespace._replace(holders=tuple(holders), holder_count=count)

    return [complete(namespace) for namespace in namespaces]
