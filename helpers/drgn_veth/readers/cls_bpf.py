# SPDX-License-Identifier: LGPL-2.1-or-later
"""
BPF filters of tc
-----------------

The programs of ``tc filter add ... bpf`` at an ``ingress`` or ``clsact`` qdisc
(net/sched/cls_bpf.c, net/sched/cls_api.c).

Upstream: all but the bounds.
"""

from collections.abc import Iterator

from drgn import Object, Program, cast, offsetof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.budget import budget_of
from ..core.salvage import Salvage
from .bounded import bounded_nodes, for_each_entry_bounded
from .tcx import netdev_miniq

__all__ = ("for_each_cls_bpf_prog", "for_each_miniq_filter")

_KIND = b"bpf"
_MAX_KIND = 16  # tcf_proto_ops.kind


class _Offsets:
    # The module's types may be missing. In every kernel from v5.4 to v7.3, the list is
    # the first member of struct cls_bpf_head; filter and link those of struct
    # cls_bpf_prog.
    def __init__(self, prog: Program) -> None:
        try:
            self.plist = offsetof(prog.type("struct cls_bpf_head"), "plist")
            filter = prog.type("struct cls_bpf_prog")
        except LookupError:
            self.plist, self.filter = 0, 0
            self.link = _word(prog)
        else:
            self.filter = offsetof(filter, "filter")
            self.link = offsetof(filter, "link")


@takes_program_or_default
def _word(prog: Program) -> int:
    return prog.type("void *").size or 0


def _chains(first: Object) -> list[Object]:
    # What each chain begins with; chain 0 first, the others are reached from it.
    # mini_Qdisc.block is NULL at egress: clsact_init() sets only the other one.
    head = first.chain.block.chain_list.address_of_()
    chains = list(for_each_entry_bounded(head, "struct tcf_chain", "list"))
    chains.sort(key=lambda chain: chain.index.value_())
    return [chain.filter_chain.read_() for chain in chains]


def for_each_miniq_filter(miniq: Object) -> Iterator[Object]:
    """
    Iterate over the filters of all chains of a qdisc, in the order of their priority.

    :param miniq: ``struct mini_Qdisc *``
    :return: Iterator of ``struct tcf_proto *`` objects
    :raises WalkError: if a list is too long
    """
    budget = budget_of(miniq.prog_)
    for filter in _chains(miniq.filter_list.read_()):
        while filter:
            budget.step()
            yield filter
            filter = filter.next.read_()


def for_each_cls_bpf_prog(dev: Object, egress: bool) -> Iterator[Object]:
    """
    Iterate over the BPF programs that filters of tc run at a device.

    :param dev: ``struct net_device *``
    :param egress: Whether packets that it sends are meant
    :return: Iterator of ``struct bpf_prog *`` objects; classic BPF, too
    :raises WalkError: after all that could be reached
    """
    prog = dev.prog_
    miniq = netdev_miniq(dev, egress)
    if not miniq:
        return
    offsets = _Offsets(prog)
    salvage = Salvage("filters: ")
    for filter in salvage.walk(for_each_miniq_filter(miniq)):
        kind = filter.ops.kind
        if prog.read_c_string(kind.address_ or 0, max_size=_MAX_KIND) != _KIND:
            continue
        head = filter.root.value_()
        if not head:  # cls_bpf_init() has not run yet.
            continue
        nodes = bounded_nodes(prog, head + offsets.plist, lambda at: at)
        for node in salvage.walk(nodes):
            at = node - offsets.link + offsets.filter
            found = salvage.read(prog.read_word, at)
            if found:
                yield cast("struct bpf_prog *", Object(prog, "void *", found))
    salvage.finish()
