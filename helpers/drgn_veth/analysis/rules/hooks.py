# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about who holds the XDP hook of a device."""

from collections.abc import Iterable, Iterator, Sequence
import itertools
from typing import Optional, Union

from ...core import messages
from ...core.english import plural
from ...core.unreadable import Maybe, Unreadable
from ...model import XDP_MODES, Device, XdpLink, XdpProgram
from ..attach.uppers import ProgramAbove, programs_above
from ..names import where
from ..need import CannotTell, need
from ..shell import shell_quote
from .context import Context, End
from .finding import (
    INFO,
    KernelAnswer,
    Symptom,
    Undo,
    Value,
    kernel_answer,
)
from .rule import Rule, Sign

__all__ = ("RULES",)


_MEMBER = {
    mode: f"xdp_state[XDP_MODE_{word}]"
    for mode, word in zip(XDP_MODES, ("SKB", "DRV", "HW"))
}


def _programs(device: Device) -> Iterator[tuple[str, str, Maybe[XdpProgram]]]:
    for mode, member in _MEMBER.items():
        program: Maybe[Optional[XdpProgram]] = getattr(device.xdp, mode)
        if program is not None:
            yield mode, member, program


def _mode_conflict(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    # netkit takes no native program at all: netkit-default-attach.
    if device.xdp.generic is None or device.kind == "netkit":
        return None
    if not need(device.driver.ndo_bpf, "netdev_ops->ndo_bpf"):
        return None
    program = need(device.xdp.generic, "xdp_state[XDP_MODE_SKB]")
    refusal = context.refusal(device, "other-mode")
    if refusal is None or program is None:
        return None
    return Symptom(
        "an attach in native mode, or without a mode, is refused: a generic program is "
        "attached",
        (("xdp_state[XDP_MODE_SKB] prog_id", program.id),),
        kernel_answer(refusal),
        undo=context.undo_program(device, "generic", program),
        then=context.then(device, refusal),
    )


def _link_words(link: Maybe[Optional[int]]) -> str:
    if isinstance(link, Unreadable):
        return "a BPF link (its id could not be read)"
    return f"BPF link {link}"


def _owners(
    context: Context, device: Device, link_id: Maybe[Optional[int]]
) -> tuple[str, ...]:
    # The processes that have a link open, as far as is known.
    if isinstance(link_id, Unreadable):
        return ()
    for link in context.links.get(device.net_device, ()):
        if link.id == link_id and isinstance(link.tasks, tuple):
            return tuple(
                f"{holder.comm} (pid {holder.pid}, fd {holder.fd})"
                for holder in link.tasks
                if isinstance(holder.comm, str) and isinstance(holder.pid, int)
            )
    return ()


def _link_owns(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    missing: Optional[tuple[str, Unreadable]] = None
    for mode, name, program in _programs(device):
        if isinstance(program, Unreadable):
            missing = missing or (name, program)
            continue
        refusal = context.refusal(device, "link-in-place", mode)
        if refusal is not None:
            owners = _owners(context, device, program.link_id)
            has_it = f"; {owners[0]} has it open" if owners else ""
            if len(owners) > 1:
                has_it = f"; {owners[0]} and {len(owners) - 1} more have it open"
            return Symptom(
                f"{_link_words(program.link_id)} holds its {mode} program: nothing "
                f"else can replace or detach it{has_it}",
                (
                    ("link_id", program.link_id),
                    ("prog_id", program.id),
                    *((("opened_by", owners),) if owners else ()),
                ),
                kernel_answer(refusal),
                undo=context.undo_program(device, mode, program),
            )
    if missing is not None:
        need(missing[1], missing[0])
    return None


def _links(context: Context, device: Device) -> Iterator[XdpLink]:
    ids = {
        need(program.link_id, "link_id")
        for _, _, program in _programs(device)
        if isinstance(program, XdpProgram) and program.via == "link"
    }
    for link in context.links.get(device.net_device, ()):
        if link.id in ids:
            yield link


def _pinned_only(context: Context, end: End) -> Optional[Symptom]:
    for link in _links(context, end.device):
        pins = need(link.pins, "link.pins")
        if not pins:
            continue
        if need(link.holders, "link.refcnt"):
            continue
        held = "only a pin holds" if len(pins) == 1 else f"only {len(pins)} pins hold"
        return Symptom(
            f"{_link_words(link.id)} holds its program, and {held} the link; no "
            "process has it open",
            (("link_id", link.id), ("link.refcnt", len(pins)), ("pins", pins)),
            KernelAnswer("bpf_link_put"),
            undo=_unpin(link, pins),
        )
    return None


def _unpin(link: XdpLink, pins: Sequence[str]) -> Optional[Undo]:
    if link.here:
        what = "its pin" if len(pins) == 1 else "its pins"
        commands = tuple(f"rm {shell_quote(path)}" for path in pins)
        return Undo(f"which removes {what} and so detaches the program", commands)
    # In another mount namespace: here, such a path may be another file.
    if isinstance(link.id, Unreadable) or not link.id:
        return None
    return Undo(
        "which detaches the program and leaves the pin",
        (f"bpftool link detach id {link.id}",),
    )


def _may_go_native(device: Device) -> bool:
    # It has no native program yet, and its driver may accept one.
    return device.xdp.driver is None and device.driver.ndo_bpf is True


def _ids(above: Iterable[ProgramAbove]) -> Sequence[Union[int, str]]:
    programs = [one.program for one in above if isinstance(one.program, XdpProgram)]
    return ["?" if isinstance(one.id, Unreadable) else one.id for one in programs]


def _ids_above(above: Iterable[ProgramAbove]) -> Iterator[tuple[str, Value]]:
    for upper, programs in itertools.groupby(above, lambda one: one.upper):
        ids = tuple(_ids(programs))
        if ids and isinstance(upper, Device):
            # Names are unique in a namespace only: two uppers may have the same one.
            yield where(upper), ids


def _upper(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    known = context.questions.has_decision("upper")
    if known is False:
        return None
    above = list(programs_above(device, context.by_address))
    try:
        refusal = context.refusal(device, "upper")
    except CannotTell:
        # As evidence names it.
        for one in above:
            member = (
                "adj_list.upper" if one.mode is None else f"upper {_MEMBER[one.mode]}"
            )
            need(one.program, member)
        raise
    if refusal is None:
        return None
    ids = list(_ids_above(above))
    undo = None
    if refusal.fix:
        what = "the program" if len(refusal.fix) == 1 else "the programs"
        undo = Undo(f"which detaches {what} above it", refusal.fix)
    names = ", ".join(name for name, _ in ids)
    symptom = Symptom(
        "XDP cannot be attached, nor detached by netlink: "
        f"{plural('upper device', len(ids))} {names} "
        f"{'has a program' if len(ids) == 1 else 'have programs'}",
        tuple((f"prog_id of upper {name}", numbers) for name, numbers in ids),
        kernel_answer(refusal),
        undo=undo,
        then=context.then(device, refusal) if _may_go_native(device) else None,
    )
    if isinstance(known, Unreadable):
        return symptom._replace(
            undecided=f"whether this kernel checks for it (since v5.15): {known.reason}"
        )
    return symptom


def _netkit(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if device.kind != "netkit" or device.xdp.generic is not None:
        return None
    if not need(device.driver.ndo_bpf, "netdev_ops->ndo_bpf"):
        return None
    refusal = context.refusal(device, "netkit")
    if refusal is None:
        return None
    return Symptom(
        "an attach without a mode is refused: it means native mode, which netkit does "
        "not support; generic mode works",
        (("netdev_ops->ndo_bpf", "netkit_xsk"),),
        kernel_answer(refusal),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-mode-conflict",
        severity=INFO,
        title="native XDP refused: a generic program is attached",
        predicate=(
            "xdp_state[XDP_MODE_SKB] && netdev_ops->ndo_bpf. The rule does not report "
            "the reverse (a native program is attached, generic mode is wanted): an "
            "attach without a mode never runs into it."
        ),
        sees=(
            'An attach in native mode, or without a mode, fails with "File exists" '
            "(EEXIST)."
        ),
        fix=(
            "Nothing to do if the generic program is wanted; another one can replace "
            "it in generic mode. For native mode, detach it first: the command does "
            "only that."
        ),
        why=(
            "A device runs a generic or a native program, not both: dev_xdp_attach() "
            "(net/core/dev.c), or dev_xdp_install() in newer kernels, checks "
            "xdp_state[] of the other mode. If no mode is given, dev_xdp_mode() "
            "chooses native mode wherever the driver has ndo_bpf."
        ),
        symptoms=(
            Sign("errno", "EEXIST"),
            Sign("message", messages.OTHER_MODE),
        ),
        subjects=lambda context: context.programmed,
        check=_mode_conflict,
    ),
    Rule(
        id="xdp-link-owns-hook",
        severity=INFO,
        title="a BPF link holds the program",
        predicate="xdp_state[m].link",
        sees=(
            'Every attach or detach in that mode by netlink fails with "Device or '
            'resource busy" (EBUSY), even `ip link set dev NAME xdp off`, and so does '
            "attaching a second link."
        ),
        fix=(
            "Nothing to do: a link exists to keep others out. Its owner can replace "
            "the program with BPF_LINK_UPDATE. To remove the program, stop the process "
            "that owns the link, or remove the pin; the command detaches the link by "
            "force."
        ),
        why=(
            "Once xdp_state[m].link is set, dev_xdp_attach() (net/core/dev.c) refuses "
            "every request that does not come from this link. The program is detached "
            "when the last reference to the link is dropped, by BPF_LINK_DETACH, or "
            "when the device is unregistered."
        ),
        symptoms=(
            Sign("errno", "EBUSY"),
            Sign("message", messages.LINK_IN_PLACE),
        ),
        subjects=lambda context: context.programmed,
        check=_link_owns,
    ),
    Rule(
        id="xdp-link-pinned-only",
        severity=INFO,
        title="only a pin holds a BPF link",
        predicate="xdp_state[m].link && link.refcnt == the number of its pins in bpffs",
        sees="A program stays attached, although no process owns it.",
        fix=(
            "Nothing to do if the program is meant to stay. To detach it, remove every "
            "pin of the link: the commands do that. If a pin is in another mount "
            "namespace, the command detaches the link instead."
        ),
        why=(
            "A file descriptor and a pin each hold one reference to a struct bpf_link; "
            "bpf_link_put() (kernel/bpf/syscall.c) detaches the program with the last "
            "one. Other references last only an instant."
        ),
        symptoms=(
            Sign("seen", "a program stays attached, although no process owns it"),
        ),
        subjects=lambda context: context.programmed,
        check=_pinned_only,
    ),
    Rule(
        id="xdp-upper-program",
        severity=INFO,
        title="an upper device has an XDP program",
        predicate=(
            "some device in adj_list.upper (one level) has a program in xdp_state[], "
            "and dev_xdp_attach() of this kernel checks for it"
        ),
        sees=(
            'Attaching in any mode, and detaching by netlink, fail with "File exists" '
            "(EEXIST)."
        ),
        fix=(
            "Nothing to do if the upper program is wanted. To attach one here, first "
            "detach the upper programs, from the top down: the commands do only that."
        ),
        why=(
            "Since v5.15, dev_xdp_attach() (net/core/dev.c) walks "
            "netdev_for_each_upper_dev_rcu(): bonds, bridges, teams, VLANs and "
            "macvlans alike. It does so for attach and detach alike. The code of "
            "dev_xdp_attach() in the dump shows whether this kernel makes the check: "
            "it refers to the message, or it does not."
        ),
        symptoms=(
            Sign("errno", "EEXIST"),
            Sign("message", messages.UPPER),
        ),
        subjects=lambda context: context.lowers,
        check=_upper,
    ),
    Rule(
        id="netkit-default-attach",
        severity=INFO,
        title="netkit refuses XDP if no mode is given",
        predicate="kind is netkit && netdev_ops->ndo_bpf && no generic program",
        sees=(
            "`ip link set dev NAME xdp ...` fails with EOPNOTSUPP and no message, and "
            "so does `xdpdrv`."
        ),
        fix="Ask for generic mode: `ip link set dev NAME xdpgeneric ...`.",
        why=(
            "Since v7.0 or v7.1, netkit has ndo_bpf, but for AF_XDP only: netkit_xsk() "
            "(drivers/net/netkit.c) refuses XDP_SETUP_PROG. dev_xdp_mode() "
            "(net/core/dev.c) finds ndo_bpf, so an attach without a mode means native "
            "mode. In earlier kernels, netkit has no ndo_bpf, and it means generic "
            "mode."
        ),
        symptoms=(Sign("errno", "EOPNOTSUPP"),),
        subjects=lambda context: context.paired,
        check=_netkit,
    ),
)
