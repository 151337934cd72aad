# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP
---

Which XDP program a packet meets, or why it bypasses one: ``veth_xdp_rcv()``
(drivers/net/veth.c) and ``do_xdp_generic()`` (net/core/dev.c).
"""

from typing import Optional

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, XdpProgram, XdpQueue
from ..driver_program import driver_program
from ..names import name_of
from .counted import programs_counted
from .records import Slot, Value
from .redirect import sent_back
from .steering import rps_queue
from .targets import targets
from .trail import Trail

__all__ = (
    "generic",
    "native",
    "native_of_driver",
    "native_of_slaves",
    "program_name",
)


def program_name(program: XdpProgram) -> str:
    """Return a program as tables have it: ``drop#7``, with what it dispatches to."""
    said = f"{_known(program.name)}#{_known(program.id)}"
    inner = program.extensions
    if isinstance(inner, Unreadable) or not inner:
        return said
    # A dispatcher runs the programs in its slots.
    names = [f"{_known(one.name)}#{_known(one.id)}" for one in inner]
    return f"{said} ({', '.join(names)})"


def _known(value: object) -> object:
    return "?" if isinstance(value, Unreadable) else value


def _program(trail: Trail, device: Device) -> Maybe[Optional[XdpProgram]]:
    return driver_program(device, trail.topology.by_address)


def _number(program: Maybe[Optional[XdpProgram]]) -> Value:
    if program is None or isinstance(program, Unreadable):
        return program
    return program.id


def native(
    trail: Trail, sender: Optional[Device], device: Device, rq: Optional[XdpQueue]
) -> None:
    """
    Add the step of the native program of a veth.

    :param sender: Its peer
    :param rq: The RX queue whose NAPI has the packet, None if netif_rx() has it
    """
    program = _program(trail, device)
    if device.xdp.driver is None and isinstance(program, Unreadable):
        program = None  # Its queues tell.
    function = "veth_xdp_rcv"
    if program is None and (rq is None or rq.prog_id is None):
        trail.add(
            *("native", function, device, "no native program"),
            prog_id=None,
            bypassed=False,
        )
        return
    name = "native program"
    if program is not None and not isinstance(program, Unreadable):
        name = f"native {program_name(program)}"
    number = _number(program)
    if trail.unsure is not None:
        text = f"whether {name} runs is unknown: {trail.unsure.reason}"
        trail.add(
            "native", function, device, text, prog_id=number, bypassed=trail.unsure
        )
        return
    if rq is None:
        text = f"{name} bypassed: netif_rx() runs no native program"
        trail.add("native", "veth_xmit", device, text, prog_id=number, bypassed=True)
        return
    if isinstance(rq.prog_id, Unreadable):
        text = f"which program runs could not be read: {rq.prog_id.reason}"
        trail.add(
            "native", function, device, text, prog_id=rq.prog_id, bypassed=rq.prog_id
        )
        return
    if rq.prog_id is None:
        text = f"{name} bypassed: these RX queues have no program (rq->xdp_prog)"
        trail.add("native", function, device, text, prog_id=number, bypassed=True)
        return
    back: tuple[str, ...] = ()
    if sender is not None:
        back = (f"XDP_TX: {sent_back(trail, sender)}",)
    reached = targets(trail, device, program, rq.queue)
    trail.add(
        *("native", function, device, f"{name} before GRO and RPS; XDP_PASS goes on"),
        alternatives=(
            *back,
            *reached.words,
            "dropped by any other verdict",
            *programs_counted(device),
        ),
        prog_id=rq.prog_id,
        bypassed=False,
        rx_queue_index=rq.queue,
    )
    reached.add(trail)


def native_of_driver(trail: Trail, device: Device, queue: int) -> None:
    """Add the step of the native program of an RX queue of another driver."""
    program = _program(trail, device)
    if program is None:
        trail.add(
            *("native", "bpf_prog_run_xdp", device, "no native program"),
            prog_id=None,
            bypassed=False,
        )
        return
    if isinstance(program, Unreadable):
        text = f"the native program could not be read: {program.reason}"
        trail.add(
            *("native", "bpf_prog_run_xdp", device, text),
            prog_id=program,
            bypassed=program,
        )
        return
    reached = targets(trail, device, program, queue)
    text = f"native {program_name(program)} before GRO and RPS; XDP_PASS goes on"
    trail.add(
        *("native", "bpf_prog_run_xdp", device, text),
        alternatives=(
            "XDP_TX: out again where it came in",
            *reached.words,
            "dropped by any other verdict",
        ),
        prog_id=program.id,
        bypassed=False,
    )
    reached.add(trail)


def native_of_slaves(trail: Trail, device: Device) -> None:
    """Add the step of the native program of a bond, which its slaves have."""
    program = device.xdp.driver
    if device.kind != "bond" or program is None:
        return
    name = "the native program"
    if not isinstance(program, Unreadable):
        name = f"native {program_name(program)}"
    trail.add(
        *("native", "bond_xdp_set", device),
        f"{name} ran in the drivers of the slaves",
        prog_id=_number(program),
        bypassed=False,
    )


def _generic_index(trail: Trail, device: Device) -> Maybe[int]:
    # netif_get_rxqueue() falls back to the first RX queue.
    rx = device.queues.rx.real
    if isinstance(trail.mapping, Unreadable):
        return trail.mapping
    if isinstance(rx, Unreadable):
        return rx
    return rps_queue(trail.mapping, rx) or 0


def generic(trail: Trail, device: Device, always: bool = True) -> None:
    """
    Add the step of the generic program.

    :param always: Also if there is none
    """
    program = device.xdp.generic
    function = "do_xdp_generic"
    if program is None:
        if always:
            text = "no generic program"
            trail.add("generic", function, device, text, prog_id=None)
        return
    if isinstance(program, Unreadable):
        text = f"the generic program could not be read: {program.reason}"
        trail.add("generic", function, device, text, prog_id=program)
        return
    index = _generic_index(trail, device)
    reached = targets(trail, device, program, index, generic=True)
    trail.add(
        *("generic", function, device, f"generic {program_name(program)}"),
        ", rx_queue_index ",
        Slot("rx_queue_index"),
        "; XDP_PASS goes on",
        alternatives=(
            f"XDP_TX: out again by {name_of(device)}",
            *reached.words,
            "dropped by any other verdict",
            "also: copies packets that are cloned, nonlinear, or short of headroom",
            # skb_is_redirected(). Since v6.4 bpf_redirect() of tc sets that, and
            # nothing on the way through a veth resets it.
            "also: may skip packets that a tc program redirected on the way here",
        ),
        prog_id=program.id,
        rx_queue_index=index,
    )
    reached.add(trail)
