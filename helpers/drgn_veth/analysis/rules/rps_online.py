# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about CPUs in RPS masks that are offline, isolated, or left out."""

from collections.abc import Collection, Sequence
from typing import Optional

from ...core.english import cpu_words, number_list
from ...core.unreadable import Unreadable
from ...model import Device, RpsQueue
from ..need import need, need_of_kernel
from ..remedies import Remedy
from .context import Context, End
from .finding import INFO, WARNING, KernelAnswer, Symptom, Undo
from .rule import Rule, Sign
from .steering import has_rps, is_one_lost, receives, rps_queues, union, used
from .values import rps_words

__all__ = ("RULES",)

_GROUP = 32  # CPUs in one word of a mask


def _online(context: Context) -> tuple[int, ...]:
    return need_of_kernel(context.target.online_cpus, "online_cpus")


def _isolated(context: Context) -> frozenset[int]:
    return frozenset(need_of_kernel(context.target.isolated_cpus, "isolated_cpus"))


def _used(context: Context, end: End) -> tuple[RpsQueue, ...]:
    # The queues whose masks steer anything; none if no mask is set.
    queues = used(context, end.device, end.peer)
    return queues if has_rps(queues) else ()


def _masks(
    device: Device, kept: Collection[int], otherwise: Sequence[int]
) -> Optional[dict[int, Sequence[int]]]:
    # The masks of all queues with nothing but *kept*; None if one could not be read.
    masks: dict[int, Sequence[int]] = {}
    for queue in rps_queues(device):
        if isinstance(queue.cpus, Unreadable):
            return None
        if queue.cpus:
            left = [cpu for cpu in queue.cpus if cpu in kept]
            masks[queue.queue] = left or otherwise
    return masks


def _write(context: Context, device: Device, kept: Collection[int]) -> Remedy:
    # What is left of the masks; if that is nothing, what is left of the other masks.
    others = [cpu for cpu in union(rps_queues(device)) if cpu in kept]
    otherwise = others or sorted(kept)
    masks = _masks(device, kept, otherwise)
    if not masks or not otherwise:
        return Remedy()
    return Remedy(context.fixes.rps_each(device.ref, masks))


def _offline(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    queues = _used(context, end)
    if not queues:
        return None
    online = _online(context)
    off = [cpu for cpu in union(queues) if cpu not in online]
    if not off:
        for queue in queues:
            need(queue.cpus, "rps_map")
        return None
    verb = "is" if len(off) == 1 else "are"
    # A mask that could not be read may name CPUs that are online.
    if is_one_lost(queues) or any(cpu in online for cpu in union(queues)):
        them = "it" if len(off) == 1 else "them"
        what = (
            f"{cpu_words(off)} of its RPS masks {verb} offline: the flows that the "
            f"masks give to {them} are not steered"
        )
    else:
        what = (
            f"its RPS steers nothing: {cpu_words(off)} {verb} offline, and its masks "
            "name no other"
        )
    kept = set(online) - _isolated(context)
    fix = _write(context, device, kept)
    effect = f"takes {cpu_words(off)} out of the masks for good"
    return Symptom(
        what,
        (("rps_map", rps_words(queues)), ("online_cpus", number_list(online))),
        KernelAnswer("get_rps_cpu"),
        fix._replace(effect=effect),
        WARNING if receives(device, end.peer) else INFO,
    )


def _isolation(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    # Whatever the masks are.
    if not context.target.isolated_cpus:
        return None
    queues = _used(context, end)
    if not queues:
        return None
    isolated = _isolated(context)
    online = _online(context)
    spared = [cpu for cpu in online if cpu in isolated]
    named = [cpu for cpu in union(queues) if cpu in isolated]
    undo = None
    if named:
        verb = "is" if len(named) == 1 else "are"
        what = f"its RPS sends packets to {cpu_words(named)}, which {verb} isolated"
        commands = _write(context, device, set(online) - isolated).commands
        effect = "which takes the isolated CPUs out of its masks"
        undo = Undo(effect, commands) if commands else None
    elif spared and any(
        queue.cpus == tuple(cpu for cpu in online if cpu not in isolated)
        for queue in queues
    ):
        verb = "is" if len(spared) == 1 else "are"
        what = (
            f"its RPS goes to all online CPUs but {number_list(spared)}, which {verb} "
            "isolated: the kernel leaves isolated CPUs out of a mask that is written"
        )
    else:
        for queue in queues:
            need(queue.cpus, "rps_map")
        return None
    return Symptom(
        what,
        (
            ("rps_map", rps_words(queues)),
            ("isolated_cpus", number_list(sorted(isolated))),
            ("online_cpus", number_list(online)),
        ),
        KernelAnswer("store_rps_map"),
        undo=undo,
    )


def _has_one_word(context: Context) -> bool:
    online = context.target.online_cpus
    return isinstance(online, tuple) and all(cpu < _GROUP for cpu in online)


def _first_word(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    # Whatever the masks are.
    if _has_one_word(context):
        return None
    queues = _used(context, end)
    if not queues:
        return None
    online = _online(context)
    isolated = _isolated(context)
    usable = [cpu for cpu in online if cpu not in isolated]
    first = tuple(cpu for cpu in usable if cpu < _GROUP)
    left_out = [cpu for cpu in usable if cpu >= _GROUP]
    masks = {need(queue.cpus, "rps_map") for queue in queues} - {()}
    if masks != {first} or not left_out:
        return None
    commands = context.fixes.rps_all(device.ref, usable)
    undo = Undo("which adds the other online CPUs to all its masks", commands)
    return Symptom(
        f"its RPS goes to the first {_GROUP} CPUs only: {cpu_words(left_out)} get no "
        "packets",
        (("rps_map", rps_words(queues)), ("online_cpus", number_list(online))),
        KernelAnswer("get_rps_cpu"),
        undo=undo if commands else None,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="rps-cpu-offline",
        severity=WARNING,
        title="RPS masks name CPUs that are offline",
        predicate=(
            "some CPU of a _rx[i].rps_map that is used is not in __cpu_online_mask. It "
            "is a note if an end is down."
        ),
        sees=(
            "RPS is set, yet some flows, or all, stay on the CPU that received them. "
            "sysfs goes on showing the CPUs in the masks."
        ),
        fix=(
            "Write the masks again without these CPUs: the commands do that. A mask "
            "that names nothing but CPUs that are offline gets the CPUs of the other "
            "masks, or all CPUs that are online and not isolated. Or set the CPUs "
            "online again."
        ),
        why=(
            "store_rps_map() (net/core/net-sysfs.c) keeps the CPUs that are online "
            "when the mask is written; a CPU that goes offline later stays in the map. "
            "get_rps_cpu() (net/core/dev.c) takes a CPU of the map by the hash of the "
            "flow, and uses it only if it is online. Otherwise it returns none, and "
            "the packet stays where it is."
        ),
        symptoms=(Sign("seen", "RPS is set, yet some flows stay on one CPU"),),
        subjects=lambda context: context.steered,
        check=_offline,
    ),
    Rule(
        id="rps-isolated-cpus",
        severity=INFO,
        title="RPS masks name isolated CPUs, or leave them out",
        predicate=(
            "some CPU of a used _rx[i].rps_map is isolated (isolcpus=, nohz_full=, "
            "since v7.0 an isolated partition of a cpuset) || some map is all online "
            "CPUs but the isolated ones"
        ),
        sees=(
            "A mask reads back smaller than it was written, and a mask of nothing but "
            "isolated CPUs is refused with EINVAL. Or packets are processed on CPUs "
            "that should be left alone."
        ),
        fix=(
            "Nothing to do if masks leave isolated CPUs out. If they name some, write "
            "them again without these: the commands do only that."
        ),
        why=(
            "store_rps_map() (since v5.9) and rps_default_mask_sysctl() (since v6.3) "
            "remove the CPUs of isolcpus= and nohz_full= from the mask that is written "
            "(rps_cpumask_housekeeping(), net/core/net-sysfs.c). A mask names such a "
            "CPU only on an older kernel. A cpuset does not change masks at all."
        ),
        symptoms=(
            Sign("errno", "EINVAL"),
            Sign("seen", "an RPS mask reads back smaller than it was written"),
        ),
        subjects=lambda context: context.steered,
        check=_isolation,
    ),
    Rule(
        id="rps-first-32-cpus",
        severity=INFO,
        title="RPS uses the first 32 CPUs only",
        predicate=(
            "every _rx[i].rps_map that is used has exactly the online CPUs below 32 "
            "that are not isolated, and there are more"
        ),
        sees=(
            "CPUs 32 and up take no part in receiving, although the mask is ffffffff."
        ),
        fix=(
            "Write a mask with one group of eight digits for each 32 CPUs, separated "
            "by commas: the commands name all CPUs that are online and not isolated."
        ),
        why=(
            "store_rps_map() (net/core/net-sysfs.c) reads masks by bitmap_parse(): in "
            "groups of 32 bits, the highest first. ffffffff is the lowest group alone."
        ),
        symptoms=(Sign("seen", "RPS leaves CPUs 32 and up idle"),),
        subjects=lambda context: context.steered,
        check=_first_word,
    ),
)
