# SPDX-License-Identifier: LGPL-2.1-or-later
"""The modes of an XDP attach, by each of the names that tools have for them."""

from collections.abc import Mapping, Sequence

from .nearest import offer

__all__ = ("IP_LINK", "MODE_WORDS", "is_mode", "mode_named", "mode_words")

#: The modes by our word, with other words: of the kernel (``skb``, ``drv``, ``hw``),
#: ``ip link``, libbpf and bpftool. ``default`` is an attach without a mode.
MODE_WORDS: Mapping[str, Sequence[str]] = {
    "default": ("xdp",),
    "generic": ("skb", "xdpgeneric", "xdpskb"),
    "driver": ("native", "drv", "xdpdrv", "xdpnative"),
    "offload": ("hw", "xdpoffload", "xdphw"),
}

#: The word of ``ip link set dev DEVICE``.
IP_LINK: Mapping[str, str] = {
    "default": "xdp",
    "generic": "xdpgeneric",
    "driver": "xdpdrv",
    "offload": "xdpoffload",
}

_BY_WORD = {word: mode for mode, words in MODE_WORDS.items() for word in (mode, *words)}


def is_mode(word: str) -> bool:
    """Return whether a mode has this name."""
    return word.lower() in _BY_WORD


def mode_named(word: str) -> str:
    """
    Return the mode that a word means.

    >>> mode_named("xdpgeneric"), mode_named("Native"), mode_named("xdp")
    ('generic', 'driver', 'default')

    :raises ValueError: if no mode has this name; lists the names that are accepted
    """
    try:
        return _BY_WORD[word.lower()]
    except KeyError:
        there = offer(word, _BY_WORD)
        if there.startswith("available"):
            there = f"the modes are {', '.join(MODE_WORDS)}"
        raise ValueError(f"no XDP mode is called {word!r}; {there}") from None


def mode_words() -> str:
    """Return the words of each mode, for a help text."""
    return "; ".join(
        f"{mode} ({', '.join(words)})" for mode, words in MODE_WORDS.items()
    )
