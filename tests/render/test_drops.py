# SPDX-License-Identifier: LGPL-2.1-or-later
"""drgn-veth drops: the counters that are not zero, and what is known of them."""

from drgn_veth.analysis.drops import MEANING
from drgn_veth.model import CpuStats, LinkStats, QdiscStats, Snapshot
from drgn_veth.render.drops import drops
from drgn_veth.render.style import PLAIN
from drgn_veth.render.width import width
import pytest

from tests.support.recorded import CORES, recorded_core
from tests.support.rules.lost import counted
from tests.support.slow import slow_but
from tests.support.snapshots import BAD, PROGRAM, WHY, native, pair


def _text(snapshot: Snapshot, columns: int = 200) -> str:
    style = PLAIN._replace(width=columns)
    return "\n".join(drops(snapshot.devices, snapshot, style))


def test_nothing() -> None:
    assert _text(pair(counted(), counted())) == (
        "no device and no CPU has counted a lost packet"
    )


def test_each_counter_has_its_meaning() -> None:
    losses = {name for name in LinkStats._fields if "drop" in name or "err" in name}
    # `ip` shows these two with the others; tx_errors has both.
    losses -= {"tx_heartbeat_errors", "tx_window_errors"}
    assert losses <= set(MEANING)


def test_what_rules_know() -> None:
    lost = pair(
        {**native(), **counted(12, tx_dropped=12, rx_drops=3)},
        {**counted(rx_dropped=7), "qdisc_stats": QdiscStats(2, 0, 1), "qdisc": "fq"},
        cpus=(CpuStats(0, 1, 4, 0, 0, 1, 2), CpuStats(1, 1, 5, 6, 0, 0, 0)),
    )
    text = _text(lost)
    for row in (
        ("host", "veth0", "tx_dropped", "12"),
        ("rx_drops", "3"),
        ("pod1", "eth0", "rx_dropped", "7"),
        ("qdisc drops", "2"),
        ("pod1", "eth0", "qdisc qlen", "1"),
        ("CPU 0", "dropped", "4"),
        ("CPU 1", "dropped", "5"),
        ("CPU 1", "time_squeeze", "6"),
    ):
        found = [
            line for line in text.splitlines() if line.split() == " ".join(row).split()
        ]
        assert len(found) == 1, row
    lost_ones, _, others = text.partition("\nnot lost:\n")
    assert "rx_drops" in lost_ones and "time_squeeze" not in lost_ones
    assert "time_squeeze" in others
    assert "\nveth0 (host): lost so far on the way to peer eth0 (netns pod1): " in text
    assert "\nveth0 (host): its native program has lost 3 packets so far" in text
    assert "\neth0 (pod1): its qdisc fq has dropped 2 packets so far" in text
    # Said once, not for each CPU.
    assert text.count("the backlog of CPUs 0-1 has dropped 9 packets") == 1
    assert text.count("time_squeeze: ") == 1


def test_program_whose_id_could_not_be_read() -> None:
    first = {**native(program=PROGRAM._replace(id=BAD)), **counted(xdp_drops=3)}
    text = _text(pair(first, counted()))
    assert "\nveth0 (host): its native program is p#? now\n" in text


def test_what_could_not_be_read() -> None:
    bad = {**counted(), "stats": BAD}
    text = _text(pair(bad, bad, cpus=BAD))
    assert (
        f"counters of veth0 (host) and 1 more device could not be read: {WHY}" in text
    )
    assert f"counters of CPUs could not be read: {WHY}" in text


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("name", slow_but(CORES[:1], CORES))
def test_recorded(name: str, columns: int) -> None:
    """Each counter that is not zero is shown, and no line is too wide."""
    snapshot = recorded_core(name).snapshot
    text = _text(snapshot, columns)
    assert all(width(line) <= columns for line in text.splitlines())
    expected = 0
    for device in snapshot.devices:
        stats = device.stats
        if isinstance(stats, LinkStats):
            expected += sum(
                bool(getattr(stats, c)) for c in MEANING if hasattr(stats, c)
            )
    shown = [line for line in text.splitlines() if line[-1:].isdigit()]
    assert len(shown) >= expected
