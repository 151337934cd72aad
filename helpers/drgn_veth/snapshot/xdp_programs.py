# SPDX-License-Identifier: LGPL-2.1-or-later
"""The records of attached XDP programs."""

from collections.abc import Collection
from typing import Callable, Optional

from drgn import Object, Program

from ..core.errors import attempt
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import DeviceRef, XdpProgram
from ..readers import bpf_prog
from ..readers.bpf_insn import bpf_prog_may_call
from ..readers.bpf_link import bpf_link_id
from ..readers.xdp import XdpMode, dev_xdp_link, dev_xdp_prog
from .links import is_of_another

__all__ = ("XdpPrograms",)


_ASTRAY = Unreadable("its link does not point back to this device")


def _unreadable(why: Unreadable) -> XdpProgram:
    # All that a program says of itself.
    return XdpProgram(
        *(why, why, why, "netlink", None),
        *(why, why, why, why, why),
        *(why, why, why),
    )


class XdpPrograms:
    """Makes the records of programs, each once."""

    def __init__(self, prog: Program) -> None:
        self._pointer = prog.type("struct bpf_prog *")
        self._prog = prog
        self._programs: dict[int, XdpProgram] = {}
        #: Links that hold a program: ``struct bpf_xdp_link *``, and its device.
        self.links: dict[int, tuple[Object, DeviceRef]] = {}

    def forget(self) -> None:
        """Forget all programs."""
        self._programs.clear()

    def forget_links(self, addresses: Collection[int]) -> None:
        """
        Forget the links of some devices.

        :param addresses: Of ``struct net_device``
        """
        self._keep(lambda address: address not in addresses)

    def keep_links(self, addresses: Collection[int]) -> None:
        """Forget the links of all devices but some."""
        self._keep(lambda address: address in addresses)

    def _keep(self, is_kept: Callable[[int], bool]) -> None:
        links = self.links.items()
        self.links = {at: one for at, one in links if is_kept(one[1].net_device)}

    def _record(self, prog: Object) -> XdpProgram:
        wrong = attempt(bpf_prog.check_bpf_prog, prog, "BPF_PROG_TYPE_XDP")
        if isinstance(wrong, Unreadable):
            return _unreadable(wrong)
        return XdpProgram(
            id=attempt(bpf_prog.bpf_prog_id, prog),
            name=attempt(lambda: decode(bpf_prog.bpf_prog_name(prog))),
            tag=attempt(bpf_prog.bpf_prog_tag, prog),
            via="netlink",
            link_id=None,
            jited=attempt(bpf_prog.bpf_prog_jited, prog),
            frags=attempt(bpf_prog.bpf_prog_has_frags, prog),
            load_time=attempt(bpf_prog.bpf_prog_load_time, prog),
            uid=attempt(bpf_prog.bpf_prog_uid, prog),
            expected_attach_type=attempt(bpf_prog.bpf_prog_expected_attach_type, prog),
            redirects=attempt(bpf_prog_may_call, prog, "bpf_xdp_redirect"),
        )

    def _program(self, prog: Object) -> XdpProgram:
        address = prog.value_()
        try:
            return self._programs[address]
        except KeyError:
            program = self._programs[address] = self._record(prog)
            return program

    def ident(self, address: int) -> Maybe[int]:
        """
        Return the identifier of a program.

        :param address: Of a ``struct bpf_prog``
        """
        return self._program(Object(self._prog, self._pointer, address)).id

    def attached(
        self, dev: Object, mode: XdpMode, ref: DeviceRef
    ) -> Optional[XdpProgram]:
        """
        Return the program that is attached to a device.

        :param dev: ``struct net_device *``
        :param ref: The device, for the record of the link
        """
        prog = dev_xdp_prog(dev, mode)
        if not prog:
            return None
        link = dev_xdp_link(dev, mode)
        if link and is_of_another(link, ref):
            return _unreadable(_ASTRAY)._replace(via="link")
        program = self._program(prog)
        if not link:
            return program
        self.links[link.value_()] = (link, ref)
        return program._replace(via="link", link_id=attempt(bpf_link_id, link))
