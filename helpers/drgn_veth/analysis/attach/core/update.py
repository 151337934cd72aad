# SPDX-License-Identifier: LGPL-2.1-or-later
"""bpf_xdp_link_update() (net/core/dev.c): the decisions before dev_xdp_install()."""

from typing import Optional

from ...need import need
from ..decision import Decision
from ..question import Question

__all__ = ("UPDATE",)


def _wrong_old_program(q: Question) -> Optional[str]:
    current = q.current()
    if q.expected is None or current is None:
        return None
    have = need(current.id, "id of its program")
    if have != q.expected:
        return f"the link holds program {have}, not {q.expected}"
    return None


def _other_type(q: Question) -> Optional[str]:
    current = q.current()
    if current is None or q.program is None:
        return None
    have = need(current.expected_attach_type, "expected_attach_type of its program")
    want = q.need_program("expected_attach_type")
    if have != want:
        return (
            f"expected_attach_type is {want}, but that of the link's program is {have}"
        )
    return None


UPDATE: tuple[Decision, ...] = (
    Decision(
        "wrong-old-program",
        "bpf_xdp_link_update",
        "EPERM",
        None,
        _wrong_old_program,
        compares=(
            "the program that the link holds with the one that the caller says it "
            "replaces (BPF_F_REPLACE)"
        ),
        mend="check which program the link holds, and name that one",
    ),
    Decision(
        "other-type",
        "bpf_xdp_link_update",
        "EINVAL",
        None,
        _other_type,
        compares=(
            "the expected_attach_type of the new program with that of the link's "
            "program"
        ),
        mend="load both programs with the same section",
    ),
)
