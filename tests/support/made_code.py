# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs whose machine code is made by a test."""

from drgn import (
    Architecture,
    Platform,
    Program,
    Symbol,
    SymbolBinding,
    SymbolIndex,
    SymbolKind,
    TypeMember,
)

__all__ = ("TEXT", "add_types_of_veth_xmit", "made")

#: Where the code is.
TEXT = {
    Architecture.X86_64: 0xFFFFFFFF81000000,
    Architecture.AARCH64: 0xFFFF800080010000,
}


def made(
    architecture: Architecture, code: dict[int, bytes], **functions: int
) -> Program:
    """Make a program that has some code and symbols, at offsets."""
    memory = bytearray(b"\xcc" * (1 << 18))
    for offset, data in code.items():
        memory[offset : offset + len(data)] = data
    prog = Program(Platform(architecture))
    text = TEXT[architecture]

    def read(address: int, count: int, offset: int, physical: bool) -> bytes:
        return bytes(memory[offset : offset + count])

    prog.add_memory_segment(text, len(memory), read)
    symbols = [
        Symbol(name, text + at, 16, SymbolBinding.GLOBAL, SymbolKind.FUNC)
        for name, at in functions.items()
    ]
    prog.register_symbol_finder("test", SymbolIndex(symbols), enable_index=0)
    return prog


def add_types_of_veth_xmit(prog: Program, has_napi: bool) -> None:
    """Add the structs that veth_xmit() was compiled with."""
    u16, pointer = prog.int_type("unsigned short", 2, False), prog.pointer_type
    void = pointer(prog.void_type())
    rq = [TypeMember(void, "xdp_prog", 168 * 8)]
    if has_napi:
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
