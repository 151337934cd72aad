# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Requests to the kernel
----------------------

What can be asked about a device besides an XDP attach, and how it is written:
``channels rx 4 tx 4``, ``mtu 3506``, ``enslave new bond``, ``bind queue 0 zerocopy``.
"""

from collections.abc import Iterator, Sequence
from typing import Callable, NamedTuple, Optional, Union

from ...core.xdp_modes import mode_named

__all__ = (
    "Attach",
    "Bind",
    "Channels",
    "Detach",
    "Devmap",
    "Enslave",
    "Move",
    "Mtu",
    "Question",
    "RequestError",
    "What",
    "parse",
)


class RequestError(ValueError):
    """A request that is not written as it has to be."""


class Channels(NamedTuple):
    """``ethtool -L``: ETHTOOL_MSG_CHANNELS_SET. None: as it is."""

    rx: Optional[int] = None
    tx: Optional[int] = None
    combined: Optional[int] = None
    other: Optional[int] = None


class Mtu(NamedTuple):
    """``ip link set mtu``: RTM_SETLINK with IFLA_MTU."""

    mtu: int  # bytes, as an unsigned number of 32 bits


class Enslave(NamedTuple):
    """``ip link set master``: RTM_SETLINK with IFLA_MASTER."""

    master: Optional[str]  # name, in the namespace of the device; None: no master
    new: bool = False  # a new one, and *master* is its kind: bond, bridge
    program: bool = False  # which has a native XDP program


class Move(NamedTuple):
    """``ip link set netns``: RTM_SETLINK with IFLA_NET_NS_FD or IFLA_NET_NS_PID."""

    netns: str  # label, inode number, "same", or "new": an empty one
    ifindex: Optional[int] = None  # IFLA_NEW_IFINDEX; None: any
    names: tuple[str, ...] = ("lo",)  # that are taken in a new one


class Bind(NamedTuple):
    """bind() of an AF_XDP socket that has a umem and an RX ring of its own."""

    queue: int
    flags: tuple[str, ...] = ()  # copy, zerocopy, need-wakeup, sg, unknown-flag


class Devmap(NamedTuple):
    """BPF_MAP_UPDATE_ELEM of an empty DEVMAP, from the namespace of the device."""

    hashed: bool = False  # DEVMAP_HASH
    max_entries: int = 1
    key: int = 0
    noexist: bool = False  # BPF_NOEXIST
    # None: the entry has no program; devmap, cpumap, plain: its expected_attach_type.
    program: Optional[str] = None


class Attach(NamedTuple):
    """An XDP attach of a new program that replaces nothing."""

    mode: str = "default"
    frags: bool = False
    via: str = "netlink"


class Detach(NamedTuple):
    """An XDP detach by netlink."""

    mode: str = "default"


What = Union[Channels, Mtu, Enslave, Move, Bind, Devmap, Attach, Detach]


class Question(NamedTuple):
    """A request about a device, or about the peer that it has by then."""

    device: int  # address of the struct net_device
    what: What
    peer: bool = False


_BIND_FLAGS = ("copy", "zerocopy", "need-wakeup", "sg", "unknown-flag")
_COUNTS = Channels._fields


def _number(word: str, what: str) -> int:
    if not (word.isascii() and word.isdigit()) or int(word) >= 1 << 32:
        raise RequestError(f"{what} takes a number, not {word!r}")
    return int(word)


def _pairs(words: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, int]]:
    rest = list(words)
    while rest:
        name = rest.pop(0)
        if name not in names:
            raise RequestError(f"expected {', '.join(names)}, not {name!r}")
        if not rest:
            raise RequestError(f"{name} takes a number")
        yield name, _number(rest.pop(0), name)


def _channels(words: Sequence[str]) -> Channels:
    counts = dict(_pairs(words, _COUNTS))
    if not counts:
        raise RequestError(f"channels takes {', '.join(_COUNTS)} and a number")
    return Channels(**counts)


def _mtu(words: Sequence[str]) -> Mtu:
    if len(words) != 1:
        raise RequestError("mtu takes a number")
    return Mtu(_number(words[0], "mtu"))


def _enslave(words: Sequence[str]) -> Enslave:
    if words[:1] == ["new"]:
        if words[1:2] in (["bond"], ["bridge"]) and words[2:] in ([], ["program"]):
            return Enslave(words[1], True, len(words) == 3)
        raise RequestError("enslave new takes bond or bridge, and perhaps program")
    if len(words) != 1:
        raise RequestError(
            "enslave takes the name of a device, new bond, new bridge, or none"
        )
    return Enslave(None if words[0] == "none" else words[0])


def _netns(words: Sequence[str]) -> Move:
    if not words:
        raise RequestError("netns takes the name of a namespace, same, or new")
    return Move(words[0], dict(_pairs(words[1:], ("ifindex",))).get("ifindex"))


def _bind(words: Sequence[str]) -> Bind:
    if words[:1] != ["queue"] or len(words) < 2:
        raise RequestError("bind takes queue and a number")
    for word in words[2:]:
        if word not in _BIND_FLAGS:
            raise RequestError(f"expected {', '.join(_BIND_FLAGS[:-1])}, not {word!r}")
    return Bind(_number(words[1], "queue"), tuple(words[2:]))


_DEVMAP_PROGRAMS = ("devmap", "cpumap", "plain")


def _devmap(words: Sequence[str]) -> Devmap:
    rest, made = list(words), Devmap()
    while rest:
        word = rest.pop(0)
        if word in ("array", "hash"):
            made = made._replace(hashed=word == "hash")
        elif word == "noexist":
            made = made._replace(noexist=True)
        elif word not in ("max", "key", "program") or not rest:
            raise RequestError(
                "devmap takes array or hash, max N, key N, noexist, program KIND"
            )
        elif word == "program":
            if rest[0] not in _DEVMAP_PROGRAMS:
                raise RequestError(f"program takes {', '.join(_DEVMAP_PROGRAMS)}")
            made = made._replace(program=rest.pop(0))
        elif word == "max":
            made = made._replace(max_entries=_number(rest.pop(0), word))
        else:
            made = made._replace(key=_number(rest.pop(0), word))
    return made


def _mode(words: Sequence[str]) -> str:
    if len(words) > 1:
        raise RequestError(f"one mode is enough: {' '.join(words)}")
    try:
        return mode_named(words[0]) if words else "default"
    except ValueError as e:
        raise RequestError(str(e)) from None


def _attach(words: Sequence[str]) -> Attach:
    others = [word for word in words if word not in ("frags", "link", "netlink")]
    via = "link" if "link" in words else "netlink"
    return Attach(_mode(others), "frags" in words, via)


def _detach(words: Sequence[str]) -> Detach:
    return Detach(_mode(words))


_PARSERS: dict[str, Callable[[Sequence[str]], What]] = {
    "channels": _channels,
    "mtu": _mtu,
    "enslave": _enslave,
    "netns": _netns,
    "bind": _bind,
    "devmap": _devmap,
    "attach": _attach,
    "detach": _detach,
}


# The number is that of the user, if there is one.
_EXAMPLES = {
    "channels": "channels rx {}",
    "mtu": "mtu 1500",
    "enslave": "enslave new bond",
    "netns": "netns new",
    "bind": "bind queue {} zerocopy",
    "devmap": "devmap hash max {}",
}


def parse(text: str) -> tuple[bool, What]:
    """
    Return a request that is written in words, and whether it is about the peer.

    >>> parse("peer channels tx 4")
    (True, Channels(rx=None, tx=4, combined=None, other=None))

    :raises RequestError: if it is not understood
    """
    words = text.split()
    peer = words[:1] == ["peer"]
    if peer:
        del words[0]
    if not words or words[0] not in _PARSERS:
        raise RequestError(
            f"expected {', '.join(_PARSERS)}, not {' '.join(words[:1]) or text!r}"
        )
    try:
        return peer, _PARSERS[words[0]](words[1:])
    except RequestError as e:
        example = _EXAMPLES.get(words[0])
        if example is None:
            raise
        number = next((word for word in words if word.isdecimal()), "4")
        said = f"{e}; for example: {example.format(number)}"
        raise RequestError(said) from None
