# SPDX-License-Identifier: LGPL-2.1-or-later
"""xdp_attach.py --then on a recorded core: the screen, the JSON, and wrong use."""

import json
from pathlib import Path

import pytest

from tests.support.attach_script import NEWEST, refused, run, screen
from tests.support.recorded import recorded_core
from tests.support.schemas import validate


@pytest.fixture(scope="module")
def core() -> Path:
    return recorded_core(NEWEST).core


@pytest.mark.slow
def test_the_attach_works_after_ethtool(core: Path) -> None:
    """More TX queues at the peer than RX queues; fewer TX queues help."""
    text = screen(core, "q24b", "--then", "attach driver")
    assert "1. attach driver ENOSPC" in text
    text = screen(
        core, "q24b", "--then", "peer channels tx 1", "--then", "attach driver"
    )
    assert "2. attach driver ok veth_xdp_set()" in text


@pytest.mark.slow
def test_json(core: Path) -> None:
    questions = ("attach driver", "mtu 65536", "devmap hash program plain")
    args = [word for one in questions for word in ("--then", one)]
    done = run(core, "veth_yyy0", *args, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    validate(document, "drgn-veth-1-questions")
    asked = document["questions"]
    assert [one["question"] for one in asked] == list(questions)
    assert asked[1]["message"] == "mtu greater than device maximum"
    assert [one["error"] for one in asked[1:]] == ["EINVAL", "EINVAL"]
    assert not any(one["carried_out"] for one in asked if one["error"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--then", "fly"), "expected channels, mtu"),
        (("--then", "mtu x"), "mtu takes a number"),
        (("--then", "channels rx"), "rx takes a number"),
        (("--then", "bind queue 0 fast"), "expected copy, zerocopy"),
        (("--then", "attach sideways"), "sideways"),
        (("--then", "mtu 1", "--mode", "driver"), "--mode does not go with --then"),
    ],
)
def test_wrong_use(core: Path, args: tuple[str, ...], said: str) -> None:
    assert said in refused(core, "veth_xxx0", *args)
