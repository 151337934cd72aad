# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files in a bpffs that hold BPF links."""

from drgn import Object
from drgn.helpers.linux.list import hlist_for_each_entry, list_for_each_entry
from drgn_veth.core.errors import WalkError
from drgn_veth.snapshot.link_pins import bpf_link_pins, for_each_bpf_link_pin
import pytest

from tests.support.memory import Altered

#: What the scene zoo pins.
PINS = {"/run/lab/bpf/link_a", "/run/lab/bpf/link_b", "/run/lab/bpf/link_hb"}
OTHER_PIN = "/run/lab/bpf/link_12"


def _links(altered: Altered) -> dict[int, Object]:
    """Return the inodes of a bpffs that are files of links, by link."""
    operations = altered.original["bpf_link_iops"].address_of_()
    supers = altered.original["bpf_fs_type"].fs_supers.address_of_()
    return {
        inode.i_private.value_(): inode
        for sb in hlist_for_each_entry("struct super_block", supers, "s_instances")
        for inode in list_for_each_entry(
            "struct inode", sb.s_inodes.address_of_(), "i_sb_list"
        )
        if inode.i_op == operations
    }


@pytest.fixture
def links(altered: Altered) -> dict[int, Object]:
    found = _links(altered)
    assert len(found) == 4
    return found


def test_where_they_are(altered: Altered, links: dict[int, Object]) -> None:
    pins = bpf_link_pins(altered.prog, set(links))
    assert set(pins) == set(links)
    assert {path for paths in pins.values() for path in paths} == {*PINS, OTHER_PIN}
    found = list(for_each_bpf_link_pin(altered.prog, set(links)))
    assert all(pin.here and len(pin.paths) == 1 for pin in found)


def test_only_those_that_are_wanted(altered: Altered, links: dict[int, Object]) -> None:
    assert bpf_link_pins(altered.prog, set()) == {}
    one = next(iter(links))
    (pin,) = for_each_bpf_link_pin(altered.prog, {one})
    assert pin.link == one


def test_a_link_with_two_files(altered: Altered, links: dict[int, Object]) -> None:
    one, other, *_ = links
    before = bpf_link_pins(altered.prog, set(links))
    altered.write_pointer(links[other].i_private, one)
    pins = bpf_link_pins(altered.prog, set(links))
    assert other not in pins
    assert pins[one] == tuple(sorted((*before[one], *before[other])))


def test_a_file_of_another_kind(altered: Altered, links: dict[int, Object]) -> None:
    """What its i_private points to is no link."""
    one = next(iter(links))
    altered.write_pointer(links[one].i_op, links[one].i_op.value_() + 8)
    assert set(bpf_link_pins(altered.prog, set(links))) == set(links) - {one}


def test_a_file_that_was_removed(altered: Altered, links: dict[int, Object]) -> None:
    """While somebody has it open, it holds its link, without a path."""
    one = next(iter(links))
    altered.write_pointer(links[one].i_dentry.first, 0)
    pins = {pin.link: pin for pin in for_each_bpf_link_pin(altered.prog, set(links))}
    assert set(pins) == set(links)
    assert (pins[one].paths, pins[one].here) == ((), True)


def test_one_that_cannot_be_read(altered: Altered, links: dict[int, Object]) -> None:
    """The others are there, and it is said that one is missing."""
    one = next(iter(links))
    assert links[one].i_private.address_ is not None
    altered.lose(links[one].i_private.address_, 8)
    found = set()
    with pytest.raises(WalkError, match="^files of bpffs: "):
        for pin in for_each_bpf_link_pin(altered.prog, set(links)):
            found.add(pin.link)
    assert found == set(links) - {one}
