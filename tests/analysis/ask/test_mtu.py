# SPDX-License-Identifier: LGPL-2.1-or-later
"""MTU: limits, ports, the slaves of a bond, drivers that decide themselves."""

import errno

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Bond, Driver

from tests.support.damage import named
from tests.support.requests import (
    above,
    answer_to,
    changed,
    granted,
    sound_pair,
    with_bond,
)
from tests.support.snapshots import BAD


def test_limits() -> None:
    for near, mtu, number, because in (
        ({}, 67, errno.EINVAL, "mtu 67 < 68, the min_mtu of veth0"),
        # The kernel takes it as an int.
        ({}, (1 << 32) - 1, errno.EINVAL, "mtu -1 < 0"),
        ({"min_mtu": 0}, 1 << 31, errno.EINVAL, "mtu -2147483648 < 0"),
        ({"max_mtu": 0}, (1 << 31) - 1, 0, "68 <= mtu 2147483647, and there is no max"),
        ({"max_mtu": 1600}, 1600, 0, "68 <= mtu 1600 <= 1600"),
        (
            {"max_mtu": 3506},
            *(3507, errno.EINVAL),
            "mtu 3507 > 3506, the max_mtu of veth0: native XDP on its peer limits it",
        ),
        # What it has already is not looked at.
        ({"mtu": 9000, "max_mtu": 1500}, 9000, 0, "veth0 has mtu 9000 already"),
    ):
        answer = answer_to(sound_pair(**near), f"mtu {mtu}")
        assert answer.errno == number and answer.because.startswith(because)
    alone = Driver("virtio_net", True, True, True)
    for whole in (
        sound_pair(max_mtu=65535),
        sound_pair(max_mtu=3506, peer=None),
        sound_pair(max_mtu=3506, driver=alone),
    ):
        assert "its peer" not in answer_to(whole, "mtu 65536").because


def test_a_port() -> None:
    """A team keeps the MTU of its ports; others do not."""
    for kind, number in (("team", errno.EPERM), ("bridge", 0), ("bond", 0)):
        master = above(kind, 10)
        whole = sound_pair(master, master=master.ref)
        assert answer_to(whole, "mtu 1400").errno == number
        # The limits come first, and what it has already before them.
        assert answer_to(whole, "mtu 67").errno == errno.EINVAL
        assert answer_to(whole, "mtu 1500").errno == 0
    for lost in (BAD, above("team", 10).ref):
        assert isinstance(
            answer_to(sound_pair(master=lost), "mtu 1400").errno, Unreadable
        )


def test_a_slave_that_refuses() -> None:
    """bond_change_mtu() asks each, and the kernel sends no message of a slave."""
    whole = with_bond(sound_pair(), "veth0", "eth0", mtu=1500)
    assert answer_to(whole, "mtu 1600", "bond0").errno == 0
    for name in ("veth0", "eth0"):
        one = changed(whole, name, max_mtu=1500)
        answer = answer_to(one, "mtu 1600", "bond0")
        assert (answer.errno, answer.message) == (errno.EINVAL, None)
        assert answer.because.startswith(f"slave {name}: mtu 1600 > 1500")
        assert answer_to(one, "mtu 1400", "bond0").errno == 0
        # One that is not known has the final say.
        driver = Driver("mlx5_core", True, True, True, ndo_change_mtu=True)
        own = changed(whole, name, driver=driver)
        answer = answer_to(own, "mtu 1600", "bond0")
        assert answer.errno is None and answer.because.startswith(f"slave {name}: dr")
    # That of the bond itself comes first.
    answer = answer_to(changed(one, "bond0", max_mtu=1500), "mtu 1600", "bond0")
    assert answer.message == "mtu greater than device maximum"


def test_slaves_that_are_not_known() -> None:
    whole = with_bond(sound_pair(), "veth0", mtu=1500)
    bond, inner = named(whole, "bond0"), above("bond", 21)
    inner = inner._replace(name="bond1", driver=bond.driver, mtu=1500)
    whole = whole._replace(devices=(*whole.devices, inner))
    for slaves, within in (
        (BAD, ()),
        ((inner.ref._replace(net_device=1),), ()),
        ((bond.ref,), ()),
        # A loop, in a dump that is damaged.
        ((inner.ref,), (bond.ref,)),
        ((inner.ref,), (inner.ref,)),
    ):
        there = changed(whole, "bond0", bond=Bond("802.3ad", "layer2", slaves))
        there = changed(there, "bond1", bond=Bond("802.3ad", "layer2", within))
        answer = answer_to(there, "mtu 1600", "bond0")
        assert isinstance(answer.errno, Unreadable)
    lost = changed(whole, "bond0", bond=None)
    assert isinstance(answer_to(lost, "mtu 1600", "bond0").errno, Unreadable)


def test_bonds_within_bonds() -> None:
    whole = with_bond(sound_pair(max_mtu=1500), "veth0", mtu=1500)
    outer = above("bond", 21)._replace(
        name="outer", driver=named(whole, "bond0").driver
    )
    outer = outer._replace(bond=Bond("802.3ad", "layer2", (named(whole, "bond0").ref,)))
    whole = whole._replace(devices=(*whole.devices, outer))
    answer = answer_to(whole, "mtu 1600", "outer")
    assert answer.errno == errno.EINVAL
    assert answer.because.startswith("slave bond0: slave veth0: mtu 1600 > 1500")
    assert answer_to(whole, "mtu 1400", "outer").errno == 0


def test_the_device_below() -> None:
    """A VLAN on macsec has 4 bytes less."""
    for kind, lower, most, number in (
        ("vlan", "nic", 1500, errno.ERANGE),
        ("vlan", "macsec", 1496, errno.ERANGE),
        ("macvlan", "macsec", 1500, errno.EINVAL),
        ("macvtap", "nic", 1500, errno.EINVAL),
    ):
        below = above(lower, 10)
        driver = Driver(kind, False, False, False, ndo_change_mtu=True)
        one = above(kind, 11, mtu=1400, driver=driver, lowers=(below.ref,))
        whole = sound_pair(below, one)
        assert answer_to(whole, f"mtu {most}", f"{kind}0").errno == 0
        answer = answer_to(whole, f"mtu {most + 1}", f"{kind}0")
        assert answer.errno == number
        assert answer.because.startswith(f"mtu {most + 1} > {most} of {lower}0")
        for lost in (
            changed(whole, f"{kind}0", lowers=BAD),
            changed(whole, f"{lower}0", mtu=BAD),
            whole._replace(devices=(*whole.devices[:1], one)),
        ):
            answer = answer_to(lost, f"mtu {most}", f"{kind}0")
            assert isinstance(answer.errno, Unreadable)


def test_drivers_with_a_say() -> None:
    """Those that are known take any; of the others it is not known."""
    for name, number in (("bridge", 0), ("geneve", 0), ("mlx5_core", None)):
        driver = Driver(name, False, False, False, ndo_change_mtu=True)
        answer = answer_to(sound_pair(driver=driver), "mtu 1400")
        assert answer.errno == number
        assert answer_to(sound_pair(driver=driver), "mtu 67").errno == errno.EINVAL
        silent = driver._replace(ndo_change_mtu=False)
        assert answer_to(sound_pair(driver=silent), "mtu 1400").errno == 0
    assert "driver mlx5_core has the final say" in answer.because


def test_native_xdp_of_the_peer() -> None:
    """What it limits is what dev_validate_mtu() says."""
    now = granted(sound_pair(), "peer attach driver")
    answer = answer_to(now, "mtu 9000")
    assert answer.errno == errno.EINVAL
    assert answer.because.endswith("native XDP on its peer limits it")
