# SPDX-License-Identifier: LGPL-2.1-or-later
"""Layouts of structs that a kernel may not have."""

from typing import Optional

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.snapshot.layouts import NetDevice, RxQueue, layout_of, needed
import pytest

from tests.support.toy import Toy


@pytest.mark.parametrize("module", [None, "veth"])
def test_a_struct_that_is_not_there(module: Optional[str]) -> None:
    toy = Toy()
    layout = layout_of(toy.prog, "struct net_device", NetDevice, module)
    assert isinstance(layout, Unreadable)
    assert (module or "struct net_device") in layout.reason
    with pytest.raises(LookupError) as caught:
        needed(layout)
    assert caught.value.args == (layout.reason,)


def test_a_struct_that_is_there() -> None:
    """Its layout is made once, until its type is another one."""
    toy = Toy()
    toy.struct("netdev_rx_queue", dev="void *")
    layout = layout_of(toy.prog, "struct netdev_rx_queue", RxQueue)
    assert needed(layout) is layout
    assert layout_of(toy.prog, "struct netdev_rx_queue", RxQueue) is layout
    toy.struct("netdev_rx_queue", rps_map="void *", dev="void *")
    other = layout_of(toy.prog, "struct netdev_rx_queue", RxQueue)
    assert not isinstance(other, Unreadable) and not isinstance(layout, Unreadable)
    assert (layout.offset["dev"], other.offset["dev"]) == (0, 8)
