# SPDX-License-Identifier: LGPL-2.1-or-later
"""What native XDP would meet."""

import errno

from drgn_veth.analysis.native import native_answers, refused
from drgn_veth.analysis.shown import shown
from drgn_veth.render import native
from drgn_veth.render.pairs import pairs
from drgn_veth.render.style import Style

from tests.support.recorded import recorded_core


def test_refusals_are_in_the_order_of_their_errnos() -> None:
    """What no driver does and what runs already come last."""
    whole = recorded_core("6.12-zoo").snapshot
    groups = refused(whole.devices, native_answers(whole, whole.devices))
    numbers = [group.errno for group in groups]
    assert list(dict.fromkeys(numbers)) == [
        *(errno.EEXIST, errno.ENOSPC, errno.ERANGE, errno.EOPNOTSUPP, errno.EBUSY)
    ]
    # Each errno in one place, each message once.
    assert numbers == sorted(numbers, key=numbers.index)
    assert len({group[:2] for group in groups}) == len(groups)
    text = "\n".join(native.refused(groups, Style(80)))
    assert " more\n" in text and "--all --failing --mode driver" in text
    assert "--failing" not in "\n".join(native.refused(groups, Style(2000)))


def test_a_native_program_that_runs_is_no_fault() -> None:
    whole = recorded_core("6.12-zoo").snapshot
    devices = {device.net_device: device for device in whole.devices}
    answers = native_answers(whole, whole.devices)
    seen = shown(whole, ())
    for color in (False, True):
        lines = pairs(seen, devices, {}, answers, Style(120, color=color))
        (line,) = (one for one in lines if "cross12" in one)
        assert line.endswith(" EBUSY")
        (line,) = (one for one in lines if "q24b" in one)
        assert line.endswith("\x1b[31mENOSPC\x1b[0m" if color else " ENOSPC")


def test_names_in_a_line() -> None:
    for found, columns, said in (
        (["abcdef"], 6, "abcdef"),
        (["abc", "d" * 20], 14, "abc and 1 more"),
        (["a", "b", "c"], 15, "a, b, c"),
        (["a", "b", "c"], 14, "a and 2 more"),
        (["a", "b", "c" * 20], 15, "a, b and 1 more"),
    ):
        assert native.names(found, columns) == said
