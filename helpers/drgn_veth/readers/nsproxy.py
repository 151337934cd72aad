# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Namespaces of a task
--------------------

A ``struct nsproxy`` has the namespaces of a task. Thousands of tasks share few of them.
Follows include/linux/nsproxy.h and kernel/nsproxy.c.

Upstream: all.
"""

from drgn import NULL, Object, Program, offsetof, sizeof

from ..core.c_string import read_c_string
from ..core.errors import attempt
from ..core.names import check_names
from ..core.unreadable import Maybe

__all__ = ("Nsproxies", "nsproxy_nodename", "task_net")


def task_net(task: Object) -> Object:
    """
    Return the network namespace of a task.

    :param task: ``struct task_struct *``
    :return: ``struct net *``; ``NULL`` for a task that has left its namespaces, as
        do_exit() does at its end
    """
    nsproxy = task.nsproxy.read_()
    if not nsproxy:
        return NULL(task.prog_, "struct net *")
    return nsproxy.net_ns.read_()


def _read_nodename(prog: Program, address: int, size: int) -> bytes:
    # The one place that reads names of hosts.
    check_names(prog)
    return read_c_string(prog, address, size)


def nsproxy_nodename(nsproxy: Object) -> bytes:
    """
    Return the host name in the UTS namespace of a ``struct nsproxy``, as ``uname -n``
    does.

    :param nsproxy: ``struct nsproxy *``
    """
    nodename = nsproxy.uts_ns.name.nodename
    return _read_nodename(nsproxy.prog_, nodename.address_, sizeof(nodename))


class Nsproxies:
    """
    Reads each ``struct nsproxy`` once.

    :raises LookupError: if the kernel's types are not there
    """

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        nsproxy = prog.type("struct nsproxy")
        self._net_ns = offsetof(nsproxy, "net_ns")
        self._uts_ns = offsetof(nsproxy, "uts_ns")
        uts_ns = prog.type("struct uts_namespace")
        self._nodename = offsetof(uts_ns, "name.nodename")
        self._nodename_size = sizeof(uts_ns.member("name").type.member("nodename").type)
        # A task without any is in no namespace.
        self._nets: dict[Maybe[int], Maybe[int]] = {0: 0}
        self._nodenames: dict[Maybe[int], Maybe[bytes]] = {}

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
        uts_ns = attempt(self._prog.read_word, nsproxy + self._uts_ns)
        if uts_ns not in self._nodenames:
            self._nodenames[uts_ns] = attempt(self._read, uts_ns)
        return self._nodenames[uts_ns]

    def _read(self, uts_ns: int) -> bytes:
        address = uts_ns + self._nodename
        return _read_nodename(self._prog, address, self._nodename_size)
