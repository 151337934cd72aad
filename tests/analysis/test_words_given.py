# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user gives to be explained or found, and answers in a device's own words."""

import errno
import os
from typing import Any

from drgn_veth.analysis.attach.alike import OwnAnswers
from drgn_veth.analysis.attach.predictor import Predictor
from drgn_veth.analysis.explain.topics import UnknownTopicError, find_topic
from drgn_veth.analysis.losses import backlog_losses, outgrows
from drgn_veth.analysis.netns_names import FilterError, find_all_netns
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Container, CpuStats, Device, Snapshot
import pytest

from tests.support.snapshots import (
    BAD,
    LINKED,
    POD,
    device,
    generic,
    native,
    node,
    pair,
)

# What is explained


def test_how_short_a_part_of_a_message_may_be() -> None:
    """Four letters; fewer are a part of too much."""
    assert find_topic("veth").message == "veth"
    with pytest.raises(UnknownTopicError, match="no errno, rule or message is called"):
        find_topic("vet")


def test_how_long_a_message_may_be() -> None:
    said = "no errno, rule or message has more than 1000 letters"
    assert find_topic("ENOSPC".ljust(1000)).errno == errno.ENOSPC
    with pytest.raises(UnknownTopicError, match=f"^{said}$"):
        find_topic("ENOSPC".ljust(1001))


@pytest.mark.parametrize("given", ["28", "-28", "ENOSPC", "enospc", "00028", "'28'"])
def test_an_errno(given: str) -> None:
    assert find_topic(given).errno == errno.ENOSPC


@pytest.mark.parametrize("given", ["000028", "99999", "0", "--28", "²", "28x", "-"])
def test_numbers_that_are_no_errno(given: str) -> None:
    with pytest.raises(UnknownTopicError):
        find_topic(given)


def test_what_strerror_says() -> None:
    """Also where no check gives this errno."""
    for number in (errno.ENOSPC, errno.EXDEV):
        assert find_topic(os.strerror(number).upper()).errno == number


# Packets that are lost


def test_how_much_longer_packets_may_be() -> None:
    """There is room for a VLAN tag."""
    for mtu, longer in ((1500, False), (1504, False), (1505, True)):
        assert outgrows(*pair({"mtu": mtu}).devices) is longer
    assert outgrows(*pair({"mtu": BAD}).devices) == BAD
    assert outgrows(*pair(None, {"mtu": BAD}).devices) == BAD


def _cpus(*dropped: Any, online: Any = (0, 1)) -> Snapshot:
    whole = pair(
        cpus=tuple(CpuStats(i, 0, one, 0, 0, 0, 0) for i, one in enumerate(dropped))
    )
    target = whole.target._replace(possible_cpus=2, online_cpus=online)
    return whole._replace(target=target)


def test_full_backlogs() -> None:
    assert backlog_losses(_cpus(1, 2)) == 3
    assert backlog_losses(_cpus(0, BAD)) == BAD
    # What an offline CPU has counted is not known.
    assert isinstance(backlog_losses(_cpus(0, 0, online=(0,))), Unreadable)
    assert isinstance(backlog_losses(_cpus(0, 0, online=BAD)), Unreadable)
    assert backlog_losses(pair(cpus=None)) is None


# Namespaces


def test_containers_are_told_from_each_other() -> None:
    """By twelve characters, as docker ps shows them; by all, where these are alike."""
    whole = pair()

    def said_of(*numbers: str) -> str:
        inside = tuple(Container(one, "docker", None, "/x") for one in numbers)
        pod = whole.namespaces[1]._replace(containers=inside)
        made = whole._replace(namespaces=(whole.namespaces[0], pod))
        with pytest.raises(FilterError) as raised:
            find_all_netns(made, ["container:zzz"])
        return str(raised.value).partition("available: ")[2]

    one, other = "0123456789ab" + "c" * 52, "0123456789ax" + "c" * 52
    assert said_of(one) == one[:12]
    assert said_of(one, other) == f"{one[:12]}, {other[:12]}"
    like = one[:12] + "d" * 52
    assert said_of(one, like) == f"{one}, {like}"
    assert said_of() == "none"


def test_pods_are_told_by_their_whole_identifier() -> None:
    whole = pair()
    pod = "3f2b6f6e-2c19-4d6c-9f0e-9a1f4f7d0c11"
    inside = (Container("0" * 64, "containerd", pod, "/x"),)
    named = whole.namespaces[1]._replace(containers=inside)
    made = whole._replace(namespaces=(whole.namespaces[0], named))
    with pytest.raises(FilterError, match=f"available: {pod}$"):
        find_all_netns(made, ["pod:zzz"])
    assert find_all_netns(made, [f"pod:{pod[:8]}"]) == frozenset((POD,))


# Answers


@pytest.mark.parametrize(
    ("op", "via", "linked", "what"),
    [
        ("replace", "netlink", False, "replace"),
        ("replace", "netlink", True, "replace"),
        ("replace", "link", False, "attach"),
        ("replace", "link", True, "update"),
        ("attach", "link", True, "attach"),
    ],
)
def test_what_a_replacement_is(op: str, via: str, linked: bool, what: str) -> None:
    """By netlink it replaces; a link is updated, or a new one is attached."""
    whole = pair(native(program=LINKED)) if linked else pair(native())
    one = whole.devices[0]
    (answer,) = Predictor(whole).answers(one, op, ["driver"], [via], [False])
    assert answer[:4] == (what, "driver", via, False)


def test_only_netlink_detaches() -> None:
    whole = pair(native())
    answers = Predictor(whole).answers(
        whole.devices[0], "detach", ["driver"], ["netlink", "link"], [False, True]
    )
    assert [one[:4] for one in answers] == [("detach", "driver", "netlink", False)]


def _own(whole: Snapshot, devices: list[Device]) -> list[str]:
    own = OwnAnswers(Predictor(whole), "attach", ["driver"], ["netlink"], [False])
    return [one.answer.because for each in devices for one in own.of(each)]


def test_answers_name_the_device_that_was_asked() -> None:
    """From the third on, they are those of one that is alike."""
    whole = node(6)
    full = [
        one._replace(xdp=one.xdp._replace(**_generic())) if one.peer else one
        for one in whole.devices
    ]
    whole = whole._replace(devices=tuple(full))
    asked = [one for one in full if str(one.name).startswith("veth")]
    because = _own(whole, asked)
    assert because == [f"{one.name} has program 7 in generic mode" for one in asked]


def _generic() -> dict[str, Any]:
    return {"generic": generic()["xdp"].generic}


def test_answers_of_devices_without_a_peer() -> None:
    lone = [
        device(4026531840, 20 + i, f"d{i}", kind="veth", **generic()) for i in range(4)
    ]
    whole = pair()
    lone = [one._replace(driver=whole.devices[0].driver) for one in lone]
    whole = whole._replace(devices=(*whole.devices, *lone))
    because = _own(whole, lone)
    assert because == [f"d{i} has program 7 in generic mode" for i in range(4)]
