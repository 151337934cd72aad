# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel's code, its types and its drivers say, each against a second source:
symbols with their sizes, the strings of vmlinux, the code of the limits, the guest's
own tools.
"""

from collections.abc import Iterator
import contextlib
import json
import mmap
import struct
from typing import Any, Optional

from drgn import (
    Architecture,
    FaultError,
    Object,
    Platform,
    Program,
    Symbol,
    SymbolBinding,
    SymbolIndex,
    SymbolKind,
    TypeMember,
    offsetof,
)
from drgn.helpers.linux.net import for_each_net, for_each_netdev
from drgn_veth.btf import use_btf
from drgn_veth.core.messages import BACK_PRESSURE, XDP_ATTACH_MESSAGES
from drgn_veth.core.skbuff import skb_data_align
from drgn_veth.core.uapi import VIRTIO_F_VERSION_1, XDP_PACKET_HEADROOM
from drgn_veth.disasm import x86_64
from drgn_veth.disasm.follow import code_accesses, code_constants, code_writes
from drgn_veth.disasm.veth_poll import veth_poll_members
from drgn_veth.disasm.veth_xmit import veth_xmit_records_rx_queue
from drgn_veth.disasm.virtio_net import virtio_net_padded_vnet_hdr_size
from drgn_veth.disasm.x86_64 import Access, Write
from drgn_veth.disasm.xdp_messages import (
    driver_messages,
    messages_in,
    xdp_message_places,
)
from drgn_veth.model import RecordsRxQueue
from drgn_veth.readers.bonding import bond_mode, bond_xmit_policy
from drgn_veth.readers.driver import (
    ethtool_op,
    netdev_driver_name,
    netdev_op,
    netdev_tcp_data_split,
    rx_queue_memory_provider,
)
from drgn_veth.readers.netdev import (
    netdev_for_each_lower_dev,
    netdev_for_each_upper_dev,
)
from drgn_veth.readers.skb import (
    max_skb_frags,
    net_ip_align,
    page_size,
    skb_shared_info_size,
    smp_cache_bytes,
)
from drgn_veth.readers.veth import veth_rq_has_napi, veth_rq_poll, veth_rqs
from drgn_veth.readers.virtio_net import virtio_net_features
import pytest

from tests.support.booted import Dump

_MODULES = ("veth", "bonding", "virtio_net", "tun")

_VETH = frozenset(
    b"veth: " + text
    for text in (
        b"Cannot set XDP when peer is detached",
        b"Peer MTU is too large to set XDP",
        b"XDP expects number of rx queues not less than peer tx queues",
        b"Setup for XDP failed",
    )
)
_BOND_MODE = b"No native XDP support for the current bonding mode"
_BOND = frozenset(
    (
        b"Slave device does not support XDP",
        b"Slave has XDP program loaded, please unload before enslaving",
    )
)
_VIRTIO = frozenset(
    b"virtio_net: " + text
    for text in (
        (
            b"Can't set XDP while host is implementing GRO_HW/CSUM, "
            b"disable GRO_HW/CSUM first"
        ),
        b"XDP expects header/data in single page, any_header_sg required",
    )
)
_VIRTIO_MTU = b"virtio_net: MTU too large to enable XDP"
_VIRTIO_MTU_FRAGS = b"virtio_net: MTU too large to enable XDP without frags"
_OF_DRIVERS = (*_VETH, *_BOND, _BOND_MODE, *_VIRTIO, _VIRTIO_MTU, _VIRTIO_MTU_FRAGS)


def _program(dump: Dump, types: str) -> Program:
    prog = Program()
    prog.set_core_dump(dump.vmcore)
    if types == "dwarf":
        modules = dump.made.kernel.debug_modules
        prog.load_debug_info(
            [str(dump.vmlinux), *(str(modules[name]) for name in _MODULES)]
        )
    else:
        assert use_btf(prog).types == "btf"
    return prog


@pytest.fixture(scope="module", params=("dwarf", "btf"))
def kernel(request: pytest.FixtureRequest, zoo: Dump) -> tuple[Program, Dump]:
    return _program(zoo, request.param), zoo


@pytest.fixture(scope="module")
def with_symbols(zoo: Dump) -> Program:
    return _program(zoo, "dwarf")


def _devices(prog: Program) -> Iterator[tuple[int, Object]]:
    for net in for_each_net(prog):
        for dev in for_each_netdev(net):
            yield net.ns.inum.value_(), dev


def _of_driver(prog: Program, driver: bytes) -> Object:
    return next(d for _, d in _devices(prog) if netdev_driver_name(d) == driver)


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
    xmit = netdev_op(_of_driver(prog, b"veth"), "ndo_start_xmit")
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
    assert ended > 50


_TEXT = 0xFFFFFFFF81000000
_FENTRY = b"\x0f\x1f\x44\x00\x00"
_RET = b"\xc3"


def _made(code: dict[int, bytes], **functions: int) -> Program:
    """Make a program that has some code and symbols, at offsets."""
    memory = bytearray(b"\xcc" * (1 << 18))
    for offset, data in code.items():
        memory[offset : offset + len(data)] = data
    prog = Program(Platform(Architecture.X86_64))

    def read(address: int, count: int, offset: int, physical: bool) -> bytes:
        return bytes(memory[offset : offset + count])

    prog.add_memory_segment(_TEXT, len(memory), read)
    symbols = [
        Symbol(name, _TEXT + at, 16, SymbolBinding.GLOBAL, SymbolKind.FUNC)
        for name, at in functions.items()
    ]
    prog.register_symbol_finder("test", SymbolIndex(symbols), enable_index=0)
    return prog


def _to(opcode: bytes, at: int, target: int) -> bytes:
    """Encode an instruction that has how far its target is from its end."""
    return opcode + struct.pack("<i", target - at - len(opcode) - 4)


_LEA = b"\x48\x8d\x05"
_CALL = b"\xe8"
_JUMP = b"\xe9"
_FAR = 0x3000


def test_relative_reference() -> None:
    code = _FENTRY + _to(_LEA, len(_FENTRY), _FAR) + _RET
    prog = _made({0: code, _FAR: b"one\0"}, f=0)
    assert messages_in(prog, "f", [b"one", b"on", b"ne"]) == {b"one"}
    # cmpb $1,...(%rip): relative to its end, behind another operand.
    compare = _FENTRY + b"\x80\x3d" + struct.pack("<i", _FAR - 12) + b"\x01" + _RET
    assert messages_in(_made({0: compare, _FAR: b"one\0"}, f=0), "f", [b"one"])


def test_string_at_the_end_of_memory() -> None:
    end = (1 << 18) - len(b"one\0")
    prog = _made({0: _to(_LEA, 0, end) + _RET, end: b"one\0"}, f=0)
    assert messages_in(prog, "f", [b"one", b"two, which is longer"]) == {b"one"}


@pytest.mark.parametrize("leave", [_JUMP, _CALL])
def test_what_is_called_is_apart(leave: bytes) -> None:
    """As is what lies behind a call that does not return."""
    other = _FENTRY + _to(_LEA, 64 + len(_FENTRY), _FAR) + _RET
    memory = {0: _to(leave, 0, 64).ljust(64, b"\x90"), 64: other, _FAR: b"one\0"}
    assert messages_in(_made(memory, f=0), "f", [b"one"]) == set()
    assert messages_in(_made(memory, f=64), "f", [b"one"]) == {b"one"}
    assert driver_messages(_made(memory), _TEXT, [b"one"]) == {b"one"}


def test_traced_function_is_apart() -> None:
    """It begins with a call then, and only its symbol tells."""
    message = b"XDP program already attached"
    other = _to(_CALL, 64, 0x2000)
    other += _to(_LEA, 64 + len(other), _FAR) + _RET
    memory = {0: _to(_JUMP, 0, 64), 64: other, 0x2000: _RET, _FAR: message + b"\0"}
    places = xdp_message_places(_made(memory, dev_xdp_attach=0, dev_xdp_install=64))
    assert places == {"dev_xdp_attach": set(), "dev_xdp_install": {message}}


def test_part_of_a_function_belongs_to_it() -> None:
    part = _FENTRY + _to(_LEA, 64 + len(_FENTRY), _FAR) + _RET
    memory = {0: _to(_JUMP, 0, 64), 64: part, _FAR: b"one\0"}
    prog = _made(memory, **{"f": 0, "f.part.0": 64})
    assert messages_in(prog, "f", [b"one"]) == {b"one"}


@pytest.mark.parametrize(
    "code, access",
    [
        ("48 8b 45 18", Access(0x18, True)),  # mov 0x18(%rbp),%rax
        ("3b 45 28", Access(0x28, False)),  # cmp 0x28(%rbp),%eax
        ("8b 97 c8 02 00 00", Access(0x2C8, False)),  # mov 0x2c8(%rdi),%edx
        ("49 8b 44 24 18", Access(0x18, True)),  # mov 0x18(%r12),%rax
        ("48 8b 44 c8 18", Access(0x18, True)),  # mov 0x18(%rax,%rcx,8),%rax
        ("48 8b 00", Access(0, True)),  # mov (%rax),%rax
        ("48 63 45 28", Access(0x28, False)),  # movslq 0x28(%rbp),%rax
        ("0f b7 45 28", Access(0x28, False)),  # movzwl 0x28(%rbp),%eax
        ("ff 75 18", Access(0x18, True)),  # push 0x18(%rbp)
        ("48 8b 45 e8", Access(-0x18, True)),  # mov -0x18(%rbp),%rax
        ("48 89 45 18", Access(0x18, True, True)),  # mov %rax,0x18(%rbp)
        ("c7 45 18 01 00 00 00", Access(0x18, False, True)),  # movl $1,0x18(%rbp)
        ("83 45 18 01", Access(0x18, False)),  # addl $1,0x18(%rbp)
        ("48 8b 44 24 28", None),  # mov 0x28(%rsp),%rax
        ("65 48 8b 04 25 28 00 00 00", None),  # mov %gs:0x28,%rax
        ("48 8b 05 18 00 00 00", None),  # mov 0x18(%rip),%rax
        ("48 8d 45 18", None),  # lea 0x18(%rbp),%rax
        ("0f 1f 40 18", None),  # nopl 0x18(%rax)
        ("0f 18 48 18", None),  # prefetcht0 0x18(%rax)
        ("67 48 0f b9 3a", None),  # ud1 (%edx),%rdi
        ("48 89 e8", None),  # mov %rbp,%rax
    ],
)
def test_access(code: str, access: Optional[Access]) -> None:
    prog = _made({0: bytes.fromhex(code) + _RET})
    assert code_accesses(prog, _TEXT) == frozenset({access} - {None})


@pytest.mark.parametrize(
    "code, write",
    [
        ("66 89 4f 7c", Write(0x7C, 2)),  # mov %cx,0x7c(%rdi)
        ("66 c7 47 7c 01 00", Write(0x7C, 2)),  # movw $1,0x7c(%rdi)
        ("66 83 47 7c 01", Write(0x7C, 2)),  # addw $1,0x7c(%rdi)
        ("66 ff 47 7c", Write(0x7C, 2)),  # incw 0x7c(%rdi)
        ("66 01 4f 7c", Write(0x7C, 2)),  # add %cx,0x7c(%rdi)
        ("89 4f 7c", Write(0x7C, 4)),  # mov %ecx,0x7c(%rdi)
        ("48 89 4f 7c", Write(0x7C, 8)),  # mov %rcx,0x7c(%rdi)
        ("88 4f 7c", Write(0x7C, 1)),  # mov %cl,0x7c(%rdi)
        ("f0 48 ff 87 b0 06 00 00", Write(0x6B0, 8)),  # lock incq 0x6b0(%rdi)
        ("66 8b 4f 7c", None),  # mov 0x7c(%rdi),%cx
        ("66 39 4f 7c", None),  # cmp %cx,0x7c(%rdi)
        ("66 83 7f 7c 01", None),  # cmpw $1,0x7c(%rdi)
        ("66 f7 47 7c 01 00", None),  # testw $1,0x7c(%rdi)
        ("0f b7 4f 7c", None),  # movzwl 0x7c(%rdi),%ecx
        ("66 89 4c 24 7c", None),  # mov %cx,0x7c(%rsp)
        ("ff 77 7c", None),  # push 0x7c(%rdi)
    ],
)
def test_write(code: str, write: Optional[Write]) -> None:
    prog = _made({0: bytes.fromhex(code) + _RET})
    assert code_writes(prog, _TEXT) == frozenset({write} - {None})


# The part of veth_xmit() that chooses an RX queue, as GCC 12 compiles it: each packet
# gets its number (v5.12 to v5.16), only those to an RX queue with a program do (up to
# v5.11), none does.
_VETH_XMIT = {
    ("always", "-O2"): """
        53488b86a80600004885c074730fb7577c4889f389d13b90bc020000723231c931d24889fe4889c7
        e80000000085c07412488b83b00600004883c001488983b006000031c05bc3660f1f840000000000
        0fb7d283c1014869d208030000480390c0060000488bb2a000000066894f7c31c94885f60f95c1eb
        a90f1f8000000000e800000000ebbc""",
    ("always", "-Os"): """
        534c8b86a80600004d85c07507e800000000eb5f0fb7577c4889f389d0413b90bc02000073260fb7
        d24869d208030000490390c0060000488b8aa00000004885c90f95c1ffc06689477ceb0431c931d2
        4889fe0fb6c94c89c7e80000000085c07411488b83b006000048ffc0488983b006000031c05bc3""",
    ("with XDP", "-O2"): """
        53488b86a80600004885c074730fb7577c4889f389d13b90bc020000723231f631d289f14889fe48
        89c7e80000000085c07412488b83b00600004883c001488983b006000031c05bc30f1f8000000000
        0fb7d231f64869d208030000480390c00600004c8b82a80000004d85c074b383c101be0100000066
        894f7ceba50f1f00e800000000ebbe""",
    ("never", "-O2"): """
        53488b86a80600004885c074630fb74f7c4889f33b88bc020000722c31c931d24889fe4889c7e800
        00000085c07412488b83b00600004883c001488983b006000031c05bc30f1f004869d10803000048
        0390c0060000488b8aa00000004885c90f95c10fb6c9ebb80f1f840000000000e800000000ebca""",
    ("never", "-Os"): """
        53488b86a80600004885c07507e800000000eb530fb74f7c4889f33b88bc020000731d4869d10803
        0000480390c0060000488b8aa00000004885c90f95c1eb0431c931d24889fe0fb6c94889c7e80000
        000085c07411488b83b006000048ffc0488983b006000031c05bc3""",
}


@pytest.mark.parametrize(("when", "optimised"), list(_VETH_XMIT))
def test_veth_xmit(when: str, optimised: str) -> None:
    """When it writes the RX queue into a packet."""
    prog = _made({0: bytes.fromhex(_VETH_XMIT[when, optimised])})
    u16, pointer = prog.int_type("unsigned short", 2, False), prog.pointer_type
    void = pointer(prog.void_type())
    rq = [TypeMember(void, "xdp_prog", 168 * 8)]
    if when != "with XDP":
        rq.append(TypeMember(void, "napi", 160 * 8))
    types = {
        "sk_buff": prog.struct_type(
            "sk_buff", 192, (TypeMember(u16, "queue_mapping", 124 * 8),)
        ),
        "veth_rq": prog.struct_type("veth_rq", 776, rq),
    }
    prog.register_type_finder(
        "made", lambda prog, kinds, name, filename: types.get(name), enable_index=0
    )
    assert veth_xmit_records_rx_queue(prog, _TEXT).value == when


def test_code_without_end() -> None:
    prog = _made({0: b"\x90" * (1 << 18)}, f=0)
    with pytest.raises(ValueError, match="continues for"):
        messages_in(prog, "f", [b"one"])
    many = b"".join(_to(_CALL, 5 * i, 0x2000 + i) for i in range(100))
    with pytest.raises(ValueError, match="calls 100 functions"):
        driver_messages(_made({0: many + _RET}), _TEXT, [b"one"])


def test_other_architecture() -> None:
    prog = Program(Platform(Architecture.AARCH64))
    with pytest.raises(NotImplementedError, match="AARCH64"):
        xdp_message_places(prog)


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


def test_drivers_messages(kernel: tuple[Program, Dump]) -> None:
    prog, dump = kernel

    def messages(driver: bytes) -> frozenset[bytes]:
        ndo_bpf = netdev_op(_of_driver(prog, driver), "ndo_bpf")
        return driver_messages(prog, ndo_bpf, _OF_DRIVERS)

    assert messages(b"veth") == _VETH
    found = messages(b"virtio_net")
    assert found - {_VIRTIO_MTU, _VIRTIO_MTU_FRAGS} == _VIRTIO
    assert len(found) == len(_VIRTIO) + 1
    assert messages(b"tun") == frozenset()
    bond = _of_driver(prog, b"bond")
    if _bond_has_xdp(prog):
        module = dump.made.kernel.module_path("bonding")
        assert module is not None
        says_mode = _BOND_MODE + b"\0" in module.read_bytes()
        assert messages(b"bond") == (_BOND | {_BOND_MODE} if says_mode else _BOND)
    else:
        assert netdev_op(bond, "ndo_bpf") == 0


def _bond_has_xdp(prog: Program) -> bool:
    try:
        return bool(prog.type("struct bonding").has_member("xdp_prog"))
    except LookupError:
        return False


def test_veth_poll(kernel: tuple[Program, Dump]) -> None:
    """Kernels whose veth_xmit() stops a TX queue are those whose veth_poll() wakes one;
    what it accesses is what another decoder shows of it."""
    prog, dump = kernel
    veths = (d for _, d in _devices(prog) if netdev_driver_name(d) == b"veth")
    try:
        live = (rq for dev in veths for rq in _queues_with_napi(dev))
        poll = veth_rq_poll(next(live)).value_()
    except LookupError:
        assert dump.is_old and prog.cache.get("drgn_veth.types") == "btf"
        return
    with_symbols = _program(dump, "dwarf")
    symbol = with_symbols.symbol(poll)
    assert symbol.name == "veth_poll" and symbol.address == poll
    members = veth_poll_members(prog, poll)
    xmit = netdev_op(_of_driver(prog, b"veth"), "ndo_start_xmit")
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


def test_veth_limits(kernel: tuple[Program, Dump]) -> None:
    """They are in the code of veth_xdp_set(), but for the peer's header."""
    prog, _ = kernel
    limit = (
        page_size(prog)
        - XDP_PACKET_HEADROOM
        - net_ip_align(prog)
        - skb_data_align(skb_shared_info_size(prog), smp_cache_bytes(prog))
    )
    constants = code_constants(prog, netdev_op(_of_driver(prog, b"veth"), "ndo_bpf"))
    assert limit in constants
    frags = prog.type("struct bpf_prog_aux").has_member("xdp_has_frags")
    assert frags == (limit + page_size(prog) * max_skb_frags(prog) in constants)


def test_virtio_net(kernel: tuple[Program, Dump]) -> None:
    prog, dump = kernel
    dev = _of_driver(prog, b"virtio_net")
    features = virtio_net_features(dev)
    assert features >> VIRTIO_F_VERSION_1 & 1
    ndo_bpf = netdev_op(dev, "ndo_bpf")
    if _VIRTIO_MTU in driver_messages(prog, ndo_bpf, _OF_DRIVERS):
        # The type itself is nowhere; that the header has the hash, another says.
        size = virtio_net_padded_vnet_hdr_size(prog, ndo_bpf)
        info = _program(dump, "dwarf").type("struct virtnet_info")
        assert size == (32 if info.has_member("has_rss_hash_report") else 16)
    else:
        with pytest.raises(LookupError):
            virtio_net_padded_vnet_hdr_size(prog, ndo_bpf)
    with pytest.raises(ValueError, match="not a virtio_net device"):
        virtio_net_features(_of_driver(prog, b"veth"))


def _links(dump: Dump) -> dict[tuple[int, str], dict[str, Any]]:
    return {
        (int(inum), link["ifname"]): link
        for inum, namespace in dump.truth["namespaces"].items()
        # The names of the scene are hostile.
        for link in json.loads(namespace["ip_link"]["stdout"], strict=False)
    }


def _name(dev: Object) -> str:
    return dev.name.string_().decode("utf-8", "replace")


def test_stacked_devices(kernel: tuple[Program, Dump]) -> None:
    """Who is above whom, as ip link says it of the upper or of the lower."""
    prog, dump = kernel
    links = _links(dump)
    expected: set[tuple[int, str, str]] = set()
    for (inum, name), link in links.items():
        if "master" in link:
            expected.add((inum, link["master"], name))
        # Of others, "link" is the peer or an underlay.
        if link.get("linkinfo", {}).get("info_kind") in ("vlan", "macvlan", "ipvlan"):
            expected.add((inum, name, link["link"]))
    assert len(expected) >= 6
    below: set[tuple[int, str, str]] = set()
    above: set[tuple[int, str, str]] = set()
    for inum, dev in _devices(prog):
        lowers = netdev_for_each_lower_dev(dev)
        below.update((inum, _name(dev), _name(lower)) for lower in lowers)
        uppers = netdev_for_each_upper_dev(dev)
        above.update((inum, _name(upper), _name(dev)) for upper in uppers)
    assert below == above == expected


def test_bonds(kernel: tuple[Program, Dump]) -> None:
    prog, dump = kernel
    links = _links(dump)
    bonds = 0
    for inum, dev in _devices(prog):
        if netdev_driver_name(dev) != b"bond":
            continue
        bonds += 1
        if dump.is_old and prog.cache.get("drgn_veth.types") == "btf":
            with pytest.raises(LookupError, match="bonding is a module"):
                bond_mode(dev)
            continue
        said = links[inum, _name(dev)]["linkinfo"]["info_data"]
        assert bond_mode(dev) == said["mode"]
        assert bond_xmit_policy(dev) == said["xmit_hash_policy"]
    assert bonds == 2


def test_drivers(kernel: tuple[Program, Dump]) -> None:
    prog, dump = kernel
    links = _links(dump)
    kinds = 0
    for inum, dev in _devices(prog):
        link = links.get((inum, _name(dev)))
        if link is None:
            continue
        kind = link.get("linkinfo", {}).get("info_kind")
        driver = netdev_driver_name(dev)
        if kind is None:
            assert driver == {"lo": None, "eth0": b"virtio_net"}[_name(dev)]
        else:
            assert driver == kind.encode()
            kinds += 1
    assert kinds > 80
    set_channels = ethtool_op(_of_driver(prog, b"veth"), "set_channels")
    # The guest's ethtool says what can be set at most where it can be set.
    assert bool(set_channels) == (not dump.is_old)
    assert netdev_op(_of_driver(prog, b"veth"), "ndo_xdp_xmit")
    assert netdev_op(_of_driver(prog, b"veth"), "ndo_no_such_thing") == 0


def test_memory_of_queues(kernel: tuple[Program, Dump]) -> None:
    """Nobody has set up any, where the kernel can tell."""
    prog, _ = kernel
    dev = _of_driver(prog, b"virtio_net")
    queue = prog.type("struct netdev_rx_queue")
    provider = rx_queue_memory_provider(dev._rx[0].address_of_())
    assert provider == (0 if queue.has_member("mp_params") else None)
    split = netdev_tcp_data_split(dev)
    has_config = prog.type("struct net_device").has_member("cfg")
    assert split == (0 if has_config else None)
