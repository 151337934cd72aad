# SPDX-License-Identifier: LGPL-2.1-or-later
"""ethtool -L: which kernel compares what, drivers that are not veth, programs."""

import errno
import itertools
from typing import Any, Optional

from drgn_veth.analysis.need import CannotTell
from drgn_veth.core.messages import CHANNELS_AF_XDP, CHANNELS_BUSY
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Snapshot, Traits, Veth
import pytest

from tests.support.requests import (
    SOUND,
    VIRTIO,
    answer_to,
    changed,
    granted,
    key_of,
    sound_pair,
    with_bond,
)
from tests.support.snapshots import (
    BAD,
    CHANNELS,
    kernel,
    messages,
    native,
    pair,
    queues,
)

_QUEUE_BUSY = "Device queue in use by AF_XDP"


def _virtio(**near: Any) -> Snapshot:
    return pair({**VIRTIO, **near}, SOUND)


def test_which_queues_of_af_xdp_are_in_the_way() -> None:
    """Older kernels: those that would not have both RX and TX. v7.3: those that go."""
    refused = {CHANNELS_AF_XDP: (errno.EINVAL, CHANNELS_AF_XDP)}
    refused[CHANNELS_BUSY] = (errno.EINVAL, CHANNELS_BUSY)
    newest = errno.EINVAL, _QUEUE_BUSY
    wide = {**SOUND, **queues(4, 2, 4, 4)}
    for near, text, queue, older, newer in (
        (wide, "channels tx 1", 0, False, False),
        (wide, "channels tx 1", 1, True, True),
        # It has no TX queue now, either.
        (wide, "channels tx 1", 3, True, False),
        (wide, "channels rx 2", 1, False, False),
        (wide, "channels rx 2", 2, True, True),
        (wide, "channels rx 2 tx 4", 3, True, True),
        (wide, "channels rx 3 tx 4", 2, False, False),
        (VIRTIO, "channels combined 1", 0, False, False),
        (VIRTIO, "channels combined 1", 1, True, True),
    ):
        whole = pair({**near, "xsk_queues": (queue,)}, SOUND)
        for said, wanted in refused.items():
            there = whole._replace(kernel=messages("ethnl_set_channels", said))
            answer = answer_to(there, text)
            assert (answer.errno, answer.message) == (wanted if older else (0, None))
            assert not answer.either
        there = whole._replace(kernel=messages("ethnl_set_channels", "another one"))
        answer = answer_to(there, text)
        assert (answer.errno, answer.message) == (newest if newer else (0, None))
        assert not answer.either
        # Of an unknown kernel: any of them.
        for unknown in (kernel(messages=Unreadable("no text")), kernel(messages=())):
            answer = answer_to(whole._replace(kernel=unknown), text)
            if not older:
                assert answer.errno == 0 and not answer.either
                continue
            last = newest if newer else (0, None)
            may_be = [(one.errno, one.message) for one in answer.either]
            assert may_be == [*refused.values(), last]
            assert answer.errno == (errno.EINVAL if newer else None)
            assert ("which message there is" in answer.because) == newer


def test_queues_of_af_xdp_are_named() -> None:
    whole = sound_pair(**queues(4, 4), xsk_queues=(0, 2, 3))
    whole = whole._replace(kernel=messages("ethnl_set_channels", CHANNELS_AF_XDP))
    assert answer_to(whole, "channels rx 1").because == (
        "AF_XDP sockets have queue 2-3 of veth0, and only queues below 1 would be RX "
        "and TX queues"
    )


def test_a_driver_that_is_not_known() -> None:
    """It has the final say, and what it would compare is not missed."""
    driver = CHANNELS._replace(name="mlx5_core")
    for near in ({}, queues(1, 1, 2, 2)):
        answer = answer_to(sound_pair(**near, driver=driver), "channels rx 1")
        assert answer.errno is None and not answer.either
        assert "driver mlx5_core has the final say" in answer.because
        with pytest.raises(CannotTell, match="channels of driver mlx5_core"):
            granted(sound_pair(**near, driver=driver), "channels rx 1")
    none = sound_pair(driver=driver._replace(set_channels=False))
    assert answer_to(none, "channels rx 1").errno == errno.EOPNOTSUPP
    for lost in (driver._replace(set_channels=BAD), driver._replace(name=BAD)):
        answer = answer_to(sound_pair(driver=lost), "channels rx 1")
        assert isinstance(answer.errno, Unreadable)


def test_nothing_changes() -> None:
    """No driver is called, whatever it would say; nor are AF_XDP sockets in the way."""
    for near, text in (
        ({}, "channels rx 2"),
        ({}, "channels rx 2 tx 2 combined 0"),
        ({**native(), **queues(1, 2)}, "channels rx 1"),
        ({**queues(1, 2), "xsk_queues": (1,)}, "channels rx 1"),
        ({**VIRTIO, **native()}, "channels combined 2"),
    ):
        answer = answer_to(sound_pair(**near), text)
        assert (answer.errno, answer.function) == (0, "ethnl_set_channels")
    for near, text, function, because in (
        ({}, "channels rx 1 tx 4", "veth_set_channels", "rx 2 -> 1, tx 2 -> 4"),
        (VIRTIO, "channels combined 3", "virtnet_set_channels", "combined 2 -> 3"),
    ):
        answer = answer_to(sound_pair(**near), text)
        assert (answer.errno, answer.function) == (0, function)
        assert answer.because == because


def test_the_indirection_table() -> None:
    """It is not read; only fewer queues than before can be too few for it."""
    for configured in (True, BAD):
        whole = _virtio(traits=Traits(rxfh_configured=configured))
        answer = answer_to(whole, "channels combined 1")
        assert isinstance(answer.errno, Unreadable)
        assert answer_to(whole, "channels combined 3").errno == 0
        # veth has none.
        veth = sound_pair(traits=Traits(rxfh_configured=configured))
        assert answer_to(veth, "channels rx 1").errno == 0
    assert answer_to(_virtio(), "channels combined 1").errno == 0


def test_what_virtnet_set_channels_never_sees() -> None:
    """
    It has no maximum but that of combined channels, and none left is refused before.
    """
    whole = _virtio(**queues(2, 2, 3, 3))
    words = ("rx", "tx", "other", "combined")
    seen = set()
    for counts in itertools.product((None, 0, 1, 2, 4), repeat=4):
        asked = [f"{w} {n}" for w, n in zip(words, counts) if n is not None]
        if not asked:
            continue
        answer = answer_to(whole, f"channels {' '.join(asked)}")
        key = key_of(answer)
        separate = any(counts[:3])
        wanted: Optional[str] = None
        if separate or counts[3] == 4:
            wanted = "channels-maximum"
        elif counts[3] == 0:
            wanted = "channels-no-queue"
        assert key == wanted, counts
        seen.add(key)
    assert seen == {None, "channels-maximum", "channels-no-queue"}


def test_more_than_there_can_be() -> None:
    """A veth has no channels but for one direction, a virtio_net none of these."""
    for near, most in (
        ({}, {"rx": 4, "tx": 4, "combined": 0, "other": 0}),
        (queues(1, 1, 2, 3), {"rx": 2, "tx": 3, "combined": 0, "other": 0}),
        (VIRTIO, {"rx": 0, "tx": 0, "combined": 4, "other": 0}),
    ):
        for word, count in most.items():
            if count:
                answer = answer_to(sound_pair(**near), f"channels {word} {count}")
                assert answer.errno == 0
            answer = answer_to(sound_pair(**near), f"channels {word} {count + 1}")
            assert key_of(answer) == "channels-maximum"
            assert answer.because.endswith(
                f"{word} channels, but veth0 has {count} at most"
            )


def test_the_last_queue() -> None:
    for text, near in (
        ("channels rx 0", {}),
        ("channels tx 0", {}),
        ("channels rx 0 tx 0", {}),
        ("channels combined 0", VIRTIO),
    ):
        answer = answer_to(sound_pair(**near), text)
        assert key_of(answer) == "channels-no-queue"


def test_the_program_of_the_bond_of_a_veth() -> None:
    """It is in veth_priv alone, and limits the queues of both ends."""
    whole = with_bond(sound_pair(veth=Veth(0, 0)), "veth0")
    now = granted(whole, "attach driver", "bond0")
    for name, text, key in (
        ("veth0", "channels rx 1", "channels-veth-program"),
        ("eth0", "channels tx 3", "channels-veth-peer-program"),
    ):
        assert answer_to(whole, text, name).errno == 0
        answer = answer_to(now, text, name)
        assert answer.errno == errno.EINVAL and key_of(answer) == key
    # As many as the other end has are enough.
    assert answer_to(now, "channels rx 2 tx 1").errno == 0
    less = granted(now, "channels tx 1", "eth0")
    assert answer_to(less, "channels rx 1").errno == 0
    lost = changed(now, "veth0", veth=Veth(0, BAD))
    assert isinstance(answer_to(lost, "channels rx 1").errno, Unreadable)
    alone = changed(now, "veth0", peer=None)
    assert answer_to(alone, "channels rx 1").errno == 0
