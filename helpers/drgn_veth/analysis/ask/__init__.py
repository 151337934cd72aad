# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel answers to other requests than an XDP attach
------------------------------------------------------------

One request a file, with the decisions of the kernel in its order: ``ethtool -L``, MTU,
masters, network namespaces, AF_XDP sockets, entries of a DEVMAP. As for an attach,
everything comes from a Snapshot, and :func:`after()` returns the Snapshot in which a
question was granted.
"""

from .asking import Asker, ask
from .granted import after
from .request import Question, RequestError, parse

__all__ = ("Asker", "Question", "RequestError", "after", "ask", "parse")
