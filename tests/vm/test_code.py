# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel's code says, against a second source: symbols with their sizes, the
strings of vmlinux, another disassembler.
"""

from collections.abc import Iterator
import contextlib
import mmap
import struct
from typing import Any, Optional

from drgn import (
    FaultError,
    Object,
    Program,
    SymbolKind,
    offsetof,
)
from drgn_veth.core.messages import BACK_PRESSURE, XDP_ATTACH_MESSAGES
from drgn_veth.disasm import x86_64
from drgn_veth.disasm.follow import code_constants
from drgn_veth.disasm.veth_poll import veth_poll_members
from drgn_veth.disasm.veth_xmit import veth_xmit_records_rx_queue
from drgn_veth.disasm.x86_64 import Access, Write
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
from tests.support.kernel import devices_of, of_driver, program_of


def _scan(
    prog: Program, start: int, size: int, messages: tuple[bytes, ...]
) -> frozenset[bytes]:
    """Try each four bytes of a function as an address, absolute or relative."""
    code = prog.read(start, size)
    found: set[bytes] = set()
    for at in range(size - 3):
        (value,) = struct.unpack_from("<i", code, at)
        for address in (value, start + at + 4 + value):
            address &= (1 << 64) - 1
            if address < 0xFFFFFFFF80000000:
                continue
            for message in messages:
                with contextlib.suppress(FaultError):
                    if prog.read(address, len(message) + 1) == message + b"\0":
                        found.add(message)
    return frozenset(found)


def test_what_is_followed_is_what_is_there(with_symbols: Program) -> None:
    prog = with_symbols
    places = xdp_message_places(prog)
    assert set(places) == {"dev_xdp_attach", "dev_xdp_install"}
    # Which leaves what it gave before v5.9 to them.
    assert not messages_in(prog, "dev_change_xdp_fd", XDP_ATTACH_MESSAGES)
    for function, messages in places.items():
        symbol = prog.symbol(function)
        scanned = _scan(prog, symbol.address, symbol.size, XDP_ATTACH_MESSAGES)
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


def _functions(prog: Program, around: str) -> list[tuple[int, int]]:
    middle = prog.symbol(around).address
    found = {
        symbol.address: symbol.size
        for symbol in prog.symbols()
        if symbol.kind == SymbolKind.FUNC and abs(symbol.address - middle) < 1 << 16
    }
    # What a module has only while it starts is not there any more.
    return sorted(item for item in found.items() if prog.symbols(item[0]))


AROUND = pytest.mark.parametrize(
    "around", ["dev_xdp_attach", "veth_xdp", "virtnet_xdp"]
)


def _expected_access(instruction: Any) -> Optional[Access]:
    from capstone import x86_const as x86

    name = instruction.mnemonic
    if name in ("lea", "nop", "ud1") or name.startswith("prefetch"):
        return None
    if not instruction.encoding.modrm_offset:
        return None  # Such as movs, which says nothing of where.
    no_member = (x86.X86_REG_INVALID, x86.X86_REG_RIP, x86.X86_REG_RSP)
    for operand in instruction.operands:
        if operand.type == x86.X86_OP_MEM and operand.mem.base not in no_member:
            stored = name == "mov" and operand is instruction.operands[0]
            return Access(operand.mem.disp, operand.size == 8, stored)
    return None


def _expected_write(instruction: Any) -> Optional[Write]:
    import capstone
    from capstone import x86_const as x86

    if instruction.opcode[0] == 0x0F or not instruction.encoding.modrm_offset:
        return None
    no_member = (x86.X86_REG_INVALID, x86.X86_REG_RIP, x86.X86_REG_RSP)
    for operand in instruction.operands:
        if operand.type == x86.X86_OP_MEM and operand.mem.base not in no_member:
            if operand.access & capstone.CS_AC_WRITE:
                return Write(operand.mem.disp, operand.size)
    return None


def _disassemble(prog: Program, start: int, size: int) -> Iterator[tuple[Any, int]]:
    """Yield capstone's instructions, and where each ends."""
    import capstone

    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    code = prog.read(start, size)
    at = start
    while at < start + size:
        (instruction,) = decoder.disasm(code[at - start :], at, 1)
        # Capstone 5 does not know that it has a ModR/M byte.
        at += instruction.size + (instruction.mnemonic == "ud1")
        yield instruction, at


@AROUND
def test_decoder_agrees_with_another(with_symbols: Program, around: str) -> None:
    """How long instructions are, and what they access."""
    prog = with_symbols
    compared = accesses = writes = 0
    for start, size in _functions(prog, around):
        code = x86_64.Code(prog)
        for its, end in _disassemble(prog, start, size):
            mine = code.decode(its.address)
            assert mine.end == end
            assert mine.access == _expected_access(its), str(its)
            assert mine.write == _expected_write(its), str(its)
            compared += 1
            accesses += mine.access is not None
            writes += mine.write is not None
    assert compared > 3000 and accesses > 500 and writes > 100


@AROUND
def test_decoder(with_symbols: Program, around: str) -> None:
    """Instructions fill functions exactly, and what they call are functions."""
    prog = with_symbols
    functions = _functions(prog, around)
    assert len(functions) > 20
    starts = {start for start, _ in functions}
    called = 0
    for start, size in functions:
        code = x86_64.Code(prog)
        at = start
        while at < start + size:
            instruction = code.decode(at)
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
        _expected_access(instruction)
        for instruction, _ in _disassemble(prog, poll, symbol.size)
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
