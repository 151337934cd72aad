# SPDX-License-Identifier: LGPL-2.1-or-later
"""
ethtool -L
----------

ethnl_set_channels() (net/ethtool/channels.c), veth_set_channels() (drivers/net/veth.c)
and virtnet_set_channels() (drivers/net/virtio_net.c).
"""

from typing import NamedTuple, Optional

from ...core import messages
from ...core.english import number_list
from ...core.unreadable import Unreadable
from ..attach.decision import Decision, first
from ..attach.question import Answer
from ..driver_program import driver_program
from ..limits import af_xdp_between
from ..names import name_of
from ..need import CannotTell, need, need_of
from .asked import Asked, granted, one_of
from .request import Channels

__all__ = (
    "AF_XDP",
    "CHANNELS",
    "VETH",
    "VIRTIO_NET",
    "Counts",
    "Numbers",
    "ask",
    "counts_of",
    "wanted_of",
)


class Numbers(NamedTuple):
    """Numbers of channels."""

    rx: int
    tx: int
    combined: int
    other: int


class Counts(NamedTuple):
    """What ``get_channels`` tells: the counts, and the most that there can be."""

    now: Numbers
    most: Numbers


def counts_of(q: Asked) -> Counts:
    """
    Return the channels of a device.

    :raises CannotTell: if the driver is unknown, or a count could not be read
    """
    queues, device = q.device.queues, q.device
    rx = need_of(device, queues.rx.real, "real_num_rx_queues")
    most_rx = need_of(device, queues.rx.allocated, "num_rx_queues")
    if q.driver_name == "virtio_net":
        # curr_queue_pairs, which includes those that a native program reserves.
        return Counts(Numbers(0, 0, rx, 0), Numbers(0, 0, most_rx, 0))
    if q.driver_name != "veth":
        raise CannotTell(f"the channels of driver {q.driver_name} are not known")
    tx = need_of(device, queues.tx.real, "real_num_tx_queues")
    most_tx = need_of(device, queues.tx.allocated, "num_tx_queues")
    return Counts(Numbers(rx, tx, 0, 0), Numbers(most_rx, most_tx, 0, 0))


def wanted_of(q: Asked) -> Numbers:
    """Return what there would be after a request: see :func:`counts_of()`."""
    now = counts_of(q).now
    return Numbers(*(new if new is not None else old for new, old in zip(q.what, now)))


def _no_operation(q: Asked) -> Optional[str]:
    there = need_of(q.device, q.device.driver.set_channels, "set_channels")
    return None if there else f"the driver of {q.name} has no set_channels"


def _too_many(q: Asked) -> Optional[str]:
    wanted, (_, most) = wanted_of(q), counts_of(q)
    for word in ("rx", "tx", "other", "combined"):
        want, limit = getattr(wanted, word), getattr(most, word)
        if want > limit:
            return f"{want} {word} channels, but {q.name} has {limit} at most"
    return None


def _none_left(q: Asked) -> Optional[str]:
    wanted = wanted_of(q)
    if wanted.combined:
        return None
    for word in ("rx", "tx"):
        if not getattr(wanted, word):
            return f"{q.name} would have no {word} queue"
    return None


def _indirection(q: Asked) -> Optional[str]:
    wanted, now = wanted_of(q), counts_of(q).now
    fewer = wanted.rx + wanted.combined < now.rx + now.combined
    if q.driver_name == "virtio_net" and fewer:
        configured = q.device.traits.rxfh_configured
        if need_of(q.device, configured, "IFF_RXFH_CONFIGURED"):
            raise CannotTell(f"the indirection table of {q.name} is not read")
    return None


def _taken(q: Asked, *ranges: tuple[int, int]) -> Optional[str]:
    taken = {
        queue
        for gone in ranges
        for queue in need_of(q.device, af_xdp_between(q.device, *gone), "AF_XDP queues")
    }
    if taken:
        return f"AF_XDP sockets have queue {number_list(sorted(taken))} of {q.name}"
    return None


def _af_xdp(q: Asked) -> Optional[str]:
    wanted, now = wanted_of(q), counts_of(q).now
    both = wanted.combined + min(wanted.rx, wanted.tx)
    why = _taken(q, (both, now.combined + max(now.rx, now.tx)))
    if why is not None:
        why += f", and only queues below {both} would be RX and TX queues"
    return why


def _af_xdp_each(q: Asked) -> Optional[str]:
    wanted, now = wanted_of(q), counts_of(q).now
    rx = wanted.combined + wanted.rx, now.combined + now.rx
    tx = wanted.combined + wanted.tx, now.combined + now.tx
    return _taken(q, rx, tx)


_MEND = "close the sockets first"
_COMPARES = (
    "the queues that AF_XDP sockets have, in copy mode as well, with the lower one of "
    "the new RX and TX counts"
)
#: What a kernel asks about AF_XDP: the one whose message its code has; the last has
#: none there.
AF_XDP: tuple[Decision, ...] = (
    Decision(
        "channels-af-xdp",
        "ethnl_set_channels",
        "EINVAL",
        messages.CHANNELS_AF_XDP,
        _af_xdp,
        compares=_COMPARES,
        mend=_MEND,
        kernels="up to v6.19",
    ),
    Decision(
        "channels-busy",
        "ethnl_set_channels",
        "EINVAL",
        messages.CHANNELS_BUSY,
        _af_xdp,
        compares=_COMPARES,
        mend=_MEND,
        kernels="some after v6.19",
    ),
    Decision(
        "channels-queue-busy",
        "netdev_queue_busy",
        "EINVAL",
        "Device queue in use by AF_XDP",
        _af_xdp_each,
        compares=(
            "the RX and TX queues that go away with those that AF_XDP sockets have, in "
            "copy mode as well"
        ),
        mend=_MEND,
        kernels="v7.3, for example",
    ),
)


def _ask_af_xdp(q: Asked) -> Optional[Answer]:
    said = None
    if not isinstance(q.kernel.messages, Unreadable):
        said = dict(q.kernel.messages).get("ethnl_set_channels")
    if said is not None:
        there = [one for one in AF_XDP if one.message in said]
        return first(q, there[:1] or AF_XDP[-1:])
    answers = [first(q, (one,)) for one in AF_XDP]
    if answers == [None] * len(AF_XDP):
        return None
    accepted = granted("ethnl_set_channels", "no queue that a socket uses is removed")
    return one_of(answers, accepted)


#: ethnl_set_channels(), in its order, up to AF_XDP.
CHANNELS: tuple[Decision, ...] = (
    Decision(
        "channels-none",
        "ethnl_set_channels",
        "EOPNOTSUPP",
        None,
        _no_operation,
        compares="whether the driver has set_channels",
        mend="make the device again, with numrxqueues and numtxqueues",
        kernels="veth has it since v5.15",
    ),
    Decision(
        "channels-maximum",
        "ethnl_set_channels",
        "EINVAL",
        "requested channel count exceeds maximum",
        _too_many,
        compares="each count with the number of queues that the device was made with",
        mend="ask for fewer, or make the device again with more queues",
    ),
    Decision(
        "channels-no-queue",
        "ethnl_set_channels",
        "EINVAL",
        (
            "requested channel counts would result in no RX or TX channel being "
            "configured"
        ),
        _none_left,
        compares="whether at least one RX and one TX queue would be left",
        mend="ask for at least one of each",
    ),
    Decision(
        "channels-indirection",
        "ethnl_set_channels",
        "EINVAL",
        (
            "requested channel counts are too low for existing indirection table "
            "settings"
        ),
        _indirection,
        compares="the highest queue in the indirection table of RSS, if a user set it",
        mend="ethtool -X DEVICE default",
    ),
)


def _own_program(q: Asked) -> Optional[str]:
    peer = q.peer()
    if peer is None or not _program(q):
        return None
    rx = wanted_of(q).rx
    tx = need_of(peer, peer.queues.tx.real, "real_num_tx_queues")
    if rx < tx:
        return (
            f"{q.name} has a native program, and {rx} RX queues are fewer than the "
            f"{tx} TX queues of its peer {name_of(peer)}"
        )
    return None


def _program(q: Asked) -> bool:
    # veth_priv._xdp_prog. That of a bond's slave is there alone.
    veth = q.device.veth
    if veth is not None and need_of(q.device, veth.prog, "veth_priv._xdp_prog"):
        return True
    program = need_of(q.device, q.device.xdp.driver, "driver program")
    return program is not None


def _peer_program(q: Asked) -> Optional[str]:
    peer = q.peer()
    if peer is None or not _program(q.asked_of(peer)):
        return None
    tx = wanted_of(q).tx
    rx = need_of(peer, peer.queues.rx.real, "real_num_rx_queues")
    if tx > rx:
        return (
            f"peer {name_of(peer)} has a native program, and only {rx} RX queues for "
            f"{tx} TX queues of {q.name}"
        )
    return None


VETH: tuple[Decision, ...] = (
    Decision(
        "channels-veth-program",
        "veth_set_channels",
        "EINVAL",
        None,
        _own_program,
        compares=(
            "if the veth has a native program: the new number of its RX queues with "
            "the real TX queues of its peer"
        ),
        mend="lower the TX queues of the peer first, or detach the program",
        kernels="since v5.15",
    ),
    Decision(
        "channels-veth-peer-program",
        "veth_set_channels",
        "EINVAL",
        None,
        _peer_program,
        compares=(
            "if the peer has a native program: the new number of TX queues with the "
            "real RX queues of the peer"
        ),
        mend="raise the RX queues of the peer first, or detach its program",
        kernels="since v5.15",
    ),
)


def _virtio_pairs(q: Asked) -> Optional[str]:
    wanted = wanted_of(q)
    if wanted.rx or wanted.tx or wanted.other:
        return "virtio_net has combined channels only"
    if not wanted.combined:
        return "virtio_net needs a combined channel"
    return None


def _virtio_program(q: Asked) -> Optional[str]:
    # virtnet_info.rq[0].xdp_prog
    program = driver_program(q.device, q.by_address)
    program = need_of(q.device, program, "driver program")
    return None if program is None else f"{q.name} has {q.words(program)}"


VIRTIO_NET: tuple[Decision, ...] = (
    Decision(
        "channels-virtio-combined",
        "virtnet_set_channels",
        "EINVAL",
        None,
        _virtio_pairs,
        compares="whether only combined channels are asked for",
        mend="ethtool -L DEVICE combined N",
    ),
    Decision(
        "channels-virtio-program",
        "virtnet_set_channels",
        "EINVAL",
        None,
        _virtio_program,
        compares="whether the device has a native program",
        mend="detach the program first",
    ),
)

_DRIVERS = {"veth": VETH, "virtio_net": VIRTIO_NET}


def ask(q: Asked) -> Answer:
    """
    Return the answer to ETHTOOL_MSG_CHANNELS_SET.

    :raises CannotTell: if a value is missing
    """
    refused = first(q, CHANNELS[:1])
    if refused is not None:
        return refused
    name = q.driver_name
    if name not in _DRIVERS:
        return Answer(
            None, None, None, f"driver {name} has the final say about its channels"
        )
    wanted, now = wanted_of(q), counts_of(q).now
    if wanted == now:
        return granted("ethnl_set_channels", "nothing changes; no driver is called")
    refused = first(q, CHANNELS[1:]) or _ask_af_xdp(q) or first(q, _DRIVERS[name])
    if refused is not None:
        return refused
    changes = ", ".join(
        f"{word} {old} -> {new}"
        for word, old, new in zip(Channels._fields, now, wanted)
        if old != new
    )
    need(q.device.queues.rx.real, "real_num_rx_queues")
    return granted(f"{name}_set_channels".replace("virtio_net", "virtnet"), changes)
