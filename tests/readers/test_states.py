# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of states, and numbers that are none."""

from drgn import Object
from drgn_veth.readers.bonding import bond_mode
from drgn_veth.readers.bridge import br_port_get, br_port_state, br_state_from
import pytest

from tests.support.toy import Toy

PORT = 1 << 9
PORT_TYPE = "struct net_bridge_port"


def test_states_of_ports() -> None:
    names = ["disabled", "listening", "learning", "forwarding", "blocking"]
    assert [br_state_from(i) for i in range(5)] == names
    for state in (-1, 5):
        with pytest.raises(ValueError, match=f"state is {state}"):
            br_state_from(state)


def test_port_of_a_bridge(toy: Toy) -> None:
    toy.constant("IFF_BRIDGE_PORT", PORT)
    toy.struct("net_device", priv_flags="unsigned int", rx_handler_data="void *")
    at = toy.place("struct net_device")
    toy.set("struct net_device", at, priv_flags=0xFFFFFFFF & ~PORT, rx_handler_data=8)
    dev = Object(toy.prog, "struct net_device *", at)
    assert not br_port_get(dev) and br_port_state(dev) == ""
    toy.set("struct net_device", at, priv_flags=PORT)
    with pytest.raises(LookupError, match="bridge"):
        br_port_get(dev)
    toy.struct("net_bridge_port", dev="void *", state="unsigned char")
    port = toy.place(PORT_TYPE)
    toy.set(PORT_TYPE, port, state=3)
    toy.set("struct net_device", at, rx_handler_data=port)
    assert br_port_get(dev).value_() == port
    assert br_port_state(dev) == "forwarding"


def test_modes_of_bonds(monkeypatch: pytest.MonkeyPatch, toy: Toy) -> None:
    params = toy.struct("bond_params", mode="int")
    toy.struct("bonding", dev="void *", params=params)
    bonding = toy.place("struct bonding")
    priv = Object(toy.prog, "struct bonding *", bonding)
    monkeypatch.setattr("drgn_veth.readers.bonding.bond_priv", lambda dev: priv)
    found = {}
    for mode in range(-1, 8):
        toy.put(bonding + 8, "i", mode)
        try:
            found[mode] = bond_mode(priv)
        except ValueError as e:
            assert f"mode is {mode}, which is not a known value" in str(e)
    assert sorted(found) == list(range(7))
    assert (found[0], found[1], found[6]) == (
        *("balance-rr", "active-backup", "balance-alb"),
    )
