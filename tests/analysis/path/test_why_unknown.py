# SPDX-License-Identifier: LGPL-2.1-or-later
"""A step that depends on a value that could not be read says so, and which value."""

from typing import Any

from drgn_veth.analysis.path import PathError
from drgn_veth.analysis.path.records import few
from drgn_veth.analysis.path.redirect import takes_frames
from drgn_veth.analysis.path.topology import Topology
from drgn_veth.model import (
    AfXdpSocket,
    CpuStats,
    Driver,
    Features,
    Ipvlan,
    Macvlan,
    Map,
    MapEntry,
    Veth,
    Vlan,
    Xdp,
    XskRing,
)
import pytest

from tests.support.paths import only, path_of, step_of, steps_of
from tests.support.snapshots import (
    BAD,
    GRO,
    HOST,
    NO_XDP,
    POD,
    PROGRAM,
    TSO,
    WHY,
    WITH_XDP,
    device,
    native,
    pair,
    queues,
    rps,
    rqs,
    snapshot,
    xps,
)

PLAIN = {"xdp": NO_XDP._replace(queues=rqs(False))}
ON = rqs(True, prog=7)


def _flow(sender: Any, receiver: Any, *others: Any, **options: Any) -> Any:
    return only(path_of(pair(sender, receiver, *others), **options))


def test_whether_napi_polls() -> None:
    tso = {"features": Features(TSO, TSO, 0)}
    for sender, receiver, said in (
        ({}, {"xdp": Xdp(None, PROGRAM, None, rqs(BAD, prog=7))},
            "whether NAPI is on could not be read"),
        ({"features": Features(BAD, 0, 0)}, native(),
            "the sender's features could not be read"),
        (tso, {**native(), "features": Features(BAD, 0, 0)},
            "features could not be read"),
    ):  # fmt: skip
        flow = _flow(sender, receiver)
        step = step_of(flow, "receive")
        assert step.text == f"{said}: {WHY}"
        assert step.numbers["via"] == BAD
        # So it is unknown whether the program runs.
        step = step_of(flow, "native")
        assert step.text == f"whether native p#7 runs is unknown: {WHY}"
        assert (step.numbers["prog_id"], step.numbers["bypassed"]) == (7, BAD)


def test_which_native_program_runs() -> None:
    (queue,) = ON
    lost = {"xdp": Xdp(None, PROGRAM, None, (queue._replace(prog_id=BAD),))}
    step = step_of(_flow({}, lost), "native")
    assert step.text == f"which program runs could not be read: {WHY}"
    assert (step.numbers["prog_id"], step.numbers["bypassed"]) == (BAD, BAD)
    # The queue tells that there is one, even if it is not known which.
    step = step_of(_flow({}, {"xdp": Xdp(None, BAD, None, ON)}), "native")
    assert step.text == "native program before GRO and RPS; XDP_PASS goes on"
    unsure = {"xdp": Xdp(None, BAD, None, rqs(BAD, prog=7))}
    step = step_of(_flow({}, unsure), "native")
    assert step.text == f"whether native program runs is unknown: {WHY}"
    # That of another driver.
    nic = device(POD, 9, "ens1", kind=None, **native(program=BAD))
    step = step_of(_flow_of(nic), "native")
    assert step.text == f"the native program could not be read: {WHY}"
    assert (step.numbers["prog_id"], step.numbers["bypassed"]) == (BAD, BAD)


def _flow_of(received: Any) -> Any:
    return only(path_of(snapshot(received), str(received.name)))


def test_the_program_of_a_bond() -> None:
    bond = device(POD, 9, "bond0", kind="bond", xdp=WITH_XDP)
    assert step_of(_flow_of(bond), "native").text == (
        "native p#7 ran in the drivers of the slaves"
    )
    lost = bond._replace(xdp=NO_XDP._replace(driver=BAD))
    assert step_of(_flow_of(lost), "native").text == (
        "the native program ran in the drivers of the slaves"
    )
    assert steps_of(_flow_of(bond._replace(xdp=NO_XDP)), "native") == []


def test_gro() -> None:
    """GRO that is off is off, whatever program there is."""
    for features, program, on, text in (
        (BAD, None, BAD, f"features could not be read: {WHY}"),
        (GRO, BAD, BAD, f"the generic program could not be read: {WHY}"),
        (0, BAD, False, "GRO off"),
        (GRO, PROGRAM, False, "GRO skipped: the device has a generic program"),
        (GRO, None, True, "GRO on: packets of a flow become one"),
    ):
        xdp = Xdp(program, None, None, rqs(True))
        flow = _flow({}, {"xdp": xdp, "features": Features(features, 0, 0)})
        step = step_of(flow, "gro")
        assert (step.text, step.numbers["on"]) == (text, on)


_RING = XskRing(64, 8)
_SOCKET = AfXdpSocket(0, "bound", False, _RING, None, _RING, None, None, 0, 0, 40, "x")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": BAD}, "its state could not be read"),
        ({"queue": BAD}, "its RX queue could not be read"),
        ({"fill": BAD}, "its fill ring could not be read"),
    ],
)
def test_a_socket(changes: Any, said: str) -> None:
    """It may take packets: they are not said to be lost."""
    here = pair().devices[1].ref
    for socket, takes, text in (
        (_SOCKET._replace(**changes), BAD, f"to an AF_XDP socket of x (40): {said}"),
        (_SOCKET, True, "to an AF_XDP socket of x (40): it is bound to rx-0"),
        (_SOCKET._replace(state="ready"), False,
            "lost at an AF_XDP socket of x (40): it is not bound"),
        (None, False, "lost at an AF_XDP socket: no socket"),
    ):  # fmt: skip
        entry = MapEntry(0, here, socket=socket)
        of = Map(4, "xskmap", "to", 64, 1, (entry,))
        made = pair({}, native(program=PROGRAM._replace(maps=(4,))), maps=(of,))
        (step,) = steps_of(only(path_of(made)), "redirect")
        assert step.numbers["takes"] == takes and text in step.text
    lost = MapEntry(0, BAD, socket=_SOCKET)
    of = Map(4, "xskmap", "to", 64, 1, (lost,))
    made = pair({}, native(program=PROGRAM._replace(maps=(4,))), maps=(of,))
    (step,) = steps_of(only(path_of(made)), "redirect")
    assert "its device could not be read" in step.text


def test_whether_a_driver_takes_frames() -> None:
    """Before v6.3, ndo_xdp_xmit alone tells."""
    for xmit, takes, why in (
        (BAD, BAD, f"ndo_xdp_xmit could not be read: {WHY}"),
        (False, False, "its driver has no ndo_xdp_xmit"),
    ):
        driver = Driver("some", True, xmit, True)
        target = device(HOST, 30, "d0", kind=None, driver=driver)
        target = target._replace(features=Features(0, 0, None))
        taken = takes_frames(Topology(snapshot(target)), target)
        assert (taken.takes, taken.why) == (takes, why)


def test_a_mask_that_is_not_there() -> None:
    """A report of fewer masks than RX queues: the memory was damaged."""
    whole = pair(queues(2, 2), {**PLAIN, **queues(2, 2), **rps((1,), (2,))})
    first, second = whole.devices
    lost = second._replace(rps=second.rps[1:])  # type: ignore[index]
    path = path_of(whole._replace(devices=(first, lost)))
    said = {step_of(flow, "rps").text for flow in path.flows}
    assert "rx-0 was not found" in said


# Numbers


def test_queues_in_a_text() -> None:
    """Eight ranges are named; a ninth is left to the numbers."""
    eight = range(0, 16, 2)
    assert few(eight) == "0,2,4,6,8,10,12,14"
    assert few(range(0, 18, 2)) == "0,2,4,6,8,10,12,14,..."
    assert few(range(100)) == "0-99" and few([3]) == "3"


def test_queues_that_are_not_there() -> None:
    for queue, there in ((1, True), (2, False), (-1, False)):
        sender = queues(2, 2)
        whole = pair(sender, {**PLAIN, **queues(2, 2)})
        if there:
            assert only(path_of(whole, queue=queue)).tx_queues == (queue,)
            continue
        said = f"^veth0 has no TX queue {queue}: it has 2 real TX queues$"
        with pytest.raises(PathError, match=said):
            path_of(whole, queue=queue)
    with pytest.raises(PathError, match="^veth0 has no TX queue -1$"):
        path_of(pair(queues(2, BAD), PLAIN), queue=-1)


def test_who_asks_for_one_queue_is_not_told_of_others() -> None:
    whole = pair({**queues(2, 2), **xps((0,), (1,))}, {**PLAIN, **queues(2, 2)})
    assert step_of(path_of(whole).flows[0], "xps").alternatives
    flow = only(path_of(whole, queue=1))
    assert step_of(flow, "xps").alternatives == ()
    # Other steps keep theirs.
    large = pair({**queues(2, 2), "mtu": 9000}, {**PLAIN, **queues(2, 2)})
    flow = only(path_of(large, queue=1))
    assert "longer than 1518 bytes" in step_of(flow, "receive").alternatives[0]


def test_a_device_without_rx_queues() -> None:
    nic = device(POD, 9, "ens1", kind=None, **queues(0, 1))
    assert _flow_of(nic).ends == "ens1 has 0 RX queues"


def test_which_devices_are_below() -> None:
    """A report of an upper device names those that it gets packets from."""
    low = device(POD, 9, "ens1", kind=None)
    over = device(POD, 10, "v0", kind="vlan", lowers=(low.ref,))
    flow = only(path_of(snapshot(low, over), "v0"))
    assert step_of(flow, "receive").text == "from ens1, on the same CPU"
    assert steps_of(flow, "rps") == []
    for lowers in ((), BAD):
        lost = over._replace(lowers=lowers)
        flow = only(path_of(snapshot(low, lost), "v0"))
        assert step_of(flow, "receive").text.startswith("from the device below")


def test_masks_that_a_bridge_has() -> None:
    bridge = device(POD, 9, "br0", kind="bridge")
    flow = _flow_of(bridge)
    assert step_of(flow, "receive").alternatives == ()
    said = "RPS skips it if its queue index at the port is 1 or more"
    flow = _flow_of(bridge._replace(**rps((1,))))
    assert step_of(flow, "receive").alternatives == (said,)


def test_gro_of_drivers() -> None:
    nic = device(POD, 9, "ens1", kind=None)
    assert len(steps_of(_flow_of(nic), "gro")) == 1
    assert steps_of(_flow_of(nic._replace(kind="tun", name="tap0")), "gro") == []


def test_vlans_that_are_named() -> None:
    for number, more in ((8, ""), (9, ", 1 more"), (10, ", 2 more")):
        nic = device(POD, 50, "ens1", kind=None)
        vlans = [
            device(POD, 60 + i, f"v{i}", kind="vlan", lowers=(nic.ref,))._replace(
                vlan=Vlan(100 + i, "802.1Q")
            )
            for i in range(number)
        ]
        nic = nic._replace(uppers=tuple(one.ref for one in vlans))
        step = step_of(only(path_of(snapshot(nic, *vlans), "ens1")), "vlan")
        (text,) = step.alternatives
        assert "100 to v0" in text and "107 to v7" in text and "108" not in text
        assert text.endswith(f"107 to v7{more}; the rest happens there")
        assert step.numbers["vlans"] == tuple(range(100, 100 + number))


def test_what_an_ipvlan_takes() -> None:
    nic = device(POD, 50, "ens1", kind=None)
    for mode, text in (
        ("l3s", "ipvlan l3s: all packets go on; IP gives ipv0 their own"),
        ("l2", "ipvlan: packets for other addresses than those of ipv0 go on here"),
    ):
        over = device(POD, 60, "ipv0", kind="ipvlan", lowers=(nic.ref,))
        over = over._replace(ipvlan=Ipvlan(mode, ()))
        low = nic._replace(uppers=(over.ref,))
        flow = only(path_of(snapshot(low, over), "ens1"))
        step = step_of(flow, "macvlan")
        assert (step.text, step.numbers["mode"]) == (text, mode)
        assert flow.ends == f"IP stack of net:{POD}"


def test_masks_of_a_macvlan() -> None:
    """Only one that gets what some MACs send has masks that are looked at."""
    for mode, own in (("source", True), ("bridge", False), ("private", False)):
        over = device(POD, 60, "mv0", kind="macvlan", macvlan=Macvlan(mode))
        over = over._replace(**rps((1,)))
        flow = _flow_of(over)
        skipped = [step.numbers.get("skipped") for step in steps_of(flow, "rps")]
        assert (True not in skipped) == own, mode


def test_what_was_counted() -> None:
    """Zero is not worth a word, and one packet is."""
    for dropped, said in ((0, False), (1, True)):
        step = step_of(_flow({"veth": Veth(dropped, 0)}, PLAIN), "receive")
        assert bool(step.alternatives) == said
    counts: list[tuple[Any, Any, int, tuple[str, ...]]] = [
        (0, 0, 0, ()),
        (1, 0, 0, ("1 packet in the backlog of CPU 1",)),
        (0, 1, 0, ("the backlog of CPU 1 has dropped 1 packet",)),
        (0, 9, 1, ("the backlog of CPU 1 has dropped 9 packets, 1 by its flow limit",)),
        (BAD, BAD, 1, ()),
    ]
    for backlog, lost, limited, words in counts:
        cpus = tuple(CpuStats(cpu, 1, lost, 0, 0, limited, backlog) for cpu in (0, 1))
        whole = pair({}, {**PLAIN, **rps((1,))}, cpus=cpus)
        step = step_of(only(path_of(whole)), "cpu")
        counted = [one for one in step.alternatives if "backlog" in one]
        assert counted == [f"also: {one}" for one in words]
