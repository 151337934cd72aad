# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each kind of change, and what is never one."""

import copy
import json
from typing import Any, Optional

from drgn_veth.analysis.compare.fields import DEVICE, NAMESPACE, NEVER, TARGET
from drgn_veth.render import compare_json
from drgn_veth.render.compare_table import Source
import pytest

from tests.support.reports import Document, compared, put, signs
from tests.support.schemas import validate
from tests.support.scripts import REPOSITORY

SOURCES = (Source("a.json"), Source("b.json"))
PROGRAM = {
    "id": 7, "name": "drop", "tag": "00" * 8, "via": "netlink", "link_id": None,
    "jited": True, "frags": False, "load_time": 1, "uid": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    "path, value, keys",
    [
        ("mtu", 9000, ["mtu"]),
        ("max_mtu", 3506, ["max_mtu"]),
        ("flags", ["BROADCAST", "MULTICAST"], ["state"]),
        ("flags", ["BROADCAST", "MULTICAST", "UP"], ["state"]),
        (
            *("flags", ["BROADCAST", "MULTICAST", "UP", "RUNNING", "NOARP"]),
            ["flags"],
        ),
        ("operstate", "DORMANT", ["operstate"]),
        ("reg_state", "UNREGISTERING", ["reg_state"]),
        ("off_list", "gone", ["off_list"]),
        ("altnames", ["x"], ["altnames"]),
        ("alias", "x", ["alias"]),
        ("mac", "02:00:00:00:00:99", ["mac"]),
        ("qdisc", "fq", ["qdisc"]),
        ("addresses", ["10.0.0.1/24"], ["addresses"]),
        ("addresses", ["fe80::1/64"], ["addresses"]),
        ("peer", None, ["peer"]),
        ("queues.rx.real", 4, ["queues.rx.real"]),
        ("queues.rx.allocated", 4, ["queues.rx.allocated"]),
        ("queues.tx.real", 4, ["queues.tx.real"]),
        ("queues.tx.allocated", 4, ["queues.tx.allocated"]),
        ("xdp.generic", PROGRAM, ["xdp.generic"]),
        ("xdp.driver", PROGRAM, ["xdp.driver"]),
        ("xdp.offload", PROGRAM, ["xdp.offload"]),
        (
            *("xdp.queues", [{"queue": 0, "prog_id": 7, "napi": True}]),
            ["xdp.queues.napi", "xdp.queues.prog_id"],
        ),
        ("rps", [{"queue": 0, "cpus": [1], "flow_entries": 0}], ["rps.cpus"]),
        ("rps", [{"queue": 0, "cpus": [], "flow_entries": 9}], ["rps.flow_entries"]),
        ("xps", [{"queue": 0, "cpus": [1], "rx_queues": []}], ["xps.cpus"]),
        ("xps", [{"queue": 0, "cpus": [], "rx_queues": [1]}], ["xps.rx_queues"]),
        ("kind", "dummy", ["kind"]),
        ("vlan", {"id": 7, "protocol": "802.1Q"}, ["vlan.id", "vlan.protocol"]),
        ("macvlan", {"mode": "vepa"}, ["macvlan.mode"]),
        ("ipvlan", {"mode": "l3", "flags": []}, ["ipvlan.mode", "ipvlan.flags"]),
        ("bond", {"mode": "802.3ad"}, ["bond.mode"]),
        ("bridge_port", {"state": "blocking"}, ["bridge_port.state"]),
        (
            *("netkit", {"mode": "l3", "policy": "forward", "primary": True}),
            ["netkit.mode", "netkit.policy", "netkit.primary"],
        ),
        ("tc", [{"where": "tcx/ingress", "id": 3, "name": "cil"}], ["tc"]),
        # Never a change.
        ("af_xdp", [], []),
        ("net_device", "0xffff", []),
        ("refcount", 5, []),
        ("ref_tasks", [], []),
        ("matched", True, []),
        ("uppers", [], []),
    ],
)  # fmt: skip
def test_change_of_a_device(
    a: Document, b: Document, path: str, value: Any, keys: list[str]
) -> None:
    put(path, value)(b["devices"][0])
    a["findings"] = b["findings"] = []
    if path == "vlan":
        assert "vlan" not in a["devices"][0]
    # The boot is known by a device with ifindex 1.
    for document in (a, b):
        lo = {**copy.deepcopy(a["devices"][0]), "name": "lo", "peer": None}
        document["devices"].append({**lo, "ifindex": 1, "net_device": "0x1"})
    found = compared(a, b)
    assert found.same_boot is True
    assert [one.key for device in found.devices for one in device.changes] == keys
    assert found.differ is bool(keys)
    assert {d.name for d in found.devices} <= {"veth0"}
    document = json.loads(compare_json.render(found, SOURCES))
    validate(document, "drgn-veth-1-compare")
    said = [one for device in document["devices"] for one in device["changes"]]
    assert [one["key"] for one in said] == keys
    if value is PROGRAM:
        (program,) = said
        kept = ("name", "tag", "via", "frags", "jited")
        assert program["old"] is None
        assert program["new"] == {name: PROGRAM[name] for name in kept}
    mirrored = compared(b, a)
    assert signs(found) == signs(mirrored, mirrored=True)


@pytest.mark.parametrize(
    "key, value, changed",
    [
        ("names", ["pod1", "x"], ["names"]),
        ("mounts", ["/run/netns/pod1", "/x"], ["mounts"]),
        ("hostname", "x", ["hostname"]),
        ("dying", True, ["dying"]),
        ("task_count", 3, ["task_count"]),
        ("containers", [{"id": "9f86"}], ["containers"]),
        ("holders", [{"kind": "socket"}], ["holders"]),
        ("label", "other", ["label"]),
        ("nsid", 77, []),
        ("device_count", 77, []),
    ],
)
def test_change_of_a_namespace(
    a: Document, b: Document, key: str, value: Any, changed: list[str]
) -> None:
    b["namespaces"][1][key] = value
    if key == "label":
        for device in b["devices"]:
            if device["netns_label"] == "pod1":
                device["netns_label"] = value
    found = compared(a, b)
    assert [c.key for one in found.namespaces for c in one.changes] == changed
    assert found.devices == ()


@pytest.mark.parametrize(
    "key, value",
    [
        *(("release", "6.2"), ("arch", "aarch64"), ("possible_cpus", 9)),
        *(("online_cpus", [0]), ("rps_sock_flow_entries", 1)),
        ("rtnl_owner", {"pid": 1, "comm": "ip"}),
    ],
)
def test_change_of_the_kernel(a: Document, b: Document, key: str, value: Any) -> None:
    b["target"][key] = value
    (change,) = compared(a, b).target
    assert change.key.partition(".")[0] == key
    # Whoever asks for a device does not ask for the kernel.
    assert not compared(a, b, names=["veth0"]).differ


def test_every_key_of_a_report_is_compared_or_never() -> None:
    """A key that is added to the contract is put into one of both lists."""
    schema = json.loads((REPOSITORY / "docs/drgn-veth-1.schema.json").read_text())
    properties = {
        "device": schema["$defs"]["device"]["properties"],
        "namespace": schema["properties"]["namespaces"]["items"]["properties"],
        "target": schema["properties"]["target"]["properties"],
    }
    fields = {"device": DEVICE, "namespace": NAMESPACE, "target": TARGET}
    for what, there in properties.items():
        compared_keys = {field.key.partition(".")[0] for field in fields[what]}
        never = set(NEVER[what])
        assert not compared_keys & never
        assert compared_keys - {"state"} | never == set(there)


# Findings


def finding(rule: str, name: Optional[str], severity: str = "warning") -> Any:
    device = None if name is None else {"netns": 4026531840, "ifindex": 3, "name": name}
    return {
        "rule": rule, "severity": severity, "device": device, "summary": "bad",
        "evidence": {"x": 1}, "kernel": None, "fix": [],
    }  # fmt: skip


def test_findings(a: Document, b: Document) -> None:
    a["findings"] = [finding("peer-down", "veth0"), finding("same", None)]
    b["findings"] = [finding("same", None, "error"), finding("mtu", "veth0")]
    found = compared(a, b)
    assert [(one.change, one.rule) for one in found.findings] == [
        *(("changed", "same"), ("came", "mtu")),
        ("went", "peer-down"),
    ]
    only = compared(a, b, rules=frozenset({"mtu"}))
    assert [one.rule for one in only.findings] == ["mtu"]
    only = compared(a, b, names=["veth0"])
    assert [one.rule for one in only.findings] == ["mtu", "peer-down"]


def test_undecided_findings_are_not_known(a: Document, b: Document) -> None:
    """Nor are they counted as unchanged."""
    gone = {**finding("mtu", "veth0"), "undecided": "mtu: gone"}
    for other in ([], [finding("mtu", "veth0")]):
        for sides, side in (((a, b), "a"), ((b, a), "b")):
            sides[0]["findings"], sides[1]["findings"] = [gone], other
            found = compared(a, b)
            assert found.findings == () and not any(found.unchanged.values())
            assert [(u.key, u.side, u.why) for u in found.unknown] == [
                ("mtu", side, "mtu: gone")
            ]
    # Nothing is known of both, and so nothing new.
    a["findings"] = b["findings"] = [gone]
    found = compared(a, b)
    assert found.findings == () and found.unknown == ()
    assert not any(found.unchanged.values())


def test_findings_that_did_not_change_are_counted(a: Document, b: Document) -> None:
    """By severity; two of one rule on one device are two."""
    one = finding("mtu", "veth0")
    a["findings"] = [one, one, finding("other", None, "info")]
    b["findings"] = [one, one, finding("other", None, "error")]
    found = compared(a, b)
    assert found.unchanged == {"error": 0, "warning": 2, "info": 0}
    assert [one.change for one in found.findings] == ["changed"]
