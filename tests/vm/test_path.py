# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where packets go, against where they went
-----------------------------------------

The scene ``path`` sends packets in many situations (vmcores/lab/guest/paths). What the
dump tells of each has to be what the kernel did, step by step.
"""

from collections import Counter
from collections.abc import Callable
import copy
from typing import Any

from drgn_veth.model import Snapshot
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.booted import Dump, Tally
from tests.support.kernel import TYPES, program_of
from tests.support.oracle import Comparison
from tests.support.path_compare import Walked, compare_paths
from tests.support.path_facts import uncounted

_NETKIT = {"tnk", "dtnk", "gtnk", "nk", "nkg", "nkrps", "nkhole"}  # since v6.7
#: Situations that a kernel does not have.
LACKS = {
    "5.10": {
        *_NETKIT,
        *("lq", "lgen", "lnat", "lgrow"),  # ethtool -L on veth: since v5.15
        "frags",  # since v5.18
        "bonat",  # since v5.15
        "thread",  # since v5.12
    },
    "6.1": _NETKIT,
}


def _taken(dump: Dump, types: str) -> Snapshot:
    # An old kernel tells the types of its modules only by debug symbols.
    return take_snapshot(program_of(dump, "dwarf" if dump.is_old else types))


@pytest.fixture(scope="module", params=TYPES)
def snapshot(request: pytest.FixtureRequest, path_dump: Dump) -> Snapshot:
    return _taken(path_dump, request.param)


def _walk(snapshot: Snapshot, dump: Dump, tally: Tally) -> Walked:
    walked = compare_paths(snapshot, dump.truth["path"])
    where = (
        f"{dump.made.kernel.release} {snapshot.target.types} {dump.made.folder.name}"
    )
    name = f"{where}: {walked.flows} paths in {walked.situations} situations"
    tally[name] = Comparison(walked.compared, walked.differences, Counter())
    assert not walked.differences, "\n".join(walked.differences)
    return walked


def test_every_step(snapshot: Snapshot, path_dump: Dump, tally: Tally) -> None:
    walked = _walk(snapshot, path_dump, tally)
    assert walked.situations >= 100
    assert walked.flows >= 400
    assert sum(walked.compared.values()) >= 5000


def test_what_is_refused(path_dump: Dump) -> None:
    lacks = LACKS.get(path_dump.made.kernel.short_series, set())
    assert set(path_dump.truth["path"]["refused"]) == lacks


def test_two_sources_agree(path_dump: Dump) -> None:
    """The programs and ``ethtool -S``."""
    assert uncounted(path_dump.truth["path"]) == []


@pytest.mark.rare
@pytest.mark.parametrize("types", TYPES)
def test_every_random_step(random_path_dump: Dump, types: str, tally: Tally) -> None:
    snapshot = _taken(random_path_dump, types)
    walked = _walk(snapshot, random_path_dump, tally)
    assert walked.flows == 500


@pytest.mark.rare
def test_traffic_makes_no_noise(noise_dump: Dump) -> None:
    """Nothing is wrong with a thousand sound pairs that have sent packets."""
    report = noise_dump.report()
    assert len(report["pairs"]) >= 1000
    bad = [
        f"{finding['device']['name']}: {finding['rule']}: {finding['summary']}"
        for finding in report["findings"]
        if finding["severity"] in ("error", "warning")
    ]
    assert bad == []


Change = Callable[[Any], bool]


def _other_queue(flow: Any) -> bool:
    for one in flow["ran"]:
        one["rx_queue"] += 1
    return bool(flow["ran"])


def _other_mapping(flow: Any) -> bool:
    for hop in flow["hops"]:
        if hop["what"] in ("netif_rx", "napi"):
            hop["queue"] += 1
    return bool(flow["hops"])


def _other_way(flow: Any) -> bool:
    for hop in flow["hops"]:
        if hop["what"] == "netif_rx":
            hop["what"] = "napi"
    return bool(flow["hops"])


def _other_cpu(flow: Any) -> bool:
    for hop in flow["hops"]:
        if hop["what"] == "receive":
            hop["cpu"] = 5
    return bool(flow["hops"])


def _no_program(flow: Any) -> bool:
    had = bool(flow["ran"])
    flow["ran"] = []
    return had


def _lost(flow: Any) -> bool:
    for one in flow["verdicts"]:
        if one["what"] == "xdp_redirect":
            one.update(what="xdp_redirect_err", err=-95)
    return bool(flow["verdicts"])


@pytest.mark.parametrize(
    "change",
    [_other_queue, _other_mapping, _other_way, _other_cpu, _no_program, _lost],
)
def test_another_way_is_noticed(
    snapshot: Snapshot, path_dump: Dump, change: Change
) -> None:
    """The comparison finds what did not happen."""
    facts = copy.deepcopy(path_dump.truth["path"])
    changed = sum(
        change(flow) for situation in facts["situations"] for flow in situation["flows"]
    )
    assert changed
    found = compare_paths(snapshot, facts).differences
    assert len(found) >= 10
