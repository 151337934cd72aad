# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a face has shown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from .status import EXIT_OK

__all__ = ("Shown",)


class Shown(NamedTuple):
    """What a face has shown, for a prompt to go on with."""

    #: Records of :mod:`drgn_veth.model`, or attempts, in the order of the screen.
    records: Sequence[Any] = ()
    status: int = EXIT_OK  #: exit status of the script
