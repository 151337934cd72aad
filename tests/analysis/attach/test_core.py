# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the core does that no other decision can tell."""

import errno
from typing import Optional

from drgn_veth.analysis.attach.ask import fresh_program
from drgn_veth.analysis.attach.predictor import Predictor, TooOldError
from drgn_veth.analysis.attach.question import Answer
from drgn_veth.model import Task, XdpProgram
import pytest

from tests.support.attach.case import (
    ALL_OPERATIONS,
    NO_XDP,
    Case,
    answer_of,
    kernel_of,
    plain_device,
    program_of,
)
from tests.support.attach.orders import case_with
from tests.support.attach.table import ORDERS, SAYS
from tests.support.attach.troubles import (
    memory_provider,
    other_mode,
    program_maps,
    upper,
    veth_mtu,
    veth_queues,
)
from tests.support.snapshots import link

BPF_XDP = 37  # enum bpf_attach_type


@pytest.mark.parametrize("variant", ["A", "I"])
def test_same_program(variant: str) -> None:
    """Nothing changes, and no driver is asked; only A looks at the program first."""
    case = Case(variant, "veth", "driver")
    case.attached("driver", "netlink")
    case.of_program(id=22, prog=0xFFFF8000)
    veth_queues(case)
    assert answer_of(case)[:2] == (0, "dev_xdp_attach")
    case.of_program(expected_attach_type=35)
    assert answer_of(case)[0] == (errno.EINVAL if variant == "A" else 0)


@pytest.mark.parametrize("loaded_with", [0, BPF_XDP])
def test_update_without_a_program(loaded_with: int) -> None:
    """libbpf loads with BPF_XDP: it does so with the next program, too."""
    case = Case("I", "veth", "driver")
    case.attached("driver", "link")
    held = case.devices["veth"].xdp.driver
    assert isinstance(held, XdpProgram)
    held = held._replace(expected_attach_type=loaded_with)
    case.change("veth", xdp=NO_XDP._replace(driver=held))
    predictor, device = Predictor(case.snapshot()), case.devices["veth"]
    assert predictor.update(device, "driver").errno == 0
    for attach_type in (0, BPF_XDP):
        program = fresh_program()._replace(expected_attach_type=attach_type)
        said = predictor.update(device, "driver", program=program)
        assert said.errno == (0 if attach_type == loaded_with else errno.EINVAL)


@pytest.mark.parametrize("variant", ["A", "I"])
@pytest.mark.parametrize("mode", ["default", "generic", "driver", "offload"])
def test_detach_of_nothing(variant: str, mode: str) -> None:
    case = Case(variant, "veth", mode)
    case.program = None
    veth_queues(case)
    _tcp = case.devices["veth"]._replace(tcp_data_split=True)
    case.devices["veth"] = _tcp
    assert answer_of(case)[0] == 0


@pytest.mark.parametrize("variant", ["A", "I"])
def test_detach(variant: str) -> None:
    """A detach is asked for nothing but links, uppers and memory providers."""
    case = Case(variant, "veth", "driver")
    case.program = None
    case.attached("driver", "netlink")
    case.attached("generic", "netlink")
    for trouble in (veth_queues, veth_mtu):
        trouble(case)
    assert answer_of(case)[:2] == (0, "veth_xdp_set")
    memory_provider(case)
    assert answer_of(case)[0] == errno.EBUSY
    upper(case)
    assert answer_of(case)[0] == errno.EEXIST


@pytest.mark.parametrize(
    "driver,mode", [("veth", "driver"), ("dummy", "generic"), ("unheard-of", "driver")]
)
def test_no_mode(driver: str, mode: str) -> None:
    """dev_xdp_mode(): driver where there is ndo_bpf, generic otherwise."""
    case = Case("I", "veth", "default")
    has = driver != "dummy"
    case.change("veth", driver=ALL_OPERATIONS._replace(name=driver, ndo_bpf=has))
    case.attached(mode, "netlink")
    case.flags = 1
    assert answer_of(case)[0] == errno.EBUSY


@pytest.mark.parametrize("mode", ["default", "driver"])
def test_unknown_driver(mode: str) -> None:
    case = Case("I", "veth", mode)
    case.change("veth", driver=ALL_OPERATIONS._replace(name="ixgbe"))
    said = case.ask()
    assert said.errno is None and not said.either
    assert said.because == "passes the core checks; driver ixgbe has the final say"
    case.attached("driver", "link")
    assert case.ask().errno == errno.EBUSY  # The core does not ask it.


def test_what_comes_after_the_fix() -> None:
    case = Case("I", "veth", "driver")
    for trouble in (other_mode, veth_mtu, veth_queues):
        trouble(case)
    said: Optional[Answer] = case.ask()
    errnos = []
    while said is not None:
        errnos.append(said.errno)
        said = said.then
    assert errnos == [errno.EEXIST, errno.ERANGE, errno.ENOSPC]


@pytest.mark.parametrize("via", ["netlink", "link"])
@pytest.mark.parametrize("held", ["netlink", "link"])
def test_nothing_comes_after_a_detach(via: str, held: str) -> None:
    """A program that was detached is in nobody's way, whatever asks about it."""
    case = Case("I", "veth", "driver")
    case.once("via", via)
    case.flags = 1 if via == "netlink" else 0
    case.attached("driver", held)
    said = case.ask()
    assert said.errno == errno.EBUSY and said.fix and said.then is None
    veth_queues(case)
    said = case.ask()
    assert said.then is not None and said.then.errno == errno.ENOSPC
    assert said.then.then is None


def test_uppers_are_detached_from_the_top() -> None:
    """Else the kernel refuses to detach the lower one."""
    case = Case("I", "veth", "driver")
    upper(case)
    top = plain_device(99, "top", xdp=NO_XDP._replace(generic=program_of(10)))
    case.devices["top"] = top
    case.change("upper", uppers=(top.ref,))
    said = case.ask()
    assert said.fix == (
        "ip link set dev top xdpgeneric off",
        "ip link set dev upper xdpgeneric off",
    )
    assert said.then is None
    # A loop, in a dump that is damaged.
    case.change("upper", uppers=(case.devices["veth"].ref, case.devices["upper"].ref))
    assert case.ask().fix == ("ip link set dev upper xdpgeneric off",)


def test_mode_that_is_meant_is_said() -> None:
    case = Case("I", "veth", "default")
    assert "no mode means driver mode: its driver has ndo_bpf" in case.ask().because
    veth_queues(case)
    assert "no mode means driver" in case.ask().because
    case.mode = "driver"
    assert "no mode" not in case.ask().because


def test_one_is_one() -> None:
    case = Case("I", "veth", "driver")
    assert "1 real RX queue here >= 1 real TX queue of peer" in case.ask().because
    case = Case("I", "bond", "driver")
    assert case.ask().because == "accepted by 1 slave"


def test_a_mode_is_not_ambiguous() -> None:
    """How many programs there are matters to a request without a mode alone."""
    case = Case("I", "veth", "default")
    case.attached("driver", "netlink")
    assert answer_of(case)[0] == 0
    case.attached("offload", "netlink")
    assert answer_of(case)[2] == SAYS["ambiguous"][1]
    case.mode = "driver"
    assert answer_of(case)[:2] == (0, "veth_xdp_set")


@pytest.mark.parametrize("name", ["veth", "slave"])
def test_tcp_data_split_and_fragments(name: str) -> None:
    """Of the device, or of a slave: dev_xdp_propagate()."""
    target = "bond" if name == "slave" else name
    case = Case("I", target, "driver")
    case.change(name, tcp_data_split=True)
    said = case.ask()
    assert said.errno == errno.EBUSY
    assert said.fix == (f"ethtool -G {name} tcp-data-split off",)
    case.of_program(frags=True)
    assert case.ask().errno == 0
    case.program = None
    case.attached("driver", "netlink")
    assert case.ask().errno == 0


def test_maps_whose_entries_have_programs() -> None:
    """Only kernels before v5.15 mind, in generic mode, and not at a detach."""
    for variant in ORDERS:
        case = case_with(variant, "generic")
        program_maps(case)
        assert answer_of(case)[:2] == (errno.EINVAL, "generic_xdp_install")
        newer = kernel_of(variant)
        case.kernel, older = newer, case.kernel
        assert case.ask().errno == 0
        case.kernel, case.program = older, None
        case.attached("generic", "netlink")
        assert case.ask().errno == 0


@pytest.mark.parametrize("via", ["netlink", "link"])
def test_a_program_for_offload_in_its_mode(via: str) -> None:
    """The core accepts it; the driver refuses it."""
    for variant in ORDERS:
        case = Case(variant, "veth", "offload")
        case.once("via", via)
        case.of_program(offload_requested=True)
        assert answer_of(case) == (errno.EINVAL, "veth_xdp", None)


def test_off_list() -> None:
    case = Case("I", "veth", "driver")
    case.change("veth", off_list="unregistering")
    assert answer_of(case)[:2] == (errno.ENODEV, "__dev_get_by_index")
    case.via = "link"
    assert answer_of(case)[:2] == (errno.EINVAL, "bpf_xdp_link_attach")


def test_no_frags_in_this_kernel() -> None:
    case = Case("A", "veth", "driver")
    case.kernel = case.kernel._replace(xdp_frags=False)
    case.of_program(frags=True)
    assert answer_of(case)[:2] == (errno.EINVAL, "bpf_prog_load")


def test_too_old() -> None:
    case = Case("A", "veth", "driver")
    case.kernel = case.kernel._replace(xdp_state=False)
    with pytest.raises(TooOldError, match=r"v5\.9"):
        case.ask()


def test_blocked() -> None:
    case = Case("I", "veth", "driver")
    task = Task(12, "ip")
    case.kernel = case.kernel._replace(rtnl_owner=task)
    assert Predictor(case.snapshot()).blocked_by == task


def test_a_link_lets_go_of_what_would_not_be_detached() -> None:
    """bpf_xdp_link_release() only warns."""
    held = link((), ())
    first = held.devices[0]._replace(memory_provider=True)
    whole = held._replace(devices=(first, *held.devices[1:]))
    assert Predictor(whole).link_detach(first, "generic").errno == 0
