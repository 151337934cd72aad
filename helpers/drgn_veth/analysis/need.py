# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values without which an answer is unknown."""

from typing import Optional, TypeVar

from ..core.unreadable import Maybe, Unreadable
from ..model import Device
from .names import name_of

__all__ = ("CannotTell", "need", "need_of", "need_of_kernel")

T = TypeVar("T")


class CannotTell(Exception):
    """
    A value that is needed could not be read.

    :param name: Its name; the whole reason if there is no *value*
    :param everywhere: Whether it is missing for all devices alike
    """

    def __init__(
        self,
        name: str,
        value: Optional[Unreadable] = None,
        everywhere: bool = False,
    ) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value
        self.everywhere = everywhere

    def __str__(self) -> str:
        if self.value is None:
            return self.name
        return f"{self.name} could not be read: {self.value.reason}"


def need(value: Maybe[T], name: str) -> T:
    """
    Return a value.

    :raises CannotTell: if it could not be read
    """
    if isinstance(value, Unreadable):
        raise CannotTell(name, value)
    return value


def need_of(device: Device, value: Maybe[T], name: str) -> T:
    """
    Return a value of a device.

    :param name: Its name; the error adds that of the device
    :raises CannotTell: if it could not be read
    """
    # Rules ask this of each device: make no text for nothing.
    if isinstance(value, Unreadable):
        raise CannotTell(f"{name} of {name_of(device)}", value)
    return value


def need_of_kernel(value: Maybe[T], name: str) -> T:
    """
    Return a value that is the same for all devices.

    :raises CannotTell: if it could not be read
    """
    if isinstance(value, Unreadable):
        raise CannotTell(name, value, everywhere=True)
    return value
