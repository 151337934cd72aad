# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON text of records is that of their plain form."""

import json
from typing import Any

from drgn_veth.analysis.attach.predictor import MODES, VIAS, Predictor
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Snapshot
from drgn_veth.render.attempts import Attempt
from drgn_veth.render.json_text import Texts
from drgn_veth.render.plain import plain
import pytest

from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.slow import slow_but


def records(snapshot: Snapshot) -> list[Any]:
    predictor = Predictor(snapshot)
    attempts = [
        Attempt(device, *answer)
        for device in snapshot.devices[:10]
        for answer in predictor.answers(device, "attach", MODES, VIAS, (False, True))
    ]
    counted = [device.stats for device in snapshot.devices]
    return [
        *(snapshot.target, *snapshot.namespaces, *snapshot.devices, *snapshot.pairs),
        *(*snapshot.maps, snapshot.cpus, snapshot.in_flight),
        *(*diagnose(snapshot), *attempts, *counted),
    ]


@pytest.mark.parametrize("name", slow_but([EVERY_CORE[0], EVERY_CORE[-1]], EVERY_CORE))
def test_text_is_that_of_the_plain_form(name: str) -> None:
    # In both orders: what is not as in the last record is made again.
    all_of_them = records(recorded_core(name).snapshot)
    texts = Texts()
    for record in (*all_of_them, *reversed(all_of_them)):
        assert texts.of(record) == json.dumps(plain(record))


def test_a_member_that_changes_its_type_is_made_again() -> None:
    """As 0 is equal to False, and nothing to a value that could not be read."""
    device = recorded_core(EVERY_CORE[0]).snapshot.devices[0]
    texts = Texts()
    values: list[Any] = [1, True, 0, False, None, Unreadable("gone"), "é\n"]
    for mtu in (*values, [1, {"a": 0.5}]):
        changed = device._replace(mtu=mtu, matched=mtu)
        assert texts.of(changed) == json.dumps(plain(changed))


def test_no_record_gets_the_text_of_another_one_at_its_address() -> None:
    texts = Texts()
    for number in range(10_000):
        assert texts.of((number, (number, "a"))) == f'[{number}, [{number}, "a"]]'
