# SPDX-License-Identifier: LGPL-2.1-or-later
"""Masters: what a bridge and a bond want of a port, and which master is meant."""

import errno

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Bond, Driver, Traits
import pytest

from tests.support.damage import named
from tests.support.requests import (
    BRIDGE_DRIVER,
    SOUND,
    above,
    answer_to,
    changed,
    errnos_of,
    granted,
    key_of,
    sound_pair,
    with_bond,
)
from tests.support.snapshots import BAD, CHANNELS, FRAGS, POD, generic, native, pair


def test_a_bridge_wants_ethernet() -> None:
    for near in (
        {"flags": ("LOOPBACK",)},
        {"traits": Traits(type=772)},
        {"traits": Traits(addr_len=20)},
        # Multicast, locally administered multicast, all zero, and none.
        {"mac": "01:00:5e:00:00:01"},
        {"mac": "03:00:00:00:00:00"},
        {"mac": "00:00:00:00:00:00"},
        {"mac": None},
    ):
        answer = answer_to(sound_pair(**near), "enslave new bridge")
        assert (answer.errno, answer.message) == (errno.EINVAL, None)
        assert key_of(answer) == "bridge-ethernet"
    for mac in ("10:00:00:00:00:00", "00:00:00:00:00:10", "02:00:00:00:00:00"):
        answer = answer_to(sound_pair(mac=mac), "enslave new bridge")
        assert (answer.errno, answer.function) == (0, "br_add_if")
    for lost in ("flags", "mac"):
        answer = answer_to(sound_pair(**{lost: BAD}), "enslave new bridge")
        assert isinstance(answer.errno, Unreadable)
    for lost in ("type", "addr_len", "rx_handler", "no_rx_handler", "dont_bridge"):
        traits = Traits()._replace(**{lost: BAD})
        answer = answer_to(sound_pair(traits=traits), "enslave new bridge")
        assert isinstance(answer.errno, Unreadable)


def test_which_master_is_meant() -> None:
    """One of the namespace of the device that the kernel still finds."""
    there = above("bridge", 10, driver=BRIDGE_DRIVER)
    for changes in ({"netns": POD}, {"off_list": "unregistering"}):
        whole = sound_pair(there._replace(**changes))
        answer = answer_to(whole, "enslave bridge0")
        assert isinstance(answer.errno, Unreadable)
        assert "no 'bridge0' in the namespace of veth0" in answer.because
        # The other one has the same name.
        both = sound_pair(there._replace(**changes, net_device=1), there)
        assert answer_to(both, "enslave bridge0").errno == 0
    assert answer_to(sound_pair(there), "enslave bridge0").errno == 0
    assert isinstance(answer_to(sound_pair(), "enslave bridge0").errno, Unreadable)


def test_the_master_that_it_has() -> None:
    there = above("bridge", 10, driver=BRIDGE_DRIVER)
    other = there._replace(name="bridge1", net_device=1)
    held = Traits(rx_handler=True)
    whole = sound_pair(there, other, master=there.ref, uppers=(there.ref,), traits=held)
    for text, function in (
        ("enslave bridge0", "do_set_master"),
        ("enslave bridge1", "br_add_if"),
        ("enslave none", "do_set_master"),
        # A new one is another one, even if its address is not known.
        ("enslave new bridge", "br_add_if"),
    ):
        answer = answer_to(whole, text)
        assert (answer.errno, answer.function) == (0, function)
    # A port leaves even one that it could not enter.
    for text, number in (("enslave bridge0", 0), ("enslave none", 0)):
        assert answer_to(changed(whole, "veth0", mac=None), text).errno == number
    one = answer_to(whole, "enslave none").because
    assert one == "veth0 leaves its master"
    assert answer_to(sound_pair(), "enslave none").because == "veth0 has no master"
    for lost in (BAD, there.ref._replace(net_device=2)):
        answer = answer_to(sound_pair(master=lost), "enslave none")
        assert isinstance(answer.errno, Unreadable)


def test_another_kind_of_master() -> None:
    """Its driver has the final say, unless it takes no ports."""
    for kind in ("team", "vrf", "bond", "bridge"):
        driver = Driver(kind, False, False, False)
        whole = sound_pair(above(kind, 10, driver=driver))
        answer = answer_to(whole, f"enslave {kind}0")
        assert (answer.errno, answer.function) == (errno.EOPNOTSUPP, "do_set_master")
    for kind in ("team", "vrf"):
        driver = Driver(kind, False, False, False, ndo_add_slave=True)
        answer = answer_to(
            sound_pair(above(kind, 10, driver=driver)), f"enslave {kind}0"
        )
        assert answer.errno is None and not answer.either
        assert f"driver {kind} of the master has the final say" in answer.because
    lost = above("bond", 10, driver=driver)._replace(kind=BAD)
    assert isinstance(answer_to(sound_pair(lost), "enslave bond0").errno, Unreadable)


def test_decisions_that_only_some_kernels_make() -> None:
    """Of two refusals, or of a refusal and what comes behind the check."""
    can, master = "CAN devices cannot be enslaved", "(master device) cannot be enslaved"
    up = "Device can not be enslaved while up"
    for near, errnos, first, last in (
        ({"flags": ("MASTER",)}, [errno.EPERM, 0], master, None),
        ({"flags": ("MASTER", "UP")}, [errno.EPERM] * 2, master, up),
        ({"flags": ("MASTER",), "max_mtu": 1400}, [errno.EPERM, errno.EINVAL], master,
            None),
        ({"flags": ("MASTER",), "mtu": BAD}, [errno.EPERM, None], master, None),
        ({"traits": Traits(type=280)}, [errno.EPERM, None], can, None),
        ({"traits": Traits(type=280), "flags": ("UP",)}, [errno.EPERM] * 2, can, up),
    ):  # fmt: skip
        answer = answer_to(sound_pair(**{"mtu": 9000, **near}), "enslave new bond")
        assert errnos_of(answer) == errnos
        assert str(answer.either[0].message).endswith(first)
        assert answer.either[1].message == last
        same = len(set(errnos)) == 1
        assert answer.errno == (errno.EPERM if same else None)
        if same:
            assert answer.message == answer.either[0].message
            assert answer.because.startswith(answer.either[0].because)
    # Every kernel asks that.
    for near, message in (
        ({"flags": ("UP",)}, up),
        (
            {"traits": Traits(rx_handler=True)},
            "Device is in use and cannot be enslaved",
        ),
    ):
        answer = answer_to(sound_pair(**near), "enslave new bond")
        assert (answer.message, answer.either) == (message, ())


def test_a_bond_gives_its_mtu() -> None:
    """The kernel sends no message of dev_set_mtu()."""
    whole = with_bond(sound_pair(max_mtu=1500))
    answer = answer_to(whole, "enslave bond0")
    assert (answer.errno, answer.message) == (errno.EINVAL, None)
    assert answer.because.startswith("its MTU would become 9000: mtu 9000 > 1500")
    assert answer_to(changed(whole, "bond0", mtu=1400), "enslave bond0").errno == 0
    for name in ("veth0", "bond0"):
        answer = answer_to(changed(whole, name, mtu=BAD), "enslave bond0")
        assert isinstance(answer.errno, Unreadable)
    driver = CHANNELS._replace(name="mlx5_core", ndo_change_mtu=True)
    answer = answer_to(
        changed(whole, "veth0", driver=driver, max_mtu=0), "enslave bond0"
    )
    assert answer.errno is None and answer.because.startswith("its MTU would become")


def test_a_new_master() -> None:
    """A bond has an MTU of 1500, and a bridge leaves its ports alone."""
    whole = sound_pair(mtu=9000, max_mtu=9000)
    assert named(granted(whole, "enslave new bond"), "veth0").mtu == 1500
    assert named(granted(whole, "enslave new bridge"), "veth0").mtu == 9000
    small = sound_pair(mtu=1400, max_mtu=1499)
    answer = answer_to(small, "enslave new bond")
    assert answer.errno == errno.EINVAL
    assert answer.because.startswith("its MTU would become 1500: mtu 1500 > 1499")
    assert answer_to(small, "enslave new bridge").errno == 0


def test_what_a_bond_finds_late() -> None:
    for near, number, function in (
        ({"traits": Traits(no_rx_handler=True)}, errno.EINVAL,
            "netdev_rx_handler_register"),
        ({"lowers": (above("bond", 20).ref,)}, errno.EBUSY, "__netdev_upper_dev_link"),
        ({}, 0, "bond_enslave"),
    ):  # fmt: skip
        whole = changed(with_bond(sound_pair(**near)), "bond0", mtu=1500)
        answer = answer_to(whole, "enslave bond0")
        assert (answer.errno, answer.function) == (number, function)


def test_another_type() -> None:
    """The first slave makes the bond like itself, the others have to be like it."""
    odd = Traits(type=32)
    whole = changed(with_bond(sound_pair(traits=odd)), "bond0", mtu=1500)
    answer = answer_to(whole, "enslave bond0")
    assert answer.errno is None
    assert answer.because.startswith("the bond would become like veth0")
    assert answer_to(whole, "enslave new bond").errno is None
    slaves = Bond("active-backup", "layer2", (named(whole, "eth0").ref,))
    full = changed(whole, "bond0", bond=slaves)
    answer = answer_to(full, "enslave bond0")
    assert answer.errno == errno.EINVAL
    assert answer.message == "Device type is different from other slaves"
    assert answer_to(changed(full, "bond0", traits=odd), "enslave bond0").errno == 0
    lost = changed(full, "bond0", bond=Bond("active-backup", "layer2", BAD))
    assert isinstance(answer_to(lost, "enslave bond0").errno, Unreadable)


def test_a_vlan_that_may_not_come_up() -> None:
    """vlan_dev_open() wants the device below up, unless its binding is loose."""
    for flags, known in ((("UP",), True), (("BROADCAST",), False), (BAD, False)):
        lower = above("nic", 10, flags=flags)
        driver = CHANNELS._replace(name="vlan")
        whole = sound_pair(lower, driver=driver, lowers=(lower.ref,))
        answer = answer_to(whole, "enslave new bond")
        assert answer.errno == 0 if known else isinstance(answer.errno, Unreadable)
        # A bridge does not open its port, and no other kind has a lower device.
        assert answer_to(whole, "enslave new bridge").errno == 0
        veth = changed(whole, "veth0", driver=CHANNELS)
        assert answer_to(veth, "enslave new bond").errno == 0


_UNSUPPORTED = "Slave does not support XDP"


@pytest.mark.parametrize("new", [True, False])
def test_a_bond_gives_its_program(new: bool) -> None:
    for near, far, number, message in (
        ({"driver": CHANNELS._replace(ndo_xdp_xmit=False)}, {}, "EOPNOTSUPP",
            _UNSUPPORTED),
        ({"driver": CHANNELS._replace(ndo_bpf=False)}, {}, "EOPNOTSUPP", _UNSUPPORTED),
        (generic(), {}, "EOPNOTSUPP",
            "Slave has XDP program loaded, please unload before enslaving"),
        ({}, {"mtu": 9000}, "ERANGE", "veth: Peer MTU is too large to set XDP"),
    ):  # fmt: skip
        whole = pair({**SOUND, **near}, {**SOUND, **far})
        master = "new bond program" if new else "bond0"
        if not new:
            whole = with_bond(whole, **native(), mtu=1500)
        answer = answer_to(whole, f"enslave {master}")
        assert (answer.errno, answer.message) == (getattr(errno, number), message)
        assert answer.function == (
            "veth_xdp_set" if number == "ERANGE" else "bond_enslave"
        )
        # Not so without a program.
        assert answer_to(whole, "enslave new bond").errno == 0
    if not new:
        # One with fragments takes a larger MTU at the peer.
        frags = changed(whole, "bond0", **native(program=FRAGS))
        assert answer_to(frags, "enslave bond0").errno == 0
        lost = changed(whole, "bond0", **native(program=BAD))
        assert isinstance(answer_to(lost, "enslave bond0").errno, Unreadable)


def test_a_slave_that_changes_its_bond() -> None:
    """It has lost the program of the old one by then."""
    whole = with_bond(sound_pair(), mtu=1500, **native())
    there = granted(whole, "enslave bond0")
    left = granted(there, "enslave none")
    assert isinstance(named(left, "veth0").mtu, Unreadable)
    # The MTU that it had before it was a slave is not known.
    answer = answer_to(there, "enslave new bond program")
    assert isinstance(answer.errno, Unreadable) and "not known" in answer.because


def test_a_slave_with_a_program_of_its_own() -> None:
    """It keeps that when it leaves, and its peer the limit."""
    whole = with_bond(sound_pair(), "veth0", mtu=1500)
    there = granted(whole, "attach driver")
    left = granted(there, "enslave none")
    assert named(left, "veth0").xdp.driver is not None
    assert named(left, "eth0").max_mtu == named(there, "eth0").max_mtu == 3506


def test_what_is_not_known_of_a_port_that_leaves() -> None:
    whole = with_bond(sound_pair(), "veth0", lowers=BAD)
    for member in ("flags", "uppers"):
        left = granted(changed(whole, "veth0", **{member: BAD}), "enslave none")
        assert getattr(named(left, "veth0"), member) == BAD
        bond = named(left, "bond0")
        assert bond.lowers == BAD and bond.bond == Bond("active-backup", "layer2", ())
