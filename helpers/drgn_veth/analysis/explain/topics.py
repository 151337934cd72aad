# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user asks to have explained: an errno, a rule, a part of a message."""

from collections.abc import Iterable, Sequence
import errno as _errno
import os
import re
from typing import NamedTuple, Optional

from ...core.nearest import nearest
from ..attach.question import errno_name
from ..rules import RULES, RULES_BY_ID
from ..rules.rule import Rule, Sign
from .check import Check
from .checks import CHECKS

__all__ = ("Topic", "UnknownTopicError", "errnos", "find_topic", "find_topics")

# Fewer characters would be a part of too much.
_SHORTEST = 4
_LONGEST = 1000


class UnknownTopicError(ValueError):
    """Nothing is called so."""


class Topic(NamedTuple):
    """What is to be explained."""

    errno: Optional[int] = None  #: None: no errno was given
    message: Optional[str] = None  #: the part of a message that was given
    checks: tuple[Check, ...] = ()
    rules: tuple[Rule, ...] = ()
    rule: Optional[Rule] = None  #: a rule was given


def errnos() -> dict[str, list[Check]]:
    """Return the checks by the errno that they give."""
    found: dict[str, list[Check]] = {}
    for check in CHECKS:
        found.setdefault(check.errno, []).append(check)
    return dict(sorted(found.items()))


def _number_of(text: str) -> Optional[int]:
    number = text[1:] if text[:1] == "-" else text
    if number.isascii() and number.isdigit() and len(number) < 6:
        return int(number) if int(number) in _errno.errorcode else None
    found = getattr(_errno, text.upper(), None)
    if isinstance(found, int):
        return found
    for one in _errno.errorcode:
        if os.strerror(one).lower() == text.lower():
            return one
    return None


def _is_like(given: str, text: str) -> bool:
    # A part of it; or a line that has it: "Error: ...", with a name for each "%s".
    given, text = given.lower(), text.lower()
    if given in text:
        return True
    words = re.split(r"%[a-z]", text)
    return re.search(r"\S+".join(map(re.escape, words)), given) is not None


def _of_errno(number: int) -> Topic:
    name = errno_name(number)
    checks = tuple(check for check in CHECKS if check.errno == name)
    rules = (rule for rule in RULES if Sign("errno", name) in rule.symptoms)
    return Topic(number, None, checks, tuple(rules))


def _of_message(text: str) -> Optional[Topic]:
    checks = tuple(c for c in CHECKS if c.message and _is_like(text, c.message))
    rules = tuple(
        rule
        for rule in RULES
        if any(
            sign.kind != "errno" and _is_like(text, sign.text) for sign in rule.symptoms
        )
    )
    return Topic(None, text, checks, rules) if checks or rules else None


def _of_strerror(text: str) -> Optional[Topic]:
    for name in errnos():
        number: int = getattr(_errno, name)
        if _is_like(text, os.strerror(number)):
            return _of_errno(number)
    return None


def _names() -> Iterable[str]:
    yield from RULES_BY_ID
    yield from errnos()
    yield from (os.strerror(getattr(_errno, name)) for name in errnos())
    yield from (check.message for check in CHECKS if check.message)


def find_topic(given: str) -> Topic:
    """
    Return what is to be explained.

    :param given: An errno: its name, its number, or what strerror() says; a rule; a
        part of a message of the kernel, or of another symptom of a rule
    :raises UnknownTopicError: if nothing is called so; it has the nearest names
    """
    if len(given) > _LONGEST:
        raise UnknownTopicError(
            f"no errno, rule or message has more than {_LONGEST} letters"
        )
    text = " ".join(given.strip().strip("\"'").split())
    rule = RULES_BY_ID.get(text.lower())
    if rule is not None:
        return Topic(rule=rule)
    number = _number_of(text)
    if number is not None:
        return _of_errno(number)
    if len(text) >= _SHORTEST:
        topic = _of_message(text) or _of_strerror(text)
        if topic is not None:
            return topic
    near = nearest(text, _names())
    offered = (
        f"nearest: {', '.join(near)}" if near else "explain alone lists all of them"
    )
    raise UnknownTopicError(f"no errno, rule or message is called {given!r}; {offered}")


def find_topics(words: Sequence[str]) -> list[Topic]:
    """
    Return what is to be explained: all words together, or else each one.

    :raises UnknownTopicError: see :func:`find_topic()`
    """
    if len(words) > 1:
        try:
            return [find_topic(" ".join(words))]
        except UnknownTopicError:
            pass
    return [find_topic(word) for word in words]
