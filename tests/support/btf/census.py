# SPDX-License-Identifier: LGPL-2.1-or-later
"""Comparing types from BTF with the same types from DWARF."""

from collections.abc import Iterator

from drgn import Type, TypeKind

_MEMBERS = (TypeKind.STRUCT, TypeKind.UNION)


def differences(btf: Type, dwarf: Type, where: str = "") -> Iterator[str]:
    """
    Tell in what a type from BTF differs from one from DWARF: name, size, members,
    offsets, bit-fields, enumerators; for the types of members their names and
    sizes too, and all that is in those without a name.
    """
    if btf.kind != dwarf.kind:
        yield f"{where}: {btf.kind} for {dwarf.kind}"
        return
    if btf.qualifiers != dwarf.qualifiers:
        yield f"{where}: {btf.qualifiers} for {dwarf.qualifiers}"
    kind = btf.kind
    if kind in _MEMBERS or kind == TypeKind.ENUM:
        if btf.tag != dwarf.tag:
            yield f"{where}: tag {btf.tag} for {dwarf.tag}"
            return
    if kind in _MEMBERS:
        yield from _members(btf, dwarf, where)
    elif kind == TypeKind.ENUM:
        yield from _enumerators(btf, dwarf, where)
    elif kind == TypeKind.TYPEDEF:
        if btf.name != dwarf.name:
            yield f"{where}: {btf.name} for {dwarf.name}"
        yield from _reference(btf.type, dwarf.type, where)
    else:
        yield from _reference(btf, dwarf, where)


def _members(btf: Type, dwarf: Type, where: str) -> Iterator[str]:
    if btf.size != dwarf.size:
        yield f"{where}: size {btf.size} for {dwarf.size}"
    assert btf.members is not None and dwarf.members is not None
    if len(btf.members) != len(dwarf.members):
        yield f"{where}: {len(btf.members)} members for {len(dwarf.members)}"
        return
    for ours, theirs in zip(btf.members, dwarf.members):
        at = f"{where}.{theirs.name}"
        for what in ("name", "bit_offset", "bit_field_size"):
            mine, its = getattr(ours, what), getattr(theirs, what)
            if mine != its:
                yield f"{at}: {what} {mine} for {its}"
        yield from _reference(ours.type, theirs.type, at)


def _enumerators(btf: Type, dwarf: Type, where: str) -> Iterator[str]:
    if btf.is_complete() != dwarf.is_complete():
        yield f"{where}: complete {btf.is_complete()} for {dwarf.is_complete()}"
    if not btf.is_complete() or not dwarf.is_complete():
        return
    if btf.type.size != dwarf.type.size:
        yield f"{where}: size {btf.type.size} for {dwarf.type.size}"
    if list(map(tuple, btf.enumerators)) != list(map(tuple, dwarf.enumerators)):
        yield f"{where}: {btf.enumerators} for {dwarf.enumerators}"


def _reference(btf: Type, dwarf: Type, where: str) -> Iterator[str]:
    # What a member, typedef, pointer or array is of: by name, or if there is
    # none, by all that is in it.
    while True:
        if btf.kind != dwarf.kind:
            yield f"{where}: {btf.kind} for {dwarf.kind}"
            return
        if btf.qualifiers != dwarf.qualifiers:
            yield f"{where}: {btf.qualifiers} for {dwarf.qualifiers}"
            return
        if btf.kind == TypeKind.ARRAY:
            (mine, btf), (its, dwarf) = _elements(btf), _elements(dwarf)
            if mine != its:
                yield f"{where}: [{mine}] for [{its}]"
            continue
        elif btf.kind == TypeKind.POINTER:
            if btf.size != dwarf.size:
                yield f"{where}: pointer of {btf.size} for {dwarf.size}"
        else:
            break
        btf, dwarf = btf.type, dwarf.type
    kind = btf.kind
    if kind == TypeKind.FUNCTION:
        yield from _function(btf, dwarf, where)
    elif kind in _MEMBERS or kind == TypeKind.ENUM:
        if btf.tag != dwarf.tag:
            yield f"{where}: {btf.tag} for {dwarf.tag}"
        elif btf.tag is None:
            yield from differences(btf, dwarf, where)
        elif btf.is_complete() and dwarf.is_complete() and _size(btf) != _size(dwarf):
            yield f"{where}: {_size(btf)} bytes for {_size(dwarf)}"
    elif kind != TypeKind.VOID:
        if btf.name != dwarf.name:
            yield f"{where}: {btf.name} for {dwarf.name}"
        if kind != TypeKind.TYPEDEF and _traits(btf) != _traits(dwarf):
            yield f"{where}: {_traits(btf)} for {_traits(dwarf)}"


def _elements(type: Type) -> tuple[int, Type]:
    # How many elements, in all dimensions: what makes BTF joins them into one.
    # Nor does BTF tell "[]" from "[0]".
    count = 1
    while type.kind == TypeKind.ARRAY:
        count *= type.length or 0
        type = type.type
    return count, type


def _function(btf: Type, dwarf: Type, where: str) -> Iterator[str]:
    if btf.is_variadic != dwarf.is_variadic:
        yield f"{where}: variadic {btf.is_variadic} for {dwarf.is_variadic}"
    if len(btf.parameters) != len(dwarf.parameters):
        yield f"{where}: {len(btf.parameters)} parameters"
        return
    yield from _reference(btf.type, dwarf.type, f"{where}()")
    for i, (ours, theirs) in enumerate(zip(btf.parameters, dwarf.parameters)):
        yield from _reference(ours.type, theirs.type, f"{where}({i})")


def _size(type: Type) -> int:
    return type.type.size if type.kind == TypeKind.ENUM else type.size


def _traits(type: Type) -> tuple[object, ...]:
    traits: list[object] = [type.size, type.byteorder]
    if type.kind == TypeKind.INT:
        traits.append(type.is_signed)
    return tuple(traits)
