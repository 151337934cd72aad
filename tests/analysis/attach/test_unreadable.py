# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernels whose text cannot be read, and values."""

import errno
from typing import Callable

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Bond, DeviceRef, Driver, QueueCount, Queues
import pytest

from tests.support.attach.case import INIT, NO_XDP, Case, kernel_of
from tests.support.attach.table import SAYS, messages_of
from tests.support.attach.troubles import link_in_place, no_operation, other_mode, upper


def test_bond_of_a_kernel_that_does_not_say_why() -> None:
    case = Case("I", "bond", "driver")
    case.change("bond", bond=Bond("balance-alb", "layer2", ()))
    said = case.ask()
    assert said.message is not None and not said.either
    messages = {**messages_of("I"), "bond_xdp": frozenset()}
    case.kernel = kernel_of("I", messages=tuple(messages.items()))
    silent = case.ask()
    assert (silent.errno, silent.message) == (errno.EOPNOTSUPP, None)
    assert silent.because == said.because and not silent.either


def test_bond_whose_code_was_not_read() -> None:
    """errno is known all the same."""
    case = Case("I", "bond", "driver")
    messages = messages_of("I")
    del messages["bond_xdp"]
    case.kernel = kernel_of("I", messages=tuple(messages.items()))
    assert case.ask().errno == 0 and not case.ask().either
    case.change("bond", bond=Bond("balance-alb", "layer2", ()))
    said = case.ask()
    assert said.errno == errno.EOPNOTSUPP
    assert {one.message for one in said.either} == {SAYS["bond-mode"][1], None}
    assert "this depends on the code of bond_xdp_set()" in said.because


def _unknown_text(case: Case) -> None:
    case.kernel = case.kernel._replace(messages=Unreadable("no text"))


def test_a_or_b() -> None:
    """Only where kernels would differ: both answers, and why it is not known."""
    case = Case("A", "veth", "driver")
    _unknown_text(case)
    assert case.ask().errno == 0
    no_operation(case)
    assert case.ask().errno == errno.EOPNOTSUPP
    other_mode(case)
    said = case.ask()
    assert said.errno is None and "no text" in said.because
    assert {one.errno for one in said.either} == {errno.EOPNOTSUPP, errno.EEXIST}
    for variant, expected in (("A", errno.EEXIST), ("I", errno.EOPNOTSUPP)):
        case.kernel = kernel_of(variant)
        assert case.ask().errno == expected


def test_upper_on_a_kernel_that_may_not_look() -> None:
    case = Case("A", "veth", "driver")
    upper(case)
    _unknown_text(case)
    assert {one.errno for one in case.ask().either} == {0, errno.EEXIST}
    case.kernel = kernel_of("A", ("upper",))
    assert case.ask().errno == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda case: case.change("veth", peer=Unreadable("gone")),
        lambda case: case.change("peer", mtu=Unreadable("gone")),
        lambda case: case.change("peer", hard_header_len=Unreadable("gone")),
        lambda case: case.change("veth", uppers=Unreadable("gone")),
        lambda case: case.change("veth", memory_provider=Unreadable("gone")),
        lambda case: case.change("veth", tcp_data_split=Unreadable("gone")),
        lambda case: case.change(
            "veth", xdp=NO_XDP._replace(generic=Unreadable("gone"))
        ),
        lambda case: case.change(
            "veth", driver=Driver(Unreadable("gone"), True, True, True)
        ),
        lambda case: case.change(
            "veth", queues=Queues(QueueCount(Unreadable("gone"), 4), QueueCount(1, 1))
        ),
        lambda case: setattr(
            case, "kernel", case.kernel._replace(page_size=Unreadable("gone"))
        ),
        lambda case: case.of_program(expected_attach_type=Unreadable("gone")),
    ],
)
def test_what_cannot_be_read_is_no_guess(change: Callable[[Case], None]) -> None:
    case = Case("I", "veth", "driver")
    assert case.ask().errno == 0
    change(case)
    said = case.ask()
    assert isinstance(said.errno, Unreadable), said
    assert "gone" in said.errno.reason and said.because == said.errno.reason


def test_a_peer_that_was_not_found() -> None:
    case = Case("I", "veth", "driver")
    ref = DeviceRef(INIT, 77, "lost", 0xFFFF7777)
    case.change("veth", peer=ref)
    said = case.ask()
    assert isinstance(said.errno, Unreadable) and "lost" in said.because


def test_what_does_not_matter_is_not_missed() -> None:
    """An earlier refusal stands whatever comes later."""
    case = Case("I", "veth", "driver")
    link_in_place(case)
    case.change("veth", peer=Unreadable("gone"))
    assert case.ask().errno == errno.EBUSY
