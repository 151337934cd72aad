# SPDX-License-Identifier: LGPL-2.1-or-later
"""
netkit_xmit()
-------------

What a netkit device does with what it sends (drivers/net/netkit.c): it has one TX
queue, no NAPI, and the programs of the end that sends decide.
"""

from ...core.unreadable import Unreadable
from ...model import Device, Netkit
from .tc import program_words, programs_at
from .trail import Trail

__all__ = ("netkit_xmit",)


def _programs(trail: Trail, sender: Device, netkit: Netkit) -> None:
    # Adds the step of its programs, and ends the steps if they cannot go on.
    policy = netkit.policy
    programs = programs_at(sender, "netkit/primary", "netkit/peer")
    if isinstance(programs, Unreadable):
        text = f"netkit programs could not be read: {programs.reason}"
        trail.add("tc-egress", "netkit_run", sender, text, policy=policy)
        return
    if programs:
        trail.add(
            *("tc-egress", "netkit_run", sender),
            f"netkit {program_words(programs)} decide",
            alternatives=(
                "dropped, or redirected",
                f"without a verdict, the policy decides: {_policy(netkit)}",
            ),
            programs=tuple(one.id for one in programs),
            policy=policy,
        )
        return
    if policy == "blackhole":
        text = "no program, and the policy is blackhole: drops all"
        trail.add("tc-egress", "netkit_xmit", sender, text, policy=policy)
        trail.ends = "dropped: the netkit policy is blackhole"
    elif isinstance(policy, Unreadable):
        text = f"no program, and the policy could not be read: {policy.reason}"
        trail.add("tc-egress", "netkit_xmit", sender, text, policy=policy)


def _policy(netkit: Netkit) -> str:
    return "unknown" if isinstance(netkit.policy, Unreadable) else netkit.policy


def netkit_xmit(trail: Trail, sender: Device, receiver: Device) -> None:
    """Add the steps of ``netkit_xmit()``."""
    netkit = sender.netkit
    if isinstance(netkit, Netkit):
        _programs(trail, sender, netkit)
    elif isinstance(netkit, Unreadable):
        text = f"its programs and policy could not be read: {netkit.reason}"
        trail.add("tc-egress", "netkit_xmit", sender, text, policy=netkit)
    if trail.ends is not None:
        return
    trail.mapping = 0
    trail.add(
        "rx-queue", "netkit_xmit", receiver, "none: netkit has no queues", rx_queue=None
    )
    if receiver.is_down:
        trail.add("receive", "netkit_xmit", receiver, "down: drops", via=None)
        trail.ends = "dropped: the receiver is down"
        return
    trail.add("receive", "netkit_xmit", receiver, "netif_rx()", via="netif_rx")
