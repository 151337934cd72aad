# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a dispatcher's programs do is what its device does."""

import struct

from drgn import Object
from drgn_veth.analysis.rules.context import Context
from drgn_veth.core.unreadable import Maybe, Unreadable
from drgn_veth.model import Snapshot, XdpProgram
from drgn_veth.readers.bpf_extension import for_each_bpf_extension
from drgn_veth.readers.bpf_prog import bpf_prog_name
import pytest

from tests.support.damage import at, devices_of, take
from tests.support.memory import Altered, altered_core
from tests.support.recorded import CORES, recorded_core

_CORE = [name for name in CORES if name.endswith("-attach")][-1]
_CALL = b"\x85\0\0\0"


@pytest.fixture(scope="module")
def memory() -> Altered:
    # What the fixture "altered" of conftest.py changes here.
    return altered_core(recorded_core(_CORE))


@pytest.fixture(scope="module")
def dev(memory: Altered) -> Object:
    return devices_of(memory.original)["dis_a"]


@pytest.fixture(scope="module")
def slot(memory: Altered) -> Object:
    (found,) = [
        extension
        for target, extension in for_each_bpf_extension(memory.original)
        if bpf_prog_name(target) == b"xdp_dispatcher"
    ]
    return found


def _redirects(snapshot: Snapshot, dev: Object) -> Maybe[bool]:
    program = at(snapshot, dev).xdp.driver
    assert isinstance(program, XdpProgram)
    return program.redirects


def _is_native_in(snapshot: Snapshot, dev: Object) -> bool:
    device = at(snapshot, dev)
    return device.net_device in Context(snapshot).native_in(device.netns)


def test_as_it_is(altered: Altered, dev: Object) -> None:
    snapshot = take(altered)
    assert _redirects(snapshot, dev) is False
    assert not _is_native_in(snapshot, dev)


def test_a_slot_redirects(altered: Altered, dev: Object, slot: Object) -> None:
    prog = altered.original
    helper, base = prog.symbol("bpf_xdp_redirect"), prog.symbol("__bpf_call_base")
    call = _CALL + struct.pack("<i", helper.address - base.address)
    altered.write(slot.insnsi.address_of_().value_(), call)
    snapshot = take(altered)
    assert _redirects(snapshot, dev) is True
    assert _is_native_in(snapshot, dev)


def test_a_slot_is_lost(altered: Altered, dev: Object, slot: Object) -> None:
    altered.lose(slot.insnsi.address_of_().value_(), 8)
    assert isinstance(_redirects(take(altered), dev), Unreadable)
