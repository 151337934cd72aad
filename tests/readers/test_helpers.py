# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The helpers one by one
----------------------

Each public reader, asked at a prompt as a user would, says what the Snapshot says,
which is compared with the kernel's own tools elsewhere. On the recorded cores.
"""

from collections.abc import Iterator
from typing import Any, Optional

from drgn import Object
import drgn_veth
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import BridgePort, Device
import pytest

from tests.support.recorded import CORES, Recorded, recorded_core
from tests.support.slow import slow_but


class Opened:
    """A recorded core at a prompt."""

    def __init__(self, core: Recorded) -> None:
        self.prog = core.prog
        self.snapshot = core.snapshot
        self.devices: dict[int, Object] = {
            dev.value_(): dev
            for net in drgn_veth.for_each_net_bounded(self.prog)
            for dev in drgn_veth.for_each_netdev_bounded(net)
        }

    def pairs(self) -> Iterator["tuple[Object, Device]"]:
        for device in self.snapshot.devices:
            yield self.devices[device.net_device], device


@pytest.fixture(scope="module", params=slow_but([CORES[0], CORES[-1]], CORES))
def opened(request: pytest.FixtureRequest) -> Opened:
    return Opened(recorded_core(request.param))


def text(data: bytes) -> Optional[str]:
    return data.decode("utf-8", "backslashreplace") or None


def address(pointer: Object, by: Any) -> bool:
    return pointer.value_() == (by.net_device if by else 0)


def test_namespaces(opened: Opened) -> None:
    seen = 0
    for dev, device in opened.pairs():
        net = drgn_veth.netdev_net(dev)
        assert net is not None
        assert drgn_veth.net_inum(net) == device.netns
        init = [n.inum for n in opened.snapshot.namespaces if n.init]
        assert drgn_veth.net_is_init(net) == (device.netns in init)
        seen += 1
    assert seen == len(opened.devices) > 100


def test_devices(opened: Opened) -> None:
    for dev, device in opened.pairs():
        assert text(drgn_veth.netdev_kind(dev)) == device.kind
        assert text(drgn_veth.netdev_alias(dev)) == device.alias
        names = tuple(text(name) for name in drgn_veth.for_each_altname(dev))
        assert names == device.altnames
        flags = drgn_veth.netdev_flag_names(drgn_veth.netdev_flags(dev))
        assert flags == device.flags
        assert drgn_veth.netdev_operstate(dev) == device.operstate
        assert (drgn_veth.netdev_address(dev) or None) == device.mac
        assert address(drgn_veth.netdev_master(dev), device.master)
        assert address(drgn_veth.netdev_peer(dev), device.peer)


def test_what_devices_hang_on(opened: Opened) -> None:
    for dev, device in opened.pairs():
        assert drgn_veth.netdev_reg_state(dev) == device.reg_state
        assert text(drgn_veth.netdev_qdisc_id(dev)) == device.qdisc
        addresses = (
            *drgn_veth.netdev_inet_addresses(dev),
            *drgn_veth.netdev_inet6_addresses(dev),
        )
        assert addresses == device.addresses
        for walk, refs in (
            (drgn_veth.netdev_for_each_lower_dev, device.lowers),
            (drgn_veth.netdev_for_each_upper_dev, device.uppers),
        ):
            assert not isinstance(refs, Unreadable)
            found = [other.value_() for other in walk(dev)]
            assert found == [ref.net_device for ref in refs]
        port = device.bridge_port
        assert bool(drgn_veth.br_port_get(dev)) == (port is not None)
        state = drgn_veth.br_port_state(dev)
        assert state == (port.state if isinstance(port, BridgePort) else "")


def test_devices_of_some_kinds(opened: Opened) -> None:
    seen = set()
    for dev, device in opened.pairs():
        if device.vlan is not None:
            id = drgn_veth.vlan_dev_vlan_id(dev)
            assert device.vlan == (id, drgn_veth.vlan_dev_vlan_proto(dev))
        elif device.macvlan is not None:
            assert device.macvlan == (drgn_veth.macvlan_dev_mode(dev),)
        elif device.ipvlan is not None:
            mode = drgn_veth.ipvlan_mode(dev)
            assert device.ipvlan == (mode, drgn_veth.ipvlan_flags(dev))
        elif device.bond is not None:
            assert device.bond.mode == drgn_veth.bond_mode(dev)
        elif device.netkit is not None:
            mode, policy = drgn_veth.netkit_mode(dev), drgn_veth.netkit_policy(dev)
            primary = drgn_veth.netkit_is_primary(dev)
            assert device.netkit == (mode, policy, primary)
        else:
            continue
        seen.add(device.kind)
    assert {"bond"} <= seen


def test_queues(opened: Opened) -> None:
    for dev, device in opened.pairs():
        rx, tx = device.queues
        assert drgn_veth.netdev_real_num_rx_queues(dev) == rx.real
        assert drgn_veth.netdev_real_num_tx_queues(dev) == tx.real
        assert drgn_veth.netdev_num_rx_queues(dev) == rx.allocated
        assert drgn_veth.netdev_num_tx_queues(dev) == tx.allocated


def test_rps_and_xps(opened: Opened) -> None:
    for dev, device in opened.pairs():
        assert isinstance(device.rps, tuple) and isinstance(device.xps, tuple)
        for rps in device.rps:
            map = drgn_veth.netdev_rps_map(dev, rps.queue)
            assert drgn_veth.rps_map_cpus(map) == rps.cpus
            entries = drgn_veth.netdev_rps_flow_entries(dev, rps.queue)
            assert entries == rps.flow_entries
        for xps in device.xps[:4]:
            assert drgn_veth.netdev_xps_cpus(dev, xps.queue) == xps.cpus
            assert drgn_veth.netdev_xps_rxqs(dev, xps.queue) == xps.rx_queues
    entries = drgn_veth.rps_sock_flow_entries(opened.prog)
    assert entries == opened.snapshot.target.rps_sock_flow_entries


def test_xdp(opened: Opened) -> None:
    attached = 0
    for dev, device in opened.pairs():
        for mode, program in zip(drgn_veth.XdpMode, device.xdp[:3]):
            prog = drgn_veth.netdev_xdp_prog(dev, mode)
            link = drgn_veth.netdev_xdp_link(dev, mode)
            if program is None:
                assert not prog and not link
                continue
            assert isinstance(program, drgn_veth.model.XdpProgram)
            attached += 1
            assert drgn_veth.bpf_prog_id(prog) == program.id
            assert text(drgn_veth.bpf_prog_name(prog)) == program.name
            assert drgn_veth.bpf_prog_tag(prog) == program.tag
            assert drgn_veth.bpf_prog_jited(prog) == program.jited
            assert drgn_veth.bpf_prog_has_frags(prog) == program.frags
            assert drgn_veth.bpf_prog_load_time(prog) == program.load_time
            assert drgn_veth.bpf_prog_uid(prog) == program.uid
            if link:
                assert drgn_veth.bpf_link_id(link) == program.link_id
            assert (program.via == "link") == bool(link)
        if isinstance(device.xdp.queues, tuple):
            rqs = drgn_veth.veth_rqs(dev)
            for queue in device.xdp.queues:
                rq = rqs + queue.queue
                assert drgn_veth.veth_rq_has_napi(rq) == queue.napi
                prog = drgn_veth.veth_rq_xdp_prog(rq)
                assert (drgn_veth.bpf_prog_id(prog) if prog else None) == queue.prog_id
    assert attached > 20


def test_wrong_modes_and_types_are_refused(opened: Opened) -> None:
    dev = next(iter(opened.devices.values()))
    for wrong in (-1, 3, 7):
        with pytest.raises(ValueError):
            drgn_veth.netdev_xdp_prog(dev, wrong)
        with pytest.raises(ValueError):
            drgn_veth.netdev_xdp_link(dev, wrong)
        with pytest.raises(ValueError):
            drgn_veth.netdev_xps_maps(dev, wrong)


def test_target(opened: Opened) -> None:
    assert drgn_veth.target_types(opened.prog) == "btf"
    assert drgn_veth.target_kind(opened.prog) == "elf"
    assert drgn_veth.possible_cpus(opened.prog) == 4
    assert drgn_veth.online_cpus(opened.prog) == (0, 1, 2, 3)
    assert drgn_veth.nr_cpu_ids(opened.prog) == 4
