# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices by name
---------------

For use at a prompt, where a namespace is known by its name.
"""

from collections.abc import Iterator

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import WalkError
from ..core.nearest import listed, offer
from ..core.salvage import Salvage
from ..core.text import decode
from ..readers.netdev_names import for_each_altname
from ..readers.netns import (
    for_each_net_bounded,
    for_each_netdev_bounded,
    net_inum,
)
from ..readers.nsfs import netns_name
from .labels import HOST
from .net_mounts import known_net_mounts

__all__ = ("find_net", "find_netdev")


@takes_program_or_default
def find_net(prog: Program, netns: str) -> Object:
    """
    Return a network namespace by its name.

    :param netns: ``host`` for ``init_net``; the name in ``ip netns``; the absolute path
        of a file that it is mounted on; its inode number
    :return: ``struct net *``
    :raises LookupError: if no namespace is called that, or if several are: no two have
        one inode number, unless memory is damaged
    :raises WalkError: if none was found, and not all names could be read
    """
    if netns == HOST:
        return prog["init_net"].address_of_()
    mounts = known_net_mounts(prog)
    there = [HOST]
    found: list[Object] = []
    salvage = Salvage()
    for net in salvage.walk(for_each_net_bounded(prog)):
        inum = salvage.read(net_inum, net)
        if inum is None:
            continue
        paths = mounts.of.get(inum, ())
        names = [name for name in map(netns_name, paths) if name is not None]
        if str(netns) == str(inum) or netns in paths or netns in names:
            found.append(net)
        there += names or [str(inum)]
    if len(found) > 1:
        at = listed(hex(net.value_()) for net in found)
        raise LookupError(f"several network namespaces are called {netns!r}: {at}")
    if found:
        return found[0]
    salvage.finish()
    if mounts.lost is not None:
        raise WalkError(mounts.lost)
    raise LookupError(
        f"no network namespace is called {netns!r}; {offer(str(netns), there)}"
    )


def _names(dev: Object) -> Iterator[str]:
    yield decode(dev.name.string_())
    yield from map(decode, for_each_altname(dev))


@takes_program_or_default
def find_netdev(prog: Program, netns: str, name: str) -> Object:
    """
    Return a device by the name of its network namespace and its own name or altname.

    :param netns: As for :func:`find_net()`
    :param name: Name or altname
    :return: ``struct net_device *``
    :raises LookupError: if no namespace is called that, or no device in it
    """
    net = find_net(prog, netns)
    there: list[str] = []
    for dev in for_each_netdev_bounded(net):
        names = list(_names(dev))
        if name in names:
            return dev
        there += names
    raise LookupError(
        f"network namespace {netns} has no device {name!r}; {offer(str(name), there)}"
    )
