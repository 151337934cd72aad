# SPDX-License-Identifier: LGPL-2.1-or-later
"""The list of what JSON has otherwise than the records."""

from typing import NamedTuple, Optional

from drgn_veth.core.unreadable import Maybe, Unreadable
from drgn_veth.model import NOT_IN_JSON, DeviceRef, Namespace, Xdp
from drgn_veth.render.plain import SHAPES, plain
import pytest


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
def test_shapes_are_about_members_that_there_are(kind: type) -> None:
    shape = SHAPES[kind]
    fields = set(kind._fields)  # type: ignore[attr-defined]
    for part in shape:
        assert set(part) <= fields


@pytest.mark.parametrize("kind", NOT_IN_JSON, ids=lambda kind: kind.__name__)
def test_what_is_left_out_is_there(kind: type) -> None:
    assert NOT_IN_JSON[kind] <= set(kind._fields)  # type: ignore[attr-defined]


class Inner(NamedTuple):
    cpus: tuple[int, ...]
    why: Maybe[Optional[str]]


class Outer(NamedTuple):
    name: str
    inner: Maybe[tuple[Inner, ...]]


def test_a_new_record_needs_no_entry() -> None:
    bad = Unreadable("gone")
    outer = Outer("a", (Inner((), None), Inner((1, 2), bad)))
    assert plain(outer) == {
        "name": "a",
        "inner": [
            {"cpus": [], "why": None},
            {"cpus": [1, 2], "why": {"unreadable": "gone"}},
        ],
    }
    assert plain(outer._replace(inner=bad))["inner"] == {"unreadable": "gone"}


def test_absent_is_not_empty() -> None:
    """A veth without RX queues has an empty list; what is no veth has none."""
    assert "queues" not in plain(Xdp(None, None, None, None))
    assert plain(Xdp(None, None, None, ()))["queues"] == []
    said = plain(Namespace(1, True, 3, dying=True))
    assert list(said) == [
        *("inum", "init", "label", "hostname", "names", "mounts", "nsid"),
        *("device_count", "dying"),
    ]
    assert "dying" not in plain(Namespace(1, True, 3))
    ref = DeviceRef(1, 2, "a", 0xFFFF, "netns is dying")
    assert plain(ref) == {
        "netns": 1,
        "ifindex": 2,
        "name": "a",
        "off_list": "netns is dying",
    }
