# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the bit of a device is that must stay in its network namespace."""

from drgn import (
    Architecture,
    Object,
    Platform,
    PlatformFlags,
    Program,
    Type,
    TypeKindSet,
    TypeMember,
)
from drgn_veth.readers.priv_flags import netns_bit
import pytest

_BIG = Platform(Architecture.S390X, PlatformFlags.IS_64_BIT)
_LITTLE = Platform(
    Architecture.X86_64, PlatformFlags.IS_64_BIT | PlatformFlags.IS_LITTLE_ENDIAN
)


@pytest.mark.parametrize("platform", [_BIG, _LITTLE])
@pytest.mark.parametrize("bit", [0, 1, 6, 11])
def test_bit(platform: Platform, bit: int) -> None:
    """As drgn reads a bit field of that byte order."""
    prog = Program(platform)
    order = "little" if platform is _LITTLE else "big"
    long = prog.int_type("unsigned long", 8, False, order)
    member = TypeMember(
        lambda: Object(prog, long, bit_field_size=1), "netns_immutable", bit
    )
    device = prog.struct_type("net_device", 8, (member,))

    def find(prog: Program, kinds: TypeKindSet, name: str, filename: object) -> Type:
        return device

    prog.register_type_finder("made", find, enable_index=0)
    found = netns_bit(prog)
    data = bytearray(8)
    assert found.offset is not None
    data[found.offset] = found.mask
    assert Object.from_bytes_(prog, device, bytes(data)).netns_immutable.value_() == 1
