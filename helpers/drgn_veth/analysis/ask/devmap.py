# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Entries of a DEVMAP
-------------------

__dev_map_update_elem(), __dev_map_hash_update_elem() and __dev_map_alloc_node()
(kernel/bpf/devmap.c). The device need not take frames: that is seen by each packet.
"""

from typing import Optional

from ..attach.decision import Decision, first
from ..attach.question import Answer
from .asked import Asked, granted
from .request import Devmap

__all__ = ("ARRAY", "HASH", "NODE", "ask")


def _key(q: Asked) -> Optional[str]:
    if q.what.key >= q.what.max_entries:
        return f"key {q.what.key} >= {q.what.max_entries}, max_entries of the map"
    return None


def _noexist(q: Asked) -> Optional[str]:
    if q.what.noexist:
        return "each key of a DEVMAP exists already: BPF_NOEXIST is always refused"
    return None


def _full(q: Asked) -> Optional[str]:
    if not q.what.max_entries:
        return "the map has no place left"
    return None


def _attach_type(q: Asked) -> Optional[str]:
    if q.what.program in (None, "devmap"):
        return None
    return "the program's expected_attach_type is not BPF_XDP_DEVMAP"


ARRAY: tuple[Decision, ...] = (
    Decision(
        "devmap-key",
        "__dev_map_update_elem",
        "E2BIG",
        None,
        _key,
        compares="the key with max_entries of the map",
        mend="make the map larger, or use a DEVMAP_HASH",
    ),
    Decision(
        "devmap-noexist",
        "__dev_map_update_elem",
        "EEXIST",
        None,
        _noexist,
        compares="whether BPF_NOEXIST is set: a DEVMAP has all keys from the beginning",
        mend="use BPF_ANY",
    ),
)
HASH: tuple[Decision, ...] = (
    Decision(
        "devmap-full",
        "__dev_map_hash_update_elem",
        "E2BIG",
        None,
        _full,
        compares="the number of entries with max_entries of the map",
        mend="delete an entry, or make the map larger",
    ),
)
#: __dev_map_alloc_node(), for both.
NODE: tuple[Decision, ...] = (
    Decision(
        "devmap-program",
        "__dev_map_alloc_node",
        "EINVAL",
        None,
        _attach_type,
        compares="the expected_attach_type of the entry's program: BPF_XDP_DEVMAP",
        mend="load the program with section xdp/devmap",
        kernels="since v5.8",
    ),
)


def ask(q: Asked) -> Answer:
    """
    Return the answer to BPF_MAP_UPDATE_ELEM.

    :raises CannotTell: if a value is missing
    """
    assert isinstance(q.what, Devmap)
    map_type = HASH if q.what.hashed else ARRAY
    order = (*NODE, *map_type) if q.what.hashed else (*map_type, *NODE)
    function = (
        "__dev_map_hash_update_elem" if q.what.hashed else "__dev_map_update_elem"
    )
    return first(q, order) or granted(
        function,
        f"{q.name} is in the caller's namespace; whether it takes frames is not asked",
    )
