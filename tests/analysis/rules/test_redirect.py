# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that a map names: each loser once, and nobody else."""

from typing import Any, Optional

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import Driver, Features
import pytest

from tests.support.rules.case import found
from tests.support.rules.xdp_reach import redirected
from tests.support.snapshots import (
    BAD,
    CHANNELS,
    HOST,
    NIC,
    NO_XDP,
    POD,
    PROGRAM,
    WITH_XDP,
    Changes,
    device,
    native,
    pair,
    rqs,
)

RULE = "xdp-redirect-not-ready"
PASSES = PROGRAM._replace(redirects=False)
READY: Changes = {"features": Features(0, 0, 5)}
XMIT = Driver("x", True, True, False)


def _other(**changes: Any) -> Any:
    return device(HOST, 9, "target", **{"kind": "dummy", **READY, **changes})


@pytest.mark.parametrize(
    ("changes", "why", "answer", "act"),
    [
        (
            {"features": Features(0, 0, 0)},
            "its xdp_features lack NDO_XMIT",
            ("__xdp_enqueue", "EOPNOTSUPP"),
            "0x0",
        ),
        (
            {"features": Features(0, 0, None)},
            "its driver has no ndo_xdp_xmit",
            ("__xdp_enqueue", "EOPNOTSUPP"),
            None,
        ),
        (
            {"kind": "tun", "flags": ("UP",), "driver": XMIT},
            "nobody reads it",
            ("tun_xdp_xmit", "ENXIO"),
            "0x5",
        ),
        (
            {"kind": None, "driver": XMIT._replace(name="virtio_net")},
            "virtio_net takes frames only with a native program of its own",
            ("virtnet_xdp_xmit", "ENXIO"),
            "0x5",
        ),
    ],
)
def test_device_in_a_map(
    changes: Changes, why: str, answer: tuple[str, str], act: Optional[str]
) -> None:
    (finding,) = found(RULE, redirected(_other(**changes)))
    assert finding.device is not None and finding.device.name == "target"
    assert finding.severity == "warning"
    assert finding.summary == (
        f"XDP_REDIRECT to it loses packets: {why}; the native program of ens1 "
        "redirects to it by entry 0 of devmap ports"
    )
    assert finding.kernel == KernelAnswer(*answer)
    assert finding.evidence == (("map id", (5,)), ("xdp_features", act))


def test_down_is_no_warning() -> None:
    (finding,) = found(RULE, redirected(_other(flags=("BROADCAST",), driver=XMIT)))
    assert finding.severity == "info"
    assert finding.fix == ("ip link set dev target up",)
    (finding,) = found(RULE, redirected(_other(flags=()), generic=True))
    assert "the generic program of ens1 redirects" in finding.summary


def test_bystanders_are_not_named() -> None:
    """The pair's veth0 has no NAPI at its peer, and no map names it."""
    ready = _other(driver=XMIT)
    assert found(RULE, redirected(ready)) == []
    assert found(RULE, redirected(ready, _other(net_device=1), generic=True)) == []


def test_device_that_is_being_torn_down_is_not_named() -> None:
    lost = _other(features=Features(0, 0, 0))
    assert found(RULE, redirected(lost))
    assert found(RULE, redirected(lost._replace(off_list="netns is dying"))) == []


def test_napi_alone_is_not_enough() -> None:
    """Of a veth that a program may redirect to by its index: NAPI is not missing."""
    idle = {"xdp": NO_XDP._replace(queues=rqs(True))}
    nic = NIC._replace(xdp=WITH_XDP)
    (finding,) = found(RULE, pair({"features": Features(0, 0, 0)}, idle, nic))
    assert finding.summary == (
        "XDP_REDIRECT to it loses packets, and native programs run in its namespace: "
        "its xdp_features lack NDO_XMIT"
    )
    assert finding.evidence[1] == ("peer_rq[].napi != NULL", 1)
    assert finding.fix == ()


def test_netkit_needs_no_napi() -> None:
    """Its peer is of no interest: only a veth gives frames to one."""
    ends = pair(kind="netkit").devices
    end, other = (one._replace(**READY) for one in ends)
    end = end._replace(flags=("BROADCAST",), net_device=1, name="nk0")
    end, other = end._replace(peer=other.ref), other._replace(peer=end.ref)
    whole = redirected(end)
    (finding,) = found(RULE, whole._replace(devices=(*whole.devices, other)))
    assert finding.kernel == KernelAnswer("__xdp_enqueue", "ENETDOWN")
    assert finding.evidence == (("map id", (5,)), ("xdp_features", "0x5"))
    assert finding.fix == ("ip link set dev nk0 up",)


def test_two_entries_are_one_finding() -> None:
    lost = _other(features=Features(0, 0, 0))
    (finding,) = found(RULE, redirected(lost, lost))
    assert finding.summary.endswith("entry 0 of devmap ports, and 1 more entry")


def test_veth_in_a_map() -> None:
    end = device(HOST, 11, "va", **READY, driver=XMIT)
    other = device(POD, 12, "vb", **native(program=PASSES), peer=end.ref)
    end = end._replace(peer=other.ref)
    whole = redirected(end)
    ready = whole._replace(devices=(*whole.devices, other))
    assert found(RULE, ready) == []
    without = other._replace(xdp=other.xdp._replace(driver=None, queues=rqs(False)))
    (finding,) = found(RULE, whole._replace(devices=(*whole.devices, without)))
    assert "its peer vb (netns ?) has no NAPI" in finding.summary.replace(
        f"netns {POD}", "netns ?"
    )


def test_what_could_not_be_read() -> None:
    (finding,) = found(RULE, redirected(_other(features=Features(0, 0, BAD))))
    assert finding.undecided and "xdp_features could not be read" in finding.undecided


GRO = 1 << 14  # NETIF_F_GRO


@pytest.mark.parametrize(
    ("down", "wanted", "commands"),
    [
        ((), 0, ["ethtool -K {} gro on"]),
        (("vb",), 0, ["ip link set dev vb up", "ethtool -K {} gro on"]),
        (("vb",), GRO, ["ip link set dev vb up"]),
        (
            ("va", "vb"),
            0,
            ["ip link set dev va up", "ip link set dev vb up", "ethtool -K {} gro on"],
        ),
    ],
)
def test_what_makes_the_peer_ready(
    down: tuple[str, ...], wanted: int, commands: list[str]
) -> None:
    """veth_set_features() makes NAPI run only while the device is up."""
    driver = CHANNELS._replace(ndo_xdp_xmit=True)
    end = device(HOST, 11, "va", **READY, driver=driver)
    other = device(HOST, 12, "vb", driver=driver, peer=end.ref)
    other = other._replace(
        features=Features(wanted, wanted, 0), xdp=NO_XDP._replace(queues=rqs(False))
    )
    ends = [end._replace(peer=other.ref), other]
    ends = [
        one._replace(flags=("BROADCAST",)) if one.name in down else one for one in ends
    ]
    whole = redirected(ends[0])
    whole = whole._replace(devices=(*whole.devices, ends[1]))
    (finding,) = found(RULE, whole)
    (command,) = finding.fix
    assert command.split(" && ") == [one.format("vb") for one in commands]


def test_what_would_take_no_frame_if_it_were_up() -> None:
    """A dummy never does, nor a veth with too few RX queues."""
    (finding,) = found(RULE, redirected(_other(flags=(), features=Features(0, 0, 0))))
    assert finding.fix == ()
    end = device(HOST, 11, "va", flags=(), features=Features(0, 0, 0), driver=CHANNELS)
    other = device(HOST, 12, "vb", peer=end.ref, **native(program=PASSES))
    whole = redirected(end._replace(peer=other.ref))
    (finding,) = found(RULE, whole._replace(devices=(*whole.devices, other)))
    assert finding.fix == ()


def test_entries_that_were_not_read() -> None:
    """There may be more devices that lose packets."""
    whole = redirected()
    for changes in ({"entry_count": 2000}, {"entries": BAD}):
        part = whole._replace(maps=(whole.maps[0]._replace(**changes),))
        (finding,) = found(RULE, part)
        assert finding.undecided is not None and "devmap entries" in finding.undecided
        assert finding.device is not None and finding.device.name == "ens1"


def test_namespace_that_could_not_be_read() -> None:
    """Which programs run there is unknown."""
    assert found("xdp-redirect-not-ready", pair({"netns": BAD})) == []
