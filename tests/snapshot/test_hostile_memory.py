# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Memory that misled a report once
--------------------------------

Each case was found by reports of memory that is wrong (tests/support/wrong_words.py),
and has a name here: what is changed in a recorded core, and what the report has to say
of it. The report is valid, and takes about as long as one of the core as it is.
"""

from collections.abc import Mapping
import json
import time
from typing import Any, Callable, NamedTuple

from drgn import Object, sizeof
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.model import Snapshot
from drgn_veth.readers.netns import for_each_netdev_bounded
from drgn_veth.readers.task import for_each_net_task
from drgn_veth.readers.veth import veth_rqs
from drgn_veth.render import json as render_json
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.damage import bugs_in, devices_of, take
from tests.support.memory import Altered
from tests.support.schemas import validate

#: The least that a report may take, in seconds of CPU, whatever the memory.
ROOM = 2

INVENTED = 10_000
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


def hlist_without_end(altered: Altered) -> None:
    """Its entry leads to itself, and cannot be read where it would point back."""
    nowhere = devices_of(altered.original)["lo"].dev.power.address_of_().value_()
    altered.write(nowhere, nowhere.to_bytes(8, "little"))
    altered.lose(nowhere + 8, 8)
    altered.write_pointer(altered.original["init_net"].xdp.list.first, nowhere)


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
        return NEW_LAND + number * step + node

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
    "an hlist without an end": Case(hlist_without_end, "AF_XDP sockets", "loops at 0x"),
    "a ring of a negative size": Case(
        ring_of_negative_size, "in_flight", "a ring with -1 entries"
    ),
    "10,000 invented devices": Case(
        invented_devices_and_index, "devices of", MANY_IN_NO_INDEX
    ),
    "10,000 invented devices, and no index": Case(
        invented_devices, "devices of", MANY_IN_NO_INDEX
    ),
}


@pytest.fixture(scope="module")
def usual(memory: Altered) -> float:
    """Return how long a report of the core as it is takes."""
    _report(memory)
    begin = time.process_time()
    _report(memory)
    return time.process_time() - begin


def _report(altered: Altered) -> "tuple[Snapshot, dict[str, Any]]":
    snapshot = take_snapshot(altered.prog)
    document: dict[str, Any] = json.loads(
        render_json.render(snapshot, diagnose(snapshot))
    )
    return snapshot, document


@pytest.mark.parametrize("name", CASES)
def test_said_and_no_more(
    altered: Altered, usual: float, whole: Snapshot, name: str
) -> None:
    case = CASES[name]
    case.change(altered)
    begin = time.process_time()
    snapshot, document = _report(altered)
    took = time.process_time() - begin
    validate(document)
    assert not list(bugs_in(snapshot))
    said = [(one["what"], one["why"]) for one in document["unreadable"]]
    assert any(case.where in what and case.why in why for what, why in said), said
    assert took < 2 * usual + ROOM
    assert len(document["devices"]) >= len(whole.devices)
    take(altered, "xmixa")
