# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an answer adds: who else may refuse, and what the devices below would say."""

import errno
from typing import Any

from drgn_veth.analysis.attach.below import answers_below
from drgn_veth.analysis.attach.caller import CALLER, of_caller
from drgn_veth.analysis.attach.predictor import Predictor
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Bond, Device, Driver, Snapshot
from drgn_veth.render.attempts import Attempt
from drgn_veth.render.attempts_device import one_device
from drgn_veth.render.plain import plain

from tests.support.attach.case import ALL_OPERATIONS, kernel_of, plain_device
from tests.support.snapshots import snapshot


def _whole(*devices: Device) -> Snapshot:
    return snapshot(*devices, kernel=kernel_of("A"))


def _lower(**changes: Any) -> Device:
    return plain_device(2, "eth0", **changes)


def test_errors_of_a_slave_of_an_unknown_driver() -> None:
    """EINVAL is none of bonding's answers: it can only come from mlx5."""
    slave = _lower(driver=ALL_OPERATIONS._replace(name="mlx5_core"))
    bond = plain_device(
        3, "bond0", kind="bond", driver=ALL_OPERATIONS._replace(name="bond"),
        bond=Bond("802.3ad", "layer2", (slave.ref,)), lowers=(slave.ref,),
    )  # fmt: skip
    answer = Predictor(_whole(slave, bond)).attach(bond, "driver")
    assert answer.errno is None
    assert answer.because.startswith("slave eth0: passes the core checks; driver mlx5")
    assert "any other errno, such as EINVAL, can only come from ndo_bpf" in (
        answer.because
    )


def _vlan(lower: Device) -> Device:
    none = Driver("vlan", False, False, False)
    return plain_device(3, "eth0.40", kind="vlan", driver=none, lowers=(lower.ref,))


def test_the_device_below_a_vlan() -> None:
    """It takes native XDP, and that is said where the VLAN refuses."""
    lower = _lower(driver=ALL_OPERATIONS._replace(name="tun"))
    vlan = _vlan(lower)
    predictor = Predictor(_whole(lower, vlan))
    answer = predictor.attach(vlan, "driver")
    assert answer.errno == errno.EOPNOTSUPP
    below = answers_below(predictor, vlan, "driver")
    assert [(one.device.name, one.answer.errno) for one in below] == [("eth0", 0)]
    attempt = Attempt(vlan, "attach", "driver", "netlink", False, answer, below)
    assert "eth0 (" in one_device([attempt]) and "below it: ok" in one_device([attempt])
    assert plain(attempt)["below"][0]["errno"] == 0
    # Nothing is below in another mode, nor below a device that has native XDP.
    assert answers_below(predictor, vlan, "generic") == ()
    assert answers_below(predictor, lower, "driver") == ()


def test_what_is_not_known_to_be_below() -> None:
    lower = _lower(driver=ALL_OPERATIONS._replace(name="tun"))
    vlan, bad = _vlan(lower), Unreadable("a hole")
    other = plain_device(4, "eth1", driver=lower.driver)
    predictor = Predictor(_whole(lower, other, vlan))
    for changes, names in (
        ({}, ["eth0"]),
        ({"lowers": (lower.ref, other.ref)}, ["eth0", "eth1"]),
        # It is on top of a device that was not found.
        ({"lowers": (vlan.ref._replace(net_device=1), other.ref)}, ["eth1"]),
        ({"lowers": (other.ref,) * 100}, ["eth1"] * 64),
        ({"lowers": bad}, []),
        # A program here sees the packets that one below would.
        ({"driver": vlan.driver._replace(ndo_bpf=True)}, []),
        ({"driver": vlan.driver._replace(ndo_bpf=bad)}, []),
        ({"kind": "bridge"}, ["eth0"]),
        ({"kind": "bond"}, []),
        ({"kind": bad}, []),
    ):
        below = answers_below(predictor, vlan._replace(**changes), "driver")
        assert [one.device.name for one in below] == names


def test_what_the_caller_can_get_wrong() -> None:
    """Under what is ok, and nowhere else."""
    device = _lower(driver=ALL_OPERATIONS._replace(name="tun"))
    predictor = Predictor(_whole(device))
    ok = Attempt(
        device, "attach", "driver", "link", False, predictor.attach(device, "driver")
    )
    text = " ".join(one_device([ok], caller=True).split())
    assert "The caller can still get EPERM" in text
    assert "attach_type is not BPF_XDP (37)" in text
    refused = ok._replace(answer=predictor.attach(device, "offload"))
    assert "caller" not in one_device([refused], caller=True)
    assert set(of_caller(("netlink", "link"))) == set(CALLER)
    assert all("link" in one.vias for one in of_caller(("link",)))
