# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each kind of BTF, from blobs made by hand."""

from typing import Any, Optional

from drgn import (
    Architecture,
    Object,
    Platform,
    PlatformFlags,
    Program,
    Qualifiers,
    Type,
    TypeKind,
    TypeKindSet,
    sizeof,
)
from drgn_veth.btf import FINDER, use_btf
from drgn_veth.btf.declarations import VARIABLES
from drgn_veth.btf.finders import BtfFinder
from drgn_veth.btf.parse import Btf, BtfError, Kind
from drgn_veth.btf.types import BtfTypes
import pytest

from tests.support.btf.blob import Blob
from tests.support.btf.platforms import BIG_32, BIG_64, LITTLE_32, LITTLE_64

PLATFORMS = (LITTLE_64, BIG_64, LITTLE_32, BIG_32)


def _is_little(platform: Platform) -> bool:
    return bool(platform.flags & PlatformFlags.IS_LITTLE_ENDIAN)


def make(blob: Blob, platform: Platform = LITTLE_64, **kwargs: Any) -> BtfTypes:
    byteorder = "little" if _is_little(platform) else "big"
    return BtfTypes(Program(platform), Btf(blob.build(**kwargs), byteorder))


@pytest.fixture(params=PLATFORMS, ids=["le64", "be64", "le32", "be32"])
def platform(request: pytest.FixtureRequest) -> Platform:
    found: Platform = request.param
    return found


@pytest.fixture
def blob(platform: Platform) -> Blob:
    return Blob("<" if _is_little(platform) else ">")


def _members(type: Type) -> list[tuple[Any, ...]]:
    assert type.members is not None
    return [(m.name, m.bit_offset, m.bit_field_size) for m in type.members]


def test_integers(blob: Blob, platform: Platform) -> None:
    signed = blob.integer("int", 4, encoding=1)
    unsigned = blob.integer("unsigned char", 1, encoding=0)
    blob.integer("signed char", 1, encoding=1)
    char = blob.integer("char", 1, encoding=0)
    boolean = blob.integer("_Bool", 1, encoding=4)
    floating = blob.add(Kind.FLOAT, "double", 8)
    types = make(blob, platform)
    byteorder = "little" if _is_little(platform) else "big"
    found = types.type(signed)
    assert (found.kind, found.name, found.size) == (TypeKind.INT, "int", 4)
    assert found.is_signed and found.byteorder == byteorder
    assert not types.type(unsigned).is_signed
    assert not types.type(char).is_signed
    assert types.type(boolean).kind == TypeKind.BOOL
    assert types.type(floating).kind == TypeKind.FLOAT
    assert types.type(0).kind == TypeKind.VOID


def test_old_pahole_does_not_mark_signed_char() -> None:
    blob = Blob()
    signed, plain = blob.integer("signed char", 1, 0), blob.integer("char", 1, 0)
    unsigned = blob.integer("unsigned char", 1, 0)
    double = blob.integer("double", 8, 0)
    types = make(blob)
    assert types.type(signed).is_signed
    assert types.type(plain).is_signed  # on x86
    assert not types.type(unsigned).is_signed
    assert types.type(double).kind == TypeKind.FLOAT
    assert not make(blob, Platform(Architecture.AARCH64)).type(plain).is_signed


def test_pointer_size(blob: Blob, platform: Platform) -> None:
    pointer = blob.ptr(blob.integer())
    wide = platform.flags & PlatformFlags.IS_64_BIT
    found = make(blob, platform).type(pointer)
    assert found.size == (8 if wide else 4)
    assert found.type_name() == "int *"


def test_qualifiers_typedefs_and_tags(blob: Blob, platform: Platform) -> None:
    id = blob.integer()
    for kind in (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT):
        id = blob.add(kind, size=id)
    id = blob.add(Kind.TYPE_TAG, "rcu", id)
    id = blob.ptr(id)
    id = blob.add(Kind.TYPEDEF, "pointer_t", id)
    found = make(blob, platform).type(id)
    assert found.kind == TypeKind.TYPEDEF and found.name == "pointer_t"
    assert found.type.type.qualifiers == (
        Qualifiers.CONST | Qualifiers.VOLATILE | Qualifiers.RESTRICT
    )
    assert found.type.type.name == "int"


def test_arrays(blob: Blob, platform: Platform) -> None:
    integer = blob.integer()
    some, flexible = blob.array(integer, 3), blob.array(integer, 0)
    types = make(blob, platform)
    assert types.type(some).length == 3 and sizeof(types.type(some)) == 12
    assert types.type(flexible).length is None


def test_struct(blob: Blob, platform: Platform) -> None:
    integer = blob.integer()
    inner = blob.struct("", 4, [("a", integer, 0), ("b", integer, 0)], Kind.UNION)
    flexible = blob.array(integer, 0)
    outer = blob.struct(
        "s", 12, [("x", integer, 0), ("", inner, 32), ("tail", flexible, 96)]
    )
    found = make(blob, platform).type(outer)
    assert (found.kind, found.tag, found.size) == (TypeKind.STRUCT, "s", 12)
    assert _members(found) == [("x", 0, None), (None, 32, None), ("tail", 96, None)]
    assert found.member("b").offset == 4
    assert found.has_member("a") and not found.has_member("c")


@pytest.mark.parametrize("new", [False, True])
def test_bit_fields(new: bool, blob: Blob, platform: Platform) -> None:
    # 3 bits, then 5 of the next byte.
    if new:
        integer = blob.integer("unsigned int", 4, 0)
        members = [("a", integer, 3 << 24), ("b", integer, 5 << 24 | 8)]
    else:
        members = [
            ("a", blob.integer("unsigned int", 4, 0, bits=3), 0),
            ("b", blob.integer("unsigned int", 4, 0, bits=5, offset=8), 0),
        ]
    id = blob.struct("s", 4, members, flag=new)
    types = make(blob, platform)
    found = types.type(id)
    assert _members(found) == [("a", 0, 3), ("b", 8, 5)]
    # drgn and the kernel (btf_bitfield_show()) count from the first byte's
    # lowest bit, or from its highest in big endian.
    data = bytes([0b101, 0b10001, 0, 0] if _is_little(platform) else [0xA0, 0x88, 0, 0])
    value = Object.from_bytes_(types.prog, found, data)
    assert (value.a.value_(), value.b.value_()) == (5, 17)


def test_enums(blob: Blob, platform: Platform) -> None:
    unsigned = blob.enum("u", [("ZERO", 0), ("MANY", 0xFFFFFFFF)])
    signed = blob.enum("s", [("LESS", -1), ("MORE", 1)], flag=True)
    small = blob.enum("b", [("BYTE", 200)], size=1)
    small_signed = blob.enum("c", [("LEAST", -128), ("NO", -1)], flag=True, size=1)
    wide = blob.enum64("w", [("LOW", 1), ("HIGH", 1 << 63)])
    negative = blob.enum64("n", [("DEEP", -(1 << 40))], flag=True)
    forward = blob.enum("f", [])
    types = make(blob, platform)

    def values(id: int) -> list[tuple[str, int]]:
        enumerators = types.type(id).enumerators
        assert enumerators is not None
        return [(name, value) for name, value in enumerators]

    assert values(unsigned) == [("ZERO", 0), ("MANY", 0xFFFFFFFF)]
    assert values(signed) == [("LESS", -1), ("MORE", 1)]
    assert values(small) == [("BYTE", 200)] and sizeof(types.type(small)) == 1
    assert values(small_signed) == [("LEAST", -128), ("NO", -1)]
    assert values(wide) == [("LOW", 1), ("HIGH", 1 << 63)]
    assert values(negative) == [("DEEP", -(1 << 40))]
    assert not types.type(forward).is_complete()
    found = types.enumerator("HIGH")
    assert found is not None and found.value_() == 1 << 63
    assert types.enumerator("NONE") is None


def test_enums_of_old_pahole_do_not_say_whether_they_are_signed() -> None:
    blob = Blob()
    negative = blob.enum("n", [("NO", -1)])
    flags = blob.enum("f", [("TOP", 1 << 31)])
    types = make(blob)
    assert [value for _, value in types.type(negative).enumerators or ()] == [-1]
    assert [value for _, value in types.type(flags).enumerators or ()] == [1 << 31]


def test_functions(blob: Blob, platform: Platform) -> None:
    integer = blob.integer()
    proto = blob.proto(0, [("x", integer), ("", blob.ptr(integer)), ("", 0)])
    pointer = blob.ptr(proto)
    found = make(blob, platform).type(pointer)
    assert found.type_name() == "void (*)(int x, int *, ...)"
    assert found.type.parameters[0].name == "x"


def test_forward_declaration(blob: Blob, platform: Platform) -> None:
    unknown = blob.add(Kind.FWD, "unknown")
    known = blob.add(Kind.FWD, "known", flag=True)
    blob.struct("known", 4, [("x", blob.integer(), 0)], Kind.UNION)
    types = make(blob, platform)
    assert not types.type(unknown).is_complete()
    assert types.type(unknown).type_name() == "struct unknown"
    assert types.type(known).size == 4


def test_recursive_struct(blob: Blob, platform: Platform) -> None:
    size = 8 if platform.flags & PlatformFlags.IS_64_BIT else 4
    pointer = blob.ptr(2)
    node = blob.struct("node", size, [("next", pointer, 0)])
    types = make(blob, platform)
    found = types.type(node)
    assert found.member("next").type.type.member("next").type.type.tag == "node"


def test_what_is_no_type_is_refused(blob: Blob, platform: Platform) -> None:
    integer = blob.integer()
    proto = blob.proto(integer, [])
    function = blob.add(Kind.FUNC, "f", proto, vlen=1)
    variable = blob.add(Kind.VAR, "v", integer, [1])
    section = blob.add(Kind.DATASEC, ".data..percpu", 4, [variable, 0, 4], 1)
    tag = blob.add(Kind.DECL_TAG, "tag", integer, [0xFFFFFFFF])
    types = make(blob, platform)
    for id in (function, variable, section, tag):
        with pytest.raises(BtfError, match="is not a type"):
            types.type(id)
    with pytest.raises(BtfError, match="no type 7"):
        types.type(tag + 1)


def test_split(blob: Blob, platform: Platform) -> None:
    integer = blob.integer()
    blob.struct("whole", 4, [("x", integer, 0)])
    base = make(blob, platform)
    module = Blob(blob.order, base.btf)
    forward = module.add(Kind.FWD, "whole")
    module.struct("mine", 8, [("i", integer, 0), ("w", 2, 32)])
    byteorder = "little" if _is_little(platform) else "big"
    btf = Btf(module.build(), byteorder, base.btf)
    types = BtfTypes(base.prog, btf, base)
    (id,) = btf.find("mine")
    found = types.type(id)
    assert found.member("i").type.name == "int"
    assert found.member("w").type.tag == "whole"
    assert types.type(forward).has_member("x")
    assert btf.find("whole") == [forward] and btf.string(1) == "int"
    with pytest.raises(BtfError):
        btf.record(len(btf))


# Finders


def _finder(blob: Blob, addresses: Any, platform: Platform = LITTLE_64) -> Program:
    types = make(blob, platform)
    finder = BtfFinder(lambda name: [types], addresses.get)
    prog = types.prog
    prog.register_type_finder("t", finder.find_type, enable_index=0)
    prog.register_object_finder("t", finder.find_object, enable_index=0)
    return prog


def test_spellings_of_integers() -> None:
    blob = Blob()
    for name, size, encoding in (
        ("long unsigned int", 8, 0),
        ("short int", 2, 1),
        ("long long int", 8, 1),
        ("_Bool", 1, 4),
        ("char", 1, 0),
    ):
        blob.integer(name, size, encoding)
    prog = _finder(blob, {})
    for spelling, size in (
        ("unsigned long", 8),
        ("long unsigned int", 8),
        ("unsigned long int", 8),
        ("short", 2),
        ("long long", 8),
        ("_Bool", 1),
    ):
        assert prog.type(spelling).size == size
    assert prog.type("unsigned long *[3]").length == 3
    # On x86 drgn would say that it is.
    assert not prog.type("char").is_signed


def test_finders() -> None:
    blob = Blob()
    integer = blob.integer("unsigned int", 4, 0)
    blob.enum("e", [("ONE", 1)])
    node = blob.struct("list_head", 16, [])
    blob.add(Kind.TYPEDEF, "list_head", node)
    blob.add(Kind.VAR, "counter", integer, [1])
    blob.add(Kind.FUNC, "run", blob.proto(integer, []), vlen=1)
    blob.add(Kind.FWD, "later")
    addresses = {"nr_cpu_ids": 0x1000, "counter": 0x2000, "run": 0x3000}
    prog = _finder(blob, addresses)
    assert prog.type("struct list_head").kind == TypeKind.STRUCT
    assert prog.type("list_head").kind == TypeKind.TYPEDEF
    assert prog.type("enum e").kind == TypeKind.ENUM
    assert VARIABLES["nr_cpu_ids"] == "unsigned int"
    assert prog["nr_cpu_ids"].address_ == 0x1000
    assert prog.variable("counter").address_ == 0x2000
    assert prog.function("run").type_.kind == TypeKind.FUNCTION
    assert prog["run"].address_ == 0x3000
    assert prog.constant("ONE").value_() == 1 and prog["ONE"].value_() == 1
    for name in ("init_net", "modules", "nothing"):  # no symbol; no symbol; none
        with pytest.raises(LookupError):
            prog[name]
    for name in ("struct later", "union list_head", "struct nothing", "nothing_t"):
        with pytest.raises(LookupError):
            prog.type(name)
    with pytest.raises(LookupError):
        prog.type("struct list_head", "file.c")
    with pytest.raises(LookupError):
        prog.variable("counter", "file.c")


def test_finder_says_not_found_to_what_is_broken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    blob = Blob()
    blob.struct("bad", 8, [("self", 1, 0)])
    good = blob.struct("good", 8, [("bad", blob.ptr(1), 0)])
    prog = _finder(blob, {})
    with pytest.raises(LookupError):
        prog.type("struct bad")
    assert "contains itself" in caplog.text
    # What points to it is as good as ever.
    assert good and not prog.type("struct good").member("bad").type.type.is_complete()


def test_steps_aside_for_drgn() -> None:
    """Where drgn reads BTF itself, its finder is called so."""
    prog = Program(LITTLE_64)

    def find(
        prog: Program, kinds: TypeKindSet, name: str, filename: Optional[str]
    ) -> Optional[Type]:
        return prog.struct_type(name, 8, ()) if name == "net_device" else None

    prog.register_type_finder("btf", find, enable_index=0)
    assert use_btf(prog) == ("btf", None)
    assert FINDER not in prog.registered_type_finders()
