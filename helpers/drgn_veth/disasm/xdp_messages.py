# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages in the kernel's code
-----------------------------

Kernels with the same types may differ in code alone. The messages that a function can
give tell which code it has.
"""

import contextlib
import operator
from typing import Dict, FrozenSet, Iterable, Iterator, Sequence, Set

from drgn import FaultError, IntegerLike, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.messages import XDP_ATTACH_ALWAYS, XDP_ATTACH_FUNCTIONS, XDP_ATTACH_MESSAGES
from .follow import follow, followed, require_x86_64
from .x86_64 import Text

__all__ = ("driver_messages", "messages_in", "xdp_message_places")

# How GCC names a function that it changed, and the rest of one that it took apart;
# that is called, while a .cold part is jumped to.
_CHANGED = (".isra.0", ".constprop.0")
_PART = ".part.0"
_PARTS = ("", *_CHANGED, _PART)

_MAX_CALLED = 64
# What a driver's function calls nearby is of the same source file.
_NEARBY = 1 << 15

# The kernel's image and its modules: what 32 bits, sign-extended, can refer to, up to
# where there are error codes.
_IMAGE = range(0xFFFFFFFF80000000, 0xFFFFFFFFFFFFF000)


def _is_at(prog: Program, address: int, text: bytes) -> bool:
    try:
        return prog.read(address, len(text)) == text
    except FaultError:
        return False


def _messages_at(
    prog: Program, addresses: Iterable[int], messages: Sequence[bytes]
) -> Iterator[bytes]:
    strings = [message + b"\0" for message in messages]
    longest = max(map(len, strings), default=0)
    for address in sorted(addresses):
        if address not in _IMAGE:
            continue
        try:
            data = prog.read(address, longest)
        except FaultError:
            # Code refers to what is not there, such as per-CPU offsets; or the
            # string is shorter, at the end of what is there.
            yield from (s[:-1] for s in strings if _is_at(prog, address, s))
        else:
            yield from (s[:-1] for s in strings if data.startswith(s))


def _address(prog: Program, function: str) -> int:
    # Debug symbols have an index by name, the symbol table is searched.
    with contextlib.suppress(LookupError):
        address = prog.function(function).address_
        if address is not None:
            return address
    return prog.symbol(function).address


def _addresses(
    prog: Program, function: str, parts: Sequence[str] = _PARTS
) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for part in parts:
        if part in _CHANGED and function in found:
            continue
        try:
            found[function + part] = _address(prog, function + part)
        except LookupError:
            continue
    return found


def _messages_of(
    prog: Program,
    starts: Iterable[int],
    others: Iterable[int],
    messages: Sequence[bytes],
) -> FrozenSet[bytes]:
    text = Text(prog)
    addresses: Set[int] = set()
    for start in starts:
        addresses |= follow(text, start, others).refers_to
    return frozenset(_messages_at(prog, addresses, messages))


@takes_program_or_default
def messages_in(
    prog: Program, function: str, messages: Sequence[bytes]
) -> FrozenSet[bytes]:
    """
    Return which messages the code of a function refers to; what is inlined into it
    belongs to it, what it calls does not.

    :param function: Name of a function of the kernel or of a module
    :param messages: Strings, without the NUL at the end
    :raises LookupError: if there is no such function
    :raises ValueError: if there is no end to its code, or it is no code
    :raises NotImplementedError: on another architecture than x86-64
    """
    require_x86_64(prog)
    starts = _addresses(prog, function)
    if not starts:
        raise LookupError(f"no function {function}: there is none, or it is inlined")
    return _messages_of(prog, starts.values(), starts.values(), messages)


@takes_program_or_default
def xdp_message_places(prog: Program) -> Dict[str, FrozenSet[bytes]]:
    """
    Return which of :data:`XDP_ATTACH_MESSAGES` each of
    :data:`XDP_ATTACH_FUNCTIONS` can give.

    :return: By name of the function; one that this kernel does not have, or has
        only inlined into another, is left out, as is ``dev_change_xdp_fd`` since v5.9
    :raises LookupError: if it has none of them
    :raises ValueError: if there is no end to the code of one, or it is no code
    :raises NotImplementedError: on another architecture than x86-64
    """
    require_x86_64(prog)
    # As a rule these two have all; else they were taken apart, or are not there.
    whole = _places(prog, ("dev_xdp_attach", "dev_xdp_install"), ("",))
    if len(whole) == 2 and XDP_ATTACH_ALWAYS <= frozenset().union(*whole.values()):
        return whole
    found = _places(prog, XDP_ATTACH_FUNCTIONS, _PARTS)
    if not found:
        raise LookupError(f"no function {' or '.join(XDP_ATTACH_FUNCTIONS)}")
    if "dev_xdp_attach" in found:
        found.pop("dev_change_xdp_fd", None)
    return found


def _places(
    prog: Program, names: Sequence[str], parts: Sequence[str]
) -> Dict[str, FrozenSet[bytes]]:
    functions = {name: _addresses(prog, name, parts) for name in names}
    everywhere = [at for starts in functions.values() for at in starts.values()]
    return {
        name: _messages_of(prog, starts.values(), everywhere, XDP_ATTACH_MESSAGES)
        for name, starts in functions.items()
        if starts
    }


@takes_program_or_default
def driver_messages(
    prog: Program, ndo_bpf: IntegerLike, messages: Sequence[bytes]
) -> FrozenSet[bytes]:
    """
    Return which messages a function of a driver can give, itself or through what it
    calls that lies near it, which wants no symbols.

    :param ndo_bpf: Pointer to the function, such as ``netdev_ops->ndo_bpf``
    :param messages: Strings, without the NUL at the end, with the prefix that
        ``NL_SET_ERR_MSG_MOD`` gives them
    :raises FaultError: if its code cannot be read
    :raises ValueError: if there is no end to its code, or it is no code
    :raises NotImplementedError: on another architecture than x86-64
    """
    require_x86_64(prog)
    text = Text(prog)
    start = operator.index(ndo_bpf)
    reached = followed(prog, text, start)
    addresses = set(reached.refers_to)
    near = {at for at in reached.functions if abs(at - start) <= _NEARBY}
    if len(near) > _MAX_CALLED:
        raise ValueError(f"{start:#x} calls {len(near)} functions")
    for function in near:
        addresses |= followed(prog, text, function).refers_to
    return frozenset(_messages_at(prog, addresses, messages))
