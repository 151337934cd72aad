# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about queue counts."""

from typing import NamedTuple, Optional

from ...core import messages
from ...core.english import count
from ...model import Device
from ..need import CannotTell, need, need_of_kernel
from ..remedies import Remedy
from .context import Context, End
from .finding import (
    INFO,
    Symptom,
    kernel_answer,
    remedy,
)
from .rule import Rule, Sign
from .values import real_queues, same

__all__ = ("RULES",)


def _native_queues(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    try:
        refusal = context.refusal(device, "veth-queues")
    except CannotTell:
        # As evidence names it.
        real_queues(device, peer)
        raise
    if refusal is None or context.is_native(device):
        return None
    rx, tx = real_queues(device, peer)
    return Symptom(
        f"native XDP would be refused: only {count(rx, 'real RX queue')} here, but "
        f"peer {context.name(peer, device)} has {count(tx, 'real TX queue')}",
        (("real_num_rx_queues", rx), ("peer_real_num_tx_queues", tx)),
        kernel_answer(refusal),
        remedy(refusal),
        then=context.then(device, refusal),
    )


class _Counts(NamedTuple):
    rx: int
    tx: int


def _counts(device: Device, whose: str) -> tuple[_Counts, _Counts]:
    # Real, and allocated.
    rx, tx = device.queues
    return (
        _Counts(
            need(rx.real, f"{whose}real_num_rx_queues"),
            need(tx.real, f"{whose}real_num_tx_queues"),
        ),
        _Counts(
            need(rx.allocated, f"{whose}num_rx_queues"),
            need(tx.allocated, f"{whose}num_tx_queues"),
        ),
    )


class _OneSided(NamedTuple):
    why: str  # where the counts of the device come from
    wanted: _Counts
    both: bool  # whether both ends should have them


def _as_one_sided(
    real: _Counts,
    allocated: _Counts,
    peer_real: _Counts,
    peer_allocated: _Counts,
    cpus: int,
) -> Optional[_OneSided]:
    each = _Counts(cpus, cpus)
    if cpus > 1 and real == each and peer_real != each:
        why = f"one for each of {count(cpus, 'possible CPU')}"
        return _OneSided(why, peer_real, False)
    if (
        real == (1, 1)
        and 1 not in allocated
        and allocated != each
        and peer_allocated == each
    ):
        why = f"created with {allocated.rx} and {allocated.tx}"
        return _OneSided(why, allocated, True)
    return None


def _same_counts(
    context: Context, device: Device, peer: Device, found: _OneSided, cpus: int
) -> Remedy:
    # One command for each device.
    wanted = found.wanted
    _, allocated = _counts(device, "")
    peer_real, peer_allocated = _counts(peer, "peer_")
    ends = [device]
    if found.both:
        if max(wanted) > cpus or context.is_native(peer):
            return Remedy()
        if peer_real != wanted:
            ends.append(peer)
    else:
        after = (wanted, allocated), (wanted, peer_allocated)
        if any(_as_one_sided(*a, *b, cpus) for a, b in (after, after[::-1])):
            return Remedy()  # The rule would fire again, for the other reason.
    # The kernel might refuse fewer queues, or leave programs behind: xdp-stale-program.
    if context.is_native(device):
        return Remedy()
    if wanted.rx > allocated.rx or wanted.tx > allocated.tx:
        return Remedy()
    remedies = [context.fixes.set_channels(end, device, *wanted) for end in ends]
    if not all(remedy.commands for remedy in remedies):
        return Remedy()
    lost = ", ".join(filter(None, (remedy.effect for remedy in remedies)))
    return Remedy(
        tuple(command for remedy in remedies for command in remedy.commands),
        lost or None,
    )


def _one_sided(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or same(device.queues, peer.queues):
        return None
    # Before v5.15, each end has the counts that it was given, and no set_channels.
    if not need(device.driver.set_channels, "ethtool_ops->set_channels"):
        return None
    real, allocated = _counts(device, "")
    peer_real, peer_allocated = _counts(peer, "peer_")
    cpus = need_of_kernel(context.target.possible_cpus, "possible_cpus")
    found = _as_one_sided(real, allocated, peer_real, peer_allocated, cpus)
    if found is None:
        return None
    return Symptom(
        f"queue counts differ: {count(real.rx, 'real RX queue')} and {real.tx} TX here "
        f"({found.why}), but peer {context.name(peer, device)} has {peer_real.rx} and "
        f"{peer_real.tx}, as if counts were given for one end only",
        (
            ("real_num_rx_queues", real.rx),
            ("real_num_tx_queues", real.tx),
            ("num_rx_queues", allocated.rx),
            ("num_tx_queues", allocated.tx),
            ("peer_real_num_rx_queues", peer_real.rx),
            ("peer_real_num_tx_queues", peer_real.tx),
            ("peer_num_rx_queues", peer_allocated.rx),
            ("peer_num_tx_queues", peer_allocated.tx),
            ("possible_cpus", cpus),
        ),
        None,
        _same_counts(context, device, peer, found, cpus),
    )


def _cpus(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    rx = need(device.queues.rx.real, "real_num_rx_queues")
    tx = need(device.queues.tx.real, "real_num_tx_queues")
    if max(rx, tx) == 1 and device.xdp.driver is None and device.master is None:
        return None
    cpus = need_of_kernel(context.target.possible_cpus, "possible_cpus")
    have = f"{count(rx, 'real RX queue')} and {tx} TX"
    if max(rx, tx) > cpus:
        said: tuple[str, int] = ("possible_cpus", cpus)
        summary = (
            f"{have} for {count(cpus, 'possible CPU')}: more queues than there are "
            "CPUs to serve them"
        )
    elif rx < cpus and context.is_native(device):
        online = len(need_of_kernel(context.target.online_cpus, "online_cpus"))
        if rx >= online:
            return None
        said = ("online_cpus", online)
        summary = (
            f"{have} for {count(online, 'online CPU')}: CPUs that redirect frames to "
            "its peer share RX queues and their locks"
        )
    else:
        return None
    return Symptom(
        summary,
        (
            ("real_num_rx_queues", rx),
            ("real_num_tx_queues", tx),
            ("peer_real_num_rx_queues", peer.queues.rx.real),
            ("peer_real_num_tx_queues", peer.queues.tx.real),
            said,
        ),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-native-queues",
        severity=INFO,
        title="native XDP refused: too few RX queues for its peer",
        predicate=(
            "kind is veth && no native program && real_num_rx_queues < "
            "peer->real_num_tx_queues"
        ),
        sees=(
            'An attach in native mode, or without a mode, fails with "No space left on '
            'device" (ENOSPC). Generic mode works.'
        ),
        fix=(
            "Give the device at least as many RX queues as its peer has TX queues, or "
            "give the peer no more TX queues than the device has RX queues (ethtool "
            "-L, since v5.15; on older kernels, create the pair again with numrxqueues "
            "and numtxqueues for both ends). Do not add RX queues if xdp-stale-program "
            "is found."
        ),
        why=(
            "In native mode, veth hands a packet from TX queue N to RX queue N of its "
            "peer, so veth_xdp_set() (drivers/net/veth.c) requires one RX queue for "
            "each TX queue. If no mode is given, dev_xdp_mode() (net/core/dev.c) "
            "chooses native mode wherever the driver has ndo_bpf, as veth does. A "
            "device's own TX queues do not matter for its own program."
        ),
        symptoms=(
            Sign("errno", "ENOSPC"),
            Sign("message", messages.VETH_QUEUES),
        ),
        subjects=lambda context: context.veths,
        check=_native_queues,
    ),
    Rule(
        id="queues-one-sided",
        severity=INFO,
        title="queue counts differ, as if given for one end only",
        predicate=(
            "ethtool_ops->set_channels && the ends differ && (real_num_rx_queues and "
            "real_num_tx_queues are the number of possible CPUs || both are 1, "
            "num_rx_queues and num_tx_queues are more, and the peer's are the number "
            "of possible CPUs)"
        ),
        sees=(
            "After `ip link add A numtxqueues 4 numrxqueues 4 type veth peer name B`, "
            "B uses one queue for each possible CPU. If the counts are given after "
            "`peer name B` instead, B still uses only 1 of each. The kernel may then "
            "refuse native XDP on one end."
        ),
        fix=(
            "Give numtxqueues and numrxqueues for both ends, or set them with ethtool "
            "-L, one command for each end. Nothing to do if the counts are meant to "
            "differ."
        ),
        why=(
            "Since v5.15, veth_newlink() (drivers/net/veth.c) calls veth_init_queues() "
            "for the peer with the attributes of the first end: if these set queue "
            "counts, the peer uses all queues that it was created with, by default one "
            "for each possible CPU (veth_get_num_queues()); otherwise it uses one."
        ),
        symptoms=(
            Sign("seen", "one end of a pair has other queue counts than were given"),
        ),
        subjects=lambda context: context.veths,
        check=_one_sided,
    ),
    Rule(
        id="queues-cpus",
        severity=INFO,
        title="queue counts do not match the number of CPUs",
        predicate=(
            "real_num_rx_queues or real_num_tx_queues > possible CPUs || (native "
            "program && real_num_rx_queues < online CPUs)"
        ),
        sees=(
            "Queues beyond the number of CPUs cost memory (with a native program, a "
            "ring of 256 entries each) and gain nothing. If there are fewer RX queues "
            "than CPUs, frames that different CPUs redirect to the peer wait for each "
            "other."
        ),
        fix=(
            "Nothing to do. If redirects are slow, give the pair as many queues as "
            "there are CPUs when you create it, or before you attach a program: on "
            "kernels with the bug of xdp-queue-without-program, RX queues added while "
            "a native program is attached do not run it."
        ),
        why=(
            "veth_xdp_xmit() (drivers/net/veth.c) puts a redirected frame into the "
            "ring that veth_select_rxq() chooses, smp_processor_id() % "
            "real_num_rx_queues, under the ring's producer_lock. A packet that the "
            "peer sends keeps the number of its TX queue (veth_xmit())."
        ),
        symptoms=(
            Sign("seen", "a veth has more queues than there are CPUs, or fewer"),
        ),
        subjects=lambda context: context.veths,
        check=_cpus,
    ),
)
