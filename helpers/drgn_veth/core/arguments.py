# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Arguments of helpers
--------------------

What a helper says to an argument of another type, or to a device of another kind. The
docstrings say which struct they take, and whether it has to be a veth or a netkit. Only
the names that ``drgn_veth`` exports check it: a Snapshot calls the functions
themselves, many times.
"""

from collections.abc import Mapping
import functools
import inspect
import operator
import re
from typing import Any, Callable, SupportsIndex

from drgn import FaultError, Object, Type, TypeKind

from .c_string import read_c_string
from .errors import attempt
from .unreadable import Unreadable

__all__ = ("checked", "queue_index")

_PARAM = re.compile(r":param (\w+): ``struct (\w+) \*``([^:]*)")
_MAY_BE_NULL = "may be ``NULL``"
# Their private data begins with a pointer to the peer, that of others with anything.
_OF_KIND = re.compile(r" of kind (veth|netkit)\b")
_MOST_KIND = 64  # bytes; longer than any kind

#: Where there are objects of a type.
_FROM: Mapping[str, str] = {
    "bpf_cpu_map_entry": "for_each_cpumap_entry() returns one",
    "bpf_dtab_netdev": "for_each_devmap_entry() returns one",
    "bpf_map": "for_each_used_map() returns one",
    "bpf_prog": "dev_xdp_prog() and for_each_xdp_prog() return one",
    "bpf_xdp_link": "dev_xdp_link() and for_each_xdp_link() return one",
    "net": "find_net() and dev_net() return one",
    "net_device": "netdev_get_by_name() and find_netdev() return one",
    "netdev_rx_queue": "netdev_rx_queue() returns one",
    "rps_map": "netdev_rps_map() returns one",
    "task_struct": "find_task() returns one",
    "xdp_sock": "for_each_xdp_sock() returns one",
    "veth_rq": "veth_rqs() returns the first of them",
}
_FROM_NAME: Mapping[str, str] = {
    "net": "find_net({name!r}) returns one",
    "net_device": "netdev_get_by_name({name!r}) or find_netdev(NETNS, {name!r}) "
    "returns one",
}


def _plain(type: Type) -> Type:
    while type.kind == TypeKind.TYPEDEF:
        type = type.type
    return type


def _hint(struct: str, given: object) -> str:
    if isinstance(given, (str, bytes)):
        name = given if isinstance(given, str) else given.decode(errors="replace")
        hint = _FROM_NAME.get(struct, "").format(name=name)
        if hint:
            return hint
    address = getattr(given, struct, given)  # of a record
    if isinstance(address, int) and not isinstance(address, bool):
        return f'Object(prog, "struct {struct} *", {address:#x}) is one'
    return _FROM.get(struct, "")


def _refusal(function: str, struct: str, given: object) -> TypeError:
    what = type(given).__name__
    if isinstance(given, Object):
        what = given.type_.type_name()
    hint = "" if isinstance(given, Object) else _hint(struct, given)
    hint = hint or _FROM.get(struct, "")
    said = f"{function}(): expected struct {struct} *, not {what}"
    return TypeError(f"{said}; {hint}" if hint else said)


def _object(function: str, struct: str, given: object, null: bool) -> Object:
    if not isinstance(given, Object):
        raise _refusal(function, struct, given)
    type = _plain(given.type_)
    if type.kind == TypeKind.STRUCT and type.tag == struct:
        return given.address_of_()
    if type.kind != TypeKind.POINTER:
        raise _refusal(function, struct, given)
    pointed = _plain(type.type)
    if pointed.kind != TypeKind.VOID and (
        pointed.kind != TypeKind.STRUCT or pointed.tag != struct
    ):
        raise _refusal(function, struct, given)
    if not null and not given:
        raise FaultError(f"{function}(): the struct {struct} * is NULL", 0)
    return given


def _kind(dev: Object) -> str:
    # rtnl_link_ops->kind, "" without.
    ops = dev.rtnl_link_ops
    if not ops:
        return ""
    kind = read_c_string(dev.prog_, ops.kind.value_(), _MOST_KIND)
    return kind.decode(errors="backslashreplace")


def _check_kind(function: str, dev: Object, wanted: str) -> None:
    kind = attempt(_kind, dev)
    if isinstance(kind, Unreadable) or kind == wanted:
        return
    what = f"a device of kind {kind!r}" if kind else "a device without a kind"
    raise ValueError(
        f"{function}(): expected a device of kind {wanted!r}, not {what}; "
        "netdev_peer() takes devices of any kind"
    )


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """
    Return a helper that refuses a first argument of another type than that which its
    docstring says, if it says one, or a device that is no veth or netkit if it takes
    only those; and takes a struct for a pointer to it.
    """
    match = _PARAM.search(inspect.getdoc(function) or "")
    if match is None:
        return function
    first, struct, more = match.groups()
    if next(iter(inspect.signature(function).parameters)) != first:
        return function
    name = function.__name__
    null = _MAY_BE_NULL in more
    kind = _OF_KIND.match(more)

    def check(given: object) -> Object:
        object = _object(name, struct, given, null)
        if kind is not None:
            _check_kind(name, object, kind[1])
        return object

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args:
            args = (check(args[0]), *args[1:])
        elif first in kwargs:
            kwargs[first] = check(kwargs[first])
        return function(*args, **kwargs)

    return call


def queue_index(queue: SupportsIndex, count: int, what: str) -> int:
    """
    Return the index of a queue.

    :param count: How many there are
    :param what: ``"RX"`` or ``"TX"``, for the error
    :raises IndexError: if the device has no queue of this number
    :raises TypeError: if it is no number
    """
    index = operator.index(queue)
    if 0 <= index < count:
        return index
    there = f"has {count} {what} queues" if count != 1 else f"has 1 {what} queue"
    last = f", 0 to {count - 1}" if count > 1 else ""
    raise IndexError(f"no {what} queue {index}: the device {there}{last}")
