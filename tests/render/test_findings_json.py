# SPDX-License-Identifier: LGPL-2.1-or-later
"""Findings as JSON."""

import json

from drgn_veth.analysis.attach.ask import decision
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.render import json as render_json

from tests.support.rules import CASES
from tests.support.rules.case import AGAIN, ENOSPC, ERANGE
from tests.support.schemas import is_valid, validate
from tests.support.snapshots import BAD, HOST, STORY, WHY, Changes, pair, sick


def test_json() -> None:
    for snapshot in (
        sick(),
        *(case.fires for case in CASES.values()),
        *(lost for case in CASES.values() for lost, *_ in case.lost),
    ):
        found = diagnose(snapshot)
        report = json.loads(render_json.render(snapshot, found))
        validate(report)
        assert len(report["findings"]) == len(found)
        assert report == json.loads(json.dumps(render_json.document(snapshot, found)))


def test_json_of_a_finding() -> None:
    case = CASES["xdp-native-queues"].fires
    (record,) = [
        r
        for r in json.loads(render_json.render(case, diagnose(case)))["findings"]
        if r["rule"] == "xdp-native-queues"
    ]
    assert record == {
        "rule": "xdp-native-queues",
        "severity": "info",
        "device": {"netns": HOST, "ifindex": 3, "name": "veth0"},
        "summary": CASES["xdp-native-queues"].summary,
        "evidence": {"real_num_rx_queues": 14, "peer_real_num_tx_queues": 48},
        "kernel": {
            "function": "veth_xdp_set",
            "errno": "ENOSPC",
            "message": decision("veth-queues").message,
        },
        "fix": ["ip netns exec pod1 ethtool -L eth0 tx 14"],
    }
    (record,) = [
        r
        for r in json.loads(render_json.render(STORY, diagnose(STORY)))["findings"]
        if r["rule"] == "xdp-mode-conflict"
    ]
    assert record["fix"] == [] and "fix_effect" not in record
    assert record["undo"] == {
        "effect": "which detaches the program",
        "commands": ["ip link set dev veth0 xdpgeneric off"],
    }
    because = record["then"].pop("because")
    assert because.startswith("peer eth0 has mtu 9000, the limit is 3506")
    assert record["then"] == ERANGE._asdict()
    poll = CASES["veth-poll-out-of-range"].fires
    (record,) = [
        r
        for r in json.loads(render_json.render(poll, diagnose(poll)))["findings"]
        if r["rule"] == "veth-poll-out-of-range"
    ]
    assert record["fix_effect"] == AGAIN
    lost = pair({"mtu": BAD}, {"mtu": 9000})
    records = json.loads(render_json.render(lost, diagnose(lost)))["findings"]
    first, second = [r for r in records if r["rule"] == "mtu-mismatch"]
    assert first["evidence"] == {"mtu": {"unreadable": WHY}}
    assert first["undecided"] == f"mtu could not be read: {WHY}"
    assert second["evidence"] == {"peer_mtu": {"unreadable": WHY}}


def test_schema_refuses_another_shape() -> None:
    case = CASES["xdp-native-queues"].fires
    report = json.loads(render_json.render(case, diagnose(case)))
    wrongs: list[Changes] = [
        {"severity": "bad"},
        {"fix": "x"},
        {"evidence": {"a": {}}},
        {"x": 1},
        {"fix_effect": None},
        {"undo": None},
        {"undo": {"effect": "which detaches the program", "commands": []}},
        {"then": None},
        {"then": {**ENOSPC._asdict(), "errno": None}},
    ]
    for wrong in wrongs:
        broken = {**report, "findings": [{**report["findings"][0], **wrong}]}
        assert not is_valid(broken)
