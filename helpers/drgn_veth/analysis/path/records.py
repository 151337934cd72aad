# SPDX-License-Identifier: LGPL-2.1-or-later
"""The records of a path: steps, and flows of queues that have the same steps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Optional, Union

from ...core.english import number_list
from ...core.unreadable import Unreadable
from ...model import DeviceRef

__all__ = (
    "PER_QUEUE",
    "Draft",
    "Flow",
    "Path",
    "Slot",
    "Step",
    "Value",
    "few",
    "merged",
)

#: What a number of a step can be.
Value = Union[None, int, str, Unreadable, tuple[Union[None, int, Unreadable], ...]]

#: Numbers that differ from queue to queue although the queues share their steps. In a
#: flow of several queues, such a number is a tuple with one entry a queue.
PER_QUEUE = ("rx_queue", "index", "queue", "rx_queue_index")

_MOST_RUNS = 8  # of queues in a text; the numbers have all


class Step(NamedTuple):
    """What one function of the kernel decides about a packet."""

    kind: str
    function: str
    device: DeviceRef
    text: str
    numbers: Mapping[str, Value] = {}
    #: What else may happen, which the state alone cannot tell.
    alternatives: tuple[str, ...] = ()


class Flow(NamedTuple):
    """Queues whose packets take the same steps."""

    tx_queues: tuple[int, ...]  # of the sender; (): unknown, or the device receives
    steps: tuple[Step, ...]
    ends: str  # where the steps end, and why
    rx_queues: tuple[int, ...] = ()  # of a device that receives


class Path(NamedTuple):
    """Where the packets of a device go."""

    device: DeviceRef
    flows: tuple[Flow, ...]
    ends: str  # of the flows; several, if they end in different ways
    sends: bool = True  # False: what it receives
    peer: Optional[DeviceRef] = None  # which receives what it sends
    #: Paths of the devices that the packets may go to next.
    following: tuple["Path", ...] = ()


class Slot(NamedTuple):
    """A place in the text of a step for a number of :data:`PER_QUEUE`."""

    number: str
    #: What it numbers: ``rx`` makes ``rx-3``, and ``rx 0-13`` of several.
    noun: str = ""


class Draft(NamedTuple):
    """A step of one queue."""

    kind: str
    function: str
    device: DeviceRef
    words: tuple[Union[str, Slot], ...]
    numbers: Mapping[str, Value] = {}
    alternatives: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same in all queues of a flow."""
        numbers = tuple(
            (name, None if name in PER_QUEUE else value)
            for name, value in self.numbers.items()
        )
        return (
            *(self.kind, self.function, self.device.net_device, self.words, numbers),
            self.alternatives,
        )


def _numbers(drafts: Sequence[Draft]) -> dict[str, Value]:
    numbers: dict[str, Value] = {}
    for name, value in drafts[0].numbers.items():
        numbers[name] = value
        if name in PER_QUEUE and len(drafts) > 1:
            values = [draft.numbers[name] for draft in drafts]
            if any(one != value for one in values):
                numbers[name] = tuple(
                    one if isinstance(one, (int, Unreadable)) else None
                    for one in values
                )
    return numbers


def few(numbers: Iterable[int]) -> str:
    """Return ascending numbers for a sentence: the first ones, if there are many."""
    runs = number_list(numbers).split(",")
    return ",".join([*runs[:_MOST_RUNS], "..."] if len(runs) > _MOST_RUNS else runs)


def _words(part: Union[str, Slot], numbers: Mapping[str, Value]) -> str:
    if isinstance(part, str):
        return part
    value = numbers[part.number]
    if isinstance(value, tuple):
        known = sorted({one for one in value if isinstance(one, int)})
        sign = "-" if len(known) == 1 else " "
        return f"{part.noun and part.noun + sign}{few(known)}"
    shown = "?" if isinstance(value, Unreadable) else value
    return f"{part.noun and part.noun + '-'}{shown}"


def merged(queues: Iterable[Sequence[Draft]]) -> tuple[Step, ...]:
    """
    Return the steps of several queues that have the same.

    :param queues: The steps of each, with equal keys
    """
    steps = []
    for drafts in zip(*queues):
        first = drafts[0]
        numbers = _numbers(drafts)
        text = "".join(_words(part, numbers) for part in first.words)
        steps.append(
            Step(
                first.kind,
                first.function,
                first.device,
                text,
                numbers,
                first.alternatives,
            )
        )
    return tuple(steps)
