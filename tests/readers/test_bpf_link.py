# SPDX-License-Identifier: LGPL-2.1-or-later
"""BPF links of XDP, and those of programs that replace functions."""

from typing import Optional

from drgn import Object, container_of
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.bpf_extension import for_each_bpf_extension
from drgn_veth.readers.bpf_link import for_each_xdp_link
import pytest

from tests.support.toy import NOWHERE, Toy

TRACING, XDP = 2, 6
TRACING_PROG, EXT_PROG = 26, 28


class Links:
    """An IDR with one link at a time."""

    def __init__(self, toy: Toy, tramp: bool = True, xdp: bool = True) -> None:
        self.toy = toy
        toy.struct("bpf_prog", type="int", len="int")
        prog = "struct bpf_prog *"
        link = toy.struct("bpf_link", id="long", type="int", prog=prog)
        if tramp:
            link = toy.struct("bpf_tramp_link", link=link, cookie="long")
        toy.struct("bpf_tracing_link", link=link, attach_type="int", tgt_prog=prog)
        if xdp:
            of_xdp = toy.prog.type("struct bpf_link")
            toy.struct("bpf_xdp_link", link=of_xdp, dev="void *")
        slots = toy.prog.array_type(toy.prog.type("void *"), 64)
        toy.struct("xa_node", shift="char", count="char", parent="void *", slots=slots)
        root = toy.struct("xarray", xa_head="void *")
        toy.struct("idr", idr_rt=root)
        self.idr = toy.variable("link_idr", "struct idr")
        toy.constant("BPF_LINK_TYPE_TRACING", TRACING)
        toy.constant("BPF_LINK_TYPE_XDP", XDP)
        toy.constant("BPF_PROG_TYPE_EXT", EXT_PROG)
        self.target = toy.place("struct bpf_prog")

    def be(self, type: int, of: Optional[int] = EXT_PROG) -> int:
        """Let the IDR have such a link."""
        at = self.toy.place("struct bpf_tracing_link")
        prog = 0
        if of is not None:
            prog = self.toy.place("struct bpf_prog")
            self.toy.set("struct bpf_prog", prog, type=of)
        self.toy.set("struct bpf_link", at, type=type, prog=prog)
        self.toy.set("struct bpf_tracing_link", at, tgt_prog=self.target)
        self.lead(at)
        return prog or at

    def lead(self, at: int) -> None:
        self.toy.set("struct idr", self.idr, idr_rt__xa_head=at)

    def extensions(self) -> "list[tuple[int, int]]":
        found = for_each_bpf_extension(self.toy.prog)
        return [(target.value_(), ext.value_()) for target, ext in found]

    def xdp(self) -> "list[int]":
        return [link.value_() for link in for_each_xdp_link(self.toy.prog)]


@pytest.mark.parametrize("tramp", [True, False])
def test_programs_that_replace_functions(toy: Toy, tramp: bool) -> None:
    """Before v5.19, there is no struct bpf_tramp_link."""
    links = Links(toy, tramp)
    assert links.extensions() == []
    ext = links.be(TRACING)
    assert links.extensions() == [(links.target, ext)]
    for type, of in ((XDP, EXT_PROG), (TRACING, TRACING_PROG), (TRACING, None)):
        links.be(type, of)
        assert links.extensions() == []
    links.target = 0  # It is not attached.
    links.be(TRACING)
    assert links.extensions() == []


def test_links_of_xdp(toy: Toy) -> None:
    links = Links(toy)
    assert links.xdp() == []
    at = links.be(XDP, None)
    link = Object(toy.prog, "struct bpf_link *", at)
    assert links.xdp() == [container_of(link, "struct bpf_xdp_link", "link").value_()]
    links.be(TRACING)
    assert links.xdp() == []


def test_before_links_of_xdp(toy: Toy) -> None:
    links = Links(toy, xdp=False)
    links.be(XDP)
    assert links.xdp() == []


def test_link_that_cannot_be_read(toy: Toy) -> None:
    links = Links(toy)
    links.lead(NOWHERE)
    for walk in (links.extensions, links.xdp):
        with pytest.raises(WalkError, match="a link: "):
            walk()
