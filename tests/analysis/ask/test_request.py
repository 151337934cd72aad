# SPDX-License-Identifier: LGPL-2.1-or-later
"""The requests that parse() accepts, and its errors for all others."""

from drgn_veth.analysis.ask.request import (
    Attach,
    Bind,
    Channels,
    Detach,
    Devmap,
    Enslave,
    Move,
    Mtu,
    RequestError,
    What,
    parse,
)
import pytest


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("channels rx 4 tx 2", Channels(rx=4, tx=2)),
        ("channels combined 0", Channels(combined=0)),
        ("mtu 4294967295", Mtu(4294967295)),
        ("enslave br0", Enslave("br0")),
        ("enslave none", Enslave(None)),
        ("netns same ifindex 7", Move("same", 7)),
        ("netns pod", Move("pod")),
        ("bind queue 1", Bind(1)),
        ("bind queue 0 zerocopy sg", Bind(0, ("zerocopy", "sg"))),
        ("devmap", Devmap(False, 1, 0, False, None)),
        (
            "devmap hash max 8 key 3 noexist program cpumap",
            Devmap(True, 8, 3, True, "cpumap"),
        ),
        ("attach", Attach()),
        ("attach generic frags link", Attach("generic", True, "link")),
        ("attach driver netlink", Attach("driver")),
        ("detach offload", Detach("offload")),
    ],
)
def test_understood(text: str, what: What) -> None:
    assert parse(text) == (False, what)
    assert parse(f"peer {text}") == (True, what)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected channels, mtu,"),
        ("peer", "not 'peer'"),
        ("remove br0", "not 'remove'"),
        ("channels", "takes rx, tx, combined, other and a number"),
        ("channels rx", "rx takes a number; for example: channels rx 4"),
        ("channels all 8", "not 'all'; for example: channels rx 8"),
        ("channels rx ²", "not '²'"),
        ("mtu", "mtu takes a number"),
        ("mtu 1 2", "mtu takes a number"),
        ("mtu 4294967296", "not '4294967296'"),
        ("mtu -1", "not '-1'"),
        ("enslave", "takes the name of a device"),
        ("enslave br0 br1", "takes the name of a device"),
        ("netns", "takes the name of a namespace"),
        ("netns pod index 7", "expected ifindex"),
        ("bind", "takes queue and a number"),
        ("bind queue", "takes queue and a number"),
        ("bind 1 queue", "takes queue and a number"),
        ("bind queue 1 fast", "expected copy, zerocopy, need-wakeup, sg, not 'fast'"),
        ("devmap tree", "takes array or hash"),
        ("devmap max", "takes array or hash"),
        ("devmap program tc", "program takes devmap, cpumap, plain"),
        ("attach driver generic", "one mode is enough: driver generic"),
        ("attach fast", "fast"),
        ("detach driver link", "one mode is enough: driver link"),
    ],
)
def test_not_understood(text: str, why: str) -> None:
    with pytest.raises(RequestError) as raised:
        parse(text)
    assert why in str(raised.value)
