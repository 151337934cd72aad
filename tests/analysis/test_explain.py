# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is explained, and which devices meet it."""

import collections
import errno
import os

from drgn_veth.analysis.attach import core
from drgn_veth.analysis.attach.drivers import DRIVERS
from drgn_veth.analysis.attach.drivers.bonding import BOND_SLAVE
from drgn_veth.analysis.attach.predictor import MODES, VIAS, Predictor
from drgn_veth.analysis.attach.question import errno_name
from drgn_veth.analysis.explain.check import Check
from drgn_veth.analysis.explain.checks import (
    CHECKS,
    check_of,
    function_in,
    is_made,
)
from drgn_veth.analysis.explain.met import met
from drgn_veth.analysis.explain.topics import (
    UnknownTopicError,
    errnos,
    find_topic,
    find_topics,
)
from drgn_veth.analysis.rules import RULES
from drgn_veth.analysis.rules.rule import Rule
from drgn_veth.core import messages
from drgn_veth.core.unreadable import Unreadable
import pytest

from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.slow import slow_but


def test_every_decision_is_a_check() -> None:
    """And says what it compares and how to fix it."""
    decisions = {
        decision.key
        for decisions in (
            *(core.NETLINK, core.UPDATE, core.CORE, core.CHECKS, core.NO_OPERATION),
            *(core.INSTALL, core.GENERIC, BOND_SLAVE),
            *(driver.decisions for driver in DRIVERS.values()),
        )
        for decision in decisions
    }
    assert len(decisions) > 30
    assert decisions <= {check.key for check in CHECKS}
    assert len({check.key for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert len(check.compares) > 15 and len(check.mend) > 8, check.key
        assert check.kernels and set(check.modes) <= set(MODES), check.key
        assert getattr(errno, check.errno)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.key)
def test_every_errno_and_message_is_explained(check: Check) -> None:
    """By name, by number, by what strerror() says; and by its message."""
    number = getattr(errno, check.errno)
    name = errno_name(number)
    for given in (name, name.lower(), str(number), f"-{number}", os.strerror(number)):
        topic = find_topic(given)
        assert topic.errno == number
        assert check in topic.checks
    message = check.message
    if message is not None:
        for given in (message, message[3:-3].upper(), f"Error: {message}."):
            assert check in find_topic(given).checks


def test_the_seed() -> None:
    (topic,) = find_topics(["No", "space", "left", "on", "device"])
    (check,) = topic.checks
    assert (topic.errno, check.key) == (errno.ENOSPC, "veth-queues")
    assert "real RX queues >= the peer's real TX queues" in check.compares
    assert "xdpgeneric" in check.mend
    assert [rule.id for rule in topic.rules] == ["xdp-native-queues"]
    said = "libbpf: Kernel error message: " + (check.message or "")
    assert find_topic(said).checks == (check,)
    assert find_topics(["ENOSPC", "28"]) == [topic, topic]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_found_by_its_symptoms(rule: Rule) -> None:
    assert find_topic(rule.id).rule is rule
    for sign in rule.symptoms:
        assert rule in find_topic(sign.text).rules


def test_a_line_of_the_log() -> None:
    """Words stand where the message has %s."""
    line = "unregister_netdevice: waiting for veth7 to become free. Usage count = 2"
    topic = find_topic(f"[ 9.1] {line}")
    assert [rule.id for rule in topic.rules] == ["device-stuck-unregistering"]
    assert messages.UNREGISTER not in line


def test_an_errno_that_no_check_gives() -> None:
    topic = find_topic("enotty")
    assert (topic.errno, topic.checks, topic.rules) == (errno.ENOTTY, (), ())
    assert "ENOTTY" not in errnos()


@pytest.mark.parametrize(
    "given, said",
    [
        ("ENOSPCE", "nearest: ENOSPC"),
        ("xdp-native-queue", "nearest: xdp-native-queues"),
        ("EN", "explain alone lists all of them"),
        ("", "explain alone lists all of them"),
        ("999", "explain alone lists all of them"),
        ("99999999", "explain alone lists all of them"),
        ("[((", "explain alone lists all of them"),
    ],
)
def test_what_is_not_known(given: str, said: str) -> None:
    with pytest.raises(UnknownTopicError) as error:
        find_topic(given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", slow_but([EVERY_CORE[0], EVERY_CORE[-1]], EVERY_CORE))
def test_devices_are_those_of_the_predictor(name: str) -> None:
    """Of each check and mode; and each refusal belongs to a check."""
    snapshot = recorded_core(name).snapshot
    predictor = Predictor(snapshot)
    wanted: dict[str, set[tuple[int, str]]] = collections.defaultdict(set)
    generic = set()
    for device in snapshot.devices:
        for _, mode, _, _, answer in predictor.answers(
            device, "attach", MODES, VIAS, (False, True)
        ):
            if isinstance(answer.errno, int) and answer.errno:
                check = check_of(answer)
                assert check is not None, answer
                assert check.errno == errno_name(answer.errno)
                assert mode in check.modes, (check.key, mode)
                assert answer.message in (check.message, None)
                assert snapshot.kernel is not None
                assert is_made(check, snapshot.kernel) is not False, check.key
                made_in = function_in(check, snapshot.kernel)
                assert answer.function in made_in.split("(), "), check.key
                wanted[check.key].add((device.net_device, mode))
            elif answer.errno == 0 and mode == "generic":
                generic.add(device.net_device)
    found: dict[str, set[tuple[int, str]]] = collections.defaultdict(set)
    for one in met(predictor, snapshot.devices, CHECKS):
        assert one.generic_ok is (one.device.net_device in generic)
        if not one.after:
            found[one.check.key] |= {(one.device.net_device, m) for m in one.modes}
    assert found == wanted
    assert found


def test_a_word_that_is_too_long() -> None:
    with pytest.raises(UnknownTopicError) as raised:
        find_topic("a" * 1_000_000)
    assert len(str(raised.value)) < 100


@pytest.mark.slow
def test_whether_a_kernel_makes_a_check() -> None:
    """As the kernels that were recorded do, and their sources say."""
    made = {}
    for name in ("5.10-zoo", "6.1-zoo", "6.12-zoo", "7.3-zoo"):
        kernel = recorded_core(name).snapshot.kernel
        assert kernel is not None
        made[name] = {
            check.key: is_made(check, kernel) for check in CHECKS if check.predicted
        }
    for key, there in (
        ("exists", (True, True, True, True)),
        ("ambiguous", (True, True, True, True)),
        ("upper", (False, True, True, True)),
        ("program-maps", (True, False, False, False)),
        ("no-frags", (True, False, False, False)),
        ("offload-without-hw-old", (True, True, False, False)),
        ("offload-without-hw", (False, False, True, True)),
        ("bound-in-skb", (False, False, True, True)),
        ("memory-provider", (False, False, True, True)),
        ("tcp-data-split", (False, False, False, True)),
        ("veth-queues", (True, True, True, True)),
    ):
        assert tuple(of_kernel[key] for of_kernel in made.values()) == there, key


def test_code_that_was_not_read() -> None:
    kernel = recorded_core("6.12-zoo").snapshot.kernel
    assert kernel is not None
    unread = kernel._replace(messages=Unreadable("no code"))
    unknown = {
        check.key for check in CHECKS if isinstance(is_made(check, unread), Unreadable)
    }
    assert {"ambiguous", "upper", "program-maps", "virtio-mtu-any"} <= unknown
    assert "veth-queues" not in unknown
