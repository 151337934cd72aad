# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP
---

The programs that are attached to a device, in each mode, and how. Follows
dev_xdp_prog() and dev_xdp_link() (net/core/dev.c).

Upstream: all but the members and no_xdp_state().
"""

from collections.abc import Mapping
import contextlib
import enum
from typing import Any, Callable, Optional, Union

from drgn import NULL, Object, Program, TypeKind, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.struct_layout import (
    Kind,
    Members,
    array_or_pointer,
    kind_of,
    optional_number,
)
from ..core.xdp_modes import mode_named
from .array import expect_array
from .driver import netdev_driver_name, netdev_op
from .tun import TUN_KIND, tun_xdp_prog
from .veth import VETH_KIND, veth_xdp_prog
from .virtio_net import VIRTIO_NET_DRIVER, virtio_net_xdp_prog

__all__ = (
    "NetDeviceXdp",
    "XdpMode",
    "dev_xdp_link",
    "dev_xdp_prog",
    "has_xdp_state",
    "has_xsk_sg",
    "no_xdp_state",
)

_XDP_STATE = "xdp_state"


class NetDeviceXdp(Members):
    """Members of ``struct net_device`` about XDP."""

    xdp_state = array_or_pointer(_XDP_STATE)
    # Since Linux kernel commit d3d854fd6a1d ("netdev-genl: create a simple family for
    # netdev stuff") (in v6.3).
    xdp_features = optional_number("xdp_features")


@takes_program_or_default
def has_xsk_sg(prog: Program) -> bool:
    """Return whether AF_XDP sockets know packets of several frames (``XDP_USE_SG``)."""
    # They came together, in v6.6.
    return prog.type("struct net_device").has_member("xdp_zc_max_segs")


@takes_program_or_default
def has_xdp_state(prog: Program) -> bool:
    """Return whether the core keeps the programs of all modes."""
    # Since Linux kernel commit 7f0a838254bd ("bpf, xdp: Maintain info on
    # attached XDP BPF programs in net_device") (in v5.9), all modes are in
    # xdp_state.
    return prog.type("struct net_device").has_member(_XDP_STATE)


@takes_program_or_default
def no_xdp_state(prog: Program) -> Union[bytes, int, None]:
    """
    Return the value of ``net_device.xdp_state`` if a device has no program, None if it
    is unknown.
    """
    if not has_xdp_state(prog):
        return None
    type = prog.type("struct net_device").member(_XDP_STATE).type
    kind = kind_of(type)
    if kind is Kind.ARRAY:
        return bytes(sizeof(type))
    return 0 if kind is Kind.POINTER else None


class XdpMode(enum.IntEnum):
    """
    ``enum bpf_xdp_mode``: the index of ``net_device.xdp_state``.

    Takes any name of a mode, too.

    >>> XdpMode("native") is XdpMode("driver") is XdpMode("xdpdrv") is XdpMode.DRV
    True
    """

    SKB = 0
    DRV = 1
    HW = 2

    @classmethod
    def _missing_(cls, value: object) -> "XdpMode":
        named = {"generic": cls.SKB, "driver": cls.DRV, "offload": cls.HW}
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = mode_named(value)
            if value in named:
                return named[value]
        there = ", ".join(f"{mode.name} ({word})" for word, mode in named.items())
        raise ValueError(f"no XDP mode is {value!r}; the modes are {there}")


def _mode(mode: Union[int, str]) -> XdpMode:
    given: Any = mode  # XdpMode takes names, which type checkers do not know.
    return XdpMode(given)


def _entity(dev: Object, mode: XdpMode) -> Optional[Object]:
    """
    Return the entry of a mode in ``net_device.xdp_state``, None if the device has none
    for that mode.

    :raises AttributeError: in kernels before v5.9
    """
    state = dev.xdp_state
    # RHEL 8 has a pointer in place of the array, NULL until the first attach.
    if state.type_.unaliased_kind() == TypeKind.POINTER:
        state = state.read_()
        if not state:
            return None
    else:
        expect_array(state)
    return state[int(mode)]


# What each driver answers to XDP_QUERY_PROG, by its name.
_PROG_OF_DRIVER: Mapping[Optional[bytes], Callable[[Object], Object]] = {
    TUN_KIND: tun_xdp_prog,
    VETH_KIND: veth_xdp_prog,
    VIRTIO_NET_DRIVER: virtio_net_xdp_prog,
}


def _prog_of_driver(dev: Object) -> Object:
    try:
        query = _PROG_OF_DRIVER[netdev_driver_name(dev)]
    except KeyError:
        raise NotImplementedError(
            "this kernel has no net_device.xdp_state: only the device's driver knows "
            "the program"
        ) from None
    return query(dev)


def _prog_before_xdp_state(dev: Object, mode: XdpMode) -> Object:
    # The core only keeps the generic program.
    if mode == XdpMode.SKB:
        return dev.xdp_prog.read_()
    none = NULL(dev.prog_, "struct bpf_prog *")
    # Since Linux kernel commit ("net: bpf: rename ndo_xdp to ndo_bpf") (in v4.15).
    if not netdev_op(dev, "ndo_bpf") and not netdev_op(dev, "ndo_xdp"):
        return none
    program = _prog_of_driver(dev)
    # None of these drivers can offload.
    return none if mode == XdpMode.HW else program


def dev_xdp_link(dev: Object, mode: Union[int, str]) -> Object:
    """
    Return the BPF link that holds an XDP program, as dev_xdp_link() does.

    >>> link = dev_xdp_link(netdev_get_by_name("xlinka"), XdpMode.DRV)
    >>> bpf_prog_name(link.link.prog)
    b'zoo_link'

    :param dev: ``struct net_device *``
    :param mode: :class:`XdpMode`, or any name of one
    :return: ``struct bpf_xdp_link *``, ``NULL`` if there is no program or it was
        attached by netlink
    :raises ValueError: if XDP has no mode of that number
    """
    index = _mode(mode)
    try:
        entity = _entity(dev, index)
    except AttributeError:  # Before v5.9 there are no links.
        entity = None
    return NULL(dev.prog_, "void *") if entity is None else entity.link.read_()


def dev_xdp_prog(dev: Object, mode: Union[int, str]) -> Object:
    """
    Return the XDP program that is attached to a device, as dev_xdp_prog() does.

    >>> dev = netdev_get_by_name("veth_xxx0")
    >>> bpf_prog_name(dev_xdp_prog(dev, XdpMode.SKB))
    b'zoo_gen'
    >>> bool(dev_xdp_prog(dev, XdpMode.DRV))
    False

    :param dev: ``struct net_device *``
    :param mode: :class:`XdpMode`, or any name of one
    :return: ``struct bpf_prog *``, ``NULL`` if none
    :raises ValueError: if XDP has no mode of that number
    :raises LookupError: in kernels before v5.9, if the types of the device's driver
        are not loaded
    :raises NotImplementedError: in kernels before v5.9, if drgn-veth does not know
        where the device's driver keeps the program
    """
    index = _mode(mode)
    try:
        entity = _entity(dev, index)
    except AttributeError:  # See has_xdp_state().
        return _prog_before_xdp_state(dev, index)
    if entity is None:
        return NULL(dev.prog_, "struct bpf_prog *")
    link = entity.link.read_()
    if link:
        return link.link.prog.read_()
    return entity.prog.read_()
