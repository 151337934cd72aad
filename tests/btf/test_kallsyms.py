# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's symbol table: its forms, its limits, and tables that are damaged."""

from collections.abc import Mapping
from typing import Any

from drgn_veth.btf import BtfError
from drgn_veth.btf.kallsyms import (
    Kallsyms,
    has_tokens,
    scan_for_tables,
    tables_in_vmcoreinfo,
)
import pytest

from tests.support.btf.kallsyms import Image

BASE = Image.BASE
SYMBOLS = {
    "_stext": BASE,
    "init_uts_ns": BASE + 0x1234,
    "net_namespace_list": BASE + 0x4000,
    "twice": BASE + 0x5000,
}
KNOWN = {"_stext": BASE, "init_uts_ns": BASE + 0x1234}
MOST_SYMBOLS = 1 << 22
MOST_NAMES = 1 << 24
MOST_TOKENS = 1 << 14
LONGEST = 512  # KSYM_NAME_LEN


def read(image: Image, known: Mapping[str, int] = KNOWN, **tables: int) -> Kallsyms:
    return Kallsyms(
        image.prog, image.tables._replace(**tables), ["net_namespace_list"], known
    )


# The forms that the tables have ------------------------------------------------------


@pytest.mark.parametrize("form", [{}, {"base": None}, {"order": ">"}])
def test_symbols_are_where_they_are(form: "dict[str, Any]") -> None:
    found = read(Image(SYMBOLS, **form))
    assert found.all() == SYMBOLS
    assert found.found == {**KNOWN, "net_namespace_list": BASE + 0x4000}


def test_of_a_machine_of_32_bits() -> None:
    symbols = {name: address % (1 << 32) for name, address in SYMBOLS.items()}
    image = Image(symbols, base=BASE % (1 << 32), word=4)
    assert read(image, {"_stext": BASE % (1 << 32)}).all() == symbols


def test_per_cpu_variables_are_offsets() -> None:
    """CONFIG_KALLSYMS_ABSOLUTE_PERCPU: what is not negative is an offset."""
    symbols = {"__per_cpu_start": 0, "runqueues": 0x1000, **SYMBOLS}
    assert read(Image(symbols, absolute=True)).all() == symbols


def test_long_name() -> None:
    """From 128 tokens on, the length has two bytes."""
    symbols = {**SYMBOLS, "a" * 126: BASE + 1, "b" * 127: BASE + 2, "z": BASE + 3}
    found = Kallsyms(Image(symbols).prog, Image(symbols).tables, symbols, KNOWN)
    assert found.found == found.all() == symbols


def test_packed_name() -> None:
    """A token may stand for several characters: the type of the symbol, too."""
    packed = {"net_namespace_list": b"\x80\x81", "twice": b"T\x82e"}
    tokens = {0x80: b"Dnet_name", 0x81: b"space_list", 0x82: b"twic"}
    image = Image(SYMBOLS, packed=packed, tokens=tokens)
    found = read(image)
    assert found.all() == SYMBOLS
    assert found.found["net_namespace_list"] == BASE + 0x4000


def test_the_first_of_two_with_one_name_counts() -> None:
    symbols = {**SYMBOLS, "twicE": BASE + 0x6000, "net_namespace_lisT": BASE + 0x7000}
    packed = {"twicE": b"ttwice", "net_namespace_lisT": b"tnet_namespace_list"}
    found = read(Image(symbols, packed=packed))
    assert found.all() == SYMBOLS
    assert found.found["net_namespace_list"] == BASE + 0x4000


def test_tables_that_vmcoreinfo_names() -> None:
    fields = ("num_syms", "names", "token_table", "token_index", "offsets")
    known = {f"kallsyms_{name}": at for at, name in enumerate(fields, 1)}
    tables = tables_in_vmcoreinfo(known)
    assert tables == (1, 2, 3, 4, 5, 0)
    tables = tables_in_vmcoreinfo({**known, "kallsyms_relative_base": 6})
    assert tables == (1, 2, 3, 4, 5, 6)
    for name in known:
        assert tables_in_vmcoreinfo({**known, name: 1}) is not None
        less = {key: value for key, value in known.items() if key != name}
        assert tables_in_vmcoreinfo(less) is None


# Damage ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, MOST_SYMBOLS + 1])
def test_number_of_symbols(count: int) -> None:
    image = Image(SYMBOLS)
    image.write(image.tables.num_syms, "I", count)
    with pytest.raises(BtfError, match=f"kallsyms has {count} symbols in"):
        read(image)


@pytest.mark.parametrize("size", [-8, 0, MOST_NAMES + 1])
def test_size_of_names(size: int) -> None:
    image = Image(SYMBOLS)
    with pytest.raises(BtfError, match=f"symbols in {size} bytes"):
        read(image, names=image.tables.token_table - size)


def test_tokens_lie_before_their_index() -> None:
    image = Image(SYMBOLS)
    tables = image.tables
    last = image.prog.read_u16(tables.token_index + 2 * 255)
    wrong = "tokens of kallsyms are not where"
    # The last token has to begin within the table.
    image.write(tables.token_index + 2 * 255, "H", 0xFFFF)
    with pytest.raises(BtfError, match=wrong):
        read(image)
    size = tables.token_index - tables.token_table
    image.write(tables.token_index + 2 * 255, "H", size)
    with pytest.raises(BtfError, match=wrong):
        read(image)
    image.write(tables.token_index + 2 * 255, "H", last)
    read(image)
    far = tables.token_table + MOST_TOKENS + 1
    with pytest.raises(BtfError, match=wrong):
        read(image, token_index=far)
    with pytest.raises(BtfError, match=wrong):
        read(image, token_index=tables.token_table)


def test_tokens_may_take_16_kib() -> None:
    tables = Image(SYMBOLS).tables
    room = MOST_TOKENS - (tables.token_index - tables.token_table)
    filled, rest = divmod(room, LONGEST)
    tokens = {0x80 + i: b"x" * LONGEST for i in range(filled)}
    image = Image(SYMBOLS, tokens={**tokens, 0xFF: b"y" * rest})
    tables = image.tables
    assert tables.token_index - tables.token_table == MOST_TOKENS
    assert read(image).all() == SYMBOLS
    assert has_tokens(image.prog, tables)


def test_token_is_no_longer_than_a_symbol() -> None:
    assert read(Image(SYMBOLS, tokens={0x80: b"x" * LONGEST})).all() == SYMBOLS
    with pytest.raises(BtfError, match="longer than any symbol"):
        read(Image(SYMBOLS, tokens={0x80: b"x" * (LONGEST + 1)}))


def test_name_has_no_more_tokens_than_characters() -> None:
    longest = {**SYMBOLS, "n" * (LONGEST - 1): BASE + 1}
    assert read(Image(longest)).all() == longest
    image = Image({**SYMBOLS, "n" * LONGEST: BASE + 1})
    with pytest.raises(BtfError, match="too long"):
        read(image).all()


def test_names_that_are_cut_off() -> None:
    image = Image(SYMBOLS)
    whole = read(image)
    image.write(image.tables.num_syms, "I", len(SYMBOLS) + 1000)
    with pytest.raises(BtfError, match="cut off"):
        read(image)
    whole._count += 1000
    with pytest.raises(BtfError, match="cut off"):
        whole.all()


def test_what_vmcoreinfo_knows_has_to_be_the_same() -> None:
    with pytest.raises(
        BtfError, match=f"kallsyms has init_uts_ns at {BASE + 0x1234:#x}"
    ):
        read(Image(SYMBOLS), {**KNOWN, "init_uts_ns": BASE})
    # It may know what kallsyms leaves out.
    assert "mem_map" not in read(Image(SYMBOLS), {**KNOWN, "mem_map": 1}).found
    without = {name: at for name, at in SYMBOLS.items() if name != "_stext"}
    with pytest.raises(BtfError, match="no symbol _stext"):
        read(Image(without))


def test_tables_that_cannot_be_read() -> None:
    with pytest.raises(BtfError, match="could not find memory segment"):
        read(Image(SYMBOLS), offsets=BASE + Image.SIZE)


# Kernels before v6.0 -----------------------------------------------------------------


def many(count: int) -> dict[str, int]:
    more = {f"some_{i}_symbol": BASE + 16 * i for i in range(count - len(SYMBOLS))}
    return {**SYMBOLS, **more}


def scanned(image: Image) -> Kallsyms:
    known = {**KNOWN, "net_namespace_list": BASE + 0x4000}
    return scan_for_tables(image.prog, ["twice"], known)


@pytest.mark.parametrize("count", [512, 513])
@pytest.mark.parametrize("marker", "IQ")
def test_tables_are_found_in_memory(marker: str, count: int) -> None:
    """Before v5.0, markers and the number of symbols have the size of a pointer."""
    found = scanned(Image(many(count), marker))
    assert found.all() == many(count)
    assert found.found["twice"] == BASE + 0x5000


@pytest.mark.parametrize("into", [0, 64, 200, 400, 1000])
def test_tokens_across_two_pieces(into: int) -> None:
    """Memory is looked through in pieces of a megabyte, which overlap."""
    table = Image(many(300), begin=0).tables.token_table
    begin = (1 << 20) - (table - BASE) - into
    image = Image(many(300), begin=begin)
    assert image.tables.token_table == BASE + (1 << 20) - into
    assert scanned(image).all() == many(300)


def test_vmcoreinfo_says_too_little_to_look_for_them() -> None:
    image = Image(SYMBOLS)
    few = "no symbols that help"
    with pytest.raises(BtfError, match=few):
        scan_for_tables(image.prog, [], KNOWN)
    with pytest.raises(BtfError, match=few):
        scan_for_tables(image.prog, [], {"a": 1, "b": 2, "c": 3})


def test_tokens_one_behind_the_other() -> None:
    image = Image(SYMBOLS)
    assert has_tokens(image.prog, image.tables)
    index = image.tables.token_index
    assert not has_tokens(image.prog, image.tables._replace(token_table=index))
    assert not has_tokens(image.prog, image.tables._replace(token_index=0))
    far = image.tables._replace(token_table=index - MOST_TOKENS - 1)
    assert not has_tokens(image.prog, far)
    image.write(index + 2 * 100, "H", 7)
    assert not has_tokens(image.prog, image.tables)
