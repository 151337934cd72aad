# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The predictor: its decisions, their order, and what the kernel answered
-----------------------------------------------------------------------

What a decision is, and which comes first, is written down here once more, as
KERNEL.md D has it, and not taken from attach.py. The last tests change attach.py, a
decision at a time, and see the other tests fail.
"""

import collections
import errno
import functools
import itertools
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
)

import drgn
from drgn_veth.analysis.attach import core as attach
from drgn_veth.analysis.attach import drivers as attach_drivers
from drgn_veth.analysis.attach.drivers import bonding
from drgn_veth.analysis.attach.predictor import Predictor, TooOldError
from drgn_veth.analysis.attach.question import Answer
from drgn_veth.analysis.attach.questions import fresh_program
from drgn_veth.btf import use_btf
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import (
    Bond,
    Device,
    DeviceRef,
    Driver,
    Kernel,
    LoadedProgram,
    Namespace,
    QueueCount,
    Queues,
    Snapshot,
    StaleProgram,
    Target,
    Task,
    Veth,
    VirtioNet,
    Xdp,
    XdpProgram,
)
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.answers import compare_answers
from tests.support.recorded import Recorded

INIT = 4026531840
PAGE, INFO, FRAGS = 4096, 320, 17
MOST = 3506  # of a veth's peer; K, measured
MOST_FRAGS = 73138

# D.3: errno and message of each decision.
SAYS: Dict[str, Tuple[str, Optional[str]]] = {
    "flags": ("EINVAL", None),
    "flags-modes": ("EINVAL", None),
    "flags-replace": ("EINVAL", None),
    "offloaded": ("EINVAL", None),
    "link-flags": ("EINVAL", "Invalid XDP flags for BPF link attachment"),
    "one-mode": ("EINVAL", "Only one XDP mode flag can be set"),
    "ambiguous": ("EINVAL", "More than one program loaded, unset mode is ambiguous"),
    "link-in-place": ("EBUSY", "Can't replace active BPF XDP link"),
    "upper": ("EEXIST", "Cannot attach when an upper device already has a program"),
    "program-in-place": ("EBUSY", "Can't replace active XDP program with BPF link"),
    "not-expected": ("EEXIST", "Active program does not match expected"),
    "exists": ("EBUSY", "XDP program already attached"),
    "other-mode": ("EEXIST", "Native and generic XDP can't be active at the same time"),
    "offload-without-hw-old": (
        "EINVAL",
        "Using device-bound program without HW_MODE flag is not supported",
    ),
    "offload-without-hw": (
        "EINVAL",
        "Using offloaded program without HW_MODE flag is not supported",
    ),
    "other-device": ("EINVAL", "Program bound to different device"),
    "bound-in-skb": ("EINVAL", "Can't attach device-bound programs in generic mode"),
    "devmap": ("EINVAL", "BPF_XDP_DEVMAP programs can not be attached to a device"),
    "cpumap": ("EINVAL", "BPF_XDP_CPUMAP programs can not be attached to a device"),
    "no-operation": (
        "EOPNOTSUPP",
        "Underlying driver does not support XDP in native mode",
    ),
    "tcp-data-split": ("EBUSY", "unable to install XDP to device using tcp-data-split"),
    "memory-provider": (
        "EBUSY",
        "unable to install XDP to device using memory provider",
    ),
    "program-maps": ("EINVAL", None),
    "veth-peer": ("ENOTCONN", "veth: Cannot set XDP when peer is detached"),
    "veth-mtu": ("ERANGE", "veth: Peer MTU is too large to set XDP"),
    "veth-queues": (
        "ENOSPC",
        "veth: XDP expects number of rx queues not less than peer tx queues",
    ),
    "bond-mode": ("EOPNOTSUPP", "No native XDP support for the current bonding mode"),
    "slave-operations": ("EOPNOTSUPP", "Slave device does not support XDP"),
    "slave-program": (
        "EOPNOTSUPP",
        "Slave has XDP program loaded, please unload before enslaving",
    ),
    "slave-tcp-data-split": (
        "EBUSY",
        "unable to propagate XDP to device using tcp-data-split",
    ),
    "slave-memory-provider": (
        "EBUSY",
        "unable to propagate XDP to device using memory provider",
    ),
    "slave-queues": (
        "ENOSPC",
        "veth: XDP expects number of rx queues not less than peer tx queues",
    ),
    "virtio-offloads-lro": (
        "EOPNOTSUPP",
        "virtio_net: Can't set XDP while host is implementing LRO, disable LRO first",
    ),
    "virtio-offloads-lro-csum": (
        "EOPNOTSUPP",
        (
            "virtio_net: Can't set XDP while host is implementing LRO/CSUM, "
            "disable LRO/CSUM first"
        ),
    ),
    "virtio-offloads": (
        "EOPNOTSUPP",
        (
            "virtio_net: Can't set XDP while host is implementing GRO_HW/CSUM, "
            "disable GRO_HW/CSUM first"
        ),
    ),
    "virtio-header": (
        "EINVAL",
        "virtio_net: XDP expects header/data in single page, any_header_sg required",
    ),
    "virtio-mtu-any": ("EINVAL", "virtio_net: MTU too large to enable XDP"),
    "virtio-mtu-plain": (
        "EINVAL",
        "virtio_net: MTU too large to enable XDP without frags",
    ),
    "netkit": ("EOPNOTSUPP", None),
    "wrong-old-program": ("EPERM", None),
    "other-type": ("EINVAL", None),
}

NETLINK = ["flags", "flags-modes", "flags-replace", "offloaded"]
CORE = [
    "link-flags",
    "one-mode",
    "ambiguous",
    "link-in-place",
    "upper",
    "program-in-place",
    "not-expected",
    "exists",
]
CHECKS = [
    "other-mode",
    "offload-without-hw",
    "other-device",
    "bound-in-skb",
    "devmap",
    "cpumap",
]
INSTALL = ["tcp-data-split", "memory-provider"]
VETH = ["veth-peer", "veth-mtu", "veth-queues"]
BOND = [
    "bond-mode",
    "slave-operations",
    "slave-program",
    "slave-tcp-data-split",
    "slave-memory-provider",
    "slave-queues",
]
VIRTIO_LRO = ["virtio-offloads-lro", "virtio-header", "virtio-mtu-any"]
VIRTIO_LRO_CSUM = ["virtio-offloads-lro-csum", "virtio-header", "virtio-mtu-any"]
VIRTIO = ["virtio-offloads", "virtio-header", "virtio-mtu-any"]
VIRTIO_NEW = ["virtio-offloads", "virtio-header", "virtio-mtu-plain"]

CHECKS_OLD = ["other-mode", "offload-without-hw-old", "devmap", "cpumap"]

#: What comes in which order, in the kernels that KERNEL.md calls A and I, and in those
#: of A that are older than v6.3.
ORDERS = {
    "A": [*NETLINK, *CORE, *CHECKS, "no-operation", *INSTALL],
    "I": [*NETLINK, *CORE, "no-operation", *CHECKS, *INSTALL],
    "old": [*NETLINK, *CORE, *CHECKS_OLD, "no-operation", *INSTALL],
}
DRIVERS = {
    "veth": VETH,
    "bond": BOND,
    "virtio-lro": VIRTIO_LRO,
    "virtio-lro-csum": VIRTIO_LRO_CSUM,
    "virtio": VIRTIO,
    "virtio-new": VIRTIO_NEW,
    "netkit": ["netkit"],
    "generic": ["program-maps"],
}


def _messages(variant: str, absent: Sequence[str] = ()) -> Dict[str, FrozenSet[str]]:
    def said(keys: Sequence[str]) -> FrozenSet[str]:
        messages = (SAYS[key][1] for key in keys if key not in absent)
        return frozenset(message for message in messages if message is not None)

    late = CHECKS if variant == "I" else []
    early = {"A": CHECKS, "I": [], "old": CHECKS_OLD}[variant]
    return {
        "dev_xdp_attach": said([*CORE, "no-operation", *early]),
        "dev_xdp_install": said([*INSTALL, *late]),
        "bond_xdp": said(["bond-mode"]),
    }


def _kernel(variant: str, absent: Sequence[str] = (), **changes: Any) -> Kernel:
    kernel = Kernel(
        page_size=PAGE,
        skb_shared_info_size=INFO,
        max_skb_frags=FRAGS,
        smp_cache_bytes=64,
        net_ip_align=0,
        nr_cpu_ids=4,
        xdp_state=True,
        xdp_frags=True,
        dev_bound=variant != "old",
        messages=tuple(_messages(variant, absent).items()),
        padded_vnet_hdr_size=16,
        rtnl_owner=None,
    )
    return kernel._replace(**changes)


_ALL = Driver("", True, True, True)
_NO_XDP = Xdp(None, None, None, None)


def _device(ifindex: int, name: str, **changes: Any) -> Device:
    one = QueueCount(1, 4)
    device = Device(
        INIT, ifindex, name, (), None, 0xFFFF0000 + ifindex, None, ("UP",), "UP", 1500,
        68, 65535, None, None, Queues(one, one), None, _NO_XDP, (), (), None,
        hard_header_len=14,
    )  # fmt: skip
    return device._replace(**changes)


def _program(number: int, via: str = "netlink") -> XdpProgram:
    return XdpProgram(
        number, "p", "", via, None if via == "netlink" else 1, True, False, 0, 0
    )


class Conflict(Exception):
    """Two troubles cannot be had at once."""


class Case:
    """A kernel, some devices, and a question; with no trouble yet."""

    def __init__(self, variant: str, target: str, mode: Optional[str] = None) -> None:
        self.kernel = _kernel(variant)
        names = ["veth", "peer", "upper", "bond", "slave", "far", "virtio", "netkit"]
        self.devices = {
            name: _device(i + 1, name, driver=_ALL._replace(name=kind), kind=kind)
            for i, (name, kind) in enumerate(
                zip(
                    names,
                    ["veth", "veth", "macvlan", "bond", "veth", "veth"]
                    + ["virtio_net", "netkit"],
                )
            )
        }
        self.target = target
        self.via = "netlink"
        self.mode = mode
        self.flags = 0
        self.program: Optional[LoadedProgram] = fresh_program()
        self.expected: Optional[int] = None
        self._set: Dict[str, Any] = {}
        if mode is not None:
            self._set["mode"] = mode
        self.change("veth", peer=self.devices["peer"].ref)
        self.change("slave", peer=self.devices["far"].ref)
        slaves = (self.devices["slave"].ref,)
        self.change("bond", bond=Bond("active-backup", "layer2", slaves))
        self.change("virtio", virtio_net=VirtioNet(1 << 32))

    def change(self, name: str, **changes: Any) -> None:
        """Change a device."""
        self.devices[name] = self.devices[name]._replace(**changes)

    def once(self, what: str, value: Any) -> None:
        """
        Decide something.

        :raises Conflict: if it is decided otherwise
        """
        if self._set.setdefault(what, value) != value:
            raise Conflict(what)
        if what in ("via", "mode"):
            setattr(self, what, value)

    def attached(self, mode: str, via: str) -> None:
        """Let the target have a program."""
        self.once(f"{mode} program", via)
        device = self.devices[self.target]
        program = _program({"generic": 21, "driver": 22, "offload": 23}[mode], via)
        changed: Dict[str, Any] = {mode: program}
        self.change(self.target, xdp=device.xdp._replace(**changed))

    def of_program(self, **changes: Any) -> None:
        """Change the program that is asked with."""
        for name, value in changes.items():
            self.once(f"program {name}", value)
        assert self.program is not None
        self.program = self.program._replace(**changes)

    @property
    def raw_flags(self) -> int:
        bits = {None: 0, "default": 0, "generic": 2, "driver": 4, "offload": 8}
        return self.flags | bits[self.mode]

    def snapshot(self) -> Snapshot:
        target = Target("7", "kdump", "x86_64", "btf", 4, (0, 1, 2, 3), 0)
        return Snapshot(
            target,
            (Namespace(INIT, True, len(self.devices)),),
            tuple(self.devices.values()),
            (),
            kernel=self.kernel,
        )

    def ask(self) -> Answer:
        return Predictor(self.snapshot()).ask(
            self.devices[self.target],
            self.via,
            self.raw_flags,
            self.program,
            self.expected,
        )


### One trouble for each decision


def _mode_of(case: Case) -> str:
    if case.mode in (None, "default"):
        case.once("mode", "driver")
    assert case.mode is not None
    return case.mode


def _flags(case: Case) -> None:
    case.once("via", "netlink")
    case.flags |= 0x20


def _flags_modes(case: Case) -> None:
    case.once("via", "netlink")
    case.flags |= 0x6


def _flags_replace(case: Case) -> None:
    case.once("via", "netlink")
    case.once("expected", None)
    case.flags |= 16


def _offloaded(case: Case) -> None:
    case.once("via", "netlink")
    case.once("mode", "generic")
    case.of_program(offload_requested=True)


def _link_flags(case: Case) -> None:
    case.once("via", "link")
    case.flags |= 1


def _one_mode(case: Case) -> None:
    case.once("via", "link")
    case.flags |= 0x6


def _ambiguous(case: Case) -> None:
    case.once("mode", "default")
    for mode in ("generic", "offload"):
        case.attached(mode, "netlink")


def _link_in_place(case: Case) -> None:
    mode = case.mode or "driver"
    case.attached("driver" if mode == "default" else mode, "link")


def _upper(case: Case) -> None:
    case.change(case.target, uppers=(case.devices["upper"].ref,))
    case.change("upper", xdp=_NO_XDP._replace(generic=_program(9)))


def _program_in_place(case: Case) -> None:
    case.once("via", "link")
    case.attached(_mode_of(case), "netlink")


def _not_expected(case: Case) -> None:
    case.once("via", "netlink")
    case.once("expected", 999)
    case.flags |= 16
    case.expected = 999


def _exists(case: Case) -> None:
    case.once("via", "netlink")
    case.flags |= 1
    case.attached(_mode_of(case), "netlink")


def _other_mode(case: Case) -> None:
    mode = _mode_of(case)
    if mode == "offload":
        raise Conflict("offload has no other mode")
    case.attached("generic" if mode == "driver" else "driver", "netlink")


def _offload_without_hw(case: Case) -> None:
    mode = _mode_of(case)
    if mode == "offload":
        raise Conflict("it is offload mode")
    if mode == "generic":  # Netlink refuses it before.
        case.once("via", "link")
    case.of_program(offload_requested=True)


def _other_device(case: Case) -> None:
    case.of_program(dev_bound=True, bound_to=case.devices["peer"].net_device)


def _bound_in_skb(case: Case) -> None:
    case.once("mode", "generic")
    case.of_program(dev_bound=True)
    if not case.program or not case.program.bound_to:
        here = case.devices[case.target].net_device
        assert case.program is not None
        case.program = case.program._replace(bound_to=here)


def _devmap(case: Case) -> None:
    case.of_program(expected_attach_type=33)


def _cpumap(case: Case) -> None:
    case.of_program(expected_attach_type=35)


def _no_operation(case: Case) -> None:
    if _mode_of(case) == "generic":
        raise Conflict("generic mode needs no operation")
    device = case.devices[case.target]
    case.change(case.target, driver=device.driver._replace(ndo_bpf=False))


def _tcp_data_split(case: Case) -> None:
    case.of_program(frags=False)
    case.change(case.target, tcp_data_split=True)


def _memory_provider(case: Case) -> None:
    case.change(case.target, memory_provider=True)


def _program_maps(case: Case) -> None:
    case.once("mode", "generic")
    case.of_program(program_maps=True)


def _veth_peer(case: Case) -> None:
    case.once("veth's peer", None)
    case.change("veth", peer=None)


def _veth_mtu(case: Case) -> None:
    case.once("veth's peer", "peer")
    case.change("peer", mtu=MOST + 1)


def _four_tx(case: Case, name: str) -> None:
    case.change(name, queues=Queues(QueueCount(1, 4), QueueCount(4, 4)))


def _veth_queues(case: Case) -> None:
    case.once("veth's peer", "peer")
    _four_tx(case, "peer")


def _bond_mode(case: Case) -> None:
    bond = case.devices["bond"].bond
    assert bond is not None
    case.change("bond", bond=bond._replace(mode="balance-alb"))


def _slave_operations(case: Case) -> None:
    case.change("slave", driver=_ALL._replace(name="veth", ndo_xdp_xmit=False))


def _slave_program(case: Case) -> None:
    case.change("slave", xdp=_NO_XDP._replace(generic=_program(31)))


def _slave_tcp_data_split(case: Case) -> None:
    case.change("slave", tcp_data_split=True)


def _slave_memory_provider(case: Case) -> None:
    case.change("slave", memory_provider=True)


def _slave_queues(case: Case) -> None:
    _four_tx(case, "far")


def _features(case: Case, add: int, remove: int = 0) -> None:
    virtio = case.devices["virtio"].virtio_net
    assert virtio is not None and isinstance(virtio.features, int)
    features = (virtio.features | add) & ~remove
    case.change("virtio", virtio_net=VirtioNet(features))


def _virtio_offloads(case: Case) -> None:
    _features(case, 1 << 7)


def _virtio_header(case: Case) -> None:
    _features(case, 1 << 15, 1 << 32)


def _virtio_mtu_any(case: Case) -> None:
    case.change("virtio", mtu=PAGE - 16 + 1)


def _virtio_mtu_plain(case: Case) -> None:
    case.change("virtio", mtu=MOST + 1)


def _nothing(case: Case) -> None:
    pass


TROUBLES: Dict[str, Callable[[Case], None]] = {
    "flags": _flags,
    "flags-modes": _flags_modes,
    "flags-replace": _flags_replace,
    "offloaded": _offloaded,
    "link-flags": _link_flags,
    "one-mode": _one_mode,
    "ambiguous": _ambiguous,
    "link-in-place": _link_in_place,
    "upper": _upper,
    "program-in-place": _program_in_place,
    "not-expected": _not_expected,
    "exists": _exists,
    "other-mode": _other_mode,
    "offload-without-hw": _offload_without_hw,
    "offload-without-hw-old": _offload_without_hw,
    "other-device": _other_device,
    "bound-in-skb": _bound_in_skb,
    "devmap": _devmap,
    "cpumap": _cpumap,
    "no-operation": _no_operation,
    "tcp-data-split": _tcp_data_split,
    "memory-provider": _memory_provider,
    "program-maps": _program_maps,
    "veth-peer": _veth_peer,
    "veth-mtu": _veth_mtu,
    "veth-queues": _veth_queues,
    "bond-mode": _bond_mode,
    "slave-operations": _slave_operations,
    "slave-program": _slave_program,
    "slave-tcp-data-split": _slave_tcp_data_split,
    "slave-memory-provider": _slave_memory_provider,
    "slave-queues": _slave_queues,
    "virtio-offloads-lro": _virtio_offloads,
    "virtio-offloads-lro-csum": _virtio_offloads,
    "virtio-offloads": _virtio_offloads,
    "virtio-header": _virtio_header,
    "virtio-mtu-any": _virtio_mtu_any,
    "virtio-mtu-plain": _virtio_mtu_plain,
    "netkit": _nothing,
}

_TARGET = {
    "virtio-lro": "virtio",
    "virtio-lro-csum": "virtio",
    "virtio-new": "virtio",
    "generic": "veth",
}


def _case(variant: str, driver: str) -> Case:
    mode = {"generic": "generic", "veth": None}.get(driver, "driver")
    case = Case(variant, _TARGET.get(driver, driver), mode)
    if driver.startswith("virtio"):
        messages = frozenset(SAYS[key][1] or "" for key in DRIVERS[driver])
        said = {**_messages(variant), "virtnet_xdp": messages}
        case.kernel = case.kernel._replace(messages=tuple(said.items()))
    elif driver == "generic":
        # As before v5.15.
        case.kernel = _kernel(variant, ("upper",))
    return case


def _order(variant: str, driver: str) -> List[str]:
    order = [*ORDERS[variant], *DRIVERS[driver]]
    return [key for key in order if driver != "generic" or key != "upper"]


def _wrong(case: Case, keys: Sequence[str]) -> Iterator[str]:
    # What is wrong with the answer, which has to be that of the first decision.
    said = case.ask()
    name, message = SAYS[keys[0]]
    same = (said.errno, said.message) == (getattr(errno, name), message)
    if keys[0] in NETLINK:  # They have no messages.
        same = same and said.function == (
            "bpf_prog_get_type_dev" if keys[0] == "offloaded" else "do_setlink"
        )
    if not same:
        yield f"{'+'.join(keys)}: {said}"


@functools.cache
def _cases() -> List[Tuple[str, str, Tuple[str, ...], Case]]:
    # Each decision alone, and each two that can be had at once.
    cases = []
    for variant, driver in itertools.product(ORDERS, DRIVERS):
        order = _order(variant, driver)
        groups = [*((key,) for key in order), *itertools.combinations(order, 2)]
        for keys in groups:
            case = _case(variant, driver)
            try:
                # Each may have its say of what the other leaves open.
                for key in (*keys, *reversed(keys)):
                    TROUBLES[key](case)
            except Conflict:
                continue
            # Driver decisions are native mode's.
            if driver == "veth" and case.mode is None:
                case.mode = "driver"
            cases.append((variant, driver, keys, case))
    return cases


def _wrong_orders() -> Iterator[str]:
    for variant, driver, keys, case in _cases():
        yield from (f"{variant} {driver} {wrong}" for wrong in _wrong(case, keys))


def _wrong_updates() -> Iterator[str]:
    def case_of(variant: str, attach_type: int = 0) -> Case:
        case = Case(variant, "veth", "driver")
        case.attached("driver", "link")
        held = case.devices["veth"].xdp.driver
        assert isinstance(held, XdpProgram)
        held = held._replace(expected_attach_type=attach_type)
        case.change("veth", xdp=_NO_XDP._replace(driver=held))
        return case

    def update(case: Case, expected: Optional[int] = None) -> Tuple[Any, Any]:
        predictor = Predictor(case.snapshot())
        said = predictor.update(
            case.devices["veth"], "driver", program=case.program, expected=expected
        )
        return said.errno, said.function

    for variant in "AI":
        case = case_of(variant)
        _veth_queues(case)
        if update(case) != (errno.ENOSPC, "veth_xdp_set"):
            yield f"{variant} update: the driver is not asked"
        if update(case, 22) != (errno.ENOSPC, "veth_xdp_set"):
            yield f"{variant} update: expected is in place"
        if update(case, 999) != (errno.EPERM, "bpf_xdp_link_update"):
            yield f"{variant} update: expected is not in place"
        _cpumap(case)
        if update(case) != (errno.EINVAL, "bpf_xdp_link_update"):
            yield f"{variant} update: another type"
        if update(case, 999) != (errno.EPERM, "bpf_xdp_link_update"):
            yield f"{variant} update: expected, then type"
        case = case_of(variant, attach_type=35)
        _cpumap(case)
        checked = (errno.EINVAL, "dev_xdp_install") if variant == "I" else (0, None)
        if update(case)[0] != checked[0]:
            yield f"{variant} update: {update(case)} of a program that is checked"


def test_each_decision_alone_and_before_each_other() -> None:
    assert list(_wrong_orders()) == []


def test_updates() -> None:
    assert list(_wrong_updates()) == []


def test_how_many_are_tried() -> None:
    """So that conflicts do not eat up the test above."""
    tried = collections.Counter(
        driver for _, driver, keys, _ in _cases() if len(keys) == 2
    )
    assert tried["veth"] > 450
    assert all(count > 150 for count in tried.values()), tried


### What no other decision can tell


def _answer(case: Case) -> Tuple[Any, Optional[str], Optional[str]]:
    said = case.ask()
    return said.errno, said.function, said.message


@pytest.mark.parametrize("variant", ["A", "I"])
def test_same_program(variant: str) -> None:
    """Nothing changes, and no driver is asked; only A looks at the program first."""
    case = Case(variant, "veth", "driver")
    case.attached("driver", "netlink")
    case.of_program(id=22, prog=0xFFFF8000)
    _veth_queues(case)
    assert _answer(case)[:2] == (0, "dev_xdp_attach")
    case.of_program(expected_attach_type=35)
    assert _answer(case)[0] == (errno.EINVAL if variant == "A" else 0)


@pytest.mark.parametrize("variant", ["A", "I"])
@pytest.mark.parametrize("mode", ["default", "generic", "driver", "offload"])
def test_detach_of_nothing(variant: str, mode: str) -> None:
    case = Case(variant, "veth", mode)
    case.program = None
    _veth_queues(case)
    _tcp = case.devices["veth"]._replace(tcp_data_split=True)
    case.devices["veth"] = _tcp
    assert _answer(case)[0] == 0


@pytest.mark.parametrize("variant", ["A", "I"])
def test_detach(variant: str) -> None:
    """A detach is asked for nothing but links, uppers and memory providers."""
    case = Case(variant, "veth", "driver")
    case.program = None
    case.attached("driver", "netlink")
    case.attached("generic", "netlink")
    for trouble in (_veth_queues, _veth_mtu):
        trouble(case)
    assert _answer(case)[:2] == (0, "veth_xdp_set")
    _memory_provider(case)
    assert _answer(case)[0] == errno.EBUSY
    _upper(case)
    assert _answer(case)[0] == errno.EEXIST


@pytest.mark.parametrize(
    "driver,mode", [("veth", "driver"), ("dummy", "generic"), ("unheard-of", "driver")]
)
def test_no_mode(driver: str, mode: str) -> None:
    """dev_xdp_mode(): driver where there is ndo_bpf, generic otherwise."""
    case = Case("I", "veth", "default")
    has = driver != "dummy"
    case.change("veth", driver=_ALL._replace(name=driver, ndo_bpf=has))
    case.attached(mode, "netlink")
    case.flags = 1
    assert _answer(case)[0] == errno.EBUSY


@pytest.mark.parametrize("mode", ["default", "driver"])
def test_unknown_driver(mode: str) -> None:
    case = Case("I", "veth", mode)
    case.change("veth", driver=_ALL._replace(name="ixgbe"))
    said = case.ask()
    assert said.errno is None and not said.either
    assert said.because == "passes the core checks; driver ixgbe has the final say"
    case.attached("driver", "link")
    assert case.ask().errno == errno.EBUSY  # The core does not ask it.


@pytest.mark.parametrize(
    "frags,mtu,expected",
    [
        (False, MOST, 0),
        (False, MOST + 1, errno.ERANGE),
        (True, MOST + 1, 0),
        (True, MOST_FRAGS, 0),
        (True, MOST_FRAGS + 1, errno.ERANGE),
    ],
)
def test_mtu_edges(frags: bool, mtu: int, expected: int) -> None:
    """K: 3506, and 73138 with fragments."""
    case = Case("I", "veth", "driver")
    case.of_program(frags=frags)
    case.change("peer", mtu=mtu)
    said = case.ask()
    assert said.errno == expected
    assert (
        str(MOST_FRAGS if frags else MOST) in said.because and str(mtu) in said.because
    )
    # That of both ends, as the smaller one was good enough for the device.
    assert said.fix == (("ip link set dev peer mtu 1500",) if expected else ())


@pytest.mark.parametrize("kind,name", [("bond", "top"), ("bridge", "peer")])
def test_mtu_of_a_port(kind: str, name: str) -> None:
    """A bond or a team sets that of its ports; a bridge does not."""
    case = Case("I", "veth", "driver")
    case.devices["top"] = _device(60, "top", kind=kind)._replace(mtu=9000)
    case.change("peer", mtu=9000, master=case.devices["top"].ref)
    assert case.ask().fix == (f"ip link set dev {name} mtu 1500",)
    # Both ends get the same.
    case.change("veth", mtu=9000)
    assert case.ask().fix == (
        f"ip link set dev veth mtu {MOST}",
        f"ip link set dev {name} mtu {MOST}",
    )


def test_mtu_where_it_is_not_known_whose_it_is() -> None:
    """A port of a bond cannot have another one than the bond: no command then."""
    case = Case("I", "veth", "driver")
    case.change("peer", mtu=9000, master=Unreadable("fault"))
    assert case.ask().errno == errno.ERANGE and case.ask().fix == ()
    case.change("peer", master=_device(60, "top", kind="bond").ref)
    assert case.ask().fix == ()


def test_numbers_are_the_targets() -> None:
    """Another page size, cache line, alignment: another limit."""
    case = Case("I", "veth", "driver")
    case.kernel = case.kernel._replace(
        page_size=65536, skb_shared_info_size=330, smp_cache_bytes=128, net_ip_align=2
    )
    most = 65536 - (256 + 2) - 14 - 384
    case.change("peer", mtu=most)
    assert case.ask().errno == 0
    case.change("peer", mtu=most + 1)
    assert case.ask().errno == errno.ERANGE


@pytest.mark.parametrize("rx,tx", [(1, 1), (4, 4), (14, 48), (48, 14)])
def test_queues(rx: int, tx: int) -> None:
    """The story: 14 RX queues against 48 TX queues."""
    case = Case("I", "veth", "driver")
    case.change("veth", queues=Queues(QueueCount(rx, 64), QueueCount(9, 9)))
    case.change("peer", queues=Queues(QueueCount(9, 9), QueueCount(tx, 64)))
    said = case.ask()
    assert said.errno == (errno.ENOSPC if rx < tx else 0)
    assert str(rx) in said.because and str(tx) in said.because
    if rx < tx:
        assert said.fix == (f"ethtool -L veth rx {tx}",)
        case.change("veth", queues=Queues(QueueCount(rx, tx - 1), QueueCount(9, 9)))
        assert case.ask().fix == (f"ethtool -L peer tx {rx}",)
        case.change(
            "veth",
            queues=Queues(QueueCount(rx, 64), QueueCount(9, 9)),
            veth=Veth(0, 0, (StaleProgram(20, 0xFFFF8000),)),
        )
        assert case.ask().fix == (f"ethtool -L peer tx {rx}",)
        no_channels = _ALL._replace(name="veth", set_channels=False)
        case.change("veth", driver=no_channels)
        assert case.ask().fix == ()


@pytest.mark.parametrize(
    "mode,policy,expected",
    [
        ("balance-rr", "layer2", 0),
        ("active-backup", "vlan+srcmac", 0),
        ("balance-xor", "layer3+4", 0),
        ("balance-xor", "vlan+srcmac", errno.EOPNOTSUPP),
        ("802.3ad", "layer2", 0),
        ("802.3ad", "vlan+srcmac", errno.EOPNOTSUPP),
        ("broadcast", "layer2", errno.EOPNOTSUPP),
        ("balance-tlb", "layer2", errno.EOPNOTSUPP),
        ("balance-alb", "layer2", errno.EOPNOTSUPP),
    ],
)
def test_bond_modes(mode: str, policy: str, expected: int) -> None:
    case = Case("I", "bond", "driver")
    case.change("bond", bond=Bond(mode, policy, ()))
    assert case.ask().errno == expected


def test_first_slave_that_refuses() -> None:
    case = Case("I", "bond", "driver")
    slaves = (case.devices["slave"].ref, case.devices["peer"].ref)
    case.change("bond", bond=Bond("balance-rr", "layer2", slaves))
    case.change("peer", xdp=_NO_XDP._replace(generic=_program(5)))
    assert case.ask().message == SAYS["slave-program"][1]
    _slave_queues(case)
    said = case.ask()
    assert said.message == SAYS["slave-queues"][1]
    assert said.because.startswith("slave slave: ")
    # And when that is mended, the other one.
    assert said.then is not None and said.then.message == SAYS["slave-program"][1]


def test_what_comes_after_the_fix() -> None:
    case = Case("I", "veth", "driver")
    for trouble in (_other_mode, _veth_mtu, _veth_queues):
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
    _veth_queues(case)
    said = case.ask()
    assert said.then is not None and said.then.errno == errno.ENOSPC
    assert said.then.then is None


def test_uppers_are_detached_from_the_top() -> None:
    """Else the kernel refuses to detach the lower one."""
    case = Case("I", "veth", "driver")
    _upper(case)
    top = _device(99, "top", xdp=_NO_XDP._replace(generic=_program(10)))
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


def test_a_slave_that_leaves_is_not_asked() -> None:
    case = Case("I", "bond", "driver")
    _slave_operations(case)
    case.change("slave", driver=_ALL._replace(name="dummy", ndo_bpf=False))
    said = case.ask()
    assert said.fix == ("ip link set dev slave nomaster",) and said.then is None


def test_bond_of_a_kernel_that_does_not_say_why() -> None:
    case = Case("I", "bond", "driver")
    case.change("bond", bond=Bond("balance-alb", "layer2", ()))
    said = case.ask()
    assert said.message is not None and not said.either
    messages = {**_messages("I"), "bond_xdp": frozenset()}
    case.kernel = _kernel("I", messages=tuple(messages.items()))
    silent = case.ask()
    assert (silent.errno, silent.message) == (errno.EOPNOTSUPP, None)
    assert silent.because == said.because and not silent.either


def test_bond_whose_code_was_not_read() -> None:
    """errno is known all the same."""
    case = Case("I", "bond", "driver")
    messages = _messages("I")
    del messages["bond_xdp"]
    case.kernel = _kernel("I", messages=tuple(messages.items()))
    assert case.ask().errno == 0 and not case.ask().either
    case.change("bond", bond=Bond("balance-alb", "layer2", ()))
    said = case.ask()
    assert said.errno == errno.EOPNOTSUPP
    assert {one.message for one in said.either} == {SAYS["bond-mode"][1], None}
    assert "only the code of bond_xdp_set() could tell" in said.because


def test_bonds_within_bonds() -> None:
    """Each is asked, and one that is its own slave is no reason to hang."""
    case = Case("I", "bond", "driver")
    inner = _device(50, "inner", kind="bond", driver=_ALL._replace(name="bond"))
    case.devices["inner"] = inner._replace(
        bond=Bond("balance-alb", "layer2", (case.devices["slave"].ref,))
    )
    case.change("bond", bond=Bond("balance-rr", "layer2", (inner.ref,)))
    said = case.ask()
    assert said.errno == errno.EOPNOTSUPP
    assert said.because == "slave inner: bond inner is in mode balance-alb"
    for slaves in ((case.devices["bond"].ref,), (inner.ref,)):
        case.change("inner", bond=Bond("balance-rr", "layer2", slaves))
        assert isinstance(case.ask().errno, Unreadable)


def test_mode_that_is_meant_is_said() -> None:
    case = Case("I", "veth", "default")
    assert "no mode means driver mode: its driver has ndo_bpf" in case.ask().because
    _veth_queues(case)
    assert "no mode means driver" in case.ask().because
    case.mode = "driver"
    assert "no mode" not in case.ask().because


def test_one_is_one() -> None:
    case = Case("I", "veth", "driver")
    assert "1 real RX queue here >= 1 real TX queue of peer" in case.ask().because
    case = Case("I", "bond", "driver")
    assert case.ask().because == "accepted by 1 slave"


### Kernels whose text cannot be read, and values


def _unknown_text(case: Case) -> None:
    case.kernel = case.kernel._replace(messages=Unreadable("no text"))


def test_a_or_b() -> None:
    """Only where kernels would differ: both answers, and why it is not known."""
    case = Case("A", "veth", "driver")
    _unknown_text(case)
    assert case.ask().errno == 0
    _no_operation(case)
    assert case.ask().errno == errno.EOPNOTSUPP
    _other_mode(case)
    said = case.ask()
    assert said.errno is None and "no text" in said.because
    assert {one.errno for one in said.either} == {errno.EOPNOTSUPP, errno.EEXIST}
    for variant, expected in (("A", errno.EEXIST), ("I", errno.EOPNOTSUPP)):
        case.kernel = _kernel(variant)
        assert case.ask().errno == expected


def test_upper_on_a_kernel_that_may_not_look() -> None:
    case = Case("A", "veth", "driver")
    _upper(case)
    _unknown_text(case)
    assert {one.errno for one in case.ask().either} == {0, errno.EEXIST}
    case.kernel = _kernel("A", ("upper",))
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
            "veth", xdp=_NO_XDP._replace(generic=Unreadable("gone"))
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
    _link_in_place(case)
    case.change("veth", peer=Unreadable("gone"))
    assert case.ask().errno == errno.EBUSY


def test_off_list() -> None:
    case = Case("I", "veth", "driver")
    case.change("veth", off_list="unregistering")
    assert _answer(case)[:2] == (errno.ENODEV, "__dev_get_by_index")
    case.via = "link"
    assert _answer(case)[:2] == (errno.EINVAL, "bpf_xdp_link_attach")


def test_no_frags_in_this_kernel() -> None:
    case = Case("A", "veth", "driver")
    case.kernel = case.kernel._replace(xdp_frags=False)
    case.of_program(frags=True)
    assert _answer(case)[:2] == (errno.EINVAL, "bpf_prog_load")


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


_GUEST_CSUM = 1 << 1


@pytest.mark.parametrize(
    "driver, errnos",
    [
        ("virtio-lro", [0]),
        ("virtio-lro-csum", [errno.EOPNOTSUPP]),
        ("virtio", [errno.EOPNOTSUPP]),
        ("virtio-new", [errno.EOPNOTSUPP]),
        ("unread", [0, errno.EOPNOTSUPP]),
        ("unknown message", [0, errno.EOPNOTSUPP]),
    ],
)
def test_checksums_of_virtio_net(driver: str, errnos: List[int]) -> None:
    """Older drivers do not mind GUEST_CSUM: their message says which they are."""
    if driver in DRIVERS:
        case = _case("A", driver)
    else:
        case = Case("A", "virtio", "driver")
        said: Dict[str, FrozenSet[str]] = _messages("A")
        if driver == "unknown message":
            said["virtnet_xdp"] = frozenset({"virtio_net: MTU too large to enable XDP"})
        case.kernel = case.kernel._replace(messages=tuple(said.items()))
    _features(case, _GUEST_CSUM)
    answer = case.ask()
    if len(errnos) == 1:
        assert answer.errno == errnos[0]
    else:
        assert answer.errno is None
        assert {one.errno for one in answer.either} == set(errnos)


### The kernel's own answers, recorded


def _snapshot(recorded: Recorded) -> Snapshot:
    prog = drgn.Program()
    prog.set_core_dump(str(recorded.core))
    use_btf(prog)
    return take_snapshot(prog)


def test_recorded_answers(recorded: Recorded) -> None:
    compared = compare_answers(_snapshot(recorded), recorded.answers)
    assert compared.differences == []
    assert sum(compared.compared.values()) > 1000


### Mutants


def _lists() -> Dict[str, Tuple[Any, ...]]:
    core = ("NETLINK", "CORE", "CHECKS", "NO_OPERATION", "INSTALL", "GENERIC", "UPDATE")
    return {
        **{name: getattr(attach, name) for name in core},
        **{name: d.decisions for name, d in attach_drivers.DRIVERS.items()},
        "BOND_SLAVE": bonding.BOND_SLAVE,
    }


def _mutate(patch: pytest.MonkeyPatch, name: str, decisions: Tuple[Any, ...]) -> None:
    if name in attach_drivers.DRIVERS:
        driver = attach_drivers.DRIVERS[name]._replace(decisions=decisions)
        patch.setitem(attach_drivers.DRIVERS, name, driver)
    elif name == "BOND_SLAVE":
        patch.setattr(bonding, name, decisions)
    else:
        patch.setattr(attach, name, decisions)


def _noticed() -> bool:
    try:
        wrong = next(itertools.chain(_wrong_orders(), _wrong_updates()), None)
    except Exception:  # The mutant fell over.
        return True
    return wrong is not None


@pytest.mark.parametrize("name", list(_lists()))
def test_without_a_decision(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = _lists()[name]
    for i, decision in enumerate(decisions):
        with monkeypatch.context() as patch:
            _mutate(patch, name, decisions[:i] + decisions[i + 1 :])
            assert _noticed(), f"nobody misses {decision.key}"


#: Neighbours of which never both hold, or whose answers are the same.
EXCLUSIVE = {
    ("flags", "flags-modes"): "both are do_setlink()'s EINVAL, with no message",
    ("flags-modes", "flags-replace"): "likewise",
    ("one-mode", "ambiguous"): "one is about flags with modes, the other without",
    ("program-in-place", "not-expected"): "one is by link, the other by netlink",
    ("offload-without-hw-old", "offload-without-hw"): "a kernel has one of them",
    ("devmap", "cpumap"): "a program has one expected_attach_type",
    ("virtio-offloads-lro", "virtio-offloads-lro-csum"): "a kernel has one of them",
    ("virtio-offloads-lro-csum", "virtio-offloads"): "a kernel has one of them",
    ("virtio-mtu-any", "virtio-mtu-plain"): "a kernel has one of them",
}


@pytest.mark.parametrize("name", list(_lists()))
def test_neighbours_swapped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = _lists()[name]
    for i in range(len(decisions) - 1):
        swapped = list(decisions)
        swapped[i : i + 2] = reversed(swapped[i : i + 2])
        pair = (decisions[i].key, decisions[i + 1].key)
        with monkeypatch.context() as patch:
            _mutate(patch, name, tuple(swapped))
            assert _noticed() == (pair not in EXCLUSIVE), pair
