# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values that changed, in words."""

from typing import Any

from drgn_veth.analysis.compare.records import Change
from drgn_veth.analysis.compare.values import PerQueue, Program, Reference
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.render.compare_words import change, target_words, value
import pytest

BAD = Unreadable("a hole")
HERE = Reference(None, "host", "veth0")
THERE = Reference(None, "pod1", "eth0")
PLAIN = Program("p", "0a", "netlink", False, True)


@pytest.mark.parametrize(
    ("key", "one", "text"),
    [
        ("rps", (0, 1, 2, 7), "0-2,7"),
        ("rps", (), "none"),
        ("flags", ("UP", "RUNNING"), "UP RUNNING"),
        ("containers", ("0123456789abcdef",), "0123456789ab"),
        ("lockless", True, "yes"),
        ("lockless", False, "no"),
        ("mtu", 1500, "1500"),
        ("mtu", BAD, "?"),
        ("alias", None, "none"),
        ("alias", "a\tb", r"a\x09b"),
        ("peer", THERE, "eth0 (pod1)"),
        ("lowers", (HERE, THERE), "veth0 (host) eth0 (pod1)"),
        ("xdp.driver", PLAIN, "p"),
        ("xdp.driver", PLAIN._replace(via="link", frags=True), "p link frags"),
        ("xdp.driver", PLAIN._replace(name=BAD, frags=BAD, jited=False), "? not jited"),
        ("xdp.napi", PerQueue((True, True)), "all"),
        ("xdp.napi", PerQueue((True, False, True, True)), "0,2-3"),
        ("xdp.napi", PerQueue((False, BAD)), "?"),
        ("xdp.napi", PerQueue((True, BAD)), "0, ?"),
        ("rps.cpus", PerQueue(((0, 1), (), (0, 1))), "rx0,2:0-1"),
        ("xps.cpus", PerQueue(((0, 1), BAD)), "tx0:0-1 tx1:?"),
        ("rps.cpus", PerQueue(((0, BAD),)), "?"),
        ("rps.cpus", PerQueue(((), ())), "none"),
    ],
)
def test_value(key: str, one: Any, text: str) -> None:
    assert value(key, one) == text


@pytest.mark.parametrize(
    ("key", "old", "new", "text"),
    [
        ("lowers", (HERE,), (HERE, THERE), "+eth0 (pod1)"),
        ("flags", ("UP",), (), "-UP"),
        ("flags", ("UP", "DEBUG"), ("DEBUG", "UP"), "UP DEBUG -> DEBUG UP"),
        ("rps", (0, 1), (0, 2), "0-1 -> 0,2"),
        ("xdp.driver", None, PLAIN, "none -> p"),
        ("xdp.driver", PLAIN, PLAIN._replace(tag="0b"), "p tag 0a -> p tag 0b"),
        ("xdp.driver", PLAIN, PLAIN._replace(name="q"), "p -> q"),
        (
            *("containers", "0123456789abc", "0123456789abc"),
            "0123456789abc -> changed (--format json shows all of it)",
        ),
    ],
)
def test_change(key: str, old: Any, new: Any, text: str) -> None:
    assert change(Change(key, old, new)) == text


def test_when_it_was() -> None:
    target = {"release": "6.1.0", "arch": "x86_64", "time": None}
    linux = "Linux 6.1.0 x86_64"
    assert target_words(target, None) == [linux]
    assert target_words(target, 0) == [linux, "read 1970-01-01 00:00:00 UTC"]
    crashed = {**target, "time": 1 << 31}
    assert target_words(crashed, 0) == [linux, "crashed 2038-01-19 03:14:08 UTC"]
    assert target_words({**target, "time": 1 << 62}, 0) == [linux, "crashed ?"]
