# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rule about packets that a native program could not send on, as counters say."""

from collections.abc import Iterator
import itertools
from typing import Optional

from ...core.english import count
from ...core.unreadable import Unreadable
from ...model import Device, XdpProgram
from ..losses import queue_sum
from ..need import need
from ..path.redirect import takes_frames
from .context import Context, End
from .finding import INFO, KernelAnswer, Symptom
from .rule import Rule, Sign

__all__ = ("RULES",)

#: So many devices are named.
_NAMED = 3
#: What refuses a frame while the program's device still counts it.
_REFUSES = "__xdp_enqueue"


def _refusing(context: Context, device: Device) -> Iterator[str]:
    # The devices in the program's maps that refuse frames now.
    for address in context.targets.get(device.net_device, ()):
        target = context.by_address.get(address)
        if target is None:
            continue
        taken = takes_frames(context.topology, target)
        if taken.takes is False and taken.function == _REFUSES:
            name = context.name(target, device)
            errno = f" ({taken.errno})" if taken.errno else ""
            yield f"{name} refuses them: {taken.why}{errno}"


def _redirect_words(context: Context, device: Device) -> str:
    program = device.xdp.driver
    refusing = list(itertools.islice(_refusing(context, device), _NAMED))
    if refusing:
        return "; ".join(refusing)
    if not isinstance(program, XdpProgram) or isinstance(program.maps, Unreadable):
        return "XDP_REDIRECT or XDP_TX failed, or memory ran out"
    kinds = {one.type for one in context.maps(program.maps)}
    if "xskmap" in kinds:
        return (
            "the RX ring of an AF_XDP socket was full, its fill ring empty, or the "
            "socket not bound to the queue"
        )
    if program.redirects is False and not kinds:
        return "XDP_TX failed, or memory ran out"
    return "XDP_REDIRECT found no device that takes them, or memory ran out"


def _failed(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if need(device.xdp.driver, "xdp_state[XDP_MODE_DRV]") is None:
        return None
    lost = queue_sum(device, "rx_drops")
    if lost == 0:
        return None
    redirected = queue_sum(device, "xdp_redirect")
    return Symptom(
        f"its native program has lost {count(lost, 'packet')} so far, and redirected "
        f"{redirected}: {_redirect_words(context, device)}",
        (
            ("rq[].stats.vs.rx_drops", lost),
            ("rq[].stats.vs.xdp_redirect", redirected),
        ),
        KernelAnswer("xdp_do_redirect"),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-redirect-failed",
        severity=INFO,
        title="a native program lost packets: XDP_REDIRECT or XDP_TX failed",
        predicate="native program && the sum of rq[i].stats.vs.rx_drops > 0",
        sees=(
            "`ethtool -S` counts rx_queue_N_drops, and `ip -s link` rx_dropped. "
            "rx_queue_N_xdp_redirect counts only packets that a target has taken; the "
            "tracepoint xdp:xdp_redirect_err reports the others with their errno."
        ),
        fix=(
            "See xdp-redirect-not-ready for a device that refuses frames, and "
            "xskmap-without-socket. An AF_XDP socket whose RX ring is full needs a "
            "process that reads faster."
        ),
        why=(
            "veth_xdp_rcv_one() and veth_xdp_rcv_skb() (drivers/net/veth.c) count "
            "rx_drops if xdp_do_redirect() or veth_xdp_tx() fails, or if memory runs "
            "out. __xdp_enqueue() (kernel/bpf/devmap.c) refuses a device that cannot "
            "send frames, is down, or has too small an MTU; xsk_rcv() (net/xdp/xsk.c) "
            "a socket that is not bound to the queue, or whose ring is full. A frame "
            "that was taken and is lost later counts at its target: see "
            "veth-packets-lost."
        ),
        symptoms=(Sign("counter", "rx_queue_N_drops (ethtool -S)"),),
        subjects=lambda context: context.native,
        check=_failed,
    ),
)
