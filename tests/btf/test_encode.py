# SPDX-License-Identifier: LGPL-2.1-or-later
"""Types that are made into BTF, and read out of it again."""

from drgn import (
    Object,
    Platform,
    Program,
    Qualifiers,
    Type,
    TypeEnumerator,
    TypeKind,
    TypeMember,
    TypeParameter,
)
from drgn.helpers.linux.module import for_each_module
from drgn_veth.btf.carried import module_types_of
from drgn_veth.btf.declarations import MODULE_TYPES, OPTIONAL_MODULE_TYPES
from drgn_veth.btf.encode import encode_types
from drgn_veth.btf.load import ModuleBtf, read_vmlinux_btf
from drgn_veth.btf.parse import Btf, Kind
from drgn_veth.btf.types import BtfTypes
from drgn_veth.core.byte_order import byteorder
import pytest

from tests.support.btf.blob import Blob
from tests.support.btf.census import differences
from tests.support.btf.dumps import LabDump
from tests.support.btf.platforms import BIG_64, LITTLE_64


class _Made:
    """A kernel's types made by hand, and a module's as debug symbols have them."""

    def __init__(self, platform: Platform) -> None:
        prog = self.prog = Program(platform)
        self.order = byteorder(prog)
        blob = Blob("<" if self.order == "little" else ">")
        blob.integer("int")
        blob.integer("unsigned int", encoding=0)
        blob.struct("of_kernel", 8, [("x", 1, 0), ("y", 2, 32)])
        self.base = BtfTypes(prog, Btf(blob.build(), self.order))
        self.int = prog.int_type("int", 4, True)
        self.types = list(self._types())

    def _types(self) -> list[Type]:
        prog, int_ = self.prog, self.int
        const, volatile = Qualifiers.CONST, Qualifiers.VOLATILE
        u32 = prog.int_type("unsigned int", 4, False)
        u8 = prog.int_type("unsigned char", 1, False)
        bool_ = prog.bool_type("_Bool", 1)
        alias = prog.typedef_type("u8", u8)
        of_kernel = prog.struct_type(
            "of_kernel", 8, (TypeMember(int_, "x"), TypeMember(u32, "y", 32))
        )
        forward = prog.struct_type("forward", None, None)
        plain = prog.enum_type(
            "plain", u32, (TypeEnumerator("A", 0), TypeEnumerator("B", 1 << 31))
        )
        signed = prog.enum_type("signed", int_, (TypeEnumerator("MINUS", -5000),))
        long = prog.int_type("long unsigned int", 8, False)
        wide = prog.enum_type("wide", long, (TypeEnumerator("BIG_64", 1 << 40),))
        function = prog.function_type(
            prog.void_type(),
            (TypeParameter(prog.pointer_type(of_kernel), "who"), TypeParameter(int_)),
        )
        inner = prog.union_type(
            None, 4, (TypeMember(u32, "word"), TypeMember(alias, "byte"))
        )

        node: Type

        def next_type() -> Type:
            return prog.pointer_type(node)

        node = prog.struct_type(
            "node",
            96,
            (
                TypeMember(next_type, "next"),
                TypeMember(prog.pointer_type(of_kernel.qualified(const)), "kernel", 64),
                TypeMember(prog.pointer_type(forward), "forward", 128),
                TypeMember(prog.pointer_type(function), "call", 192),
                TypeMember(inner, None, 256),
                TypeMember(
                    lambda: prog.pointer_type(node.qualified(const | volatile)),
                    "self",
                    320,
                ),
                TypeMember(plain, "plain", 384),
                TypeMember(signed, "signed", 416),
                TypeMember(wide, "wide", 448),
                TypeMember(of_kernel, "embedded", 512),
                TypeMember(bool_.qualified(volatile), "flag", 576),
                TypeMember(prog.array_type(alias, 3), "three", 584),
                TypeMember(prog.float_type("float", 4), "float", 608),
                TypeMember(prog.pointer_type(prog.void_type()), "any", 640),
                TypeMember(prog.array_type(int_.qualified(const)), "flexible", 768),
            ),
        )
        other = prog.union_type("other", 96, (TypeMember(node, "node"),))
        return [node, other]


@pytest.mark.parametrize("platform", [LITTLE_64, BIG_64])
def test_round_trip(platform: Platform) -> None:
    made = _Made(platform)
    data = encode_types(made.types, made.base.btf, made.order)
    btf = Btf(data, made.order, made.base.btf)
    types = BtfTypes(made.prog, btf, made.base)
    for expected in made.types:
        (id,) = btf.find(expected.tag)
        found = types.type(id)
        assert list(differences(found, expected, expected.tag)) == []
    # What the kernel has is not there once more.
    assert b"of_kernel\0" not in data and b"int\0" not in data.replace(b" int", b"")
    (id,) = btf.find("node")
    members = {member.name: member.type for member in types.type(id).members}
    assert members["embedded"].type_name() == "struct of_kernel"
    assert members["next"].type.tag == "node"
    assert not members["forward"].type.is_complete()
    assert [value.value for value in members["wide"].enumerators] == [1 << 40]
    # The same types give the same bytes.
    assert encode_types(_Made(platform).types, made.base.btf, made.order) == data


@pytest.mark.parametrize("platform", [LITTLE_64, BIG_64])
def test_bit_fields(platform: Platform) -> None:
    made = _Made(platform)
    prog = made.prog
    u32 = prog.int_type("unsigned int", 4, False)
    bits = prog.struct_type(
        "bits",
        4,
        (
            TypeMember(Object(prog, u32, bit_field_size=3), "a", 0),
            TypeMember(Object(prog, u32, bit_field_size=7), "b", 3),
        ),
    )
    btf = Btf(
        encode_types([bits], made.base.btf, made.order), made.order, made.base.btf
    )
    (id,) = btf.find("bits")
    found = BtfTypes(prog, btf, made.base).type(id)
    assert list(differences(found, bits, "bits")) == []


# By the size of the type: the least and the largest values.
# Without a flag in the base, more than 0xffffefff is read as negative.
ENUMS = ((4, 0, 0xFFFFEFFF), (4, -1 << 31, (1 << 31) - 1), (1, 0, 255))
WIDE = (
    (8, 0, 1 << 32),
    (8, -1, 1 << 31),
    (8, (-1 << 31) - 1, 0),
    (8, -1 << 63, (1 << 63) - 1),
)


@pytest.mark.parametrize("platform", [LITTLE_64, BIG_64])
@pytest.mark.parametrize(("size", "least", "most"), [*ENUMS, *WIDE])
def test_values_of_enums(platform: Platform, size: int, least: int, most: int) -> None:
    """More than 32 bits take another kind."""
    made = _Made(platform)
    prog = made.prog
    of = prog.int_type("some", size, least < 0)
    values = TypeEnumerator("LEAST", least), TypeEnumerator("MOST", most)
    wanted = prog.enum_type("limits", of, values)
    data = encode_types([wanted], made.base.btf, made.order)
    btf = Btf(data, made.order, made.base.btf)
    (id,) = btf.find("limits")
    assert (btf.kind(id) == Kind.ENUM64) is ((size, least, most) in WIDE)
    found = BtfTypes(prog, btf, made.base).type(id)
    told = [(value.name, value.value) for value in found.enumerators or ()]
    assert told == [("LEAST", least), ("MOST", most)]
    assert found.type is not None and found.type.size == size


def test_veth(lab_dump: LabDump) -> None:
    """What a slice carries of veth is what its debug symbols say."""
    source, target = lab_dump.with_dwarf(), lab_dump.program()
    encoded = module_types_of(source, target)
    loaded = {one.name.string_().decode() for one in for_each_module(source)}
    of_modules = {module for _, module in (*MODULE_TYPES, *OPTIONAL_MODULE_TYPES)}
    # Another module may have a type of that name.
    assert of_modules & loaded <= set(encoded) <= of_modules
    assert "veth" in encoded and len(encoded) > 3
    order = byteorder(source)

    def address_of(name: str) -> int:
        return source.symbol(name).address

    base = BtfTypes(target, Btf(read_vmlinux_btf(target, address_of), order))
    btf = Btf(encoded["veth"], order, base.btf)
    types = BtfTypes(target, btf, base)
    compared = 0
    keywords = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum"}
    for id in range(btf.first_id, len(btf)):
        record = btf.record(id)
        if record.kind in keywords and record.name:
            name = f"{keywords[Kind(record.kind)]} {btf.string(record.name)}"
            expected = source.type(name)
            assert list(differences(types.type(id), expected, name)) == []
            compared += 1
    assert compared >= 2
    # The module's own, where it has one.
    own = [m for m in ModuleBtf(source, lambda: base, {}).all() if m.name == "veth"]
    if "btf_modules" in source:
        (module,) = own
        (id,), (own_id,) = (
            [i for i in b.find("veth_priv") if b.kind(i) == Kind.STRUCT]
            for b in (btf, module.types(base).btf)
        )
        expected = module.types(base).type(own_id)
        found = types.type(id)
        assert found.kind == TypeKind.STRUCT
        assert list(differences(found, expected, "struct veth_priv")) == []
