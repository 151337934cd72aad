# SPDX-License-Identifier: LGPL-2.1-or-later
"""What there is after a request was granted: at the device, and at those around it."""

import errno
from typing import Any, Optional

from drgn_veth.analysis.ask.in_a_row import in_a_row
from drgn_veth.analysis.need import CannotTell
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import XDP_MODES, Bond, Device, Driver, Snapshot, Traits, Veth
import pytest

from tests.support.damage import named
from tests.support.requests import (
    BRIDGE_DRIVER,
    SOUND,
    VIRTIO,
    above,
    answer_to,
    granted,
    key_of,
    with_bond,
)
from tests.support.snapshots import BAD, CHANNELS, kernel, native, pair, queues


def _with(*others: Device, **near: Any) -> Snapshot:
    return pair({"flags": (), **queues(2, 2, 4, 4), **near}, {}, *others)


def _after(whole: Snapshot, text: str, name: str = "veth0") -> dict[str, Device]:
    return {str(one.name): one for one in granted(whole, text, name).devices}


def _answer(whole: Snapshot, text: str, name: str) -> tuple[Any, Optional[str]]:
    answer = answer_to(whole, text, name)
    return answer.errno, answer.function


def test_bridges() -> None:
    one = above("bridge", 10, driver=BRIDGE_DRIVER)
    two = one._replace(name="bridge1", net_device=one.net_device + 1, ifindex=11)
    whole = _with(one, two)
    veth = named(whole, "veth0")
    now = _after(whole, "enslave bridge0")
    assert now["veth0"].master == one.ref and now["veth0"].uppers == (one.ref,)
    assert now["veth0"].traits.rx_handler is True
    assert now["bridge0"].lowers == (veth.ref,)
    assert isinstance(now["bridge0"].mtu, Unreadable)
    there = whole._replace(devices=tuple(now.values()))
    assert _answer(there, "enslave bridge0", "veth0") == (0, "do_set_master")
    moved = _after(there, "enslave bridge1")
    assert moved["veth0"].master == two.ref and moved["veth0"].uppers == (two.ref,)
    assert (moved["bridge0"].lowers, moved["bridge1"].lowers) == ((), (veth.ref,))
    left = _after(there, "enslave none")
    assert left["veth0"].master is None and left["veth0"].uppers == ()
    assert left["veth0"].traits.rx_handler is False
    assert left["bridge0"].lowers == ()
    with pytest.raises(CannotTell, match="no 'bridge7' in the namespace of veth0"):
        _after(whole, "enslave bridge7")


def test_a_slave_gets_the_mtu_and_the_program_of_the_bond() -> None:
    for program in ({}, native()):
        whole = with_bond(_with(veth=Veth(0, 0)), **program)
        veth = named(whole, "veth0")
        now = _after(whole, "enslave bond0")
        assert now["veth0"].mtu == 9000
        assert now["bond0"].bond == Bond("active-backup", "layer2", (veth.ref,))
        assert now["eth0"].max_mtu == (3506 if program else 65535)
        left = _after(whole._replace(devices=tuple(now.values())), "enslave none")
        assert left["bond0"].bond == Bond("active-backup", "layer2", ())
        assert left["bond0"].lowers == ()
        # dev_close(), and dev_set_mtu() with the old MTU, which is not read.
        assert left["veth0"].uppers == () and left["veth0"].master is None
        assert isinstance(left["veth0"].mtu, Unreadable)
        assert left["veth0"].veth == Veth(0, 0) and left["eth0"].max_mtu == 65535


def test_a_port_leaves_its_master_before_the_next_one_sees_it() -> None:
    up = ("UP", "LOWER_UP")
    mac = "02:00:00:00:00:01"
    whole = with_bond(_with(flags=up, mac=mac, veth=Veth(0, 0)), "veth0")
    other = named(whole, "bond0")._replace(name="bond1", net_device=99, bond=None)
    bond = Bond("active-backup", "layer2", ())
    whole = whole._replace(devices=(*whole.devices, other._replace(bond=bond)))
    # Its slave is up, and bond_enslave() takes none that is.
    assert _answer(whole, "enslave bond1", "veth0")[0] != errno.EPERM
    assert _after(whole, "enslave none")["veth0"].flags == ()
    # What the new master refuses has left the old one.
    steps = list(
        in_a_row(whole, named(whole, "veth0"), ("enslave new bridge", "netns same"))
    )
    assert [step.answer.errno for step in steps] == [0, 0]
    lo = whole._replace(
        devices=tuple(
            one._replace(flags=(*up, "LOOPBACK")) if one.name == "veth0" else one
            for one in whole.devices
        )
    )
    first, second = in_a_row(lo, named(lo, "veth0"), ("enslave new bridge", "mtu 100"))
    assert first.answer.errno == errno.EINVAL and not first.carried_out
    assert second.device.master is None


def test_a_vrf_leaves_the_macvlan_its_handler() -> None:
    vrf = above("vrf", 10, driver=BRIDGE_DRIVER)
    held = Traits(rx_handler=True)
    whole = _with(vrf, master=vrf.ref, uppers=(vrf.ref,), traits=held)
    assert _answer(whole, "enslave new bridge", "veth0")[0] == errno.EBUSY


def test_another_type_than_the_other_slaves() -> None:
    whole = with_bond(_with(), "veth0")
    peer = named(whole, "eth0")
    other = peer._replace(flags=(), traits=Traits(type=32))
    there = named(whole, "bond0")._replace(netns=peer.netns)
    changed = {one.net_device: one for one in (other, there)}
    whole = whole._replace(
        devices=tuple(changed.get(one.net_device, one) for one in whole.devices)
    )
    answer = _answer(whole, "enslave bond0", "eth0")
    assert answer == (errno.EINVAL, "bond_enslave")


def test_a_bridge_lets_go_of_what_moves() -> None:
    bridge = above("bridge", 10, driver=BRIDGE_DRIVER)
    whole = _with(bridge)
    port = _after(whole, "enslave bridge0")
    whole = whole._replace(devices=tuple(port.values()))
    now = _after(whole, "netns pod1")
    assert now["veth0"].uppers == () and now["veth0"].traits.rx_handler is False
    assert now["bridge0"].lowers == ()


def test_what_a_bond_does_to_its_slaves() -> None:
    whole = with_bond(_with(veth=Veth(0, 0)), "veth0")
    assert _after(whole, "mtu 1400", "bond0")["veth0"].mtu == 1400
    assert _after(whole, "mtu 1400", "bond0")["eth0"].mtu == 1500
    now = _after(whole, "attach driver", "bond0")
    assert now["eth0"].max_mtu == 3506 and now["veth0"].xdp.driver is None
    assert now["veth0"].veth == Veth(0, 1)
    there = whole._replace(devices=tuple(now.values()))
    assert _after(there, "detach driver", "bond0")["eth0"].max_mtu == 65535
    lost = Bond("active-backup", "layer2", BAD)
    unknown = with_bond(_with(), "veth0")
    bond = named(unknown, "bond0")._replace(bond=lost)
    devices = (*unknown.devices[:-1], bond)
    now = _after(unknown._replace(devices=devices), "mtu 1400", "bond0")
    assert (now["bond0"].mtu, now["veth0"].mtu) == (1400, 1500)


@pytest.mark.parametrize(
    ("kind", "mtu"),
    [
        *(("vlan", 1400), ("macvlan", 1400), ("macvtap", 1400)),
        *(("ipvlan", 1400), ("ipvtap", 1400), ("vrf", 1500), ("bridge", None)),
        ("macsec", None),
    ],
)
def test_mtu_of_what_lies_above(kind: str, mtu: Optional[int]) -> None:
    upper = above(kind, 30)
    whole = _with(upper, uppers=(upper.ref,))
    now = _after(whole, "mtu 1400")[f"{kind}0"].mtu
    assert now == mtu if mtu else isinstance(now, Unreadable)
    # The tag and the ICV take up to 48 bytes.
    near = upper._replace(mtu=1360)
    now = _after(_with(near, uppers=(upper.ref,)), "mtu 1400")[f"{kind}0"].mtu
    assert kind != "macsec" or isinstance(now, Unreadable)
    small = upper._replace(mtu=1300)
    follows = kind in ("ipvlan", "ipvtap")
    now = _after(_with(small, uppers=(upper.ref,)), "mtu 1400")[f"{kind}0"].mtu
    assert kind == "bridge" or now == (1400 if follows else 1300)


def test_mtu_of_what_lies_on_it() -> None:
    """dev_set_mtu() of a device that asks the one below."""
    for kind, number in (("vlan", errno.ERANGE), ("macvlan", errno.EINVAL)):
        driver = Driver(kind, False, False, False, ndo_change_mtu=True)
        lower = named(_with(), "veth0")
        upper = above(kind, 30, lowers=(lower.ref,))._replace(driver=driver)
        whole = _with(upper, uppers=(upper.ref,))
        assert _answer(whole, "mtu 1501", f"{kind}0")[0] == number
        assert _answer(whole, "mtu 1499", f"{kind}0")[0] == 0


def test_another_namespace() -> None:
    whole = _with(addresses=(), flags=("UP", "BROADCAST", "RUNNING", "LOWER_UP"))
    now = _after(whole, "netns pod1 ifindex 9")["veth0"]
    assert (now.netns_label, now.ifindex, now.flags) == ("pod1", 9, ("BROADCAST",))
    assert now.netns == whole.namespaces[1].inum and now.master is None
    new = _after(whole, "netns new")["veth0"]
    assert isinstance(new.netns, Unreadable) and new.netns_label == "new"
    assert isinstance(new.ifindex, Unreadable)
    assert _after(whole, "netns same")["veth0"] == named(whole, "veth0")


def test_another_namespace_unbinds_af_xdp() -> None:
    whole = _with(xsk_queues=(1,))
    for text in ("netns pod1", "netns new"):
        assert _after(whole, text)["veth0"].xsk_queues == ()
    assert _after(whole, "netns same")["veth0"].xsk_queues == (1,)


def test_queues_and_sockets() -> None:
    now = _after(_with(xsk_queues=(1,)), "bind queue 0")["veth0"]
    assert now.xsk_queues == (0, 1)
    now = _after(_with(), "channels combined 3")["veth0"]
    assert (now.queues.rx.real, now.queues.tx.real) == (3, 3)
    assert (now.queues.rx.allocated, now.queues.tx.allocated) == (4, 4)
    assert isinstance(now.rps, tuple) and len(now.rps) == 3
    assert isinstance(now.xps, tuple) and len(now.xps) == 3
    assert isinstance(now.xdp.queues, Unreadable)
    now = _after(_with(rps=BAD, xps=BAD), "channels rx 1")["veth0"]
    assert (now.rps, now.xps) == (BAD, BAD)


def test_queues_that_virtio_net_adds_for_xdp() -> None:
    """One for each CPU, if there are as many: virtnet_xdp_set()."""
    four, bad = kernel(nr_cpu_ids=4), kernel(nr_cpu_ids=BAD)
    for counts, cpus, rx in (
        (queues(2, 2, 8, 8), four, 6),
        (queues(2, 2, 6, 6), four, 6),
        (queues(2, 2, 5, 5), four, 2),
        (queues(2, 2, 4, 4), four, 2),
        # A program that it replaces has added them already.
        (queues(6, 2, 8, 8), four, 6),
        (queues(2, 2, 8, 8), bad, None),
        (queues(2, 2, BAD, 8), four, None),
        (queues(2, BAD, 8, 8), four, BAD),
    ):
        nic = pair({**VIRTIO, **counts}, SOUND, kernel=cpus)
        was = nic.devices[0].queues
        there = granted(nic, "attach driver")
        now = there.devices[0].queues
        assert now.tx == was.tx and now.rx.allocated == was.rx.allocated
        if rx is None:
            assert isinstance(now.rx.real, Unreadable)
        else:
            assert now.rx.real == rx
        assert there.devices[0].xdp.driver is not None
        # virtnet_xdp_set() of no program: as many as TX queues.
        then = granted(there, "detach driver").devices[0]
        assert then.queues == was._replace(rx=was.rx._replace(real=was.tx.real))
        assert then.xdp.driver is None
        # Nor does another driver, or another mode, have any of its own.
        assert granted(nic, "attach generic").devices[0].queues == was
        veth = pair({**SOUND, **counts}, SOUND, kernel=cpus)
        assert granted(veth, "attach driver").devices[0].queues == was


def test_modes_of_an_attach() -> None:
    """No mode: native, if the driver has ndo_bpf."""
    for text, bpf, mode in (
        ("attach generic", True, "generic"),
        ("attach driver", True, "driver"),
        ("attach offload", True, "offload"),
        ("attach", True, "driver"),
        ("attach", False, "generic"),
    ):
        whole = _with(driver=CHANNELS._replace(ndo_bpf=bpf))
        there = granted(whole, text)
        xdp = there.devices[0].xdp
        for one in XDP_MODES:
            assert (getattr(xdp, one) is not None) == (one == mode)
        # Only a native one limits the peer.
        assert named(there, "eth0").max_mtu == (3506 if mode == "driver" else 65535)
        for back in (f"detach {mode}", text.replace("attach", "detach")):
            if mode != "offload":
                assert answer_to(there, back).errno == 0
            then = granted(there, back)
            assert getattr(then.devices[0].xdp, mode) is None
            assert named(then, "eth0").max_mtu == 65535
    there = granted(_with(), "attach generic")
    answer = answer_to(there, "attach driver")
    assert answer.errno == errno.EEXIST and key_of(answer) == "other-mode"


def test_the_mtu_that_a_program_with_fragments_allows() -> None:
    there = granted(_with(), "attach driver frags")
    assert named(there, "eth0").max_mtu == 3506 + 17 * 4096
    assert answer_to(there, "mtu 9000", "eth0").errno == 0
    for other in (_with(peer=BAD), _with(peer=None), pair(SOUND, SOUND, kind="netkit")):
        assert named(granted(other, "attach driver"), "eth0").max_mtu == 65535


def test_nothing_is_known_after_what_is_not_known() -> None:
    """It may have been granted; what it changes then is not known."""
    whole = _with()
    first, *rest = in_a_row(
        whole,
        named(whole, "veth0"),
        ("enslave bridge7", "mtu 1400", "netns same"),
    )
    assert isinstance(first.answer.errno, Unreadable) and first.carried_out
    for step in rest:
        assert isinstance(step.answer.errno, Unreadable) and not step.carried_out
        assert "not known what 'enslave bridge7' changes" in step.answer.because
        assert step.device == named(whole, "veth0")


def test_requests_in_a_row() -> None:
    """What is refused changes nothing, what is not known counts as granted."""
    whole = _with(max_mtu=9000)
    steps = list(
        in_a_row(
            whole,
            named(whole, "veth0"),
            ("mtu 9001", "mtu 9000", "peer attach driver", "mtu 8999", "mtu 1400"),
        )
    )
    assert [step.answer.errno for step in steps] == [
        *(errno.EINVAL, 0, errno.ERANGE, 0, 0)
    ]
    assert [step.carried_out for step in steps] == [False, True, False, True, True]
    assert [step.device.mtu for step in steps] == [1500, 1500, 9000, 9000, 8999]
    driver = CHANNELS._replace(name="mlx5_core", ndo_change_mtu=True)
    whole = _with(driver=driver)
    asked = ("mtu 1400", "mtu 1400")
    first, second = in_a_row(whole, named(whole, "veth0"), asked)
    assert first.answer.errno is None and first.carried_out
    assert (second.device.mtu, second.answer.errno) == (1400, 0)


def test_a_port_that_stays() -> None:
    """A master that refuses to release ports, and a device that is on no list."""
    ovs = above("openvswitch", 10)
    bridge = above("bridge", 11, driver=BRIDGE_DRIVER)
    for near, number in (
        ({"master": ovs.ref}, errno.EOPNOTSUPP),
        ({"master": bridge.ref, "off_list": "unregistering"}, errno.ENODEV),
    ):
        whole = _with(ovs, bridge, **near)
        asked = ("enslave new bridge", "netns same")
        first, second = in_a_row(whole, named(whole, "veth0"), asked)
        assert first.answer.errno == number and not first.carried_out
        assert second.device.master == near["master"]
    # Nor does it leave for another request that is refused.
    whole = _with(bridge, master=bridge.ref)
    for text in ("mtu 67", "channels rx 9", "bind queue 9"):
        first, second = in_a_row(whole, named(whole, "veth0"), (text, "netns same"))
        assert first.answer.errno == errno.EINVAL
        assert second.device.master == bridge.ref
