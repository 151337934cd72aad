# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel's types and its drivers say, against the guest's own tools and the code
of the limits.
"""

from collections import Counter
import json
from typing import Any

from drgn import (
    Object,
    Program,
)
from drgn_veth.core.skbuff import skb_data_align
from drgn_veth.core.uapi import VIRTIO_F_VERSION_1, XDP_PACKET_HEADROOM
from drgn_veth.disasm.follow import code_constants
from drgn_veth.disasm.virtio_net import virtio_net_padded_vnet_hdr_size
from drgn_veth.disasm.xdp_messages import (
    driver_messages,
)
from drgn_veth.readers.adjacent import (
    netdev_for_each_lower_dev,
    netdev_for_each_upper_dev,
)
from drgn_veth.readers.bonding import bond_mode, bond_xmit_policy
from drgn_veth.readers.driver import (
    ethtool_op,
    netdev_driver_name,
    netdev_op,
    netdev_tcp_data_split,
    rx_queue_memory_provider,
)
from drgn_veth.readers.skb import (
    max_skb_frags,
    net_ip_align,
    page_size,
    skb_shared_info_size,
    smp_cache_bytes,
)
from drgn_veth.readers.tun import tun_xdp_prog
from drgn_veth.readers.virtio_net import virtio_net_features, virtio_net_xdp_prog
from drgn_veth.readers.xdp import XdpMode, dev_xdp_prog
import pytest

from tests.support.booted import Dump
from tests.support.kernel import devices_of, of_driver, program_of

_VETH = frozenset(
    b"veth: " + text
    for text in (
        b"Cannot set XDP when peer is detached",
        b"Peer MTU is too large to set XDP",
        b"XDP expects number of rx queues not less than peer tx queues",
        b"Setup for XDP failed",
    )
)
_BOND_MODE = b"No native XDP support for the current bonding mode"
_BOND = frozenset(
    (
        b"Slave device does not support XDP",
        b"Slave has XDP program loaded, please unload before enslaving",
    )
)
_VIRTIO = frozenset(
    b"virtio_net: " + text
    for text in (
        (
            b"Can't set XDP while host is implementing GRO_HW/CSUM, "
            b"disable GRO_HW/CSUM first"
        ),
        b"XDP expects header/data in single page, any_header_sg required",
    )
)
_VIRTIO_MTU = b"virtio_net: MTU too large to enable XDP"
_VIRTIO_MTU_FRAGS = b"virtio_net: MTU too large to enable XDP without frags"
_OF_DRIVERS = (*_VETH, *_BOND, _BOND_MODE, *_VIRTIO, _VIRTIO_MTU, _VIRTIO_MTU_FRAGS)


def test_drivers_messages(kernel: tuple[Program, Dump]) -> None:
    prog, dump = kernel

    def messages(driver: bytes) -> frozenset[bytes]:
        ndo_bpf = netdev_op(of_driver(prog, driver), "ndo_bpf")
        return driver_messages(prog, ndo_bpf, _OF_DRIVERS)

    assert messages(b"veth") == _VETH
    found = messages(b"virtio_net")
    assert found - {_VIRTIO_MTU, _VIRTIO_MTU_FRAGS} == _VIRTIO
    assert len(found) == len(_VIRTIO) + 1
    assert messages(b"tun") == frozenset()
    bond = of_driver(prog, b"bond")
    if _bond_has_xdp(prog):
        module = dump.made.kernel.module_path("bonding")
        assert module is not None
        says_mode = _BOND_MODE + b"\0" in module.read_bytes()
        assert messages(b"bond") == (_BOND | {_BOND_MODE} if says_mode else _BOND)
    else:
        assert netdev_op(bond, "ndo_bpf").value_() == 0


def _bond_has_xdp(prog: Program) -> bool:
    try:
        return bool(prog.type("struct bonding").has_member("xdp_prog"))
    except LookupError:
        return False


def test_veth_limits(kernel: tuple[Program, Dump]) -> None:
    """They are in the code of veth_xdp_set(), but for the peer's header."""
    prog, _ = kernel
    limit = (
        page_size(prog)
        - XDP_PACKET_HEADROOM
        - net_ip_align(prog)
        - skb_data_align(skb_shared_info_size(prog), smp_cache_bytes(prog))
    )
    constants = code_constants(prog, netdev_op(of_driver(prog, b"veth"), "ndo_bpf"))
    assert limit in constants
    frags = prog.type("struct bpf_prog_aux").has_member("xdp_has_frags")
    assert frags == (limit + page_size(prog) * max_skb_frags(prog) in constants)


def test_virtio_net(kernel: tuple[Program, Dump]) -> None:
    prog, dump = kernel
    dev = of_driver(prog, b"virtio_net")
    features = virtio_net_features(dev)
    assert features >> VIRTIO_F_VERSION_1 & 1
    ndo_bpf = netdev_op(dev, "ndo_bpf")
    if _VIRTIO_MTU in driver_messages(prog, ndo_bpf, _OF_DRIVERS):
        # The type itself is nowhere; that the header has the hash, another says.
        size = virtio_net_padded_vnet_hdr_size(prog, ndo_bpf)
        info = program_of(dump, "dwarf").type("struct virtnet_info")
        assert size == (32 if info.has_member("has_rss_hash_report") else 16)
    else:
        with pytest.raises(LookupError):
            virtio_net_padded_vnet_hdr_size(prog, ndo_bpf)
    with pytest.raises(ValueError, match="not a virtio_net device"):
        virtio_net_features(of_driver(prog, b"veth"))


def _links(dump: Dump) -> dict[tuple[int, str], dict[str, Any]]:
    return {
        (int(inum), link["ifname"]): link
        for inum, namespace in dump.truth["namespaces"].items()
        # The names of the scene are hostile.
        for link in json.loads(namespace["ip_link"]["stdout"], strict=False)
    }


def _name(dev: Object) -> str:
    return dev.name.string_().decode("utf-8", "replace")


def test_stacked_devices(kernel: tuple[Program, Dump]) -> None:
    """Who is above whom, as ip link says it of the upper or of the lower."""
    prog, dump = kernel
    links = _links(dump)
    expected: set[tuple[int, str, str]] = set()
    for (inum, name), link in links.items():
        if "master" in link:
            expected.add((inum, link["master"], name))
        # Of others, "link" is the peer or an underlay.
        if link.get("linkinfo", {}).get("info_kind") in ("vlan", "macvlan", "ipvlan"):
            expected.add((inum, name, link["link"]))
    assert len(expected) >= 6
    below: set[tuple[int, str, str]] = set()
    above: set[tuple[int, str, str]] = set()
    for inum, dev in devices_of(prog):
        lowers = netdev_for_each_lower_dev(dev)
        below.update((inum, _name(dev), _name(lower)) for lower in lowers)
        uppers = netdev_for_each_upper_dev(dev)
        above.update((inum, _name(upper), _name(dev)) for upper in uppers)
    assert below == above == expected


def test_bonds(kernel: tuple[Program, Dump]) -> None:
    prog, dump = kernel
    links = _links(dump)
    bonds = 0
    for inum, dev in devices_of(prog):
        if netdev_driver_name(dev) != b"bond":
            continue
        bonds += 1
        if dump.is_old and prog.cache.get("drgn_veth.types") == "btf":
            with pytest.raises(LookupError, match="bonding is a module"):
                bond_mode(dev)
            continue
        said = links[inum, _name(dev)]["linkinfo"]["info_data"]
        assert bond_mode(dev) == said["mode"]
        assert bond_xmit_policy(dev) == said["xmit_hash_policy"]
    assert bonds == 2


def test_drivers(kernel: tuple[Program, Dump]) -> None:
    prog, dump = kernel
    links = _links(dump)
    kinds = 0
    for inum, dev in devices_of(prog):
        link = links.get((inum, _name(dev)))
        if link is None:
            continue
        kind = link.get("linkinfo", {}).get("info_kind")
        driver = netdev_driver_name(dev)
        if kind is None:
            assert driver == {"lo": None, "eth0": b"virtio_net"}[_name(dev)]
        else:
            assert driver == kind.encode()
            kinds += 1
    assert kinds > 80
    set_channels = ethtool_op(of_driver(prog, b"veth"), "set_channels")
    # The guest's ethtool says what can be set at most where it can be set.
    assert bool(set_channels) == (not dump.is_old)
    assert netdev_op(of_driver(prog, b"veth"), "ndo_xdp_xmit")
    assert netdev_op(of_driver(prog, b"veth"), "ndo_no_such_thing").value_() == 0


def test_memory_of_queues(kernel: tuple[Program, Dump]) -> None:
    """Nobody has set up any, where the kernel can tell."""
    prog, _ = kernel
    dev = of_driver(prog, b"virtio_net")
    queue = prog.type("struct netdev_rx_queue")
    provider = rx_queue_memory_provider(dev._rx[0].address_of_())
    address = None if provider is None else provider.value_()
    assert address == (0 if queue.has_member("mp_params") else None)
    split = netdev_tcp_data_split(dev)
    has_config = prog.type("struct net_device").has_member("cfg")
    assert split == (0 if has_config else None)


def test_programs_that_drivers_keep(with_symbols: Program) -> None:
    """Where kernels before v5.9 have them alone; later ones have both."""
    readers = {b"tun": tun_xdp_prog, b"virtio_net": virtio_net_xdp_prog}
    seen: Counter[tuple[bytes, bool]] = Counter()
    for _, dev in devices_of(with_symbols):
        driver = netdev_driver_name(dev)
        if driver not in readers:
            continue
        kept = readers[driver](dev).value_()
        assert kept == dev_xdp_prog(dev, XdpMode.DRV).value_()
        seen[driver, bool(kept)] += 1
    # One tap has a program.
    assert seen.keys() >= {(b"tun", True), (b"tun", False), (b"virtio_net", False)}
