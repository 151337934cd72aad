# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The order of the decisions. Mutants: each decision is dropped, and swapped with its
neighbour, and that is noticed.
"""

import collections
import errno
import itertools
from typing import Any

from drgn_veth.analysis.attach import core as attach
from drgn_veth.analysis.attach import drivers as attach_drivers
from drgn_veth.analysis.attach.drivers import bonding
import pytest

from tests.support.attach.orders import (
    all_cases,
    case_with,
    single_cases,
    wrong_of,
    wrong_orders,
    wrong_updates,
)
from tests.support.attach.table import DRIVERS, ORDERS
from tests.support.attach.troubles import TROUBLES


def test_each_decision_alone() -> None:
    cases = single_cases()
    assert list(wrong_of(cases)) == []
    # Each can be had somewhere, and none refuses a case without its trouble.
    assert {key for _, _, keys, _ in cases for key in keys} == set(TROUBLES)
    for variant, driver in itertools.product(ORDERS, DRIVERS):
        case = case_with(variant, driver)
        case.mode = case.mode or "driver"
        said = case.ask()
        assert said.errno == (errno.EOPNOTSUPP if driver == "netkit" else 0), said


@pytest.mark.slow
def test_each_decision_alone_and_before_each_other() -> None:
    assert list(wrong_orders()) == []


def test_updates() -> None:
    assert list(wrong_updates()) == []


@pytest.mark.slow
def test_how_many_are_tried() -> None:
    """So that conflicts do not eat up the test above."""
    tried = collections.Counter(
        driver for _, driver, keys, _ in all_cases() if len(keys) == 2
    )
    assert tried["veth"] > 450
    assert all(count > 150 for count in tried.values()), tried


def _lists() -> dict[str, tuple[Any, ...]]:
    core = ("NETLINK", "CORE", "CHECKS", "NO_OPERATION", "INSTALL", "GENERIC", "UPDATE")
    return {
        **{name: getattr(attach, name) for name in core},
        **{name: d.decisions for name, d in attach_drivers.DRIVERS.items()},
        "BOND_SLAVE": bonding.BOND_SLAVE,
    }


def _mutate(patch: pytest.MonkeyPatch, name: str, decisions: tuple[Any, ...]) -> None:
    if name in attach_drivers.DRIVERS:
        driver = attach_drivers.DRIVERS[name]._replace(decisions=decisions)
        patch.setitem(attach_drivers.DRIVERS, name, driver)
    elif name == "BOND_SLAVE":
        patch.setattr(bonding, name, decisions)
    else:
        patch.setattr(attach, name, decisions)


def _noticed() -> bool:
    try:
        wrong = next(itertools.chain(wrong_orders(), wrong_updates()), None)
    except Exception:  # The mutant fell over.
        return True
    return wrong is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", _lists())
def test_without_a_decision(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = _lists()[name]
    for i, decision in enumerate(decisions):
        with monkeypatch.context() as patch:
            _mutate(patch, name, decisions[:i] + decisions[i + 1 :])
            assert _noticed(), f"nobody misses {decision.key}"


#: Neighbours of which never both hold, or whose answers are the same.
EXCLUSIVE = {
    ("flags", "flags-modes"): "both are do_setlink()'s EINVAL, with no message",
    ("flags-modes", "flags-replace"): "likewise",
    ("one-mode", "ambiguous"): "one is about flags with modes, the other without",
    ("program-in-place", "not-expected"): "one is by link, the other by netlink",
    ("offload-without-hw-old", "offload-without-hw"): "a kernel has one of them",
    ("virtio-mtu-plain", "virtio-tx-rings"): "no kernel makes both",
    ("devmap", "cpumap"): "a program has one expected_attach_type",
    ("virtio-offloads-lro", "virtio-offloads-lro-csum"): "a kernel has one of them",
    ("virtio-offloads-lro-csum", "virtio-offloads"): "a kernel has one of them",
    ("virtio-mtu-any", "virtio-mtu-plain"): "a kernel has one of them",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", _lists())
def test_neighbours_swapped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = _lists()[name]
    for i in range(len(decisions) - 1):
        swapped = list(decisions)
        swapped[i : i + 2] = reversed(swapped[i : i + 2])
        pair = (decisions[i].key, decisions[i + 1].key)
        with monkeypatch.context() as patch:
            _mutate(patch, name, tuple(swapped))
            assert _noticed() == (pair not in EXCLUSIVE), pair
