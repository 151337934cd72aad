# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel was asked, and what it said."""

from __future__ import annotations

from collections.abc import Sequence

from devices import Device, Reply

__all__ = ("Record",)


class Record:
    """All answers, and all questions that were not asked."""

    def __init__(self) -> None:
        self.answers: list[dict[str, object]] = []
        self.skipped: list[dict[str, object]] = []

    def note(
        self,
        netns: int,
        device: Device,
        question: str,
        reply: Reply,
        before: Sequence[str] = (),
    ) -> bool:
        """Record an answer, and return whether the kernel accepted.

        :param before: the questions that the kernel had accepted, and not been asked
            to undo, when this one was asked
        """
        self.answers.append(
            {
                "netns": netns,
                "ifindex": device.ifindex,
                "name": device.name,
                "before": list(before),
                "question": question,
                "errno": reply.errno,
                "message": reply.message,
            }
        )
        return reply.errno == 0

    def skip(self, netns: int, device: Device, question: str, reason: str) -> None:
        """Record that a question is not asked."""
        self.skipped.append(
            {
                "netns": netns,
                "ifindex": device.ifindex,
                "name": device.name,
                "question": question,
                "reason": reason,
            }
        )
