# SPDX-License-Identifier: LGPL-2.1-or-later
"""A question about an XDP attach, in the terms of the JSON contract, and its answer."""

from typing import NamedTuple

from ..analysis.attach.question import Answer
from ..model import Device

__all__ = ("Attempt",)


class Attempt(NamedTuple):
    """A question, in the terms of the JSON contract, and its answer."""

    device: Device
    op: str  # attach, replace, detach, update
    mode: str
    via: str
    frags: bool
    answer: Answer
