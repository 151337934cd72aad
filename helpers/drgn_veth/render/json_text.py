# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Records as JSON text
--------------------

The text of :func:`.plain.plain()`, without dicts and lists in between. Devices share
most of their records: of ten thousand pairs, the text of these is made once.
"""

from collections.abc import Mapping, Sequence
import functools
from itertools import compress
import json
from json.encoder import encode_basestring_ascii
from operator import is_not, itemgetter
from typing import Any, Callable, NamedTuple, Optional

from .plain import Member, members_of, plain

__all__ = ("Texts",)

_SCALARS: Mapping[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    bool: {False: "false", True: "true"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}

# What makes a member absent that is a number otherwise: nothing, or None.
_NEVER_INT = ((), (None,))

#: Records whose text is kept at a time.
_MOST_KEPT = 4096


class _Kind(NamedTuple):
    # How a kind of record becomes text.
    members: list[Member]
    starts: list[str]  # of the text of each
    values: Callable[[Any], tuple[Any, ...]]  # returns those of the members, in order
    numbers: Optional[str]  # a template for a record of nothing but numbers


def _template(members: Sequence[Member]) -> Optional[str]:
    # Of records that always have all members.
    for member in members:
        if member.spread or member.form is not plain or member.absent not in _NEVER_INT:
            return None
    body = ", ".join([f"{json.dumps(member.name)}: %d" for member in members])
    return f"{{{body}}}"


@functools.cache
def _kind(kind: type) -> Optional[_Kind]:
    members = members_of(kind)
    if members is None:
        return None
    places = [member.place for member in members]
    # Of one place, itemgetter() returns no tuple.
    values = itemgetter(*places) if len(places) > 1 else _at(places)
    starts = [f"{json.dumps(member.name)}: " for member in members]
    return _Kind(members, starts, values, _template(members))


def _at(places: Sequence[int]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda record: tuple([record[place] for place in places])


class _Last(NamedTuple):
    # The last record of a kind.
    values: Sequence[Any]
    texts: list[str]  # "" of what is absent


class Texts:
    """Makes the JSON text of records."""

    def __init__(self) -> None:
        # By identity, with the record, so that no other one gets its place.
        self._kept: dict[int, tuple[Any, str]] = {}
        self._last: dict[type, _Last] = {}

    def of(self, value: Any) -> str:
        """
        Return the text of a value, as ``json.dumps(plain(value))`` does.

        >>> from drgn_veth.model import QueueCount, Queues
        >>> Texts().of(Queues(QueueCount(14, 14), QueueCount(None, 48)).tx)
        '{"real": null, "allocated": 48}'
        """
        scalar = _SCALARS.get(type(value))
        if scalar is not None:
            return scalar(value)
        if not isinstance(value, tuple):
            return self._of_plain(value)
        kept = self._kept.get(id(value))
        if kept is not None:
            return kept[1]
        text = self._of_tuple(value)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[id(value)] = value, text
        return text

    def _of_plain(self, value: Any) -> str:
        if type(value) is dict:
            members = [
                f"{encode_basestring_ascii(name)}: {self.of(one)}"
                for name, one in value.items()
            ]
            return f"{{{', '.join(members)}}}"
        if type(value) is list:
            return f"[{', '.join(map(self.of, value))}]"
        return json.dumps(plain(value))

    def _of_tuple(self, value: tuple[Any, ...]) -> str:
        kind = _kind(type(value))
        if kind is None:
            return f"[{', '.join(map(self.of, value))}]"
        values = kind.values(value)
        if kind.numbers is not None and set(map(type, values)) == {int}:
            return kind.numbers % values
        # In a record may be another one of its kind.
        last = self._last.pop(type(value), None)
        if last is None:
            texts = [self._member(kind, i, one) for i, one in enumerate(values)]
        else:
            texts = last.texts
            for i in compress(range(len(texts)), map(is_not, values, last.values)):
                texts[i] = self._member(kind, i, values[i])
        self._last[type(value)] = _Last(values, texts)
        return f"{{{', '.join(filter(None, texts))}}}"

    def _member(self, kind: _Kind, i: int, value: Any) -> str:
        _, _, absent, form, spread = kind.members[i]
        if absent and value == absent[0]:
            return ""
        if form is plain:
            scalar = _SCALARS.get(type(value))
            text = self.of(value) if scalar is None else scalar(value)
        else:
            text = self.of(form(value))
        return text[1:-1] if spread else kind.starts[i] + text
