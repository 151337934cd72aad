# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in xdp_reach.py."""

from typing import Any

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import (
    AfXdpSocket,
    Device,
    Extension,
    Map,
    MapEntry,
    Snapshot,
    Xdp,
    XskRing,
)

from tests.support.rules.case import DRV, Case
from tests.support.snapshots import (
    BAD,
    BR0,
    HOST,
    PROGRAM,
    Changes,
    device,
    native,
    pair,
    queues,
)

__all__ = ("CASES", "SOCKET", "redirected")

_RING = XskRing(64, 0)
SOCKET = AfXdpSocket(
    0, "bound", False, _RING, None, _RING, _RING, None, 0, 0, 812, "rx_loop"
)
#: A device that is not in the pair.
_NIC = device(HOST, 2, "ens1", kind=None)


def _program(**changes: Any) -> Changes:
    return native(program=PROGRAM._replace(**changes))


def _with_map(one: Map, *entries: MapEntry, **changes: Any) -> Snapshot:
    """veth0 has a program with a map."""
    whole = one._replace(entry_count=len(entries), entries=entries)
    return pair({**_program(maps=(5,)), **changes}, maps=(whole,))


_XSKMAP = Map(5, "xskmap", "xsks", 4, 0, ())
_DEVMAP = Map(5, "devmap", "ports", 4, 0, ())


def redirected(*targets: Device, generic: bool = False, **changes: Any) -> Snapshot:
    """A NIC redirects to devices by a DEVMAP; so far these are others than the pair."""
    entries = tuple(MapEntry(i, one.ref) for i, one in enumerate(targets))
    one = _DEVMAP._replace(entry_count=len(entries), entries=entries)
    program = PROGRAM._replace(maps=(5,), redirects=False)
    xdp = Xdp(None, program, None, None)
    if generic:
        xdp = Xdp(program, None, None, None)
    nic = _NIC._replace(xdp=xdp)
    return pair(None, None, nic, *targets, maps=(one,), **changes)


def _sockets(socket: AfXdpSocket, **changes: Any) -> Snapshot:
    entry = MapEntry(0, socket=socket)
    return _with_map(_XSKMAP, entry, **{"af_xdp": (socket,), **changes})


def _longer(socket: AfXdpSocket) -> Snapshot:
    """There are more entries than those that are recorded."""
    whole = _sockets(socket)
    (one,) = whole.maps
    entries = (MapEntry(0, socket=SOCKET),)
    return whole._replace(maps=(one._replace(entries=entries, entry_count=65),))


def _lost_entry(socket: AfXdpSocket) -> Snapshot:
    """The socket of an entry could not be read."""
    whole = _sockets(socket)
    (one,) = whole.maps
    return whole._replace(maps=(one._replace(entries=(MapEntry(0, socket=BAD),)),))


def _fed_by_a_nic(socket: AfXdpSocket, **changes: Any) -> Snapshot:
    """A NIC redirects to the peer of the device that has the socket."""
    own = Map(6, "xskmap", "xsks", 4, 1, (MapEntry(0, socket=socket),))
    whole = pair({**_program(maps=(6,)), "af_xdp": (socket,), **changes})
    peer = whole.devices[1]
    ports = _DEVMAP._replace(entry_count=1, entries=(MapEntry(0, peer.ref),))
    program = PROGRAM._replace(maps=(5,), redirects=False)
    nic = _NIC._replace(xdp=Xdp(None, program, None, None))
    return whole._replace(devices=(*whole.devices, nic), maps=(ports, own))


def _answered(socket: AfXdpSocket, **changes: Any) -> Snapshot:
    """The peer has a native program, too."""
    whole = _sockets(socket, **changes)
    device, peer = whole.devices
    peer = peer._replace(xdp=Xdp(None, PROGRAM, None, None))
    return whole._replace(devices=(device, peer))


def _slave(socket: AfXdpSocket) -> Snapshot:
    """The program is that of a bond."""
    one = Map(5, "xskmap", "xsks", 4, 1, (MapEntry(0, socket=socket),))
    program = PROGRAM._replace(maps=(5,))
    bond = device(HOST, 9, "bond0", kind="bond", xdp=Xdp(None, program, None, None))
    nic = _NIC._replace(af_xdp=(socket,), master=bond.ref)
    return pair(None, None, bond, nic, maps=(one,))


CASES: dict[str, Case] = {
    "xdp-behind-dispatcher": Case(
        pair(
            _program(
                name="xdp_dispatcher",
                extensions=(
                    Extension(11, "filter", "prog0"),
                    Extension(12, "count", "prog1"),
                ),
            )
        ),
        "info",
        "veth0",
        "its program xdp_dispatcher runs others in its place: filter#11, count#12",
        (("prog_id", 7), ("programs in its slots", ("filter#11", "count#12"))),
        KernelAnswer("bpf_tracing_prog_attach"),
        (),
        [pair(_program(name="xdp_dispatcher")), pair()],
        [
            (pair(_program(extensions=BAD)), "aux.tramp_progs"),
            (pair(native(program=BAD)), "xdp_state[XDP_MODE_DRV]", DRV),
        ],
    ),
    "xskmap-without-socket": Case(
        _with_map(_XSKMAP, MapEntry(0, socket=SOCKET._replace(state="ready", queue=0))),
        "warning",
        "veth0",
        "packets that its program redirects by entry 0 of xskmap xsks are lost: the "
        "socket there is not bound",
        (("map id", 5), ("entries", (0,))),
        KernelAnswer("xsk_rcv_check", "ENXIO"),
        (),
        [
            _with_map(_XSKMAP, MapEntry(0, socket=SOCKET)),
            _with_map(_XSKMAP),
            _with_map(_DEVMAP, MapEntry(0, BR0.ref)),
        ],
        [
            (pair(_program(maps=BAD)), "used_maps", {"xdp-redirect-not-ready"}),
            (
                pair(_program(maps=(5,)), maps=(_XSKMAP._replace(entries=BAD),)),
                "xskmap entries",
            ),
            (_with_map(_XSKMAP, MapEntry(0, socket=BAD)), "xdp_sock.state"),
            (
                _with_map(_XSKMAP, MapEntry(0, socket=SOCKET._replace(state=BAD))),
                "xdp_sock.state",
            ),
        ],
    ),
    "af-xdp-no-packets": Case(
        _sockets(SOCKET._replace(queue=1), **queues(2, 1)),
        "warning",
        "veth0",
        "the AF_XDP socket of rx_loop (812) on RX queue 1 gets no packets: peer eth0 "
        "(netns pod1) has only 1 TX queue: only the RX queues below 1 get packets",
        (("queue_id", (1,)),),
        KernelAnswer("__xsk_map_redirect"),
        (),
        [
            _sockets(SOCKET),
            _sockets(SOCKET._replace(queue=1, rx=None), **queues(2, 1)),
            pair(),
            # The program of a NIC redirects frames to the peer.
            _fed_by_a_nic(SOCKET._replace(queue=1), **queues(2, 1)),
            # The queues of a netkit are those of a NIC.
            _sockets(SOCKET._replace(queue=1), kind="netkit"),
            _slave(SOCKET),
            # What the peer answers by XDP_TX comes to the queue of the CPU.
            _answered(SOCKET._replace(queue=1), **queues(2, 1)),
        ],
        [
            (_sockets(SOCKET._replace(queue=BAD)), "queue_id"),
            (pair({"af_xdp": BAD}), "_rx[].pool"),
            # An entry whose socket may be this one.
            *(
                (
                    _with_map(
                        _XSKMAP,
                        MapEntry(0, socket=entry),
                        af_xdp=(SOCKET._replace(pid=900),),
                    ),
                    "xskmap entries",
                )
                for entry in (SOCKET._replace(pid=BAD), SOCKET._replace(queue=BAD))
            ),
            (
                _lost_entry(SOCKET._replace(pid=900)),
                "xskmap entries",
                {"xskmap-without-socket"},
            ),
            (
                _longer(SOCKET._replace(pid=900)),
                "xskmap entries",
            ),
        ],
    ),
}
