# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Kernels that the lab cannot boot
--------------------------------

Recorded cores whose types, in their own BTF, and memory are made those of another
kernel: the report has to say of them what it says of the core as it is.
"""

from collections.abc import Iterator
import json
import struct
from typing import Any

from drgn import Object, Program
from drgn_veth.analysis.attach.predictor import Predictor, TooOldError
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.packets import leave_packets_out
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.faces import xdp
from drgn_veth.model import Device, Snapshot, XdpProgram, unreadable_in
from drgn_veth.readers.netns import for_each_net_bounded, for_each_netdev_bounded
from drgn_veth.readers.xdp import XdpMode, dev_xdp_link, dev_xdp_prog
from drgn_veth.render import csv, findings
from drgn_veth.render import json as render_json
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.answers import compare_answers
from tests.support.btf.edit import Types, renamed
from tests.support.memory import Altered, altered_core
from tests.support.recorded import CORES, Recorded, recorded_core
from tests.support.screens import screens

OLD = [name for name in CORES if name.startswith("5.")]
NEWEST = [name for name in CORES if name.endswith("-zoo")][-1]
_ENTITY = struct.Struct("<QQ")  # prog, link


def devices_of(prog: Program) -> Iterator[Object]:
    """Iterate over all devices of a kernel."""
    for net in for_each_net_bounded(prog):
        yield from for_each_netdev_bounded(net)


def report(snapshot: Snapshot) -> dict[str, Any]:
    """Return the report of a Snapshot, when all renderers have taken it."""
    found = diagnose(snapshot)
    assert findings.in_full(found)
    screens(snapshot, found=found)
    csv.devices(snapshot)
    said: dict[str, Any] = json.loads(render_json.render(snapshot, found))
    return said


def by_address(snapshot: Snapshot) -> dict[int, Device]:
    return {device.net_device: device for device in snapshot.devices}


# Before v5.9: no xdp_state -----------------------------------------------------------


def before_xdp_state(recorded: Recorded) -> Altered:
    """
    Return a core as a kernel before v5.9 would have left it: net_device.xdp_prog is the
    generic program, native ones are known to their drivers, there are no links, and
    veth does not count what XDP_TX loses.
    """
    altered = altered_core(recorded)
    types = Types(altered)
    types.set_type(
        "net_device", "xdp_state", types.pointer_to(types.struct("bpf_prog"))
    )
    types.rename("xdp_state", "xdp_prog")
    types.rename("bpf_xdp_link", "bpf_xdp_lnk")
    for name, data in altered.given.modules.items():
        if name == "veth":
            data = renamed(data, "xdp_tx_err", "xdp_tx_er")
            altered.given = altered.given._replace(
                modules={**altered.given.modules, name: data}
            )
    for dev in devices_of(altered.original):
        generic = dev_xdp_prog(dev, XdpMode.SKB)
        altered.write_pointer(dev.xdp_state[XdpMode.SKB].prog, generic.value_())
    return altered


@pytest.fixture(scope="module", params=OLD)
def ancient(request: pytest.FixtureRequest) -> Altered:
    return before_xdp_state(recorded_core(request.param))


def _without_link(program: object) -> object:
    if isinstance(program, XdpProgram):
        return program._replace(via="netlink", link_id=None)
    return program


@pytest.mark.slow
def test_programs_before_xdp_state(ancient: Altered) -> None:
    new = take_snapshot(ancient.original)
    old = take_snapshot(ancient.prog)
    assert not ancient.prog.type("struct net_device").has_member("xdp_state")
    assert old.kernel and not old.kernel.xdp_state
    generic = native = unknown = 0
    theirs = by_address(new)
    assert list(by_address(old)) == list(theirs)
    for device in old.devices:
        expected = theirs[device.net_device].xdp
        assert device.xdp.generic == _without_link(expected.generic)
        generic += device.xdp.generic is not None
        if device.driver.ndo_bpf is not True:
            assert (device.xdp.driver, device.xdp.offload) == (None, None)
        elif isinstance(device.xdp.driver, Unreadable):
            # The core lacks what such a kernel reads of the driver; nothing is made up.
            assert device.kind != "veth"
            assert "physical memory" in device.xdp.driver.reason
            unknown += 1
        else:
            assert device.xdp.driver == _without_link(expected.driver)
            assert device.xdp.offload is None
            native += device.xdp.driver is not None
    assert generic > 5
    assert native > 5
    drivers = [d.driver.name for d in old.devices if d.driver.ndo_bpf is True]
    assert unknown == drivers.count("tun") + drivers.count("virtio_net") > 0


@pytest.mark.slow
def test_report_before_xdp_state(ancient: Altered) -> None:
    snapshot = take_snapshot(ancient.prog)
    found = report(snapshot)["findings"]
    # XDP_TX is lost somewhere, and this kernel does not count how often.
    errors = [
        finding["evidence"]["rq[].stats.vs.xdp_tx_err"]
        for finding in found
        if finding["rule"] == "xdp-tx-lost"
    ]
    assert errors
    assert set(errors) == {"not counted by this kernel"}
    with pytest.raises(TooOldError):
        Predictor(snapshot)


def test_xdp_before_xdp_state(
    ancient: Altered, capsys: pytest.CaptureFixture[str]
) -> None:
    assert xdp.main(ancient.prog, []) == 0
    printed = capsys.readouterr().out
    assert "generic zoo_gen#" in printed
    assert printed.rstrip("\n").split("\n\n")[-1].startswith("no answers to an XDP")


# RHEL 8: xdp_state is a pointer ------------------------------------------------------


def with_pointer(recorded: Recorded) -> Altered:
    """
    Return a core as RHEL 8 would have left it: net_device.xdp_state is NULL until the
    first program of a device, then it leads to what is an array elsewhere.
    """
    altered = altered_core(recorded)
    types = Types(altered)
    types.set_type(
        "net_device", "xdp_state", types.pointer_to(types.struct("bpf_xdp_entity"))
    )
    for dev in devices_of(altered.original):
        state = dev.xdp_state
        data = altered.original.read(state.address_, 3 * _ENTITY.size)
        pointer = 0
        if any(data):
            # Nothing is read there: room for the three of them.
            pointer = dev.dev.power.address_of_().value_()
            altered.write(pointer, data)
        altered.write(state.address_, pointer.to_bytes(8, "little") + b"\xff" * 40)
    return altered


@pytest.fixture(scope="module", params=CORES)
def rhel8(request: pytest.FixtureRequest) -> "tuple[Recorded, Altered]":
    recorded = recorded_core(request.param)
    return recorded, with_pointer(recorded)


def _add_interrupt_table(prog: Program, reads: list[int]) -> None:
    # As in QEMU's ELF dumps, where a read at NULL succeeds.
    def read(address: int, count: int, offset: int, physical: bool) -> bytes:
        reads.append(address)
        return b"\xf0" * count

    prog.add_memory_segment(0, 1 << 20, read, False)


@pytest.mark.slow
def test_xdp_state_is_a_pointer(rhel8: "tuple[Recorded, Altered]") -> None:
    recorded, altered = rhel8
    reads: list[int] = []
    _add_interrupt_table(altered.prog, reads)
    ops = [dev_xdp_prog, dev_xdp_link]
    for dev in devices_of(altered.prog):
        if not dev.xdp_state:
            for mode in XdpMode:
                assert not any(op(dev, mode) for op in ops)
    assert reads == []
    leave_packets_out(altered.prog)  # The core is a slice; this does not say so.
    snapshot = take_snapshot(altered.prog)
    assert reads in ([], [0])  # It looks whether such a read succeeds.
    assert list(unreadable_in(snapshot)) == []
    said, original = report(snapshot), report(recorded.snapshot)
    assert said["devices"] == original["devices"]
    assert said["findings"] == original["findings"]
    compared = compare_answers(snapshot, recorded.answers)
    assert compared.differences == []
    assert sum(compared.compared.values()) > 1000


@pytest.mark.slow
def test_no_stray_pointer_gives_a_value(rhel8: "tuple[Recorded, Altered]") -> None:
    """A pointer that leads to where no kernel keeps anything."""
    _, altered = rhel8
    reads: list[int] = []
    _add_interrupt_table(altered.prog, reads)
    device = next(
        dev for dev in devices_of(altered.prog) if dev_xdp_prog(dev, XdpMode.SKB)
    )
    kept = altered.prog.read(device.xdp_state.address_, 8)
    try:
        altered.write_pointer(device.xdp_state, 0x1000)
        (lost,) = (
            found
            for found in take_snapshot(altered.prog).devices
            if found.net_device == device.value_()
        )
    finally:
        altered.write(device.xdp_state.address_, kept)
    assert isinstance(lost.xdp.generic, Unreadable)
    assert "not a kernel address" in lost.xdp.generic.reason


# A member that is something else -----------------------------------------------------

OTHER_TYPES = [
    ("net_device", "num_tc", "list_head"),
    ("net_device", "tc_to_txq", "list_head"),
    ("net_device", "tc_to_txq", "void *"),
    ("net_device", "ifalias", "list_head"),
    ("net_device", "adj_list", "void *"),
    ("net_device", "num_rx_queues", "list_head"),
    ("net_device", "rtnl_link_ops", "list_head"),
    ("net_device", "xdp_state", "list_head"),
    ("net_device", "xdp_state", "void *"),
    ("netdev_rx_queue", "rps_map", "list_head"),
    ("bpf_prog_aux", "name", "list_head"),
    ("net_device_ops", "ndo_bpf", "list_head"),
    ("mount", "mnt", "void *"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("struct", "member", "now"),
    OTHER_TYPES,
)
def test_a_member_of_another_type(struct: str, member: str, now: str) -> None:
    """It costs what is read of it, and nothing else."""
    newest = recorded_core(NEWEST)
    altered = altered_core(newest)
    types = Types(altered)
    void = 0
    other = types.pointer_to(void) if now == "void *" else types.struct(now)
    types.set_type(struct, member, other)
    snapshot = take_snapshot(altered.prog)
    whole = newest.snapshot
    report(snapshot)
    Predictor(snapshot)
    assert len(snapshot.devices) == len(whole.devices)
    lost = [why for _, why in unreadable_in(snapshot)]
    # The JSON does not have what is read of these.
    assert lost or struct in ("bpf_prog_aux", "net_device_ops")
    for mine, theirs in zip(snapshot.devices, whole.devices):
        assert (mine.netns, mine.ifindex, mine.name) == theirs.ref[:3]
