# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Namespaces that are still there
-------------------------------

The kernel uses the memory and the inode number of a namespace again as soon as it is
gone. Both together do not tell whether names and devices are of the same one.
"""

from drgn import Object, Program

from ..core.errors import attempt
from ..readers.netns import net_inum, net_is_dying

__all__ = ("Alive",)


class Alive:
    """Tells which namespaces are gone since they were found."""

    def __init__(self, prog: Program) -> None:
        self._pointer = prog.type("struct net *")
        self._prog = prog
        self._before: dict[int, tuple[object, ...]] = {}

    def keep(self, at: int) -> None:
        """
        Keep what identifies a namespace, before anything of it is read.

        :param at: Address of a ``struct net``
        """
        self._before[at] = self._identity(at)

    def _identity(self, at: int) -> tuple[object, ...]:
        net = Object(self._prog, self._pointer, at)
        return (
            attempt(net_inum, net),
            # New kernels give each one that no other had.
            attempt(lambda: net.net_cookie.value_()),
            # A random number.
            attempt(lambda: net.hash_mix.value_()),
            attempt(net_is_dying, net),
        )

    def gone(self) -> set[int]:
        """
        Return those that are not the same, or that nothing holds any longer.

        :return: Addresses of ``struct net``
        """
        return {
            at for at, before in self._before.items() if self._identity(at) != before
        }
