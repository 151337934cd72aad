# SPDX-License-Identifier: LGPL-2.1-or-later
"""
tcx
---

BPF programs at the ingress and egress of a device, without a qdisc (kernel/bpf/tcx.c,
since v6.6), and where the kernel finds the filters of a qdisc there
(include/net/tcx.h).

Upstream: all but the members.
"""

from collections.abc import Iterator

from drgn import NULL, Object, container_of

from ..core.struct_layout import Members, optional_pointer
from .bpf_mprog import for_each_mprog_prog

__all__ = ("NetDeviceTc", "for_each_tcx_prog", "netdev_miniq", "netdev_tcx_entry")


class NetDeviceTc(Members):
    """Members of ``struct net_device`` about programs and filters of tc."""

    # CONFIG_NET_XGRESS.
    # Since Linux kernel commit e420bed02507 ("bpf: Add fd-based tcx multi-prog infra
    # with link support") (in v6.6). Before, the two others, with CONFIG_NET_CLS_ACT.
    tcx_ingress = optional_pointer("tcx_ingress")
    tcx_egress = optional_pointer("tcx_egress")
    miniq_ingress = optional_pointer("miniq_ingress")
    miniq_egress = optional_pointer("miniq_egress")


def _way(egress: bool) -> str:
    return "egress" if egress else "ingress"


def netdev_tcx_entry(dev: Object, egress: bool) -> Object:
    """
    Return the programs of tcx at a device.

    :param dev: ``struct net_device *``
    :param egress: Whether packets that it sends are meant
    :return: ``struct bpf_mprog_entry *``; ``NULL`` if there is neither a program nor a
        filter, and before v6.6
    """
    try:
        return dev.member_(f"tcx_{_way(egress)}").read_()
    except LookupError:
        return NULL(dev.prog_, "void *")


def for_each_tcx_prog(dev: Object, egress: bool) -> Iterator[Object]:
    """
    Iterate over the programs of tcx at a device, in the order in which they run.

    :param dev: ``struct net_device *``
    :param egress: Whether packets that it sends are meant
    :return: Iterator of ``struct bpf_prog *`` objects
    """
    entry = netdev_tcx_entry(dev, egress)
    return for_each_mprog_prog(entry) if entry else iter(())


def netdev_miniq(dev: Object, egress: bool) -> Object:
    """
    Return where the kernel finds the filters of an ``ingress`` or ``clsact`` qdisc of a
    device.

    :param dev: ``struct net_device *``
    :param egress: Whether packets that it sends are meant
    :return: ``struct mini_Qdisc *``, ``NULL`` if there is no filter
    """
    null = NULL(dev.prog_, "void *")
    try:
        return dev.member_(f"miniq_{_way(egress)}").read_()
    except LookupError:
        entry = netdev_tcx_entry(dev, egress)
    if not entry:
        return null
    bundle = entry.parent.read_()
    return container_of(bundle, "struct tcx_entry", "bundle").miniq.read_()
