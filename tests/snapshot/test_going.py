# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces that cleanup_net() is about to tear down, in a recorded core."""

from drgn import sizeof
from drgn_veth.readers.netns import for_each_net_bounded
import pytest

from tests.support.damage import take
from tests.support.memory import Altered
from tests.support.slow import slow_but


@pytest.mark.parametrize("works", slow_but([True], [True, False]))
def test_on_the_list_and_dying(altered: Altered, works: bool) -> None:
    """It waits for cleanup_net(). If that is idle, no namespace waits."""
    prog = altered.original
    count = prog["pernet_ops_rwsem"].count.counter
    altered.write(count.address_ or 0, int(works).to_bytes(sizeof(count), "little"))
    *_, net = for_each_net_bounded(prog)
    # The slice lacks it: nothing was cleaned up.
    refs = net.ns.member_("__ns_ref").refs.counter
    altered.add(refs.address_ or 0, bytes(sizeof(refs)))
    dying = [one.net for one in take(altered).namespaces if one.dying]
    assert dying == ([net.value_()] if works else [])
