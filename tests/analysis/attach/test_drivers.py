# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values that the drivers look at: MTU, queues, modes of bonds, features."""

import errno

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Bond, QueueCount, Queues, StaleProgram, Veth, VirtioNet
import pytest

from tests.support.attach.case import (
    ALL_OPERATIONS,
    NO_XDP,
    PAGE,
    Case,
    plain_device,
    program_of,
)
from tests.support.attach.orders import case_with
from tests.support.attach.table import DRIVERS, MOST, SAYS, messages_of
from tests.support.attach.troubles import set_features, slave_operations, slave_queues

MOST_FRAGS = 73138


@pytest.mark.parametrize(
    "frags,mtu,expected",
    [
        (False, MOST, 0),
        (False, MOST + 1, errno.ERANGE),
        (True, MOST + 1, 0),
        (True, MOST_FRAGS, 0),
        (True, MOST_FRAGS + 1, errno.ERANGE),
    ],
)
def test_mtu_edges(frags: bool, mtu: int, expected: int) -> None:
    """K: 3506, and 73138 with fragments."""
    case = Case("I", "veth", "driver")
    case.of_program(frags=frags)
    case.change("peer", mtu=mtu)
    said = case.ask()
    assert said.errno == expected
    assert (
        str(MOST_FRAGS if frags else MOST) in said.because and str(mtu) in said.because
    )
    # That of both ends, as the smaller one was good enough for the device.
    assert said.fix == (("ip link set dev peer mtu 1500",) if expected else ())


@pytest.mark.parametrize("kind,name", [("bond", "top"), ("bridge", "peer")])
def test_mtu_of_a_port(kind: str, name: str) -> None:
    """A bond or a team sets that of its ports; a bridge does not."""
    case = Case("I", "veth", "driver")
    case.devices["top"] = plain_device(60, "top", kind=kind)._replace(mtu=9000)
    case.change("peer", mtu=9000, master=case.devices["top"].ref)
    assert case.ask().fix == (f"ip link set dev {name} mtu 1500",)
    # Both ends get the same.
    case.change("veth", mtu=9000)
    assert case.ask().fix == (
        f"ip link set dev veth mtu {MOST}",
        f"ip link set dev {name} mtu {MOST}",
    )


def test_mtu_where_it_is_not_known_whose_it_is() -> None:
    """A port of a bond cannot have another one than the bond: no command then."""
    case = Case("I", "veth", "driver")
    case.change("peer", mtu=9000, master=Unreadable("fault"))
    assert case.ask().errno == errno.ERANGE and case.ask().fix == ()
    assert case.ask().fix_effect is None  # of no command
    case.change("peer", master=plain_device(60, "top", kind="bond").ref)
    assert case.ask().fix == ()


def test_numbers_are_the_targets() -> None:
    """Another page size, cache line, alignment: another limit."""
    case = Case("I", "veth", "driver")
    case.kernel = case.kernel._replace(
        page_size=65536, skb_shared_info_size=330, smp_cache_bytes=128, net_ip_align=2
    )
    most = 65536 - (256 + 2) - 14 - 384
    case.change("peer", mtu=most)
    assert case.ask().errno == 0
    case.change("peer", mtu=most + 1)
    assert case.ask().errno == errno.ERANGE


@pytest.mark.parametrize("rx,tx", [(1, 1), (4, 4), (14, 48), (48, 14)])
def test_queues(rx: int, tx: int) -> None:
    """The story: 14 RX queues against 48 TX queues."""
    case = Case("I", "veth", "driver")
    case.change("veth", queues=Queues(QueueCount(rx, 64), QueueCount(9, 9)))
    case.change("peer", queues=Queues(QueueCount(9, 9), QueueCount(tx, 64)))
    said = case.ask()
    assert said.errno == (errno.ENOSPC if rx < tx else 0)
    assert str(rx) in said.because and str(tx) in said.because
    if rx < tx:
        assert said.fix == (f"ethtool -L veth rx {tx}",)
        case.change("veth", queues=Queues(QueueCount(rx, tx - 1), QueueCount(9, 9)))
        assert case.ask().fix == (f"ethtool -L peer tx {rx}",)
        case.change(
            "veth",
            queues=Queues(QueueCount(rx, 64), QueueCount(9, 9)),
            veth=Veth(0, 0, (StaleProgram(20, 0xFFFF8000),)),
        )
        assert case.ask().fix == (f"ethtool -L peer tx {rx}",)
        no_channels = ALL_OPERATIONS._replace(name="veth", set_channels=False)
        case.change("veth", driver=no_channels)
        assert case.ask().fix == ()


@pytest.mark.parametrize(
    "mode,policy,expected",
    [
        ("balance-rr", "layer2", 0),
        ("active-backup", "vlan+srcmac", 0),
        ("balance-xor", "layer3+4", 0),
        ("balance-xor", "vlan+srcmac", errno.EOPNOTSUPP),
        ("802.3ad", "layer2", 0),
        ("802.3ad", "vlan+srcmac", errno.EOPNOTSUPP),
        ("broadcast", "layer2", errno.EOPNOTSUPP),
        ("balance-tlb", "layer2", errno.EOPNOTSUPP),
        ("balance-alb", "layer2", errno.EOPNOTSUPP),
    ],
)
def test_bond_modes(mode: str, policy: str, expected: int) -> None:
    case = Case("I", "bond", "driver")
    case.change("bond", bond=Bond(mode, policy, ()))
    assert case.ask().errno == expected


def test_first_slave_that_refuses() -> None:
    case = Case("I", "bond", "driver")
    slaves = (case.devices["slave"].ref, case.devices["peer"].ref)
    case.change("bond", bond=Bond("balance-rr", "layer2", slaves))
    case.change("peer", xdp=NO_XDP._replace(generic=program_of(5)))
    assert case.ask().message == SAYS["slave-program"][1]
    slave_queues(case)
    said = case.ask()
    assert said.message == SAYS["slave-queues"][1]
    assert said.because.startswith("slave slave: ")
    # And when that is mended, the other one.
    assert said.then is not None and said.then.message == SAYS["slave-program"][1]


def test_a_slave_that_leaves_is_not_asked() -> None:
    case = Case("I", "bond", "driver")
    slave_operations(case)
    case.change("slave", driver=ALL_OPERATIONS._replace(name="dummy", ndo_bpf=False))
    said = case.ask()
    assert said.fix == ("ip link set dev slave nomaster",) and said.then is None


def test_bonds_within_bonds() -> None:
    """Each is asked, and one that is its own slave is no reason to hang."""
    case = Case("I", "bond", "driver")
    inner = plain_device(
        50, "inner", kind="bond", driver=ALL_OPERATIONS._replace(name="bond")
    )
    case.devices["inner"] = inner._replace(
        bond=Bond("balance-alb", "layer2", (case.devices["slave"].ref,))
    )
    case.change("bond", bond=Bond("balance-rr", "layer2", (inner.ref,)))
    said = case.ask()
    assert said.errno == errno.EOPNOTSUPP
    assert said.because == "slave inner: bond inner is in mode balance-alb"
    for slaves in ((case.devices["bond"].ref,), (inner.ref,)):
        case.change("inner", bond=Bond("balance-rr", "layer2", slaves))
        assert isinstance(case.ask().errno, Unreadable)


GUEST_CSUM = 1 << 1


@pytest.mark.parametrize(
    "driver, errnos",
    [
        ("virtio-lro", [0]),
        ("virtio-lro-csum", [errno.EOPNOTSUPP]),
        ("virtio", [errno.EOPNOTSUPP]),
        ("virtio-new", [errno.EOPNOTSUPP]),
        ("unread", [0, errno.EOPNOTSUPP]),
        ("unknown message", [0, errno.EOPNOTSUPP]),
    ],
)
def test_checksums_of_virtio_net(driver: str, errnos: list[int]) -> None:
    """Older drivers do not mind GUEST_CSUM: their message says which they are."""
    if driver in DRIVERS:
        case = case_with("A", driver)
    else:
        case = Case("A", "virtio", "driver")
        said: dict[str, frozenset[str]] = messages_of("A")
        if driver == "unknown message":
            said["virtnet_xdp"] = frozenset({"virtio_net: MTU too large to enable XDP"})
        case.kernel = case.kernel._replace(messages=tuple(said.items()))
    set_features(case, GUEST_CSUM)
    answer = case.ask()
    if len(errnos) == 1:
        assert answer.errno == errnos[0]
    else:
        assert answer.errno is None
        assert {one.errno for one in answer.either} == set(errnos)


CTRL_GUEST_OFFLOADS, MRG_RXBUF, ANY_LAYOUT = 1 << 2, 1 << 15, 1 << 27
GUEST_TSO4, VERSION_1 = 1 << 7, 1 << 32


def test_features_of_virtio_net() -> None:
    """The guest can turn offloads off, and either layout is one buffer."""
    for features, expected in (
        (VERSION_1 | GUEST_TSO4, errno.EOPNOTSUPP),
        (VERSION_1 | GUEST_TSO4 | CTRL_GUEST_OFFLOADS, 0),
        (MRG_RXBUF, errno.EINVAL),
        (MRG_RXBUF | VERSION_1, 0),
        (MRG_RXBUF | ANY_LAYOUT, 0),
        (0, 0),
    ):
        for driver in ("virtio", "virtio-lro", "virtio-new"):
            case = case_with("I", driver)
            case.change("virtio", virtio_net=VirtioNet(features))
            assert case.ask().errno == expected
    for lost in (None, VirtioNet(Unreadable("gone"))):
        case.change("virtio", virtio_net=lost)
        assert isinstance(case.ask().errno, Unreadable)


def test_mtu_of_virtio_net() -> None:
    """Older drivers look at nothing else, not even whether it is a detach."""
    for driver, most in (("virtio", PAGE - 16), ("virtio-new", MOST)):
        case = case_with("I", driver)
        case.change("virtio", mtu=most)
        assert case.ask().errno == 0
        case.change("virtio", mtu=most + 1)
        said = case.ask()
        assert said.errno == errno.EINVAL
        assert said.fix == (f"ip link set dev virtio mtu {most}",)
        otherwise = 0 if driver == "virtio-new" else errno.EINVAL
        case.of_program(frags=True)
        assert case.ask().errno == otherwise
        case.program = None
        case.attached("driver", "netlink")
        assert case.ask().errno == otherwise
    case = case_with("I", "virtio")
    for lost in (None, Unreadable("gone")):
        case.kernel = case.kernel._replace(padded_vnet_hdr_size=lost)
        assert isinstance(case.ask().errno, Unreadable)


@pytest.mark.parametrize(
    ("stack", "most", "expected"), [(1, 5, 0), (1, 4, 1), (2, 5, 1)]
)
def test_tx_rings_of_virtio_net(stack: int, most: int, expected: int) -> None:
    """Four CPUs. Only kernels whose code has the message refuse, and no detach."""
    refused = errno.ENOMEM if expected else 0
    for driver, errnos in (("virtio-lro-csum", refused), ("virtio", 0)):
        case = case_with("A", driver)
        count = QueueCount(stack, most)
        case.change("virtio", queues=Queues(count, count))
        assert case.ask().errno == errnos, driver
        case.program = None
        case.attached("driver", "netlink")
        assert case.ask().errno == 0
    case = case_with("A", "virtio-lro-csum")
    case.change("virtio", queues=Queues(count, count))
    # Without the code, it may be such a kernel.
    said = dict(messages_of("A"))
    case.kernel = case.kernel._replace(messages=tuple(said.items()))
    answer = case.ask()
    if expected:
        assert answer.errno is None
        assert {one.errno for one in answer.either} == {0, errno.ENOMEM}
    else:
        assert answer.errno == 0
