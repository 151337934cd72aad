# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Memory that misled a report once
--------------------------------

Each case is one that reports of memory that is wrong have met (as those of
tests/support/wrong_words.py), and has a name here: what is changed in a recorded core,
and what the report has to say of it. One report in a process of its own::

    python -m tests.support.hostile "130,000 invented devices"
"""

from collections.abc import Mapping
import sys
from typing import Callable, NamedTuple

from drgn import Object, sizeof
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.readers.netns import for_each_netdev_bounded
from drgn_veth.readers.task import for_each_net_task
from drgn_veth.readers.veth import veth_rqs
from drgn_veth.readers.xps import XPS_CPUS, netdev_xps_maps
from drgn_veth.render import json as render_json
from drgn_veth.snapshot import take_snapshot

from tests.support.damage import NEWEST, devices_of
from tests.support.memory import Altered, altered_core
from tests.support.recorded import recorded_core

__all__ = ("CASES", "SOUND", "Case")

#: In place of the name of a case: the core as it is.
SOUND = "sound"

INVENTED = 130_000
# Where no kernel keeps anything.
NEW_LAND = 0xFFFFD00000000000


class Case(NamedTuple):
    """What is wrong in the memory, and what of it is unreadable, and why."""

    change: Callable[[Altered], None]
    where: str
    why: str


def _write(altered: Altered, value: Object, number: int) -> None:
    assert value.address_ is not None
    size = sizeof(value)
    altered.write(value.address_, number.to_bytes(size, "little", signed=number < 0))


def negative_process_id(altered: Altered) -> None:
    init = altered.original["init_net"].address_of_()
    task = next(task for task in for_each_net_task(init) if task.pid != 0)
    _write(altered, task.pid, -5)
    _write(altered, task.tgid, -5)


def _loop_at(altered: Altered, head: Object) -> None:
    """Let a struct hlist_head lead to an entry that leads to itself."""
    nowhere = devices_of(altered.original)["lo"].dev.power.address_of_().value_()
    altered.write(nowhere, nowhere.to_bytes(8, "little"))
    altered.lose(nowhere + 8, 8)
    altered.write_pointer(head.first, nowhere)


def sockets_without_end(altered: Altered) -> None:
    """The entry cannot be read where it would point back."""
    _loop_at(altered, altered.original["init_net"].xdp.list)


def super_blocks_without_end(altered: Altered) -> None:
    """Where links may be pinned: each leads to all inodes, and these to all mounts."""
    _loop_at(altered, altered.original["bpf_fs_type"].fs_supers)


def neighbours_without_end(altered: Altered) -> None:
    """The first device above another one is the next one, too."""
    first = devices_of(altered.original)["lowa"].adj_list.upper.next.read_()
    altered.write_pointer(first.next, first.value_())


def xps_map_of_all_queues(altered: Altered) -> None:
    maps = netdev_xps_maps(devices_of(altered.original)["xpsa"], XPS_CPUS)
    _write(altered, maps.attr_map[0].len, 0xFFFFFFFF)


def ring_of_negative_size(altered: Altered) -> None:
    dev = devices_of(altered.original)["xmixa"]
    _write(altered, veth_rqs(dev)[0].xdp_ring.size, -1)


def invented_devices(altered: Altered) -> None:
    """Each is a copy of a real one, and links to the next."""
    original = altered.original
    first, *_, last = for_each_netdev_bounded(original["init_net"].address_of_())
    node = first.dev_list.address_of_().value_() - first.value_()
    step = 1 << 14

    def node_of(number: int) -> int:
        if number < 0:
            return int(last.dev_list.address_of_().value_())
        if number >= INVENTED:
            return int(last.dev_list.next.value_())
        return int(NEW_LAND + number * step + node)

    def read(address: int, count: int, offset: int, physical: bool) -> bytes:
        number, at = divmod(offset, step)
        here = bytearray(original.read(last.value_() + at, count))
        for place, there in ((node, number + 1), (node + 8, number - 1)):
            for i, byte in enumerate(node_of(there).to_bytes(8, "little"), place - at):
                if 0 <= i < count:
                    here[i] = byte
        return bytes(here)

    altered.prog.add_memory_segment(NEW_LAND, INVENTED * step, read, False)
    altered.write_pointer(last.dev_list.next, node_of(0))
    head = original["init_net"].dev_base_head
    altered.write_pointer(head.prev, node_of(INVENTED - 1))


def invented_devices_and_index(altered: Altered) -> None:
    """What leads to the real one is in the dump, too."""
    *_, last = for_each_netdev_bounded(altered.original["init_net"].address_of_())
    node = last.index_hlist
    place = node.pprev.value_()
    altered.add(place, node.address_of_().value_().to_bytes(8, "little"))
    invented_devices(altered)


MANY_IN_NO_INDEX = "more than 64 devices are in no index: gave up"

CASES: Mapping[str, Case] = {
    "a negative process ID": Case(
        negative_process_id, "].pid", "invalid process ID -5"
    ),
    "AF_XDP sockets without an end": Case(
        sockets_without_end, "AF_XDP sockets", "loops at 0x"
    ),
    "super blocks without an end": Case(
        super_blocks_without_end, "pins", "loops at 0x"
    ),
    "neighbours without an end": Case(
        neighbours_without_end, "].uppers", "loops at 0x"
    ),
    "an XPS map of more queues than there are": Case(
        xps_map_of_all_queues, "].xps", "xps_map.len is 4294967295"
    ),
    "a ring of a negative size": Case(
        ring_of_negative_size, "in_flight", "a ring with -1 entries"
    ),
    "130,000 invented devices": Case(
        invented_devices_and_index, "devices of", MANY_IN_NO_INDEX
    ),
    "130,000 invented devices, and no index": Case(
        invented_devices, "devices of", MANY_IN_NO_INDEX
    ),
}


def _main(name: str) -> None:
    altered = altered_core(recorded_core(NEWEST))
    if name != SOUND:
        CASES[name].change(altered)
    snapshot = take_snapshot(altered.prog)
    sys.stdout.write(render_json.render(snapshot, diagnose(snapshot)))


if __name__ == "__main__":
    _main(sys.argv[1])
