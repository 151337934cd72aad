# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages in the kernel's code
-----------------------------

Kernels with the same types may have different code. The messages that a function can
return show which code it has.
"""

from collections.abc import Iterable, Iterator, Sequence
import contextlib
import operator
from typing import Optional

from drgn import FaultError, IntegerLike, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.messages import XDP_ATTACH_ALWAYS, XDP_ATTACH_FUNCTIONS, XDP_ATTACH_MESSAGES
from .follow import code_of, follow, followed

__all__ = ("driver_messages", "messages_in", "xdp_message_places")

# How GCC names a function that it changed, and the rest of one that it took apart;
# that is called, while a .cold part is jumped to.
_CHANGED = (".isra.0", ".constprop.0")
_PART = ".part.0"
_PARTS = ("", *_CHANGED, _PART)

_MAX_CALLED = 64
# What a driver's function calls nearby is of the same source file.
_NEARBY = 1 << 15

# Of a message; and what it is made of: KERN_SOH begins one that printk() has.
_LONGEST = 256
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\x01\t\n"
_WORD = 8


def _is_at(prog: Program, address: int, text: bytes) -> bool:
    try:
        return prog.read(address, len(text)) == text
    except FaultError:
        return False


def _text_at(prog: Program, address: int) -> Optional[bytes]:
    # The text at an address, None if there is none.
    text = b""
    size = _WORD
    while len(text) < _LONGEST:
        try:
            part, end, _ = prog.read(address + len(text), size).partition(b"\0")
        except FaultError:
            if size == 1:
                return None
            size = 1  # What is behind the string may not be there.
            continue
        if part.translate(None, _PRINTABLE):
            return None
        text += part
        if end:
            return text or None
    return None


def _messages_at(
    prog: Program,
    image: range,
    addresses: Iterable[int],
    messages: Optional[Sequence[bytes]],
) -> Iterator[bytes]:
    if messages is None:
        texts = (_text_at(prog, at) for at in addresses if at in image)
        yield from (text for text in texts if text is not None)
        return
    strings = [message + b"\0" for message in messages]
    longest = max(map(len, strings), default=0)
    for address in sorted(addresses):
        if address not in image:
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
) -> dict[str, int]:
    found: dict[str, int] = {}
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
    messages: Optional[Sequence[bytes]],
) -> frozenset[bytes]:
    code = code_of(prog)
    addresses: set[int] = set()
    for start in starts:
        addresses |= follow(code, start, others).refers_to
    return frozenset(_messages_at(prog, code.image, addresses, messages))


@takes_program_or_default
def messages_in(
    prog: Program, function: str, messages: Sequence[bytes]
) -> frozenset[bytes]:
    """
    Return which messages the code of a function refers to, including what is inlined
    into it, but not what it calls.

    :param function: Name of a function of the kernel or of a module
    :param messages: Strings, without the NUL at the end
    :raises LookupError: if the kernel has no function of that name
    :raises ValueError: if its code does not end, or is not valid
    :raises NotImplementedError: if the architecture has no decoder
    """
    code_of(prog)  # Or it cannot be decoded, whatever the function.
    starts = _addresses(prog, function)
    if not starts:
        raise LookupError(
            f"no function {function}: it does not exist, or it is inlined"
        )
    return _messages_of(prog, starts.values(), starts.values(), messages)


@takes_program_or_default
def xdp_message_places(
    prog: Program, messages: Optional[Sequence[bytes]] = XDP_ATTACH_MESSAGES
) -> dict[str, frozenset[bytes]]:
    """
    Return which messages each of :data:`XDP_ATTACH_FUNCTIONS` can return.

    :param messages: Strings, without the NUL at the end; None: all strings that their
        code refers to, so that a new message need not be known here
    :return: By name of the function, without those that this kernel does not have or
        has inlined, such as ``dev_change_xdp_fd`` since v5.9
    :raises LookupError: if it has none of them
    :raises ValueError: if the code of one does not end, or is not valid
    :raises NotImplementedError: if the architecture has no decoder
    """
    code_of(prog)
    # As a rule these two have all; else they were taken apart, or are not there.
    whole = _places(prog, ("dev_xdp_attach", "dev_xdp_install"), ("",), messages)
    if len(whole) == 2 and XDP_ATTACH_ALWAYS <= frozenset().union(*whole.values()):
        return whole
    found = _places(prog, XDP_ATTACH_FUNCTIONS, _PARTS, messages)
    if not found:
        raise LookupError(f"no function {' or '.join(XDP_ATTACH_FUNCTIONS)}")
    if "dev_xdp_attach" in found:
        found.pop("dev_change_xdp_fd", None)
    return found


def _places(
    prog: Program,
    names: Sequence[str],
    parts: Sequence[str],
    messages: Optional[Sequence[bytes]],
) -> dict[str, frozenset[bytes]]:
    functions = {name: _addresses(prog, name, parts) for name in names}
    everywhere = [at for starts in functions.values() for at in starts.values()]
    return {
        name: _messages_of(prog, starts.values(), everywhere, messages)
        for name, starts in functions.items()
        if starts
    }


@takes_program_or_default
def driver_messages(
    prog: Program, ndo_bpf: IntegerLike, messages: Sequence[bytes]
) -> frozenset[bytes]:
    """
    Return which messages a function of a driver can return, itself or by calling
    functions near it. This needs no symbols.

    :param ndo_bpf: Pointer to the function, such as ``netdev_ops->ndo_bpf``
    :param messages: Strings, without the NUL at the end, with the prefix that
        ``NL_SET_ERR_MSG_MOD`` gives them
    :raises FaultError: if its code cannot be read
    :raises ValueError: if its code does not end, or is not valid
    :raises NotImplementedError: if the architecture has no decoder
    """
    code = code_of(prog)
    start = operator.index(ndo_bpf)
    reached = followed(prog, code, start)
    addresses = set(reached.refers_to)
    near = {at for at in reached.functions if abs(at - start) <= _NEARBY}
    if len(near) > _MAX_CALLED:
        raise ValueError(f"{start:#x} calls {len(near)} functions")
    for function in near:
        addresses |= followed(prog, code, function).refers_to
    return frozenset(_messages_at(prog, code.image, addresses, messages))
