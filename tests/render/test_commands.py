# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that a screen tells to type."""

import shlex
import subprocess

from drgn_veth.render.commands import hint
from drgn_veth.render.style import PLAIN


def test_a_hint_that_has_no_room_runs_all_the_same() -> None:
    call = "drgn-veth attach -c x.core DEVICE"
    assert hint("why", call, PLAIN, "  ") == [f"  why: {call}"]
    call = f"drgn-veth attach -c '{'a b' * 40}' DEVICE"
    said, *lines = hint("why", call, PLAIN, "  ")
    assert said == "  why:" and max(map(len, lines)) <= PLAIN.width
    argv = ["sh", "-c", "\n".join(lines).replace("drgn-veth", r"printf '%s\n'", 1)]
    assert (
        subprocess.check_output(argv, text=True).splitlines() == (shlex.split(call)[1:])
    )
