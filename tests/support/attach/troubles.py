# SPDX-License-Identifier: LGPL-2.1-or-later
"""One trouble for each decision."""

from typing import Callable

from drgn_veth.model import QueueCount, Queues, VirtioNet

from tests.support.attach.case import (
    ALL_OPERATIONS,
    NO_XDP,
    PAGE,
    Case,
    Conflict,
    program_of,
)
from tests.support.attach.table import MOST

__all__ = (
    "TROUBLES",
    "ambiguous",
    "bond_mode",
    "bound_in_skb",
    "cpumap",
    "devmap",
    "exists",
    "flags",
    "flags_modes",
    "flags_replace",
    "link_flags",
    "link_in_place",
    "memory_provider",
    "no_operation",
    "not_expected",
    "offload_without_hw",
    "offloaded",
    "one_mode",
    "other_device",
    "other_mode",
    "program_in_place",
    "program_maps",
    "set_features",
    "slave_memory_provider",
    "slave_operations",
    "slave_program",
    "slave_queues",
    "slave_tcp_data_split",
    "tcp_data_split",
    "upper",
    "veth_mtu",
    "veth_peer",
    "veth_queues",
    "virtio_header",
    "virtio_mtu_any",
    "virtio_mtu_plain",
    "virtio_offloads",
    "virtio_tx_rings",
)


def _mode_of(case: Case) -> str:
    if case.mode in (None, "default"):
        case.once("mode", "driver")
    assert case.mode is not None
    return case.mode


def flags(case: Case) -> None:
    case.once("via", "netlink")
    case.flags |= 0x20


def flags_modes(case: Case) -> None:
    case.once("via", "netlink")
    case.flags |= 0x6


def flags_replace(case: Case) -> None:
    case.once("via", "netlink")
    case.once("expected", None)
    case.flags |= 16


def offloaded(case: Case) -> None:
    case.once("via", "netlink")
    case.once("mode", "generic")
    case.of_program(offload_requested=True)


def link_flags(case: Case) -> None:
    case.once("via", "link")
    case.flags |= 1


def one_mode(case: Case) -> None:
    case.once("via", "link")
    case.flags |= 0x6


def ambiguous(case: Case) -> None:
    case.once("mode", "default")
    for mode in ("generic", "offload"):
        case.attached(mode, "netlink")


def link_in_place(case: Case) -> None:
    mode = case.mode or "driver"
    case.attached("driver" if mode == "default" else mode, "link")


def upper(case: Case) -> None:
    case.change(case.target, uppers=(case.devices["upper"].ref,))
    case.change("upper", xdp=NO_XDP._replace(generic=program_of(9)))


def program_in_place(case: Case) -> None:
    case.once("via", "link")
    case.attached(_mode_of(case), "netlink")


def not_expected(case: Case) -> None:
    case.once("via", "netlink")
    case.once("expected", 999)
    case.flags |= 16
    case.expected = 999


def exists(case: Case) -> None:
    case.once("via", "netlink")
    case.flags |= 1
    case.attached(_mode_of(case), "netlink")


def other_mode(case: Case) -> None:
    mode = _mode_of(case)
    if mode == "offload":
        raise Conflict("offload has no other mode")
    case.attached("generic" if mode == "driver" else "driver", "netlink")


def offload_without_hw(case: Case) -> None:
    mode = _mode_of(case)
    if mode == "offload":
        raise Conflict("it is offload mode")
    if mode == "generic":  # Netlink refuses it before.
        case.once("via", "link")
    case.of_program(offload_requested=True)


def other_device(case: Case) -> None:
    case.of_program(dev_bound=True, bound_to=case.devices["peer"].net_device)


def bound_in_skb(case: Case) -> None:
    case.once("mode", "generic")
    case.of_program(dev_bound=True)
    if not case.program or not case.program.bound_to:
        here = case.devices[case.target].net_device
        assert case.program is not None
        case.program = case.program._replace(bound_to=here)


def devmap(case: Case) -> None:
    case.of_program(expected_attach_type=33)


def cpumap(case: Case) -> None:
    case.of_program(expected_attach_type=35)


def no_operation(case: Case) -> None:
    if _mode_of(case) == "generic":
        raise Conflict("generic mode needs no operation")
    device = case.devices[case.target]
    case.change(case.target, driver=device.driver._replace(ndo_bpf=False))


def tcp_data_split(case: Case) -> None:
    case.of_program(frags=False)
    case.change(case.target, tcp_data_split=True)


def memory_provider(case: Case) -> None:
    case.change(case.target, memory_provider=True)


def program_maps(case: Case) -> None:
    case.once("mode", "generic")
    case.of_program(program_maps=True)


def veth_peer(case: Case) -> None:
    case.once("veth's peer", None)
    case.change("veth", peer=None)


def veth_mtu(case: Case) -> None:
    case.once("veth's peer", "peer")
    case.change("peer", mtu=MOST + 1)


def _four_tx(case: Case, name: str) -> None:
    case.change(name, queues=Queues(QueueCount(1, 4), QueueCount(4, 4)))


def veth_queues(case: Case) -> None:
    case.once("veth's peer", "peer")
    _four_tx(case, "peer")


def bond_mode(case: Case) -> None:
    bond = case.devices["bond"].bond
    assert bond is not None
    case.change("bond", bond=bond._replace(mode="balance-alb"))


def slave_operations(case: Case) -> None:
    case.change(
        "slave", driver=ALL_OPERATIONS._replace(name="veth", ndo_xdp_xmit=False)
    )


def slave_program(case: Case) -> None:
    case.change("slave", xdp=NO_XDP._replace(generic=program_of(31)))


def slave_tcp_data_split(case: Case) -> None:
    case.change("slave", tcp_data_split=True)


def slave_memory_provider(case: Case) -> None:
    case.change("slave", memory_provider=True)


def slave_queues(case: Case) -> None:
    _four_tx(case, "far")


def virtio_offloads(case: Case) -> None:
    set_features(case, 1 << 7)


def virtio_header(case: Case) -> None:
    set_features(case, 1 << 15, 1 << 32)


def virtio_mtu_any(case: Case) -> None:
    case.change("virtio", mtu=PAGE - 16 + 1)


def virtio_mtu_plain(case: Case) -> None:
    case.change("virtio", mtu=MOST + 1)


def virtio_tx_rings(case: Case) -> None:
    case.change("virtio", queues=Queues(QueueCount(1, 4), QueueCount(1, 4)))


def _nothing(case: Case) -> None:
    pass


def set_features(case: Case, add: int, remove: int = 0) -> None:
    virtio = case.devices["virtio"].virtio_net
    assert virtio is not None and isinstance(virtio.features, int)
    features = (virtio.features | add) & ~remove
    case.change("virtio", virtio_net=VirtioNet(features))


TROUBLES: dict[str, Callable[[Case], None]] = {
    "flags": flags,
    "flags-modes": flags_modes,
    "flags-replace": flags_replace,
    "offloaded": offloaded,
    "link-flags": link_flags,
    "one-mode": one_mode,
    "ambiguous": ambiguous,
    "link-in-place": link_in_place,
    "upper": upper,
    "program-in-place": program_in_place,
    "not-expected": not_expected,
    "exists": exists,
    "other-mode": other_mode,
    "offload-without-hw": offload_without_hw,
    "offload-without-hw-old": offload_without_hw,
    "other-device": other_device,
    "bound-in-skb": bound_in_skb,
    "devmap": devmap,
    "cpumap": cpumap,
    "no-operation": no_operation,
    "tcp-data-split": tcp_data_split,
    "memory-provider": memory_provider,
    "program-maps": program_maps,
    "veth-peer": veth_peer,
    "veth-mtu": veth_mtu,
    "veth-queues": veth_queues,
    "bond-mode": bond_mode,
    "slave-operations": slave_operations,
    "slave-program": slave_program,
    "slave-tcp-data-split": slave_tcp_data_split,
    "slave-memory-provider": slave_memory_provider,
    "slave-queues": slave_queues,
    "virtio-offloads-lro": virtio_offloads,
    "virtio-offloads-lro-csum": virtio_offloads,
    "virtio-offloads": virtio_offloads,
    "virtio-header": virtio_header,
    "virtio-mtu-any": virtio_mtu_any,
    "virtio-tx-rings": virtio_tx_rings,
    "virtio-mtu-plain": virtio_mtu_plain,
    "netkit": _nothing,
}
