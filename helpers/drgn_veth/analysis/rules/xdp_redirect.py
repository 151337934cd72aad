# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rule about devices that programs redirect to, and that cannot take a frame."""

from collections.abc import Iterable, Iterator, Sequence
import itertools
from typing import Optional

from ...core.english import count
from ...core.netdev_features import NETIF_F_GRO
from ...core.uapi import NETDEV_XDP_ACT_NDO_XMIT
from ...core.unreadable import Unreadable
from ...model import Device
from ..need import CannotTell, need
from ..path.redirect import Taken, takes_frames, takes_packets
from ..remedies import Remedy
from .context import Context, End
from .finding import INFO, WARNING, Evidence, KernelAnswer, Symptom
from .poll import gro_is_safe
from .routes import Route
from .rule import Rule, Sign
from .steering import receives
from .values import is_up, napi_queues

__all__ = ("RULES",)


def _by_index(context: Context) -> Iterator[End]:
    # veths in a namespace where some other pair's device, or a device of another kind,
    # has a native program that may redirect to them by their index.
    for end in context.veths:
        device = end.device
        if isinstance(device.netns, Unreadable) or not isinstance(end.peer, Device):
            continue
        if context.natives_beside(device):
            yield end


def _targets(context: Context) -> Iterator[End]:
    named = dict.fromkeys((*context.partly_known, *context.routes))
    for address in named:
        device = context.by_address.get(address)
        if device is not None and device.off_list is None:
            yield context.end(device)
    for end in _by_index(context):
        if end.device.net_device not in named:
            yield end


def _fix_napi(context: Context, device: Device, peer: Device) -> Remedy:
    # Since v5.13, GRO alone makes NAPI run. set_channels is newer, and so proves it.
    wanted = device.features.wanted
    if not gro_is_safe(context, peer, device):
        return Remedy()
    if device.driver.set_channels is not True or isinstance(wanted, Unreadable):
        return Remedy()
    if wanted & NETIF_F_GRO:
        return Remedy()
    return Remedy(context.fixes.ethtool_feature(device.ref, "gro", True))


def _up(context: Context, *devices: Device) -> tuple[str, ...]:
    ups = (context.fixes.up(one.ref) for one in devices if one.is_down)
    return tuple(itertools.chain(*ups))


def _repair(context: Context, end: End, errno: Optional[str]) -> Remedy:
    # veth_open() makes NAPI of the peer run if GRO is on, and veth_set_features() only
    # does so while it is up.
    device, peer = end.device, context.peer(end)
    is_down = errno == "ENETDOWN"
    if peer is None or device.kind != "veth":
        return Remedy(_up(context, device) if is_down else ())
    up = _up(context, device, peer)
    if napi_queues(peer, "peer_"):
        return Remedy(up if is_down else ())
    wanted = peer.features.wanted
    if peer.is_down and isinstance(wanted, int) and wanted & NETIF_F_GRO:
        # veth_set_xdp_features() does not ask whether an end is up.
        return Remedy(() if errno == "EOPNOTSUPP" else up)
    return _first(up, _fix_napi(context, peer, device))


def _napi(context: Context, end: End) -> Evidence:
    # What a veth's peer lacks.
    peer = context.peer(end)
    if peer is None or end.device.kind != "veth":
        return ()
    return (("peer_rq[].napi != NULL", len(napi_queues(peer, "peer_"))),)


def _first(commands: tuple[str, ...], remedy: Remedy) -> Remedy:
    return Remedy(commands).and_then(remedy) if commands else remedy


def _features(device: Device) -> Evidence:
    act = device.features.xdp
    if isinstance(act, Unreadable):
        return (("xdp_features", act),)
    return (("xdp_features", None if act is None else f"{act:#x}"),)


def _via(context: Context, device: Device, routes: Sequence[Route]) -> str:
    first = routes[0]
    key = "?" if isinstance(first.key, Unreadable) else first.key
    name = "?" if isinstance(first.map.name, Unreadable) else first.map.name
    more = f", and {count(len(routes) - 1, 'more entry')}" if len(routes) > 1 else ""
    return (
        f"the {'native' if first.native else 'generic'} program of "
        f"{context.name(first.sender, device)} redirects to it by entry {key} of "
        f"{first.map.type} {name}{more}"
    )


def _taken(context: Context, device: Device, native: bool) -> Taken:
    if native:
        return takes_frames(context.topology, device)
    return takes_packets(context.topology, device)


def _by_map(context: Context, end: End, routes: Iterable[Route]) -> Optional[Symptom]:
    device = end.device
    for native in (True, False):
        led = [route for route in routes if route.native is native]
        if not led:
            continue
        taken = _taken(context, device, native)
        if isinstance(taken.takes, Unreadable):
            raise CannotTell(f"whether it takes frames: {taken.why}")
        if taken.takes is not False:
            continue
        extra: Evidence = ()
        fix = Remedy(_up(context, device))
        if native:
            extra, fix = _napi(context, end), _repair(context, end, taken.errno)
        return Symptom(
            f"XDP_REDIRECT to it loses packets: {taken.why}; "
            f"{_via(context, device, led)}",
            (
                ("map id", tuple(dict.fromkeys(_ids(led)))),
                *_features(device),
                *extra,
            ),
            KernelAnswer(taken.function, taken.errno),
            fix,
            WARNING if receives(device, end.peer) else INFO,
        )
    return None


def _ids(routes: Iterable[Route]) -> Iterator[int]:
    for route in routes:
        if isinstance(route.map.id, int):
            yield route.map.id


def _redirect(context: Context, end: End) -> Optional[Symptom]:
    routes = context.routes.get(end.device.net_device)
    if routes is not None:
        return _by_map(context, end, routes)
    device = end.device
    if device.net_device in context.partly_known:
        lost = Unreadable("not every entry of its program's DEVMAP was read")
        raise CannotTell("devmap entries", lost)
    peer = context.peer(end)
    if peer is None or not is_up(device) or not is_up(peer, "peer_"):
        return None
    act = need(device.features.xdp, "xdp_features")
    napi = napi_queues(peer, "peer_")
    refuses = act is not None and not act & NETDEV_XDP_ACT_NDO_XMIT
    if napi and not refuses:
        return None
    name = context.name(peer, device)
    if napi:
        why = "its xdp_features lack NDO_XMIT"
        fix = Remedy()
    else:
        why = f"peer {name} has no NAPI"
        fix = _fix_napi(context, peer, device)
    if refuses:
        answer = KernelAnswer("__xdp_enqueue", "EOPNOTSUPP")
    else:
        answer = KernelAnswer("veth_xdp_xmit", "ENXIO")
    return Symptom(
        "XDP_REDIRECT to it loses packets, and native programs run in its namespace: "
        f"{why}",
        (
            ("xdp_features", None if act is None else f"{act:#x}"),
            ("peer_rq[].napi != NULL", len(napi)),
        ),
        answer,
        fix,
        INFO,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-redirect-not-ready",
        severity=WARNING,
        title="XDP_REDIRECT to the device loses packets",
        predicate=(
            "a DEVMAP or DEVMAP_HASH of an attached program has the device in an entry "
            "&& (!(xdp_features & NETDEV_XDP_ACT_NDO_XMIT), before v6.3 no "
            "ndo_xdp_xmit || it is down || kind is veth and every peer rq[i].napi == "
            "NULL || kind is tun and no process has it open). It is a note if an end "
            "is down. Also a note: kind is veth && both ends are up && a device in its "
            "namespace other than the two has a native program that calls "
            "bpf_redirect() && every peer rq[i].napi == NULL or no NDO_XMIT"
        ),
        sees=(
            "Packets that a native program redirects to this device vanish; the "
            "tracepoints xdp:xdp_redirect_err and xdp:xdp_devmap_xmit report them."
        ),
        fix=(
            "For a veth, enable GRO on the peer (since v5.13), or attach a native "
            "program there that returns XDP_PASS. The device needs as many RX queues "
            "as its peer has TX queues. virtio_net needs a native program of its own; "
            "a tap needs a process that reads it. lo, dummy and bridge never take "
            "frames."
        ),
        why=(
            "__xdp_enqueue() (kernel/bpf/devmap.c) requires NETDEV_XDP_ACT_NDO_XMIT "
            "since v6.3. veth_set_xdp_features() (drivers/net/veth.c) sets it on a "
            "device whose peer has a program or GRO enabled, and no more TX queues "
            "than the device has RX queues. veth_xdp_xmit() then needs NAPI on the "
            "peer, as in xdp-tx-lost. A redirect by a generic program does not need "
            "it."
        ),
        symptoms=(
            Sign("counter", "tracepoints xdp:xdp_redirect_err, xdp:xdp_devmap_xmit"),
            Sign("seen", "packets that a program redirects to a veth vanish"),
        ),
        subjects=_targets,
        check=_redirect,
    ),
)
