# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about native programs: queues without one, and frames that are lost."""

from typing import Any

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import (
    Device,
    Features,
    Holder,
    Map,
    MapEntry,
    RecordsRxQueue,
    StaleProgram,
    Veth,
    Vlan,
    Xdp,
    XdpQueue,
)
import pytest

from tests.support.rules.case import AGAIN, again, found
from tests.support.rules.xdp_packet import OLD_TAG
from tests.support.rules.xdp_reach import SOCKET
from tests.support.snapshots import (
    BAD,
    BOND,
    BOND_SLAVE,
    BR0,
    BY_RXQ,
    CHANNELS,
    CHECKED,
    GRO,
    HOST,
    KERNEL,
    LINKED,
    NIC,
    NO_XDP,
    PROGRAM,
    STALE,
    TSO,
    WHY,
    WITH_XDP,
    Changes,
    device,
    generic,
    link,
    native,
    pair,
    queues,
    rqs,
)


def test_programs_that_redirect_to_no_index_threaten_nobody() -> None:
    """Of a program that returns XDP_PASS, no veth of the namespace is a target."""
    calls = PROGRAM._replace(redirects=True)
    for redirects, number in ((True, 1), (False, 0), (BAD, 1)):
        program = calls._replace(redirects=redirects)
        nic = NIC._replace(xdp=Xdp(None, program, None, None))
        snapshot = pair({"features": Features(0, 0, 0)}, None, nic)
        assert len(found("xdp-redirect-not-ready", snapshot)) == number


def test_program_is_attached_again() -> None:
    """The queues are needed: the peer sends to them."""
    grown = {
        **queues(2, 1),
        "xdp": Xdp(None, PROGRAM, None, (*rqs(True, prog=7), XdpQueue(1, None, True))),
    }
    (finding,) = found("xdp-queue-without-program", pair(None, grown, kernel=KERNEL))
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 rx 1",)
    (finding,) = found("xdp-queue-without-program", pair(queues(2, 2), grown))
    assert finding.fix == (again("eth0", way="ip netns exec pod1 "),)
    assert finding.fix_effect == AGAIN
    held = grown["xdp"]._replace(driver=LINKED)
    (finding,) = found(
        "xdp-queue-without-program", pair(queues(2, 2), {**grown, "xdp": held})
    )
    assert finding.fix == ()
    # Not the last ones: they cannot be taken away alone.
    first = (XdpQueue(0, 7, True), XdpQueue(1, None, True), XdpQueue(2, 7, True))
    hole = {**queues(3, 1), "xdp": Xdp(None, PROGRAM, None, first)}
    (finding,) = found("xdp-queue-without-program", pair(None, hole))
    assert finding.fix == (again("eth0", way="ip netns exec pod1 "),)


def test_slave_without_a_program_on_a_queue() -> None:
    """The bond has the program: it cannot be attached to the slave again."""
    bare = {**BOND_SLAVE, "xdp": Xdp(None, None, None, (XdpQueue(0, None, True),))}
    (finding,) = found(
        "xdp-queue-without-program", pair(bare, None, BOND._replace(xdp=WITH_XDP))
    )
    assert finding.evidence[0] == ("xdp_state[XDP_MODE_DRV] prog_id", None)
    assert finding.fix == ()


def test_nothing_is_detached_that_cannot_be_attached_again() -> None:
    grown = {
        **queues(2, 1),
        "xdp": Xdp(None, PROGRAM, None, (*rqs(True, prog=7), XdpQueue(1, None, True))),
    }

    def fix(changes: Changes, peer: Changes, *others: Device) -> tuple[str, ...]:
        whole = pair({**grown, **changes}, {**queues(2, 2), **peer}, *others)
        (finding,) = found("xdp-queue-without-program", whole)
        return finding.fix

    assert fix({}, {}) == (again("veth0"),)
    assert fix({}, {"mtu": 9000}) == ()
    assert fix({}, {"mtu": BAD}) == ()
    free = {"uppers": (BR0.ref,)}
    assert fix(free, {}, BR0) == (again("veth0"),)
    assert fix(free, {}, BR0._replace(xdp=WITH_XDP)) == ()
    assert fix(free, {}, BR0._replace(xdp=Xdp(BAD, None, None, None))) == ()
    assert fix(free, {}) == ()
    assert fix({"uppers": BAD}, {}) == ()


@pytest.mark.parametrize(
    "veth",
    [
        STALE._replace(prog=0),
        STALE._replace(prog=0x88),
        STALE._replace(stale=(StaleProgram(2, 0x77),)),
        STALE._replace(prog=BAD),
    ],
    ids=["detached", "another", "gap", "unreadable"],
)
def test_stale_program_is_not_put_to_use(veth: Veth) -> None:
    whole = pair({**queues(1, 1, 4, 4), "veth": veth}, queues(1, 2))
    (finding,) = found("xdp-stale-program", whole)
    assert finding.fix == ()
    (finding,) = found("xdp-native-queues", whole)
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 tx 1",)


def test_sender_with_tso() -> None:
    (finding,) = found(
        "xdp-queue-overflow", pair(native(), {"features": Features(GRO | TSO, 0, None)})
    )
    assert finding.evidence == (("peer_features & NETIF_F_ALL_TSO", "0x10000"),)
    assert finding.fix == (again("veth0"),)
    assert finding.fix_effect == AGAIN
    slave = pair(
        BOND_SLAVE,
        {"features": Features(TSO, 0, None)},
        BOND._replace(xdp=WITH_XDP),
    )
    (finding,) = found("xdp-queue-overflow", slave)
    assert finding.fix == ()


def test_xdp_tx_before_it_is_lost() -> None:
    (finding,) = found("xdp-tx-lost", pair(native()))
    assert finding.severity == "info"
    (finding,) = found("xdp-tx-lost", pair(native(errors=BAD)))
    assert finding.severity == "info"
    assert finding.undecided == f"rq[].stats.vs.xdp_tx_err could not be read: {WHY}"


def test_gro_at_the_peer_does_not_help() -> None:
    """As measured: the frames wait in a ring, and count as sent."""
    idle = rqs(True)
    (finding,) = found(
        "xdp-tx-lost", pair(native(), {"xdp": Xdp(None, None, None, idle)})
    )
    assert finding.severity == "info"
    stuck = tuple(queue._replace(waiting=True) for queue in idle)
    (finding,) = found(
        "xdp-tx-lost", pair(native(), {"xdp": Xdp(None, None, None, stuck)})
    )
    assert finding.severity == "error"
    assert "wait in RX queue 0 of peer eth0 (netns pod1)" in finding.summary
    assert finding.kernel == KernelAnswer("veth_xdp_flush", None)
    assert finding.fix == ()


@pytest.mark.parametrize("errors", [0, 10, BAD])
def test_frames_that_may_wait(errors: Any) -> None:
    """What was lost is no error by itself; what waits now is."""
    unsure = tuple(q._replace(waiting=BAD) for q in rqs(True, True))
    peer = {**queues(2, 1), "xdp": Xdp(None, None, None, unsure)}
    (finding,) = found("xdp-tx-lost", pair(native(errors=errors), peer))
    assert finding.severity == "info"
    assert finding.undecided == f"peer_rq[].xdp_ring could not be read: {WHY}"
    assert finding.evidence[-1] == ("peer_rq[].xdp_ring waits", BAD)
    known = (unsure[0], unsure[1]._replace(waiting=True))
    peer = {**peer, "xdp": Xdp(None, None, None, known)}
    (finding,) = found("xdp-tx-lost", pair(native(errors=errors), peer))
    assert (finding.severity, finding.undecided) == ("error", None)
    assert finding.evidence[-1] == ("peer_rq[].xdp_ring waits", (1,))


@pytest.mark.parametrize(
    "changes",
    [
        {"features": Features(0, GRO, None)},
        {"features": Features(0, BAD, None)},
        {"driver": CHANNELS._replace(set_channels=False)},
    ],
    ids=["wanted", "unreadable", "old"],
)
def test_gro_would_not_help(changes: Changes) -> None:
    (finding,) = found(
        "xdp-redirect-not-ready", pair(None, changes, NIC._replace(xdp=WITH_XDP))
    )
    assert finding.fix == ()


def test_redirect_on_kernels_without_xdp_features() -> None:
    (finding,) = found(
        "xdp-redirect-not-ready", pair(None, None, NIC._replace(xdp=WITH_XDP))
    )
    assert finding.kernel == KernelAnswer("veth_xdp_xmit", "ENXIO")


def test_who_has_the_link_open() -> None:
    one, two = Holder("fd", 12, "bpfman", 7), Holder("fd", 13, "sh", 3)
    for holders, said in (
        ((), "it"),
        ((one,), "it; bpfman (pid 12, fd 7) has it open"),
        ((one, two), "it; bpfman (pid 12, fd 7) and 1 more have it open"),
        ((Holder("fd", BAD, "sh", 3),), "it"),
    ):
        (finding,) = found("xdp-link-owns-hook", link(1, (), tasks=holders))
        assert finding.summary.endswith(f"replace or detach {said}")
        assert ("opened_by" in dict(finding.evidence)) == ("it open" in said)


def test_socket_that_no_program_feeds() -> None:
    """Whose it is, if both its process and the name of that could be read."""
    unknown = "a process"
    for socket, who in (
        (SOCKET, "rx_loop (812)"),
        (SOCKET._replace(pid=BAD), unknown),
        (SOCKET._replace(comm=BAD), unknown),
    ):
        (finding,) = found("af-xdp-no-packets", pair({"af_xdp": (socket,)}))
        assert finding.summary == (
            f"the AF_XDP socket of {who} on RX queue 0 gets no packets: the device has "
            "no XDP program"
        )


@pytest.mark.parametrize(
    ("records", "queue", "number", "undecided"),
    [
        *((RecordsRxQueue.NEVER, 0, 0, 0), (RecordsRxQueue.NEVER, 1, 0, 0)),
        *((RecordsRxQueue.NEVER, 2, 1, 0), (RecordsRxQueue.NEVER, 3, 1, 0)),
        *((RecordsRxQueue.ALWAYS, 2, 0, 0), (RecordsRxQueue.ALWAYS, 3, 1, 0)),
        *((BAD, 1, 0, 0), (BAD, 2, 0, 1), (BAD, 3, 1, 0)),
    ],
)
def test_sockets_of_a_generic_program(
    records: Any, queue: int, number: int, undecided: int
) -> None:
    """Of 4 RX queues and 3 TX queues: TX queue 2 comes from RX queue 1, or from 2."""
    socket = SOCKET._replace(queue=queue)
    one = Map(5, "xskmap", "xsks", 4, 1, (MapEntry(queue, socket=socket),))
    program = PROGRAM._replace(maps=(5,), redirects=False)
    whole = pair(
        {**generic(program), **queues(4, 3), "af_xdp": (socket,)},
        {"xdp": NO_XDP, **queues(4, 3)},
        maps=(one,),
        kernel=KERNEL._replace(records_rx_queue=records),
    )
    every = [x for x in diagnose(whole) if x.rule == "af-xdp-no-packets"]
    assert sum(x.undecided is None for x in every) == number
    assert sum(x.undecided is not None for x in every) == undecided
    if number and queue == 2:
        assert every[0].summary.endswith(
            "what peer eth0 (netns pod1) sends on TX queue N comes to a generic "
            "program from RX queue N-1: only the RX queues below 2 get packets"
        )


def test_checksums_of_what_is_redirected() -> None:
    """A program that redirects spoils them, whatever the sender runs."""
    sender = {"features": Features(1 << 3, 0, None)}
    stays = PROGRAM._replace(redirects=False, maps=(4,))

    def findings(program: Any, *maps: Map) -> int:
        snapshot = pair(sender, native(program=program), maps=maps)
        return len(found("xdp-unfinished-checksum", snapshot))

    assert findings(stays._replace(redirects=True)) == 1
    for kind, entries, number in (
        *(("devmap", 1, 1), ("devmap_hash", 2, 1), ("cpumap", 1, 1)),
        *(("devmap", 0, 0), ("xskmap", 1, 0)),
    ):
        one = Map(4, kind, "to", 8, entries, ())
        assert findings(stays, one) == number, kind
        assert findings(stays._replace(maps=(5,)), one) == 0
    (finding,) = found(
        "xdp-unfinished-checksum",
        pair(sender, native(program=stays), maps=(Map(4, "devmap", "to", 8, BAD, ()),)),
    )
    assert finding.undecided == f"entry_count could not be read: {BAD.reason}"


def test_outer_tag_of_two() -> None:
    """802.1ad has an offload of its own, and two VLANs may need both commands."""
    both = (1 << 7) | (1 << 45)
    outer = device(HOST, 7, "s5", kind="vlan", vlan=Vlan(5, "802.1ad"))
    other = device(HOST, 8, "c6", kind="vlan", vlan=Vlan(6, "802.1Q"))

    def only(features: int, *uppers: Device) -> Any:
        sender = {
            "features": Features(features, 0, None),
            "uppers": tuple(upper.ref for upper in uppers),
        }
        (finding,) = found("xdp-hidden-vlan-tag", pair(sender, native(), *uppers))
        return finding

    alone = only(1 << 45, outer)
    assert alone.undo.commands == ("ethtool -K veth0 tx-vlan-stag-hw-insert off",)
    assert dict(alone.evidence)["vlan_proto"] == ("802.1ad",)
    assert only(1 << 45, outer, other).undo == alone.undo
    finding = only(both, outer, other)
    assert finding.undo.commands == (
        "ethtool -K veth0 tx-vlan-stag-hw-insert off",
        "ethtool -K veth0 txvlan off",
    )
    assert "for VLAN devices s5, c6: " in finding.summary


def test_upper_that_is_in_no_namespace_has_no_tag() -> None:
    sender = {
        "features": Features(1 << 7, 0, None),
        "uppers": (device(HOST, 7, "s5", kind="vlan").ref,),
    }
    assert not found("xdp-hidden-vlan-tag", pair(sender, native()))


def test_who_sends_big_packets_to_a_generic_program() -> None:
    """Nobody, without a peer."""
    sender = {"features": Features(TSO, 0, None)}
    unsure = PROGRAM._replace(frags=BAD)
    (finding,) = found("generic-xdp-big-packets", pair(sender, generic(unsure)))
    assert dict(finding.evidence)["prog_frags"] == "?"
    alone = pair({**sender, **generic(), "peer": None})
    assert not found("generic-xdp-big-packets", alone)


def test_loopback_sends_big_packets_to_its_program() -> None:
    """It receives what it sends itself."""
    lo = device(HOST, 1, "lo", kind=None, type=772, features=Features(TSO, 0, None))
    frags = PROGRAM._replace(frags=True)
    (finding,) = found(
        "generic-xdp-big-packets", pair(None, None, lo._replace(**generic(frags)))
    )
    assert "gets TCP segments sent through it in packets of up to" in finding.summary
    assert dict(finding.evidence)["prog_frags"] == "yes"
    assert finding.undo is not None
    assert finding.undo.commands == ("ethtool -K lo tso off",)
    no_tso = lo._replace(features=Features(0, 0, None), **generic(frags))
    assert not found("generic-xdp-big-packets", pair(None, None, no_tso))


def test_offload_of_an_older_kernel() -> None:
    """The bit of 802.1ad's offload moved in v5.6."""
    (finding,) = found("xdp-hidden-vlan-tag", OLD_TAG)
    assert finding.undo is not None
    assert finding.undo.commands[0].endswith("tx-vlan-stag-hw-insert off")


@pytest.mark.parametrize(
    ("napi", "woken", "number"),
    [
        *((False, BY_RXQ, 1), (True, BY_RXQ, 0), (BAD, BY_RXQ, 0)),
        *((True, CHECKED, 1), (True, BAD, 0)),
    ],
)
def test_command_that_might_stop_queues(napi: Any, woken: Any, number: int) -> None:
    """Without TSO, packets take the ring if NAPI runs for GRO; it may wake others."""
    program = Xdp(PROGRAM, None, None, rqs(napi, napi))
    whole = pair(
        {"features": Features(TSO, 0, None), **queues(4, 4)},
        {"xdp": program, **queues(2, 4)},
        kernel=KERNEL._replace(veth_poll=woken),
    )
    (finding,) = found("generic-xdp-big-packets", whole)
    assert (finding.undo is not None) is bool(number)


def test_entry_without_a_socket() -> None:
    """It is known to be none: the socket of the device is in no entry."""
    for socket, number in ((None, 1), (BAD, 0)):
        entries = (MapEntry(0, socket=socket),)
        one = Map(5, "xskmap", "xsks", 4, 1, entries)
        program = PROGRAM._replace(maps=(5,), redirects=False)
        whole = pair({**native(program=program), "af_xdp": (SOCKET,)}, maps=(one,))
        every = [x for x in diagnose(whole) if x.rule == "af-xdp-no-packets"]
        assert sum(x.undecided is None for x in every) == number
        assert len(every) == 1
