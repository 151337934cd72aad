# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Namespaces of a task
--------------------

A ``struct nsproxy`` has the namespaces of a task. Thousands of tasks share few of them.
Follows include/linux/nsproxy.h and kernel/nsproxy.c.

Upstream: all.
"""

from drgn import NULL, Object, Program, offsetof, sizeof

from ..core.errors import attempt
from ..core.names import check_names
from ..core.unreadable import Maybe

__all__ = ("Nsproxies", "nsproxy_nodename", "task_net")


def task_net(task: Object) -> Object:
    """
    Return the network namespace of a task.

    :param task: ``struct task_struct *``
    :return: ``struct net *``; ``NULL`` for a task that is exiting: it has left its
        namespaces
    """
    nsproxy = task.nsproxy.read_()
    if not nsproxy:
        return NULL(task.prog_, "struct net *")
    return nsproxy.net_ns.read_()


def nsproxy_nodename(nsproxy: Object) -> bytes:
    """
    Return the host name in the UTS namespace of a ``struct nsproxy``, as ``uname -n``
    does.

    :param nsproxy: ``struct nsproxy *``
    """
    check_names(nsproxy.prog_)
    nodename = nsproxy.uts_ns.name.nodename
    # Byte for byte and no further: a slice keeps what is read.
    return nsproxy.prog_.read_c_string(nodename.address_, max_size=sizeof(nodename))


class Nsproxies:
    """
    Reads each ``struct nsproxy`` once.

    :raises LookupError: if the kernel's types are not there
    """

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        nsproxy = prog.type("struct nsproxy")
        self._pointer = prog.pointer_type(nsproxy)
        self._net_ns = offsetof(nsproxy, "net_ns")
        # A task without any is in no namespace.
        self._nets: dict[Maybe[int], Maybe[int]] = {0: 0}
        self._nodenames: dict[int, Maybe[bytes]] = {}

    def net(self, nsproxy: Maybe[int]) -> Maybe[int]:
        """
        Return the network namespace.

        :param nsproxy: Address, 0 for ``NULL``
        :return: Address of a ``struct net``, 0 if there is none
        """
        try:
            return self._nets[nsproxy]
        except KeyError:
            net = attempt(lambda at: self._prog.read_word(at + self._net_ns), nsproxy)
            self._nets[nsproxy] = net
            return net

    def nodename(self, nsproxy: int) -> Maybe[bytes]:
        """
        Return the host name: see :func:`nsproxy_nodename()`.

        :param nsproxy: Address
        """
        if nsproxy not in self._nodenames:
            pointer = Object(self._prog, self._pointer, nsproxy)
            self._nodenames[nsproxy] = attempt(nsproxy_nodename, pointer)
        return self._nodenames[nsproxy]
