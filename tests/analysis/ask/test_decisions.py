# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The decisions about requests, written down once more
----------------------------------------------------

What the kernel's source says, and not taken from the package: for each decision a pair
of veths with that trouble alone, errno and message.
"""

from collections.abc import Sequence
import errno
from typing import Any, Optional

from drgn_veth.analysis.ask import (
    Asker,
    after,
    channels,
    devmap,
    enslave,
    mtu,
    netns,
    parse,
    xsk_bind,
)
from drgn_veth.analysis.ask.request import Enslave, RequestError
from drgn_veth.analysis.attach.decision import Decision
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Driver, Features, RpsQueue, Snapshot, Traits
import pytest

from tests.support.asked import question_of
from tests.support.requests import (
    BOND_DRIVER,
    BRIDGE_DRIVER,
    SOUND,
    VIRTIO,
    above,
    answer_to,
    errnos_of,
    key_of,
)
from tests.support.snapshots import (
    BOND,
    BR0,
    CHANNELS,
    HOST,
    device,
    kernel,
    native,
    pair,
    queues,
)

MASTER = BR0.driver._replace(ndo_add_slave=True)
_AF_XDP = "requested channel counts are too low for existing zerocopy AF_XDP sockets"
_BUSY = (
    "requested channel counts are too low due to busy queues (AF_XDP or queue leasing)"
)
_CHANGES_MTU = Driver("", False, False, False, ndo_change_mtu=True)
_BRIDGE = above("bridge", 10, driver=BRIDGE_DRIVER)
_TEAM = above("team", 11)
_OVS = above("openvswitch", 12)
_NIC = above("nic", 13)
#: What is beside the pair.
_OTHERS = (_BRIDGE, _TEAM, _OVS, _NIC)
#: Decision: the question, what is wrong with the device or its peer, the answer.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], str, Optional[str]]] = {
    "channels-none": (
        "channels rx 1", {"driver": CHANNELS._replace(set_channels=False)}, {},
        "EOPNOTSUPP", None,
    ),
    "channels-maximum": (
        "channels rx 5", {}, {}, "EINVAL", "requested channel count exceeds maximum",
    ),
    "channels-no-queue": (
        "channels tx 0", {}, {}, "EINVAL",
        "requested channel counts would result in no RX or TX channel being configured",
    ),
    "channels-af-xdp": (
        "channels tx 1", {"xsk_queues": (1,)}, {}, "EINVAL",
        _AF_XDP,
    ),
    "channels-busy": (
        "channels tx 1", {"xsk_queues": (1,)}, {}, "EINVAL", _BUSY,
    ),
    "channels-queue-busy": (
        "channels tx 1", {"xsk_queues": (1,)}, {}, "EINVAL",
        "Device queue in use by AF_XDP",
    ),
    "channels-veth-program": ("channels rx 1", native(), {}, "EINVAL", None),
    "channels-veth-peer-program": ("channels tx 3", {}, native(), "EINVAL", None),
    "channels-virtio-program": (
        "channels combined 1", {**VIRTIO, **native()}, {}, "EINVAL", None,
    ),
    "mtu-minimum": ("mtu 67", {}, {}, "EINVAL", "mtu less than device minimum"),
    "mtu-maximum": ("mtu 65536", {}, {}, "EINVAL", "mtu greater than device maximum"),
    "mtu-team-port": ("mtu 1400", {"master": _TEAM.ref}, {}, "EPERM", None),
    "mtu-macvlan": (
        "mtu 1501", {"driver": _CHANGES_MTU._replace(name="macvlan"),
        "lowers": (_NIC.ref,)}, {}, "EINVAL", None,
    ),
    "mtu-vlan": (
        "mtu 1501", {"driver": _CHANGES_MTU._replace(name="vlan"),
        "lowers": (_NIC.ref,)}, {}, "ERANGE", None,
    ),
    "master-keeps": ("enslave none", {"master": _OVS.ref}, {}, "EOPNOTSUPP", None),
    "master-none": ("enslave nic0", {}, {}, "EOPNOTSUPP", None),
    "master-loop": (
        "enslave bridge0", {"lowers": (_BRIDGE.ref,)}, {}, "EBUSY", None,
    ),
    "bridge-ethernet": (
        "enslave new bridge", {"traits": Traits(type=772)}, {}, "EINVAL", None,
    ),
    "bridge-loop": (
        "enslave new bridge", {"driver": BRIDGE_DRIVER}, {}, "ELOOP",
        "Can not enslave a bridge to a bridge",
    ),
    "bridge-dont": (
        "enslave new bridge", {"traits": Traits(dont_bridge=True)}, {}, "EOPNOTSUPP",
        "Device does not allow enslaving to a bridge",
    ),
    "bridge-busy": (
        "enslave new bridge", {"traits": Traits(rx_handler=True)}, {}, "EBUSY", None,
    ),
    "bridge-no-handler": (
        "enslave new bridge", {"traits": Traits(no_rx_handler=True)}, {}, "EINVAL",
        None,
    ),
    "bond-can": (
        "enslave new bond", {"traits": Traits(type=280)}, {}, "EPERM",
        "CAN devices cannot be enslaved",
    ),
    "bond-master": (
        "enslave new bond", {"flags": ("MASTER",)}, {}, "EPERM",
        "Device type (master device) cannot be enslaved",
    ),
    "bond-busy": (
        "enslave new bond", {"traits": Traits(rx_handler=True)}, {}, "EBUSY",
        "Device is in use and cannot be enslaved",
    ),
    "bond-itself": (
        "enslave veth0", {"kind": "bond", "driver": BOND_DRIVER}, {}, "EPERM",
        "Cannot enslave bond to itself.",
    ),
    "bond-up": (
        "enslave new bond", {"flags": ("UP",)}, {}, "EPERM",
        "Device can not be enslaved while up",
    ),
    "netns-immutable": (
        "netns new", {"traits": Traits(netns_immutable=True)}, {}, "EINVAL",
        "The interface netns is immutable",
    ),
    "netns-unregistered": (
        "netns same", {"reg_state": "UNREGISTERING"}, {}, "EINVAL",
        "The interface isn't registered",
    ),
    "netns-name": (
        "netns new", {"name": "lo"}, {}, "EEXIST",
        "An interface with the same name exists in the target netns",
    ),
    "netns-altname": (
        "netns new", {"altnames": ("lo",)}, {}, "EEXIST",
        "An interface with the altname lo exists in the target netns",
    ),
    "netns-ifindex": (
        "netns new ifindex 1", {}, {}, "EBUSY",
        "The ifindex 1 is not available in the target netns",
    ),
    "bind-flags": ("bind queue 0 sg", {}, {}, "EINVAL", None),
    "bind-both": ("bind queue 0 copy zerocopy", {}, {}, "EINVAL", None),
    "bind-busy": ("bind queue 65536", {"xsk_queues": (0,)}, {}, "EBUSY", None),
    "bind-queue": ("bind queue 2", {}, {}, "EINVAL", None),
    "bind-zero-copy": (
        "bind queue 0 zerocopy", {"features": Features(0, 0, 3)}, {}, "EOPNOTSUPP",
        None,
    ),
    "devmap-key": ("devmap max 4 key 4", {}, {}, "E2BIG", None),
    "devmap-noexist": ("devmap noexist", {}, {}, "EEXIST", None),
    "devmap-full": ("devmap hash max 0", {}, {}, "E2BIG", None),
    "devmap-program": ("devmap program plain", {}, {}, "EINVAL", None),
}  # fmt: skip
#: What kernels answer that do not make a decision; all make the others.
OTHERWISE: dict[str, Optional[int]] = {
    "bond-can": None,  # The bond becomes like its slave, as the driver says.
    "bond-master": 0,
}
#: Which no device meets: see test_channels.py.
NEVER = {"channels-indirection", "channels-virtio-combined"}
#: What ethnl_set_channels() of the kernel says that makes a decision.
SAID = {"channels-busy": (_BUSY,), "channels-queue-busy": ()}


def _whole(
    near: dict[str, Any], far: dict[str, Any], said: Sequence[str] = (_AF_XDP,)
) -> Snapshot:
    whole = pair({**SOUND, **near}, {**SOUND, **far}, *_OTHERS)
    messages = (("ethnl_set_channels", frozenset(said)),)
    return whole._replace(kernel=kernel()._replace(messages=messages, says_netns=True))


@pytest.mark.parametrize("key", CASES)
def test_trouble(key: str) -> None:
    text, near, far, number, message = CASES[key]
    answer = answer_to(_whole(near, far, SAID.get(key, (_AF_XDP,))), text)
    refused = answer.either[0] if key in OTHERWISE else answer
    assert (refused.errno, refused.message) == (getattr(errno, number), message)
    assert key_of(refused) == key
    if key in OTHERWISE:
        assert errnos_of(answer) == [refused.errno, OTHERWISE[key]]
        assert answer.errno is None and answer.message is None
    else:
        assert not answer.either


@pytest.mark.parametrize(
    "text",
    [
        *("channels rx 4 tx 1", "mtu 68", "mtu 65535", "enslave new bond"),
        *("enslave new bridge", "netns new", "netns same", "bind queue 1"),
        *("devmap key 0", "devmap hash key 99", "devmap program devmap", "attach"),
    ],
)
def test_no_trouble(text: str) -> None:
    assert answer_to(_whole({}, {}), text).errno == 0


def test_each_decision_has_its_trouble() -> None:
    """A decision that is dropped, or comes, is noticed."""
    lists: list[tuple[Decision, ...]] = [
        *(channels.CHANNELS, channels.AF_XDP, channels.VETH, channels.VIRTIO_NET),
        *(mtu.MTU, xsk_bind.BIND, xsk_bind.ZERO_COPY),
        *(enslave.LEAVE, enslave.MASTER, enslave.BRIDGE, enslave.BOND, enslave.LINK),
        netns.NETNS,
        *(devmap.ARRAY, devmap.HASH, devmap.NODE),
        *mtu.BY_DRIVER.values(),
    ]
    there = {decision.key for decisions in lists for decision in decisions}
    assert there == CASES.keys() | NEVER


def test_after_an_attach() -> None:
    """Native XDP limits the queues of both ends, and the peer's MTU."""
    whole = _whole({}, {})
    device = whole.devices[0].net_device
    now = after(whole, question_of(device, "attach driver"))
    refused = {
        "channels rx 1": ("EINVAL", None),
        "peer channels tx 3": ("EINVAL", None),
        "peer mtu 9000": ("EINVAL", "mtu greater than device maximum"),
        "attach driver": ("EBUSY", "XDP program already attached"),
    }
    for text, (number, message) in refused.items():
        assert answer_to(whole, text).errno == 0
        answer = answer_to(now, text)
        assert (answer.errno, answer.message) == (getattr(errno, number), message)
    then = after(now, question_of(device, "detach driver"))
    for text in refused:
        assert answer_to(then, text).errno == 0


def test_after_other_requests() -> None:
    whole = _whole({}, {})
    device = whole.devices[0].net_device
    for first, second, number in (
        ("peer channels tx 4", "attach driver", errno.ENOSPC),
        ("peer mtu 9000", "attach driver", errno.ERANGE),
        ("bind queue 1", "channels tx 1", errno.EINVAL),
        ("bind queue 1", "bind queue 1", errno.EBUSY),
        ("enslave new bridge", "enslave none", 0),
        ("enslave new bridge", "enslave new bond", 0),
        ("channels rx 4", "bind queue 3", 0),
    ):
        now = after(whole, question_of(device, first))
        assert answer_to(now, second).errno == number


def test_what_zero_copy_needs_of_a_driver() -> None:
    """NETDEV_XDP_ACT_ZC: BASIC, REDIRECT and XSK_ZEROCOPY."""
    for act in range(16):
        whole = _whole({"features": Features(0, 0, act)}, {})
        answer = answer_to(whole, "bind queue 0 zerocopy")
        if act & 0b1011 == 0b1011:
            assert answer.errno is None  # the driver decides
        else:
            assert answer.errno == errno.EOPNOTSUPP


def test_zero_copy_before_there_were_features() -> None:
    """Up to v6.2: ndo_bpf and ndo_xsk_wakeup."""
    bad = Unreadable("a hole")
    for bpf, wakeup, number in (
        (True, True, None),
        (True, False, errno.EOPNOTSUPP),
        (False, True, errno.EOPNOTSUPP),
    ):
        driver = CHANNELS._replace(ndo_bpf=bpf, ndo_xsk_wakeup=wakeup)
        whole = _whole({"driver": driver, "features": Features(0, 0, None)}, {})
        assert answer_to(whole, "bind queue 0 zerocopy").errno == number
        assert answer_to(whole, "bind queue 0").errno == 0
        # Features take precedence over operations.
        whole = _whole({"driver": driver, "features": Features(0, 0, 0b1011)}, {})
        assert answer_to(whole, "bind queue 0 zerocopy").errno is None
    whole = _whole({"features": Features(0, 0, bad)}, {})
    assert isinstance(answer_to(whole, "bind queue 0 zerocopy").errno, Unreadable)


def test_flags_of_a_bind() -> None:
    for flags, old, new in (
        ("unknown-flag", errno.EINVAL, errno.EINVAL),
        ("sg", errno.EINVAL, 0),
        ("copy need-wakeup", 0, 0),
    ):
        whole = _whole({}, {})
        assert answer_to(whole, f"bind queue 0 {flags}").errno == old
        whole = whole._replace(kernel=kernel(xsk_sg=True))
        assert answer_to(whole, f"bind queue 0 {flags}").errno == new


def test_queues_that_can_be_bound() -> None:
    """Of either direction."""
    for counts in ((3, 1), (1, 3)):
        whole = _whole(queues(*counts, 4, 4), {})
        assert answer_to(whole, "bind queue 2").errno == 0
        assert answer_to(whole, "bind queue 3").errno == errno.EINVAL


def test_a_peer_that_is_not_known() -> None:
    for peer in (None, Unreadable("a hole"), _NIC.ref._replace(net_device=1)):
        whole = _whole({"peer": peer}, {})
        assert isinstance(answer_to(whole, "peer mtu 1400").errno, Unreadable)
        assert answer_to(whole, "mtu 1400").errno == 0
    with pytest.raises(LookupError, match="no device at 0x1"):
        Asker(whole).ask(question_of(1, "mtu 1400"))


def test_words_behind_a_new_master() -> None:
    assert parse("enslave new bond")[1] == Enslave("bond", True, False)
    assert parse("enslave new bridge program")[1] == Enslave("bridge", True, True)
    for words in ("new", "new vlan", "new bond other", "new bond program program"):
        with pytest.raises(RequestError, match="takes bond or bridge"):
            parse(f"enslave {words}")


def test_new_queues_have_the_default_mask() -> None:
    """Those that were there keep theirs."""
    whole = _whole({}, {})
    device = whole.devices[0]
    host, pod = whole.namespaces
    bad = Unreadable("a hole")
    for mask, new in ((None, ()), ((), ()), ((0, 2), (0, 2)), (bad, bad)):
        there = whole._replace(namespaces=(host._replace(rps_default_mask=mask), pod))
        wanted = question_of(device.net_device, "channels rx 4")
        now = after(there, wanted).devices[0]
        assert isinstance(device.rps, tuple) and isinstance(now.rps, tuple)
        assert now.rps[: len(device.rps)] == device.rps
        had = len(device.rps)
        assert now.rps[had:] == tuple(RpsQueue(i, new, 0) for i in range(had, 4))


def test_what_is_not_readable_is_not_told() -> None:
    bad = Unreadable("a hole")
    for text, near in (
        ("mtu 70000", {"max_mtu": bad}),
        ("channels rx 1", {"xsk_queues": bad}),
        ("enslave new bond", {"flags": bad}),
        ("bind queue 0", {"xsk_queues": bad}),
        ("netns new", {"traits": Traits(netns_immutable=bad)}),
    ):
        assert isinstance(answer_to(_whole(near, {}), text).errno, Unreadable)


@pytest.mark.parametrize("text", ["enslave none", "enslave br0", "enslave new bond"])
def test_a_master_that_keeps_its_ports(text: str) -> None:
    """Open vSwitch has no ndo_del_slave."""
    ovs = device(HOST, 8, "ovs-system", kind="openvswitch")
    bridge = BR0._replace(driver=BR0.driver._replace(ndo_add_slave=True))
    whole = pair({**SOUND, "master": ovs.ref}, SOUND, ovs, bridge)
    answer = answer_to(whole, text)
    assert (answer.errno, answer.function) == (errno.EOPNOTSUPP, "do_set_master")
    assert key_of(answer) == "master-keeps"
    can = whole._replace(devices=(*whole.devices[:2], ovs._replace(driver=MASTER)))
    assert answer_to(can, "enslave none").errno == 0


def test_a_device_on_top_of_its_master() -> None:
    """As br0.10, or what is on it, as a port of br0."""
    bridge = BR0._replace(driver=MASTER, traits=Traits())
    vlan = device(HOST, 8, "br0.10", kind="vlan", lowers=(bridge.ref,))
    for lowers, number in (((vlan.ref,), errno.EBUSY), ((), 0)):
        whole = pair({**SOUND, "lowers": lowers}, SOUND, bridge, vlan)
        assert answer_to(whole, "enslave br0").errno == number
    lost = pair({**SOUND, "lowers": Unreadable("a hole")}, SOUND, bridge, vlan)
    assert isinstance(answer_to(lost, "enslave br0").errno, Unreadable)


def test_altname_in_older_kernels() -> None:
    """The check came in stable kernels, too: which have it is not known."""
    older = _whole({"altnames": ("lo",)}, {})
    older = older._replace(kernel=kernel()._replace(says_netns=False))
    answer = answer_to(older, "netns new")
    assert {one.errno for one in answer.either} == {errno.EEXIST, 0}
    answer = answer_to(older, "netns new ifindex 1")
    assert {one.errno for one in answer.either} == {errno.EEXIST, errno.EBUSY}


def test_queues_of_a_slave_with_the_program_of_its_bond() -> None:
    bond = BOND._replace(**native())
    driver = BOND.driver._replace(name="virtio_net", set_channels=True)
    nic = {**SOUND, "driver": driver, "kind": None, "peer": None}
    free = pair(nic, {}, bond)
    slave = pair({**nic, "master": bond.ref}, {}, bond)
    text = "channels combined 1"
    assert answer_to(free, text).decision != answer_to(slave, text).decision
    assert key_of(answer_to(slave, text)) == "channels-virtio-program"


def test_an_ifindex_in_older_kernels() -> None:
    """Before v5.13 the kernel does not look at it."""
    for there, number in ((True, errno.EBUSY), (False, 0)):
        whole = _whole({}, {})._replace(kernel=kernel(netns_ifindex=there))
        question = question_of(whole.devices[0].net_device, "netns new ifindex 1")
        assert Asker(whole).ask(question).errno == number
        if not number:
            assert isinstance(after(whole, question).devices[0].ifindex, Unreadable)
    bad = Unreadable("without CONFIG_XPS")
    whole = _whole({}, {})._replace(kernel=kernel(netns_ifindex=bad))
    assert isinstance(answer_to(whole, "netns new ifindex 1").errno, Unreadable)


def test_channels_of_virtio_with_a_program() -> None:
    """virtnet_xdp_set() raises curr_queue_pairs, and of real queues those of RX."""
    driver = BOND.driver._replace(name="virtio_net", set_channels=True)
    near = {**native(), **queues(8, 4, 8, 8), "driver": driver, "kind": None}
    whole = _whole(near, {})
    assert answer_to(whole, "channels combined 8").errno == 0
    assert answer_to(whole, "channels combined 4").errno == errno.EINVAL


def test_a_device_on_no_list() -> None:
    whole = _whole({"off_list": "netns is dying"}, {})
    for text, number in (
        ("mtu 1400", errno.ENODEV),
        ("devmap hash max 4", errno.EINVAL),
        ("attach driver", errno.ENODEV),
        ("attach driver link", errno.EINVAL),
    ):
        assert answer_to(whole, text).errno == number
