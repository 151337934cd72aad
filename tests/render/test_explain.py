# SPDX-License-Identifier: LGPL-2.1-or-later
"""Explanations on a screen."""

import json
import re

from drgn_veth.analysis.attach.predictor import Predictor
from drgn_veth.analysis.explain.checks import CHECKS
from drgn_veth.analysis.explain.met import Undecided, met, undecided
from drgn_veth.analysis.explain.topics import errnos, find_topic
from drgn_veth.analysis.rules import RULES
from drgn_veth.render import explain_json
from drgn_veth.render.explain import Here, index, topic
from drgn_veth.render.style import Style
import pytest

from tests.support.recorded import recorded_core


def here(name: str) -> Here:
    snapshot = recorded_core(name).snapshot
    predictor = Predictor(snapshot)
    return Here(
        "6.12.0",
        snapshot.kernel,
        met(predictor, snapshot.devices, CHECKS),
        undecided(predictor, snapshot.devices),
    )


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_too_wide(width: int) -> None:
    found = here("6.12-zoo")
    style = Style(width)
    texts = [index(style)]
    for name in (*errnos(), "ENOTTY", "Peer MTU", "no-peer", "NO-CARRIER"):
        texts += [topic(find_topic(name), style, one) for one in (None, found)]
    for text in texts:
        assert max(map(len, text.splitlines())) <= width, text
        assert all(c.isprintable() or c == "\n" for c in text)
        assert text.endswith("\n") and not text.endswith("\n\n")


def test_the_seed() -> None:
    """What is needed, what no mode means, and the way out."""
    text = words(topic(find_topic("ENOSPC")))
    for part in (
        "ENOSPC (28): No space left on device",
        "One check in the kernel returns it.",
        "Native XDP on a veth needs real RX queues >= the peer's real TX queues.",
        "no mode: that means driver mode if the driver has ndo_bpf",
        "ip link set dev DEVICE xdpgeneric obj FILE",
        "rule xdp-native-queues",
    ):
        assert part in text
    text = words(topic(find_topic("ENOSPC"), here=here("6.12-zoo")))
    for part in (
        "On 6.12.0, 3 devices would get it now: q24b (host), q24a (host), onea (host)",
        "; 1 other is refused earlier and would get it next: veth_xxx0 (host).",
        "all since v5.9; 6.12.0 has it",
        "q24b (host): default, driver q24b has only 2 real RX queues, but its",
        "its peer q24a has 4 real TX queues $ ethtool -L q24a tx 2 generic mode would",
        "generic mode would be accepted: xdpgeneric",
        "1 device is refused earlier and would meet it next veth_xxx0 (host): ",
        "veth_xxx0 (host): default, driver, after EEXIST veth_xxx0 has only 14 real",
    ):
        assert part in text


def test_json_says_what_is_here_only_if_it_was_looked_at() -> None:
    topics = [find_topic("ENOSPC")]
    (check,) = json.loads(explain_json.render(topics))["checks"]
    assert "in_this_kernel" not in check and "devices" not in check
    (check,) = json.loads(explain_json.render(topics, here("6.12-zoo")))["checks"]
    assert check["in_this_kernel"] is True
    names = {one["device"]["name"] for one in check["devices"]}
    assert names == {"q24b", "q24a", "onea", "veth_xxx0"}


def test_offload_is_counted_apart() -> None:
    text = words(topic(find_topic("EINVAL"), here=here("6.12-zoo")))
    assert re.search(
        "no device would get it now; for offload, [0-9]+ devices would", text
    )
    assert re.search("[0-9]+ devices here meet it now, for offload", text)


def test_many_devices() -> None:
    """Twelve are shown with their numbers, the others are named."""
    text = topic(find_topic("EEXIST"), here=here("6.12-zoo"))
    _, _, found = text.partition("27 devices here meet it now\n")
    shown, _, others = found.partition("    and also ")
    assert len(re.findall(r"^    \S+ \(", shown, re.MULTILINE)) == 12
    assert len(others.split(",")) == 15


def test_a_part_of_a_message() -> None:
    text = words(topic(find_topic("Peer MTU"), here=here("6.12-zoo")))
    later = "m3507a (host), m9000b (host), m9000a (host)."
    more = f"; 3 others are refused earlier and would get it next: {later}"
    assert f"1 device would get it now: m3507b (host){more}" in text
    assert "default, driver without fragments" in text
    text = words(topic(find_topic("peer is detached"), here=here("6.12-zoo")))
    assert "no device would get it now." in text


def test_checks_that_nobody_meets_are_told_in_short() -> None:
    text = topic(find_topic("EINVAL"), here=here("6.12-zoo"))
    assert text.count("\n  compares  ") < len(find_topic("EINVAL").checks)
    assert "No device here meets these now" in words(text)
    for check in find_topic("EINVAL").checks:
        assert check.function in words(text)


def test_drivers_that_are_not_known() -> None:
    known = here("6.12-zoo")
    found = known._replace(undecided=Undecided({"mlx5_core": 2}, 1))
    text = words(topic(find_topic("ENOSPC"), here=found))
    assert "drgn-veth does not know" in text and "mlx5_core (2 devices)" in text
    assert "Unknown for 1 device in driver mode" in text
    text = words(topic(find_topic("ENOTTY")))
    assert "No check of an XDP attach that drgn-veth knows returns it." in text
    assert "another driver may return any errno" in text


def test_a_kernel_that_is_too_old() -> None:
    text = words(
        topic(find_topic("EBUSY"), here=Here("5.4", None, (), Undecided({}, 0)))
    )
    assert "5.4 is older than v5.9" in text and "here meet" not in text
    hostile = Here("5.4\x1b[31m", None, (), Undecided({}, 0))
    text = topic(find_topic("EBUSY"), here=hostile)
    assert "5.4\\x1b[31m is older" in words(text) and "\x1b" not in text


def test_what_is_not_predicted() -> None:
    text = words(topic(find_topic("ENOMEM"), here=here("6.12-zoo")))
    assert "drgn-veth does not predict it" in text


def test_index_has_a_line_for_each() -> None:
    text = index(Style(120))
    lines = text.splitlines()
    for name in errnos():
        assert sum(line.startswith(f"  {name} ") for line in lines) == 1
    for rule in RULES:
        assert f"  {rule.id}: {rule.title}" in lines


def test_color_is_only_paint() -> None:
    painted = topic(find_topic("ENOSPC"), Style(80, True))
    assert "\x1b[1m" in painted
    plain = painted.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert plain == topic(find_topic("ENOSPC"))
