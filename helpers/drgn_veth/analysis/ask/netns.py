# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Moving to another network namespace
-----------------------------------

__dev_change_net_namespace() (net/core/dev.c).
"""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from ...core import messages
from ...core.unreadable import Unreadable
from ...model import Namespace
from ..attach.decision import Decision, first
from ..attach.question import Answer
from ..need import CannotTell, need, need_of
from .asked import Asked, granted, in_words, one_of
from .request import Move

__all__ = ("NETNS", "FUNCTION", "ask", "target_of")

FUNCTION = "__dev_change_net_namespace"


class _Target(NamedTuple):
    # Where a device goes.
    same: bool
    names: frozenset[str]
    ifindexes: frozenset[int]


def target_of(q: Asked) -> Optional[Namespace]:
    """
    Return the namespace that a device is to go to; None for a new one.

    :raises CannotTell: if there is none with this name
    """
    if q.what.netns == "new":
        return None
    here = need_of(q.device, q.device.netns, "the namespace")
    for namespace in q.snapshot.namespaces:
        if q.what.netns == "same":
            if namespace.inum == here:
                return namespace
        elif q.what.netns in (namespace.label, str(namespace.inum)):
            return namespace
        elif not isinstance(namespace.names, Unreadable):
            if q.what.netns in namespace.names:
                return namespace
    raise CannotTell(f"there is no network namespace {q.what.netns!r}")


def _names(q: Asked, inum: int) -> Iterator[str]:
    for device in q.snapshot.devices:
        if device.netns == inum and device.off_list is None:
            yield need(device.name, "the name of a device in the target netns")
            yield from need_of(device, device.altnames, "altnames")


def _target(q: Asked) -> _Target:
    namespace = target_of(q)
    if namespace is None:
        return _Target(False, frozenset(q.what.names), frozenset((1,)))
    inum = need(namespace.inum, "the number of the target netns")
    here = need_of(q.device, q.device.netns, "the namespace")
    # unlist_netdevice() gives the ifindex back, and the name.
    ifindexes = frozenset(
        need(device.ifindex, "ifindex")
        for device in q.snapshot.devices
        if device.netns == inum and device.off_list is None
    )
    return _Target(inum == here, frozenset(_names(q, inum)), ifindexes)


def _immutable(q: Asked) -> Optional[str]:
    bound = q.device.traits.netns_immutable
    if need_of(q.device, bound, "netns_immutable"):
        return f"{q.name} has to stay in its network namespace, as its driver says"
    return None


def _unregistered(q: Asked) -> Optional[str]:
    state = need_of(q.device, q.device.reg_state, "reg_state")
    return None if state == "REGISTERED" else f"{q.name} is {state}"


def _name_taken(q: Asked) -> Optional[str]:
    if q.name in _target(q).names:
        return f"the target netns has a {q.name} already"
    return None


def _taken_altname(q: Asked) -> Optional[str]:
    names = _target(q).names
    altnames = need_of(q.device, q.device.altnames, "altnames")
    return next((name for name in altnames if name in names), None)


def _altname_taken(q: Asked) -> Optional[str]:
    name = _taken_altname(q)
    return None if name is None else f"the target netns has a {name} already"


def _ifindex_taken(q: Asked) -> Optional[str]:
    if q.what.ifindex and q.what.ifindex in _target(q).ifindexes:
        return f"the target netns has a device with ifindex {q.what.ifindex} already"
    return None


_BEFORE: tuple[Decision, ...] = (
    Decision(
        "netns-immutable",
        FUNCTION,
        "EINVAL",
        messages.NETNS_IMMUTABLE,
        _immutable,
        compares=(
            "whether the driver lets the device leave: netns_immutable, before v6.12 "
            "the feature NETIF_F_NETNS_LOCAL. lo, bridges and bonds have it"
        ),
        mend="make the device in the other namespace",
    ),
    Decision(
        "netns-unregistered",
        FUNCTION,
        "EINVAL",
        messages.NETNS_UNREGISTERED,
        _unregistered,
        compares="whether the device is registered",
    ),
)
_AFTER: tuple[Decision, ...] = (
    Decision(
        "netns-name",
        FUNCTION,
        "EEXIST",
        messages.NETNS_NAME,
        _name_taken,
        compares="the name with those of the target namespace, altnames included",
        mend="give a new name: ip link set dev DEVICE netns NS name NAME",
    ),
    Decision(
        "netns-altname",
        FUNCTION,
        "EEXIST",
        messages.NETNS_ALTNAME,
        _altname_taken,
        # Since Linux kernel commit 7663d522099e ("net: check for altname conflicts when
        # changing netdev's netns") (in v6.6), and in stable kernels. What says the
        # message is newer.
        in_kernel=lambda kernel: True if kernel.says_netns else None,
        compares="each altname with the names of the target namespace",
        mend="ip link property del dev DEVICE altname NAME",
        kernels="since v6.6, and stable kernels of October 2023",
    ),
    Decision(
        "netns-ifindex",
        FUNCTION,
        "EBUSY",
        messages.NETNS_IFINDEX,
        _ifindex_taken,
        compares="the ifindex that was asked for with those of the target namespace",
        mend="leave it out",
        kernels="since v5.13",
    ),
)
#: __dev_change_net_namespace(), in its order.
NETNS = (*_BEFORE, *_AFTER)


def _after(q: Asked) -> tuple[Decision, ...]:
    # Older kernels ignore IFLA_NEW_IFINDEX, and choose one.
    if q.what.ifindex:
        if not need(q.kernel.netns_ifindex, "whether the kernel takes an ifindex"):
            return tuple(one for one in _AFTER if one.key != "netns-ifindex")
    return _AFTER


def ask(q: Asked) -> Answer:
    """
    Return the answer to RTM_SETLINK with a namespace.

    :raises CannotTell: if a value is missing
    """
    assert isinstance(q.what, Move)
    if q.kernel.netns_first and _target(q).same:
        return granted("do_setlink", f"{q.name} is there already")
    refused = first(q, _BEFORE)
    if refused is None:
        if _target(q).same:
            return granted(FUNCTION, f"{q.name} is there already")
        refused = first(q, _after(q))
    free = granted(FUNCTION, "its names are free there")
    if refused is None:
        return free
    if q.kernel.says_netns:
        return in_words(refused, _taken_altname(q), q.what.ifindex)
    refused = refused._replace(message=None)
    if refused.decision is None or refused.decision[0] != "netns-altname":
        return refused
    other = first(q, [one for one in _after(q) if one.key != "netns-altname"])
    if other is not None:
        other = other._replace(message=None)
    return one_of((refused, other), free)
