# SPDX-License-Identifier: LGPL-2.1-or-later
"""XDP programs on the devices directly above one."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional, Union

from ...core.unreadable import Maybe, Unreadable
from ...model import XDP_MODES, Device, DeviceRef, XdpProgram
from ..need import need

__all__ = ("ProgramAbove", "programs_above")


class ProgramAbove(NamedTuple):
    """A program on an upper device, or why it is unknown whether there is one."""

    upper: Union[Device, DeviceRef]  #: a DeviceRef if it was not found
    mode: Optional[str]  #: None: it was not found
    program: Maybe[XdpProgram]


def programs_above(
    device: Device,
    by_address: Mapping[int, Device],
    gone: frozenset[tuple[int, str]] = frozenset(),
) -> Iterator[ProgramAbove]:
    """
    Yield the programs on the devices directly above one.

    :param by_address: All devices
    :param gone: Programs that are assumed to be detached: device, mode
    :raises CannotTell: if the list of devices could not be read
    """
    for ref in need(device.uppers, "adj_list.upper"):
        upper = by_address.get(ref.net_device)
        if upper is None:
            why = Unreadable("it was not found in any namespace")
            yield ProgramAbove(ref, None, why)
            continue
        for mode in XDP_MODES:
            program = getattr(upper.xdp, mode)
            if program is not None and (upper.net_device, mode) not in gone:
                yield ProgramAbove(upper, mode, program)
