# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel's code says, against a second source: symbols with their sizes, the
strings of vmlinux, another disassembler.
"""

from collections.abc import Iterator
import mmap

from drgn import (
    FaultError,
    Object,
    Program,
    offsetof,
)
from drgn_veth.core.messages import BACK_PRESSURE, XDP_ATTACH_MESSAGES
from drgn_veth.disasm.follow import code_constants, code_of
from drgn_veth.disasm.instruction import Access
from drgn_veth.disasm.veth_poll import veth_poll_members
from drgn_veth.disasm.veth_xmit import veth_xmit_records_rx_queue
from drgn_veth.disasm.xdp_messages import (
    driver_messages,
    messages_in,
    xdp_message_places,
)
from drgn_veth.model import RecordsRxQueue
from drgn_veth.readers.driver import (
    netdev_driver_name,
    netdev_op,
)
from drgn_veth.readers.veth import veth_rq_has_napi, veth_rq_poll, veth_rqs
import pytest

from tests.support.booted import Dump
from tests.support.disassembler import (
    disassemble,
    expected_accesses,
    expected_goal,
    expected_writes,
    functions_around,
    messages_by_scan,
)
from tests.support.kernel import devices_of, of_driver, program_of


def test_what_is_followed_is_what_is_there(with_symbols: Program) -> None:
    prog = with_symbols
    places = xdp_message_places(prog)
    assert set(places) == {"dev_xdp_attach", "dev_xdp_install"}
    # Which leaves what it gave before v5.9 to them.
    assert not messages_in(prog, "dev_change_xdp_fd", XDP_ATTACH_MESSAGES)
    for function, messages in places.items():
        symbol = prog.symbol(function)
        scanned = messages_by_scan(
            prog, symbol.address, symbol.size, XDP_ATTACH_MESSAGES
        )
        assert messages == scanned
        assert messages == messages_in(prog, function, XDP_ATTACH_MESSAGES)


def test_no_kernel_here_records_the_rx_queue(kernel: tuple[Program, Dump]) -> None:
    """All have 710ad98c363a: what its twin of test_veth_xmit() finds is not there."""
    prog, _ = kernel
    xmit = netdev_op(of_driver(prog, b"veth"), "ndo_start_xmit")
    assert veth_xmit_records_rx_queue(prog, xmit) is RecordsRxQueue.NEVER


def test_every_message_has_its_place(kernel: tuple[Program, Dump]) -> None:
    """Those that are in the image have one place each, and no others have one."""
    prog, dump = kernel
    places = xdp_message_places(prog)
    with open(dump.vmlinux, "rb") as f:
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as image:
            present = {
                message
                for message in XDP_ATTACH_MESSAGES
                if image.find(b"\0" + message + b"\0") >= 0
            }
    assert len(present) >= 13
    placed = [message for messages in places.values() for message in messages]
    assert len(placed) == len(set(placed))
    assert set(placed) == present


def test_checks_of_the_program_are_in_one_function(
    kernel: tuple[Program, Dump],
) -> None:
    """They moved together."""
    places = xdp_message_places(kernel[0])
    checks = {
        b"Native and generic XDP can't be active at the same time",
        b"BPF_XDP_DEVMAP programs can not be attached to a device",
        b"BPF_XDP_CPUMAP programs can not be attached to a device",
    }
    owners = {name for name, found in places.items() if checks & found}
    (owner,) = owners
    assert checks <= places[owner]
    assert b"XDP program already attached" in places["dev_xdp_attach"]


def test_no_such_function(with_symbols: Program) -> None:
    with pytest.raises(LookupError):
        messages_in(with_symbols, "dev_xdp_attach_nowhere", XDP_ATTACH_MESSAGES)


def test_data_is_no_endless_code(with_symbols: Program) -> None:
    """Wherever it is sent, it ends."""
    prog = with_symbols
    ended = 0
    for name in ("init_net", "init_task", "__start_rodata", "__start_BTF"):
        start = prog.symbol(name).address
        for at in range(start, start + 4096, 61):
            try:
                code_constants(prog, at)
            except (ValueError, FaultError):
                ended += 1
    assert ended > 100


AROUND = pytest.mark.parametrize(
    "around", ["dev_xdp_attach", "veth_xdp", "virtnet_xdp"]
)


@AROUND
def test_decoder_agrees_with_another(with_symbols: Program, around: str) -> None:
    """How long instructions are, where they lead, and what they access."""
    prog = with_symbols
    compared = accesses = writes = 0
    for start, size in functions_around(prog, around):
        code = code_of(prog)
        for its, end in disassemble(prog, start, size):
            mine = code.decode(its.address, {})
            assert mine.end == end
            assert set(mine.accesses) == expected_accesses(prog, its), str(its)
            assert set(mine.writes) == expected_writes(prog, its), str(its)
            goal = mine.jump if mine.call is None else mine.call
            assert goal == expected_goal(prog, its), str(its)
            compared += 1
            accesses += len(mine.accesses)
            writes += len(mine.writes)
    assert compared > 3000 and accesses > 500 and writes > 100


@AROUND
def test_decoder(with_symbols: Program, around: str) -> None:
    """Instructions fill functions exactly, and what they call are functions."""
    prog = with_symbols
    functions = functions_around(prog, around)
    assert len(functions) > 20
    starts = {start for start, _ in functions}
    called = 0
    for start, size in functions:
        code = code_of(prog)
        at = start
        while at < start + size:
            instruction = code.decode(at, {})
            if instruction.call is not None and abs(instruction.call - start) < 1 << 14:
                if functions[0][0] <= instruction.call < functions[-1][0]:
                    assert instruction.call in starts
                    called += 1
            at = instruction.end
        assert at == start + size
    assert called > 10


def test_veth_poll(kernel: tuple[Program, Dump]) -> None:
    """Kernels whose veth_xmit() stops a TX queue are those whose veth_poll() wakes one;
    what it accesses is what another decoder shows of it."""
    prog, dump = kernel
    veths = (d for _, d in devices_of(prog) if netdev_driver_name(d) == b"veth")
    try:
        live = (rq for dev in veths for rq in _queues_with_napi(dev))
        poll = veth_rq_poll(next(live)).value_()
    except LookupError:
        assert dump.is_old and prog.cache.get("drgn_veth.types") == "btf"
        return
    with_symbols = program_of(dump, "dwarf")
    symbol = with_symbols.symbol(poll)
    assert symbol.name == "veth_poll" and symbol.address == poll
    members = veth_poll_members(prog, poll)
    xmit = netdev_op(of_driver(prog, b"veth"), "ndo_start_xmit")
    stops = bool(driver_messages(prog, xmit, (BACK_PRESSURE.encode(),)))
    assert stops == ("_tx" in members)
    there = {
        access
        for instruction, _ in disassemble(prog, poll, symbol.size)
        for access in expected_accesses(prog, instruction)
    }
    for name, type, wide in (
        ("_tx", "struct net_device", True),
        ("real_num_tx_queues", "struct net_device", False),
        ("xdp_rxq.queue_index", "struct veth_rq", False),
    ):
        offset = offsetof(with_symbols.type(type), name)
        assert (name in members) == (Access(offset, wide) in there)


def _queues_with_napi(dev: Object) -> Iterator[Object]:
    first = veth_rqs(dev)
    for queue in range(dev.real_num_rx_queues):
        if veth_rq_has_napi(first + queue):
            yield first + queue
