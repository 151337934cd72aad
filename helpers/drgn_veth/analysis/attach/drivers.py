# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What drivers answer to an XDP attach
------------------------------------

The decisions of ``ndo_bpf`` (``XDP_SETUP_PROG``) of those drivers whose decisions are
known: veth_xdp_set() (drivers/net/veth.c), bond_xdp_set()
(drivers/net/bonding/bond_main.c), virtnet_xdp_set() (drivers/net/virtio_net.c),
tun_xdp() (drivers/net/tun.c), netkit_xsk() (drivers/net/netkit.c). Of all others it is
said that they decide.
"""

import itertools
from typing import (
    Callable,
    Dict,
    FrozenSet,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, Kernel
from .question import (
    DRV,
    HW,
    SKB,
    Answer,
    CannotTell,
    Decision,
    Question,
    first,
    fix_tcp_data_split,
    memory_provider,
    refusal,
    tcp_data_split,
)

__all__ = (
    "BOND",
    "BOND_SLAVE",
    "DRIVERS",
    "NETKIT",
    "VETH",
    "VIRTIO_NET",
    "DriverDecisions",
    "decide_in_driver",
    "veth_max_mtu",
)

_XDP_PACKET_HEADROOM = 256  # include/uapi/linux/bpf.h
_ETH_HLEN = 14  # include/uapi/linux/if_ether.h

### veth


def _words(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _aligned(n: int, to: int) -> int:
    return -(-n // to) * to


class _MaxMtu(NamedTuple):
    mtu: int
    words: str  # how it comes about


def _veth_max_mtu(kernel: Kernel, peer: Device, frags: bool) -> _MaxMtu:
    need = Question.need
    page = need(kernel.page_size, "PAGE_SIZE")
    align = need(kernel.net_ip_align, "NET_IP_ALIGN")
    line = need(kernel.smp_cache_bytes, "SMP_CACHE_BYTES")
    info = need(kernel.skb_shared_info_size, "sizeof(struct skb_shared_info)")
    header = need(peer.hard_header_len, "hard_header_len of the peer")
    info = _aligned(info, line)
    mtu = page - (_XDP_PACKET_HEADROOM + align) - header - info
    words = (
        f"{page} (page) - {_XDP_PACKET_HEADROOM + align} (headroom) - {header} "
        f"(hard_header_len) - {info} (struct skb_shared_info)"
    )
    if frags:
        count = need(kernel.max_skb_frags, "MAX_SKB_FRAGS")
        mtu += page * count
        words += f" + {page} * {count} (frags)"
    return _MaxMtu(mtu, words)


def veth_max_mtu(kernel: Kernel, peer: Device, frags: bool) -> Maybe[int]:
    """
    Return the largest MTU that native XDP on a veth allows its peer, in bytes, as
    veth_xdp_set() computes it.

    :param frags: Whether the program takes fragments
    """
    try:
        return _veth_max_mtu(kernel, peer, frags).mtu
    except CannotTell as e:
        return Unreadable(str(e))


def _veth_peer(q: Question) -> Device:
    ref = q.need(q.device.peer, f"peer of {q.name}")
    assert ref is not None  # or the first decision would have refused
    return q.device_at(ref)


def _peer_detached(q: Question) -> Optional[str]:
    if q.program and q.need(q.device.peer, f"peer of {q.name}") is None:
        return f"{q.name} has no peer any more"
    return None


def _peer_mtu(q: Question) -> Optional[str]:
    if not q.program:
        return None
    peer = _veth_peer(q)
    mtu = q.need(peer.mtu, f"mtu of {q.name_of(peer.ref)}")
    most, words = _veth_max_mtu(q.kernel, peer, q.need_program("frags"))
    if mtu > most:
        return (
            f"mtu of the peer {q.name_of(peer.ref)} is {mtu}, more than {most}: {words}"
        )
    return None


def _fix_peer_mtu(q: Question) -> Tuple[str, ...]:
    peer = _veth_peer(q)
    most = _veth_max_mtu(q.kernel, peer, q.need_program("frags")).mtu
    return q.fixes.lower_both_mtus(q.device, peer, most)


def _queue_counts(q: Question, peer: Device) -> Tuple[int, int]:
    rx = q.need(q.device.queues.rx.real, f"real_num_rx_queues of {q.name}")
    name = q.name_of(peer.ref)
    return rx, q.need(peer.queues.tx.real, f"real_num_tx_queues of {name}")


def _rx_queues(q: Question) -> Optional[str]:
    if not q.program:
        return None
    peer = _veth_peer(q)
    rx, tx = _queue_counts(q, peer)
    if rx < tx:
        return (
            f"{q.name} has {_words(rx, 'real RX queue')}, its peer "
            f"{q.name_of(peer.ref)} has {_words(tx, 'real TX queue')}"
        )
    return None


def _fix_rx_queues(q: Question) -> Tuple[str, ...]:
    return q.fixes.more_rx_than_tx(q.device, _veth_peer(q))


VETH: Tuple[Decision, ...] = (
    Decision(
        "veth-peer",
        "veth_xdp_set",
        "ENOTCONN",
        "veth: Cannot set XDP when peer is detached",
        _peer_detached,
    ),
    Decision(
        "veth-mtu",
        "veth_xdp_set",
        "ERANGE",
        "veth: Peer MTU is too large to set XDP",
        _peer_mtu,
        _fix_peer_mtu,
    ),
    Decision(
        "veth-queues",
        "veth_xdp_set",
        "ENOSPC",
        "veth: XDP expects number of rx queues not less than peer tx queues",
        _rx_queues,
        _fix_rx_queues,
    ),
)


def _veth_accepts(q: Question) -> str:
    if not q.program:
        return "veth lets go of a program whatever it is"
    peer = _veth_peer(q)
    rx, tx = _queue_counts(q, peer)
    most = _veth_max_mtu(q.kernel, peer, q.need_program("frags")).mtu
    mtu = q.need(peer.mtu, "mtu of the peer")
    return (
        f"{_words(rx, 'real RX queue')} here >= {_words(tx, 'real TX queue')} of "
        f"{q.name_of(peer.ref)}, whose mtu {mtu} <= {most}"
    )


### bonding


_BOND_XDP_MODES = ("balance-rr", "active-backup")
_BOND_XDP_HASH_MODES = ("802.3ad", "balance-xor")


def _bond_mode(q: Question) -> Optional[str]:
    bond = q.device.bond
    if bond is None:
        raise CannotTell(f"what the bond {q.name} keeps itself was not read")
    mode = q.need(bond.mode, f"params.mode of {q.name}")
    if mode in _BOND_XDP_MODES:
        return None
    if mode in _BOND_XDP_HASH_MODES:
        policy = q.need(bond.xmit_policy, f"params.xmit_policy of {q.name}")
        if policy != "vlan+srcmac":
            return None
        mode = f"{mode} with xmit_hash_policy {policy}"
    return f"the bond {q.name} is in mode {mode}"


BOND: Tuple[Decision, ...] = (
    Decision(
        "bond-mode",
        "bond_xdp_set",
        "EOPNOTSUPP",
        "No native XDP support for the current bonding mode",
        _bond_mode,
    ),
)


def _slave_operations(q: Question) -> Optional[str]:
    driver = q.device.driver
    for name, there in (
        ("ndo_bpf", driver.ndo_bpf),
        ("ndo_xdp_xmit", driver.ndo_xdp_xmit),
    ):
        if not q.need(there, f"{name} of {q.name}"):
            return f"the driver of the slave {q.name} has no {name}"
    return None


def _slave_program(q: Question) -> Optional[str]:
    count = q.program_count(q.device)
    if count:
        return f"the slave {q.name} has {count} XDP program{'s' if count > 1 else ''}"
    return None


#: Of each slave, in order.
BOND_SLAVE: Tuple[Decision, ...] = (
    Decision(
        "slave-operations",
        "bond_xdp_set",
        "EOPNOTSUPP",
        "Slave device does not support XDP",
        _slave_operations,
        lambda q: q.fixes.no_master(q.device.ref),
    ),
    Decision(
        "slave-program",
        "bond_xdp_set",
        "EOPNOTSUPP",
        "Slave has XDP program loaded, please unload before enslaving",
        _slave_program,
        lambda q: q.fixes.detach_all(q.device),
        lambda q: [(q.device.net_device, mode) for mode in (SKB, DRV, HW)],
    ),
    # dev_xdp_propagate(), in kernels that have what they ask for.
    Decision(
        "slave-tcp-data-split",
        "dev_xdp_propagate",
        "EBUSY",
        "unable to propagate XDP to device using tcp-data-split",
        tcp_data_split,
        fix_tcp_data_split,
    ),
    Decision(
        "slave-memory-provider",
        "dev_xdp_propagate",
        "EBUSY",
        "unable to propagate XDP to device using memory provider",
        memory_provider,
    ),
)


def _bond_slaves(q: Question) -> Answer:
    assert q.device.bond is not None
    count = 0
    for ref in q.need(q.device.bond.slaves, f"slaves of {q.name}"):
        if ref.net_device in (*q.above, q.device.net_device):
            raise CannotTell(f"{q.name_of(ref)} is a slave of itself")
        if ("slave-operations", ref.net_device) in q.passed:
            continue  # It is no slave any more.
        slave = q.about(q.device_at(ref))
        answer = first(slave, BOND_SLAVE)
        if answer is None:
            answer = decide_in_driver(slave)
        if answer.errno != 0:
            if answer.errno is None:
                return answer
            because = f"of the slave {slave.name}: {answer.because}"
            return answer._replace(because=because)
        count += 1
    words = f"each slave takes it, of {count}" if count else "it has no slaves"
    return q.accepted("bond_xdp_set", words)


### virtio_net

# include/uapi/linux/virtio_net.h, virtio_config.h: bits of virtio_device.features.
_GUEST_CSUM = (1, "GUEST_CSUM")
_GUEST_SEGMENTS = (
    (7, "GUEST_TSO4"),
    (8, "GUEST_TSO6"),
    (9, "GUEST_ECN"),
    (10, "GUEST_UFO"),
    (54, "GUEST_USO4"),
    (55, "GUEST_USO6"),
)
_CTRL_GUEST_OFFLOADS = 2
_MRG_RXBUF = 15
_ANY_LAYOUT = 27
_VERSION_1 = 32


def _virtio_features(q: Question) -> int:
    if q.device.virtio_net is None:
        raise CannotTell(f"the features of {q.name} were not read")
    return q.need(q.device.virtio_net.features, f"virtio features of {q.name}")


def _offloads(q: Question, offloads: Sequence[Tuple[int, str]]) -> Optional[str]:
    features = _virtio_features(q)
    if features >> _CTRL_GUEST_OFFLOADS & 1:
        return None
    on = [name for bit, name in offloads if features >> bit & 1]
    if on:
        return f"{q.name} has {', '.join(on)} and not CTRL_GUEST_OFFLOADS"
    return None


def _host_offloads(q: Question) -> Optional[str]:
    return _offloads(q, (_GUEST_CSUM, *_GUEST_SEGMENTS))


def _host_segments(q: Question) -> Optional[str]:
    return _offloads(q, _GUEST_SEGMENTS)


def _any_header_sg(q: Question) -> Optional[str]:
    features = _virtio_features(q)
    if features >> _MRG_RXBUF & 1 and not (
        features >> _ANY_LAYOUT & 1 or features >> _VERSION_1 & 1
    ):
        return f"{q.name} has MRG_RXBUF, and neither ANY_LAYOUT nor VERSION_1"
    return None


def _virtio_mtu_any(q: Question) -> Optional[str]:
    page = q.need(q.kernel.page_size, "PAGE_SIZE")
    header = q.need(q.kernel.padded_vnet_hdr_size, "sizeof(struct padded_vnet_hdr)")
    mtu = q.need(q.device.mtu, f"mtu of {q.name}")
    if header is None:
        raise CannotTell("virtnet_xdp_set() does not show the MTU that it allows")
    if mtu > page - header:
        return f"mtu {mtu} > {page} (page) - {header} (struct padded_vnet_hdr)"
    return None


def _virtio_most(q: Question) -> int:
    page = q.need(q.kernel.page_size, "PAGE_SIZE")
    info = q.need(q.kernel.skb_shared_info_size, "sizeof(struct skb_shared_info)")
    line = q.need(q.kernel.smp_cache_bytes, "SMP_CACHE_BYTES")
    return page - _aligned(_XDP_PACKET_HEADROOM + info, line) - _ETH_HLEN


def _virtio_mtu_plain(q: Question) -> Optional[str]:
    if not q.program or q.need_program("frags"):
        return None
    mtu = q.need(q.device.mtu, f"mtu of {q.name}")
    most = _virtio_most(q)
    if mtu > most:
        page = q.need(q.kernel.page_size, "PAGE_SIZE")
        return (
            f"mtu {mtu} > {most}: {page} (page) - {page - most - _ETH_HLEN} (headroom, "
            f"struct skb_shared_info) - {_ETH_HLEN} (Ethernet), and the program does "
            "not take fragments"
        )
    return None


def _virtio_accepts(q: Question) -> str:
    mtu = q.need(q.device.mtu, f"mtu of {q.name}")
    return f"the host implements no GRO_HW, and mtu {mtu} is small enough"


def _fix_virtio_mtu_any(q: Question) -> Tuple[str, ...]:
    page = q.need(q.kernel.page_size, "PAGE_SIZE")
    header = q.need(q.kernel.padded_vnet_hdr_size, "sizeof(struct padded_vnet_hdr)")
    return () if header is None else q.fixes.mtu(q.device.ref, page - header)


VIRTIO_NET: Tuple[Decision, ...] = (
    # One of three: virtnet_xdp_set() refers to one message.
    Decision(
        "virtio-offloads-lro",
        "virtnet_xdp_set",
        "EOPNOTSUPP",
        "virtio_net: Can't set XDP while host is implementing LRO, disable LRO first",
        _host_segments,
    ),
    # Since Linux kernel commit 18ba58e1c234 ("virtio-net: fail XDP set if guest csum is
    # negotiated") (in v4.20).
    Decision(
        "virtio-offloads-lro-csum",
        "virtnet_xdp_set",
        "EOPNOTSUPP",
        "virtio_net: Can't set XDP while host is implementing LRO/CSUM, disable "
        "LRO/CSUM first",
        _host_offloads,
    ),
    # Since Linux kernel commit dbcf24d15388 ("virtio-net: use NETIF_F_GRO_HW instead of
    # NETIF_F_LRO") (in v5.14 and stable kernels).
    Decision(
        "virtio-offloads",
        "virtnet_xdp_set",
        "EOPNOTSUPP",
        "virtio_net: Can't set XDP while host is implementing GRO_HW/CSUM, disable "
        "GRO_HW/CSUM first",
        _host_offloads,
    ),
    Decision(
        "virtio-header",
        "virtnet_xdp_set",
        "EINVAL",
        "virtio_net: XDP expects header/data in single page, any_header_sg required",
        _any_header_sg,
    ),
    # One of two.
    Decision(
        "virtio-mtu-any",
        "virtnet_xdp_set",
        "EINVAL",
        "virtio_net: MTU too large to enable XDP",
        _virtio_mtu_any,
        _fix_virtio_mtu_any,
    ),
    Decision(
        "virtio-mtu-plain",
        "virtnet_xdp_set",
        "EINVAL",
        "virtio_net: MTU too large to enable XDP without frags",
        _virtio_mtu_plain,
        lambda q: q.fixes.mtu(q.device.ref, _virtio_most(q)),
    ),
)

### netkit


def _netkit(q: Question) -> Optional[str]:
    return "netkit has an ndo_bpf for AF_XDP alone; generic mode works"


# Since Linux kernel commit ("netkit: Add xsk support for af_xdp applications") (in
# v7.0 or v7.1). Before, netkit has no ndo_bpf, and no mode means generic.
NETKIT: Tuple[Decision, ...] = (
    Decision("netkit", "netkit_xsk", "EOPNOTSUPP", None, _netkit),
)

### All of them


class DriverDecisions(NamedTuple):
    """What a driver decides."""

    ndo_bpf: str  #: its name in the source
    function: str  #: that sets a program
    decisions: Tuple[Decision, ...]
    accepts: Callable[[Question], str]


DRIVERS: Dict[str, DriverDecisions] = {
    "veth": DriverDecisions("veth_xdp", "veth_xdp_set", VETH, _veth_accepts),
    "bond": DriverDecisions("bond_xdp", "bond_xdp_set", BOND, lambda q: ""),
    "virtio_net": DriverDecisions(
        "virtnet_xdp", "virtnet_xdp_set", VIRTIO_NET, _virtio_accepts
    ),
    "tun": DriverDecisions("tun_xdp", "tun_xdp_set", (), lambda q: "tun takes any"),
    "netkit": DriverDecisions("netkit_xsk", "netkit_xsk", NETKIT, lambda q: ""),
}


def _said(q: Question, function: str) -> Optional[FrozenSet[str]]:
    # Messages that a driver's code refers to, None if that is not known.
    if isinstance(q.kernel.messages, Unreadable):
        return None
    return dict(q.kernel.messages).get(function)


def _taken(q: Question, driver: DriverDecisions) -> List[Tuple[Decision, ...]]:
    # The lists that this kernel's driver may have: one, if its text was read.
    said = _said(q, driver.ndo_bpf)
    ways: List[Tuple[Decision, ...]] = []
    if driver.ndo_bpf == "bond_xdp":
        # Since Linux kernel commit ("bonding: return detailed error when loading native
        # XDP fails") (in v6.13 and stable kernels), it says why.
        (mode,) = driver.decisions
        if said is None or mode.message in said:
            ways.append((mode,))
        if said is None or mode.message not in said:
            ways.append((mode._replace(message=None),))
    elif driver.ndo_bpf == "virtnet_xdp":
        groups = [
            _those_said(driver.decisions, said, start)
            for start in ("virtio-offloads", "virtio-mtu")
        ]
        apart = {decision.key for group in groups for decision in group.all}
        for one_of_each in itertools.product(*(group.there for group in groups)):
            ways.append(
                tuple(
                    decision
                    for decision in driver.decisions
                    if decision.key not in apart or decision in one_of_each
                )
            )
    return ways or [driver.decisions]


class _OneOf(NamedTuple):
    # Decisions of which a kernel takes one.
    all: Tuple[Decision, ...]
    there: Tuple[Decision, ...]  # those that this kernel may take


def _those_said(
    decisions: Sequence[Decision], said: Optional[FrozenSet[str]], start: str
) -> _OneOf:
    group = tuple(d for d in decisions if d.key.startswith(start))
    there = tuple(d for d in group if said is not None and d.message in said)
    # If its text has none of them, it could not be read in whole.
    return _OneOf(group, there or group)


def decide_in_driver(q: Question) -> Answer:
    """
    Return the driver's answer, in driver or offload mode.

    :raises CannotTell: if a value is missing
    """
    name = q.driver_name
    driver = None if name is None else DRIVERS.get(name)
    if driver is None:
        known = (
            "its driver, which has no name here,"
            if name is None
            else f"the driver {name}"
        )
        return Answer(
            None, None, None, f"as far as the core goes, yes; then {known} decides"
        )
    if q.mode == HW:
        return refusal(
            "EINVAL", None, driver.ndo_bpf, f"{name} knows no command XDP_SETUP_PROG_HW"
        )
    answers = []
    for decisions in _taken(q, driver):
        answer = first(q, decisions)
        if answer is None and name == "bond":
            answer = _bond_slaves(q)
        elif answer is None:
            answer = q.accepted(driver.function, driver.accepts(q))
        if answer not in answers:
            answers.append(answer)
    if len(answers) == 1:
        return answers[0]
    why = f"the text of {driver.function}() could not be read, which would tell"
    if len({answer.errno for answer in answers}) == 1:
        because = f"{answers[0].because}; the message, or none: {why}"
        return answers[0]._replace(because=because, either=tuple(answers))
    return Answer(None, None, None, why, (), tuple(answers))
