# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of devices, words for a shell, and devices of which an answer is not known."""

import errno

from drgn_veth.analysis.attach.predictor import Predictor
from drgn_veth.analysis.chains import MOST_LEVELS, chains_above
from drgn_veth.analysis.explain.checks import CHECKS, check_of, is_made
from drgn_veth.analysis.explain.met import Undecided, undecided
from drgn_veth.analysis.filters import Wanted, matched_only, named
from drgn_veth.analysis.limits import can_have_channels, mtu_limit
from drgn_veth.analysis.netns_names import FilterError
from drgn_veth.analysis.remedies import Fixes, Remedy, lowers_which
from drgn_veth.analysis.shell import rps_mask, shell_quote, shell_words
from drgn_veth.core.messages import DRIVER_MESSAGES
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Driver
import pytest

from tests.support.requests import SOUND, VIRTIO, answer_to
from tests.support.snapshots import (
    BAD,
    HOST,
    LINKED,
    POD,
    PROGRAM,
    device,
    kernel,
    pair,
    queues,
    snapshot,
)


def test_mtu_limits() -> None:
    one = device(HOST, 3, "veth0", min_mtu=68, max_mtu=1500)
    for mtu, limit in (
        (67, "min_mtu"),
        (68, None),
        (1500, None),
        (1501, "max_mtu"),
        ((1 << 31) - 1, "max_mtu"),
        # The kernel takes it as an int.
        (1 << 31, "min_mtu"),
    ):
        assert mtu_limit(one, mtu) == limit
    # 0 means no limit.
    assert mtu_limit(one._replace(max_mtu=0), 65536) is None
    assert mtu_limit(one._replace(min_mtu=BAD), 1500) == BAD
    assert mtu_limit(one._replace(max_mtu=BAD), 1500) == BAD
    assert mtu_limit(one._replace(max_mtu=BAD), 67) == "min_mtu"


def test_channel_limits() -> None:
    one = device(HOST, 3, "veth0", **queues(2, 2, 4, 3))
    for rx, tx, can in (
        (0, None, False),
        (1, None, True),
        (4, None, True),
        (5, None, False),
        (None, 3, True),
        (None, 4, False),
        (4, 0, False),
    ):
        assert can_have_channels(one, rx, tx) == can
    # Those that AF_XDP sockets have stay: the queues from the new number on are lost.
    for queue, can in ((0, True), (1, False), (2, True)):
        assert can_have_channels(one._replace(xsk_queues=(queue,)), 1, None) == can
    assert can_have_channels(one._replace(xsk_queues=BAD), 1, None)
    lost = device(HOST, 3, "veth0", **queues(BAD, 2, BAD, 3))
    assert can_have_channels(lost, 99, None)
    assert not can_have_channels(lost, None, 4)


def test_levels_of_a_chain() -> None:
    """As many as that are followed, and a device more is said to be too many."""
    for number, cut in ((MOST_LEVELS, None), (MOST_LEVELS + 1, "more than 16 levels")):
        devices = [device(HOST, 100 + i, f"d{i}") for i in range(number + 1)]
        for i in range(number):
            devices[i] = devices[i]._replace(uppers=(devices[i + 1].ref,))
        by_address = {one.net_device: one for one in devices}
        (chain,) = chains_above(devices[0], by_address)
        assert chain.cut == cut
        assert len(chain.devices) == min(number, MOST_LEVELS)


# Words for a shell


def test_words_for_a_shell() -> None:
    for word, said in (
        ("veth0", "veth0"),
        ("a b", "'a b'"),
        ("", "''"),
        ("a\\b", "\"$(printf -- 'a\\134b')\""),
        # A byte that is no UTF-8 is one byte again.
        ("a\\xff", "\"$(printf -- 'a\\377')\""),
        ("\\x80", "\"$(printf -- '\\200')\""),
        ("\\x7f", "\"$(printf -- '\\134x7f')\""),
        ("\xe9", "\"$(printf -- '\\303\\251')\""),
    ):
        assert shell_quote(word) == said
    assert list(shell_words("ip link set 'a b' up")) == [
        *("ip", "link", "set", "'a b'", "up")
    ]


def test_masks_for_sysfs() -> None:
    """Words of 32 CPUs."""
    assert rps_mask([0]) == "1"
    assert rps_mask([31]) == "80000000"
    assert rps_mask([32]) == "1,00000000"
    assert rps_mask([0, 32, 64]) == "1,00000001,00000001"


def test_commands_that_cannot_be_printed() -> None:
    """Without a name, a program's number, or a namespace, there is none."""
    whole = pair()
    fixes = Fixes(whole)
    ref = whole.devices[0].ref
    assert fixes.rps_each(ref, {0: (1,)}) and fixes.rps_all(ref, (1,))
    assert fixes.rps_each(ref, {}) == ()
    assert fixes.attach_again(ref, "driver", PROGRAM)
    assert fixes.attach_again(ref, "driver", LINKED) == ()
    assert fixes.attach_again(ref, "driver", PROGRAM._replace(id=BAD)) == ()
    for lost in (ref._replace(name=BAD), ref._replace(netns=BAD)):
        assert fixes.rps_each(lost, {0: (1,)}) == fixes.rps_all(lost, (1,)) == ()
        assert fixes.attach_again(lost, "driver", PROGRAM) == ()


def test_commands_in_a_row() -> None:
    """One that cannot be given takes the other with it, but not what it would do."""
    one, other = Remedy(("a",), "does x"), Remedy(("b", "c"))
    assert one.and_then(other) == Remedy(("a && b && c",), "does x")
    assert one.and_then(Remedy((), "does y")) == Remedy((), "does x, does y")
    assert Remedy().and_then(other) == Remedy()
    assert one.fix_effect == "does x" and Remedy((), "does x").fix_effect is None
    assert lowers_which("lowers the MTU of a and of b") == ["a", "b"]
    assert lowers_which("lowers the MTU of a, turns x off") is None
    assert lowers_which("turns x off") is None


# Filters


def test_devices_of_a_name() -> None:
    whole = snapshot(
        device(HOST, 3, "a"), device(POD, 3, "a"), device(POD, 4, "a*", matched=True)
    )
    with pytest.raises(FilterError, match="2 devices are named 'a', in the network"):
        named(whole, ["a"])
    (one,) = named(whole, ["a"], Wanted(netns=frozenset({POD})))
    assert one.netns == POD
    # A name that looks like a pattern is first a name.
    assert [d.ifindex for d in named(whole, ["a*"])] == [4]
    assert len(named(whole, ["?"])) == 2
    everywhere = Wanted(netns=frozenset({HOST, POD}))
    assert len(named(whole, ["a"], everywhere)) == 2
    with pytest.raises(FilterError, match=f"'a\\*' in the network namespace {HOST}$"):
        named(whole, ["a*"], everywhere)
    # A pattern need not match in each of them.
    assert len(named(whole, ["a?"], everywhere)) == 1


def test_what_a_filter_matches() -> None:
    """A namespace that is matched stays, and one of a device that is."""
    whole = snapshot(device(HOST, 3, "a", matched=True), device(POD, 3, "b"))
    kept = matched_only(whole)
    assert [one.name for one in kept.devices] == ["a"]
    assert [one.inum for one in kept.namespaces] == [HOST]
    spaces = tuple(one._replace(matched=one.inum == POD) for one in whole.namespaces)
    kept = matched_only(whole._replace(namespaces=spaces))
    assert [one.inum for one in kept.namespaces] == [HOST, POD]


# Answers that are not known


def test_devices_whose_answer_is_not_certain() -> None:
    other = Driver("mlx5_core", True, True, True)
    nics = [
        device(
            HOST, 40 + i, f"n{i}", kind=None, driver=other, mac=f"02:00:00:00:00:0{i}"
        )
        for i in range(2)
    ]
    lost = device(HOST, 50, "n9", kind=None, driver=other._replace(name="ice"))
    whole = pair(None, {"mtu": BAD}, *nics, lost)
    found = undecided(Predictor(whole), whole.devices)
    assert found == Undecided({"mlx5_core": 2, "ice": 1}, 1)
    assert undecided(Predictor(pair()), pair().devices) == Undecided({}, 0)


def test_which_kernel_makes_a_check() -> None:
    """Its code tells; without the code of the driver, that is not known."""
    by_key = {check.key: check for check in CHECKS}
    check = next(
        one
        for one in CHECKS
        if one.decision is not None
        and not one.decision.may_be_silent
        and (one.message or "").encode() in DRIVER_MESSAGES.get(one.ndo_bpf or "", ())
    )
    assert check.message is not None and check.ndo_bpf is not None
    for messages, made in (
        (((check.ndo_bpf, frozenset({check.message})),), True),
        (((check.ndo_bpf, frozenset({"another"})),), False),
        ((), None),
        (BAD, None),
    ):
        said = is_made(check, kernel(messages=messages))
        assert isinstance(said, Unreadable) if made is None else said is made
    frags = by_key["no-frags"]
    assert is_made(frags, kernel(xdp_frags=False)) is True
    assert is_made(frags, kernel(xdp_frags=True)) is False


def test_the_check_of_an_answer() -> None:
    whole = pair(None, {"mtu": 9000})
    answer = Predictor(whole).attach(whole.devices[0], "driver")
    check = check_of(answer)
    assert check is not None and check.key == "veth-mtu"
    for number in (0, None, BAD):
        assert check_of(answer._replace(errno=number)) is None


def test_virtio_net_has_combined_channels_only() -> None:
    """Each other word is more than there can be."""
    whole = pair(VIRTIO, SOUND)
    for text, number in (
        ("channels combined 4", 0),
        ("channels combined 5", errno.EINVAL),
        ("channels rx 1", errno.EINVAL),
        ("channels other 1", errno.EINVAL),
    ):
        assert answer_to(whole, text).errno == number
