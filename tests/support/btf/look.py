# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that BTF has, looked at, in bounded time and memory."""

import contextlib
import tracemalloc
from typing import Optional

from drgn import (
    FaultError,
    Object,
    Program,
    Type,
    TypeKind,
)
from drgn_veth.btf.parse import Btf, BtfError
from drgn_veth.btf.types import BtfTypes

from tests.support.bounds import takes_less_than
from tests.support.btf.platforms import LITTLE_64

__all__ = ("SECONDS", "within_bounds")

SECONDS = 1.0
MEMORY = 16 << 20


def look_at_all(data: bytes, base: Optional[BtfTypes]) -> int:
    """Make each type that can be made, and look at all that is in it."""
    prog = base.prog if base else Program(LITTLE_64)
    try:
        btf = Btf(data, "little", base.btf if base else None)
    except BtfError:
        return 0
    types = BtfTypes(prog, btf, base)
    made = 0
    for id in range(btf.first_id if base else 0, len(btf)):
        try:
            found = types.type(id)
        except BtfError:
            continue
        made += 1
        look_at(prog, found)
    btf.find("x")
    types.enumerator("x")
    return made


def look_at(prog: Program, found: Type) -> None:
    with contextlib.suppress(TypeError, ValueError):
        str(found)  # Of a function it takes the name.
    found.type_name()
    if found.kind not in (TypeKind.STRUCT, TypeKind.UNION):
        return
    if not found.is_complete():
        return
    for member in found.members or ():
        member.type.type_name()
        assert member.bit_field_size is None or member.bit_field_size > 0
    found.has_member("nothing")
    if found.size and found.size <= 1 << 12:
        # What is said of the memory behind pointers does not matter here.
        with contextlib.suppress(FaultError):
            str(Object.from_bytes_(prog, found, bytes(found.size)))


def within_bounds(data: bytes, base: Optional[BtfTypes] = None) -> int:
    tracemalloc.start()
    try:
        with takes_less_than(SECONDS):
            made = look_at_all(data, base)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY + 100 * len(data), f"{peak} bytes"
    return made
