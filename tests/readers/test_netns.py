# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network namespaces."""

from drgn import (
    Object,
)
from drgn_veth.readers.netns import dev_net
import pytest

from tests.support.toy import Toy


@pytest.mark.parametrize("has_namespaces", (False, True))
def test_dev_net(toy: Toy, has_namespaces: bool) -> None:
    """Without CONFIG_NET_NS, a device does not say where it is: in init_net."""
    toy.struct("net", ifindex="int")
    init_net = toy.variable("init_net", "struct net")
    members = {"net": "struct net *"} if has_namespaces else {}
    toy.struct("net_device", nd_net=toy.struct("possible_net_t", **members))
    address = toy.place("struct net_device", 2)
    dev = Object(toy.prog, "struct net_device *", address)
    if has_namespaces:
        toy.set("struct net_device", address, nd_net__net=0x5000)
    net = dev_net(dev)
    assert net.type_.type_name() == "struct net *"
    assert net.value_() == (0x5000 if has_namespaces else init_net)
